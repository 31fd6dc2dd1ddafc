"""Each planted error makes the guard fail that is there for it; the code as it is makes none fail.

The guards run as a runner runs them: the folder copied away from this repository, against a copy of the package.
"""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: What is planted: the guards that must notice, then file, text and its replacement.
PLANTED = {
    "nothing": (set(), ()),
    "mask off by one": ({"G1", "G4", "G6"}, [("masks.py", ".tril(diagonal=S - L)", ".tril(diagonal=S - L + 1)")]),
    "one future token, at one length": (
        {"G4", "G6"},
        [
            (
                "masks.py",
                "    return torch.ones(L, S, dtype=torch.bool, device=device).tril(diagonal=S - L)",
                "    mask = torch.ones(L, S, dtype=torch.bool, device=device).tril(diagonal=S - L)\n"
                "    mask[L // 2, L // 2 + 1 : L // 2 + 2] |= L == 256\n"
                "    return mask",
            )
        ],
    ),
    "scale of the wrong width": (
        {"G1"},
        [("modules.py", "self.scale = self.head_dim**-0.5", "self.scale = embed_dim**-0.5")],
    ),
    "cache keyed without dtype": (
        {"G6"},
        [
            ("masks.py", "self._masks.get(key)", "self._masks.get(key[:3])"),
            ("masks.py", "self._masks[key]", "self._masks[key[:3]]"),
            ("masks.py", "move_to_end(key)", "move_to_end(key[:3])"),
        ],
    ),
    "cached mask modified in place": (
        {"G6"},
        [("modules.py", "torch.baddbmm(mask_ls,", "torch.baddbmm(mask_ls.clamp_(min=-1e30),")],
    ),
    "cached mask modified in place, unseen by the cache": (
        {"G6"},
        [
            ("modules.py", "torch.baddbmm(mask_ls,", "torch.baddbmm(mask_ls.clamp_(min=-1e30),"),
            ("masks.py", "if mask._version != version:", "if False:"),
        ],
    ),
    "cache without a bound": ({"G6"}, [("masks.py", "while len(self._masks) > self.max_entries:", "while False:")]),
    "dead rows left to softmax": ({"G7"}, [("functional.py", "if not may_be_dead:", "if True:")]),
    "upper-left alignment": (
        {"G1", "G4"},
        [
            ("functional.py", "L != 1 and (L != S or attn_mask is not None)", "attn_mask is not None"),
            ("functional.py", "attn_mask is None and L != 1", "attn_mask is None"),
        ],
    ),
}


def run_guards(folder: Path, only: Collection[str] = ()) -> tuple[int, list[ElementTree.Element]]:
    shutil.copytree(ROOT / "tests" / "guards", folder / "guards", ignore=shutil.ignore_patterns("__pycache__"))
    chosen = [f"guards/{path.name}" for path in (folder / "guards").glob("test_*") if path.name[5:7].upper() in only]
    command = [sys.executable, "-m", "pytest", *(chosen or ["guards"]), "--device", "cpu", "--junitxml=guards.xml"]
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--tb=line"], cwd=folder, env=environment, capture_output=True, check=False)
    return done.returncode, list(ElementTree.parse(folder / "guards.xml").iter("testcase"))


def properties(case: ElementTree.Element) -> dict[str, str]:
    return {p.get("name", ""): p.get("value", "") for p in case.iter("property")}


def guards(cases: list[ElementTree.Element], outcome: str) -> set[str]:
    return {properties(case)["guard"] for case in cases if case.find(outcome) is not None}


def assert_it_says_what_it_is_about(found: dict[str, str]) -> None:
    assert {"guard", "device", "dtype"} <= set(found)
    assert ("variant" in found) <= ("covers" in found)
    if "error" in found:
        assert float(found["tolerance"]) > 0


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_error_fails_its_guards(planted: str, tmp_path: Path) -> None:
    expected, edits = PLANTED[planted]
    shutil.copytree(ROOT / "attention", tmp_path / "attention", ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in edits:
        path = tmp_path / "attention" / file
        source = path.read_text()
        assert old in source, f"{file} no longer contains {old!r}: plant the error anew"
        path.write_text(source.replace(old, new))
    code, cases = run_guards(tmp_path, only=expected)
    assert guards(cases, "failure") == expected
    assert guards(cases, "error") == set()
    assert code == (1 if expected else 0)
    for case in cases:
        assert_it_says_what_it_is_about(properties(case))


def test_a_commit_without_a_registry_fails_no_guard(tmp_path: Path) -> None:
    (tmp_path / "attention").mkdir()
    (tmp_path / "attention" / "__init__.py").touch()
    code, cases = run_guards(tmp_path)
    assert code == 0
    reasons = [skipped.get("message", "") for case in cases for skipped in case.iter("skipped")]
    assert len(reasons) == len(cases)
    assert all(reason.startswith("not applicable: ") for reason in reasons)


def test_a_commit_that_cannot_be_imported_is_an_error_not_a_failure(tmp_path: Path) -> None:
    (tmp_path / "attention").mkdir()
    (tmp_path / "attention" / "__init__.py").write_text("import a_module_that_is_not_there")
    _, cases = run_guards(tmp_path)
    assert guards(cases, "error") == {"G1", "G4", "G6", "G7"}
    assert guards(cases, "failure") == set()
