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
            ("functional.py", "flag = L != 1 and is_causal", "flag = is_causal"),
        ],
    ),
    "gradients of the scores doubled": (
        {"G2"},
        [
            (
                "functional.py",
                "    return torch.matmul(weights_bhls, v_bhse)",
                "    return torch.matmul(2 * weights_bhls - weights_bhls.detach(), v_bhse)",
            )
        ],
    ),
    "slots beyond those held": (
        {"G7"},
        [("caches.py", "self._k[:, :, : self._length], self._v[:, :, : self._length]", "self._k, self._v")],
    ),
    "a look at the numbers from the host": (
        {"G8"},
        [("functional.py", "flag = L != 1 and is_causal", "flag = L != 1 and not q.isnan().any() and is_causal")],
    ),
    "a copy of each key head": (
        {"G9"},
        [
            (
                "grouped.py",
                "    if L != 1 or Hq == Hkv:",
                "    k, v = (t.repeat_interleave(Hq // Hkv, dim=1) for t in (k, v))\n"
                "    Hkv = Hq\n"
                "    if L != 1 or Hq == Hkv:",
            )
        ],
    ),
    "a little noise": (
        {"G12"},
        [
            (
                "functional.py",
                "return scores.softmax(dim=-1)",
                "return (scores * (1 + 1e-6 * torch.rand(()))).softmax(dim=-1)",
            )
        ],
    ),
    "weights joined in another order": (
        {"G12"},
        [("weights.py", "state_dict.pop(part) for part in parts", "state_dict.pop(part) for part in reversed(parts)")],
    ),
    "a window one too short": (
        {"G1", "G4", "G13"},
        [("masks.py", "diagonal=S - L - window + 1", "diagonal=S - L - window + 2")],
    ),
    "tokens at the start of their pages": (
        {"G13"},
        [("pager.py", "Run(start + low - position, start + high - position)", "Run(start, start + high - low)")],
    ),
    "angles that grow too fast": ({"G14"}, [("rotary.py", "dtype=wide) / self.dim)", "dtype=wide) / (self.dim + 2))")]),
    "caches that no block is given": ({"G17"}, [("model.py", "block(x_blc, cache)", "block(x_blc)")]),
}


def guard(path: Path) -> str:
    """`G1` of test_g1_forward_equals_the_oracle.py."""
    return path.name.split("_")[1].upper()


#: A plugin: a guard that has failed once has noticed, and need not run on.
FIRST_FAILURE = """
import pytest

failed = set()

def pytest_runtest_logreport(report):
    if report.failed:
        failed.add(report.nodeid.split("::")[0])

@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item):
    if item.nodeid.split("::")[0] in failed:
        pytest.skip("has failed already")
"""


def run_guards(folder: Path, only: Collection[str] = ()) -> tuple[int, list[ElementTree.Element]]:
    shutil.copytree(ROOT / "tests" / "guards", folder / "guards", ignore=shutil.ignore_patterns("__pycache__"))
    chosen = [f"guards/{path.name}" for path in (folder / "guards").glob("test_*") if guard(path) in only]
    (folder / "first_failure.py").write_text(FIRST_FAILURE)
    command = [sys.executable, "-m", "pytest", *(chosen or ["guards"]), "--device", "cpu", "--junitxml=guards.xml"]
    command += ["--tb=line", "-p", "first_failure"]
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
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
    code, cases = run_guards(tmp_path, only=expected or {"G6"})
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
    nightly = {"G10"}  # marked long
    assert guards(cases, "error") | nightly == {guard(path) for path in (tmp_path / "guards").glob("test_*")}
    assert guards(cases, "failure") == set()
