"""What cannot be measured is skipped, or fails, with its reason in the result; the rest is measured."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import cases, devices, headroom

ROOT = Path(__file__).parents[2]
HEAD = "forward.Forward.time_forward-0"


def told(facts: Path) -> dict[str, str]:
    (line,) = facts.read_text().splitlines()
    return json.loads(line)


def test_what_a_commit_lacks_is_skipped_with_its_reason_not_failed(tmp_path, in_a_process_of_asv) -> None:
    (tmp_path / "attention").mkdir()
    (tmp_path / "attention" / "__init__.py").touch()
    facts, result = tmp_path / "facts.jsonl", tmp_path / "result.json"
    done = in_a_process_of_asv(HEAD, result, PYTHONPATH=str(tmp_path), PERFSVC_FACTS=str(facts))
    assert done.returncode == 0, done.stderr
    assert math.isnan(json.loads(result.read_text()))
    assert told(facts)["skipped"] == "this commit has no registry of variants"


def test_the_wrong_tree_fails_loudly(tmp_path, in_a_process_of_asv) -> None:
    facts = tmp_path / "facts.jsonl"
    done = in_a_process_of_asv(HEAD, tmp_path / "result.json", PERFSVC_EXPECT=str(tmp_path), PERFSVC_FACTS=str(facts))
    assert done.returncode != 0
    assert "measured the wrong tree" in done.stderr
    assert told(facts)["failed"].startswith("WrongTree: measured the wrong tree")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_skips_the_case(tmp_path, in_a_process_of_asv) -> None:
    facts, result = tmp_path / "facts.jsonl", tmp_path / "result.json"
    done = in_a_process_of_asv(HEAD, result, PERFSVC_DEVICE="cuda", PERFSVC_FACTS=str(facts))
    assert done.returncode == 0, done.stderr
    assert math.isnan(json.loads(result.read_text()))
    assert told(facts)["skipped"] == "this machine has no CUDA device"


def test_a_device_that_nobody_knows_fails_with_those_that_there_are(tmp_path, in_a_process_of_asv) -> None:
    done = in_a_process_of_asv(HEAD, tmp_path / "result.json", PERFSVC_DEVICE="tpu")
    assert done.returncode != 0
    assert "PERFSVC_DEVICE='tpu', wanted one of cpu, mps, cuda" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits of this kind are Linux's")
def test_a_case_that_wants_more_memory_than_is_free_is_skipped(monkeypatch, tmp_path) -> None:
    facts = tmp_path / "facts.jsonl"
    monkeypatch.setenv("PERFSVC_FACTS", str(facts))
    monkeypatch.setattr(headroom, "free_bytes", lambda: 2**26)
    with pytest.raises(NotImplementedError, match="too little memory"), cases.reasons("a.B.time_c", "big", 1):
        torch.empty(2**28, dtype=torch.uint8).fill_(1)
    assert told(facts)["skipped"].startswith("too little memory: RuntimeError")
    assert torch.ones(2**28, dtype=torch.uint8)[-1] == 1  # the limit is gone


def test_what_a_container_may_still_take_counts(monkeypatch, tmp_path) -> None:
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4000\n")
    monkeypatch.setattr(headroom, "CGROUP", tmp_path)
    assert headroom.free_bytes() == (1000 if sys.platform == "linux" else None)
    (tmp_path / "memory.max").write_text("max\n")
    assert headroom.free_bytes() != 1000


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_only_an_allocators_refusal_is_too_little_memory(error, refused) -> None:
    assert headroom.refused(error) == refused


def test_a_body_that_fails_leaves_its_reason(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PERFSVC_FACTS", str(tmp_path / "facts.jsonl"))
    monkeypatch.setitem(cases.BUILDERS, "broken", lambda variant, name: lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cases.case("a.B.time_c", "broken", "plain", "x")
    assert told(tmp_path / "facts.jsonl")["failed"].startswith("ZeroDivisionError: integer")


def test_a_module_that_the_commit_lacks_skips_the_case() -> None:
    with pytest.raises(NotImplementedError, match=r"this commit has no attention\.nowhere"):
        devices.submodule("nowhere")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the suite, in a folder of its own."""
    return Path(shutil.copytree(ROOT / "benchmarks", tmp_path / "copy" / "benchmarks"))


def discovered(suite: Path, **environment: str) -> dict[str, dict]:
    """What asv finds in a suite, in a process of its own, by name."""
    code = "import sys; from asv_runner.discovery import _discover; _discover((sys.argv[1], sys.argv[2]))"
    found = suite.parent / "found.json"
    subprocess.run(
        [sys.executable, "-c", code, str(suite), str(found)],
        cwd=suite.parent,
        env={"OMP_NUM_THREADS": "1", "PATH": "", "PYTHONPATH": str(ROOT), **environment},
        check=True,
    )
    return {benchmark["name"]: benchmark for benchmark in json.loads(found.read_text())}


def test_a_file_that_cannot_be_imported_fails_alone(suite, tmp_path, in_a_process_of_asv) -> None:
    whole = set(discovered(suite))
    (suite / "backward.py").write_text("import nothing_of_this_name\n")
    broken = set(discovered(suite))
    assert whole - broken == {"backward.Kernels.time_kernel"}
    assert broken - whole == {"backward.track_import"}
    done = in_a_process_of_asv("backward.track_import", tmp_path / "result.json", suite=suite)
    assert done.returncode != 0
    assert "benchmarks.backward: ModuleNotFoundError: No module named 'nothing_of_this_name'" in done.stderr
    done = in_a_process_of_asv("counters.Rotary.track_operators-3", tmp_path / "result.json", suite=suite)
    assert done.returncode == 0, done.stderr


def test_a_grid_that_does_not_exist_fails_with_those_that_there_are(suite, tmp_path, in_a_process_of_asv) -> None:
    found = set(discovered(suite, PERFSVC_GRID="huge"))
    assert found
    assert all(name.endswith(".track_import") for name in found)
    done = in_a_process_of_asv("forward.track_import", tmp_path / "result.json", suite=suite, PERFSVC_GRID="huge")
    assert done.returncode != 0
    assert "PERFSVC_GRID='huge', wanted one of quick, full, gpu" in done.stderr
