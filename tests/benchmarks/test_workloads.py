"""The suite keeps its promises to asv and to the service: literal names, no hooks, metrics said, exact counts."""

import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import attention
from benchmarks import workloads

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("module", workloads.MODULE_VARIANTS),
        ("attention", workloads.KERNEL_VARIANTS),
        ("local", workloads.LOCAL_VARIANTS),
        ("strided", workloads.STRIDED_VARIANTS),
        ("projection", workloads.PROJECTION_VARIANTS),
        ("rotary", workloads.ROTARY_VARIANTS),
        ("cache", workloads.CACHE_VARIANTS),
        ("decoder", workloads.DECODER_VARIANTS),
        ("int8", workloads.INT8_VARIANTS),
        ("mask", workloads.MASK_VARIANTS),
        ("train", workloads.TRAIN_VARIANTS),
    ],
)
def test_the_literal_variants_are_the_registrys_in_its_order(kind, names) -> None:
    assert names == tuple(variant.name for variant in attention.variants(kind))


#: What a room's variants and inputs are taken from.
ROOMS = {
    "head": (workloads.MODULE_VARIANTS, workloads.HEAD_INPUTS),
    "kernel": (workloads.KERNEL_VARIANTS, workloads.KERNEL_INPUTS),
    "backward": (workloads.KERNEL_VARIANTS, workloads.KERNEL_INPUTS),
    "decode": (workloads.KERNEL_VARIANTS, workloads.DECODE_INPUTS),
    "local": (workloads.LOCAL_VARIANTS, workloads.LOCAL_INPUTS),
    "strided": (workloads.STRIDED_VARIANTS, workloads.STRIDED_INPUTS),
    "projection": (workloads.PROJECTION_VARIANTS, workloads.PROJECTION_INPUTS),
    "rotary": (workloads.ROTARY_VARIANTS, workloads.ROTARY_INPUTS),
    "part": (workloads.PART_VARIANTS, workloads.PROJECTION_INPUTS),
    "cache": (workloads.CACHE_VARIANTS, workloads.DECODE_INPUTS),
    "prefill": (workloads.CACHE_VARIANTS, workloads.DECODE_INPUTS),
    "decoder": (workloads.DECODER_VARIANTS, workloads.DECODER_INPUTS),
    "int8": (workloads.INT8_VARIANTS, workloads.PROJECTION_INPUTS),
    "train": (workloads.TRAIN_VARIANTS, workloads.TRAIN_INPUTS),
    "mask": (workloads.MASK_VARIANTS, (8, 32, 128, 512, 2048)),
    "gemm": (("float32", "bfloat16"), workloads.GEMM_SIZES),
    "read": (("sum",), (8, 256)),
    "dispatch": (("add", "linear"), (1,)),
}


@pytest.mark.parametrize("grid", workloads.GRIDS)
def test_every_room_of_a_grid_has_known_variants_and_inputs(grid) -> None:
    for room, cases in workloads.GRIDS[grid].items():
        variants, inputs = ROOMS[room.removesuffix(" counted")]
        assert cases.variants
        assert cases.inputs
        assert set(cases.variants) <= set(variants), room
        assert set(cases.inputs) <= set(inputs), room


def test_an_unknown_grid_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("PERFSVC_GRID", "huge")
    with pytest.raises(ValueError, match="'huge', wanted one of quick, full, gpu"):
        workloads.grid()


@pytest.mark.parametrize("grid", ["quick", "full", "gpu"])
def test_no_benchmark_has_a_setup_hook_and_each_says_its_metric(grid, discover) -> None:
    found = discover(grid)
    assert found
    for benchmark in found:
        assert not benchmark._setups, f"{benchmark.name}: a setup hook makes every sample one call"
        assert not benchmark._teardowns
        assert re.fullmatch(r"\d+", benchmark.version), f"{benchmark.name}: set the version by hand"
        assert benchmark.direction in {"lower", "higher", "neither"}
        assert benchmark.unit in {"seconds", "operators", "bytes"}
        assert benchmark.exact == (benchmark.type == "track")
        assert benchmark.variant == benchmark.param_names[0]


@pytest.mark.parametrize("grid", ["quick", "full"])
def test_every_timing_has_six_rounds_and_the_clock_of_the_best_call(grid, discover) -> None:
    timings = [benchmark for benchmark in discover(grid) if benchmark.type == "time"]
    assert timings
    for benchmark in timings:
        assert (benchmark.rounds, benchmark.repeat, benchmark.number) == (6, 5, 1)
        assert benchmark.timer.__module__ == "benchmarks.best"


def test_flops_are_given_for_every_input_of_the_grid(discover) -> None:
    for benchmark in discover("full"):
        if hasattr(benchmark, "flops"):
            # Keys are text: b1_t1 for the name 'b1_t1', 1024 for the number.
            assert {*benchmark.flops, *map(repr, benchmark.flops)} >= set(benchmark.params[1])


def test_every_quick_case_runs_tells_its_facts_under_its_own_name_and_is_exact(discover, monkeypatch, tmp_path) -> None:
    facts = tmp_path / "facts.jsonl"
    monkeypatch.setenv("PERFSVC_FACTS", str(facts))
    monkeypatch.setenv("PERFSVC_EXPECT", str(Path(attention.__file__).parents[1]))
    expected = []
    benchmarks = discover("quick")
    monkeypatch.setattr("benchmarks.best.PATIENCE", 0.0)  # one call
    for benchmark in benchmarks:
        for index, names in enumerate(itertools.product(*benchmark.params)):
            benchmark.set_param_idx(index)
            values = [benchmark.func(*benchmark._current_params) for _ in range(2 if benchmark.type == "track" else 1)]
            if benchmark.type == "track":
                assert values[0] == values[1] > 0, f"{benchmark.name}{names}"
            expected.append((benchmark.name, list(names)))
    lines = [json.loads(line) for line in facts.read_text().splitlines()]
    assert [(line["benchmark"], line["params"]) for line in lines] == expected
    for line in lines:
        assert line["operators"] or line["benchmark"] == "components.Mask.time_mask"  # the cached one runs none
        assert line["imported_from"] == attention.__file__
        assert line["device_state"]["device"] == "cpu"
        assert line["backend"] in {"flash", ""}  # at these sizes nothing falls back to the formula unseen
        if "'sdpa'" in line["params"]:
            assert line["backend"] == "flash"


def test_every_variant_of_the_full_grid_runs_once_at_its_first_input(discover, monkeypatch) -> None:
    benchmarks = discover("full")
    monkeypatch.setattr("benchmarks.best.PATIENCE", 0.0)
    for benchmark in benchmarks:
        if not benchmark.name.startswith(("train_step.", "counters.", "memory.")):
            variants, (first, *_) = benchmark._params
            for variant in variants:
                benchmark.func(variant, first)


def in_a_process_of_asv(case: str, result: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one case as asv's own child does: away from the repository, with the suite imported by path."""
    import asv_runner.run

    assert asv_runner.run
    code = (
        "import sys; from asv_runner.run import _run; "
        '_run((sys.argv[1], sys.argv[2], \'{"number": 1, "repeat": 1, "warmup_time": 0}\', \'None\', sys.argv[3]))'
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "benchmarks"), case, str(result)],
        cwd=result.parent,
        env={"OMP_NUM_THREADS": "1", "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_process_counts_the_same(tmp_path, discover) -> None:
    pytest.importorskip("asv_runner")
    for name, index in (("counters.Forward.track_operators", 1), ("memory.Forward.track_peak", 1)):
        (here,) = [benchmark for benchmark in discover("quick") if benchmark.name == name]
        here.set_param_idx(index)
        done = in_a_process_of_asv(f"{name}-{index}", tmp_path / "result.json", PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "result.json").read_text()) == here.func(*here._current_params)


def test_what_a_commit_lacks_is_skipped_with_its_reason_not_failed(tmp_path) -> None:
    pytest.importorskip("asv_runner")
    (tmp_path / "attention").mkdir()
    (tmp_path / "attention" / "__init__.py").touch()
    facts, result = tmp_path / "facts.jsonl", tmp_path / "result.json"
    done = in_a_process_of_asv(
        "forward.Forward.time_forward-0", result, PYTHONPATH=str(tmp_path), PERFSVC_FACTS=str(facts)
    )
    assert done.returncode == 0, done.stderr
    assert math.isnan(json.loads(result.read_text()))
    assert json.loads(facts.read_text())["skipped"] == "this commit has no registry of variants"


def test_the_wrong_tree_fails_loudly(tmp_path) -> None:
    pytest.importorskip("asv_runner")
    done = in_a_process_of_asv(
        "forward.Forward.time_forward-0", tmp_path / "result.json", PYTHONPATH=str(ROOT), PERFSVC_EXPECT=str(tmp_path)
    )
    assert done.returncode != 0
    assert "measured the wrong tree" in done.stderr
