import json
import os
import sys
from pathlib import Path

import pytest

from perfsvc.errors import RunnerError
from perfsvc.runner import trees


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return folder


def test_room_is_made_for_the_commits_packages_and_the_suites_own_folders_stay(tmp_path: Path) -> None:
    names = ("toy/__init__.py", "src/other/__init__.py", "single.py", "conftest.py", "docs/index.md")
    tree = make(tmp_path, *names, "tests/__init__.py", "benchmarks/__init__.py")
    assert set(trees.make_room(tree, ["tests", "benchmarks"])) == {"toy", "other", "single"}
    assert {path.name for path in tree.iterdir()} == {"src", "conftest.py", "docs", "tests", "benchmarks"}


def test_a_src_folder_comes_before_its_tree(tmp_path: Path) -> None:
    assert trees.search_path(tmp_path) == str(tmp_path)
    make(tmp_path, "src/toy/__init__.py")
    assert trees.search_path(tmp_path) == os.pathsep.join([str(tmp_path / "src"), str(tmp_path)])


def test_imports_inside_functions_are_seen_and_broken_files_are_left_to_asv(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import os.path as p\ndef f():\n    from toy.deep import x\n    from . import y\n")
    (tmp_path / "two.py").write_text("def broken(:\n")
    assert trees.imported_names(tmp_path) == {"os", "toy"}


def test_an_installed_copy_of_what_the_commit_lacks_is_refused(tmp_path: Path) -> None:
    python, variables = Path(sys.executable), dict(os.environ)
    with pytest.raises(RunnerError, match=r"pluggy: would be imported from .*, not from the measured commit"):
        trees.check_imports(python, variables, tmp_path, ["pluggy"])
    make(tmp_path, "pluggy/__init__.py")
    trees.check_imports(python, variables, tmp_path, ["pluggy", "nowhere_to_be_found"])


def test_a_fact_from_another_tree_is_refused(tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    trees.check_facts(facts, tmp_path)  # a suite need not tell facts
    own, other = str(tmp_path / "toy.py"), "/elsewhere/toy.py"
    facts.write_text("torn line\n[]\n" + json.dumps({"imported_from": own}) + "\n")
    trees.check_facts(facts, tmp_path)
    facts.write_text(json.dumps({"benchmark": "b", "imported_from": other}) + "\n")
    with pytest.raises(RunnerError, match=r"b: measured /elsewhere/toy\.py"):
        trees.check_facts(facts, tmp_path)
