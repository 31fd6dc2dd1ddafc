"""The suite keeps its promises to asv and to the service: literal names, no hooks, every metric said."""

import math
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

import attention
from attention.registry import Kind
from attention.training.shares import PARTS
from benchmarks import grids, workloads
from benchmarks.observe import BACKEND_NUMBERS

VARIANTS = {
    "module": workloads.MODULE_VARIANTS,
    "attention": workloads.KERNEL_VARIANTS,
    "local": workloads.LOCAL_VARIANTS,
    "strided": workloads.STRIDED_VARIANTS,
    "projection": workloads.PROJECTION_VARIANTS,
    "rotary": workloads.ROTARY_VARIANTS,
    "cache": workloads.CACHE_VARIANTS,
    "decoder": workloads.DECODER_VARIANTS,
    "int8": workloads.INT8_VARIANTS,
    "mask": workloads.MASK_VARIANTS,
    "train": workloads.TRAIN_VARIANTS,
    "paged_decode": workloads.PAGED_DECODE_VARIANTS,
}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_literal_variants_are_the_registrys_in_its_order(kind) -> None:
    assert VARIANTS[kind] == tuple(variant.name for variant in attention.variants(kind))


def test_the_other_literal_names_are_the_librarys() -> None:
    assert workloads.STEP_PART_VARIANTS == PARTS
    assert workloads.RECALL_VARIANTS[1:] == tuple(preset.name for preset in attention.PRESETS)


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
    "paged_decode": (workloads.PAGED_DECODE_VARIANTS, workloads.DECODE_INPUTS),
    "mixed": (workloads.MIXED_VARIANTS, workloads.MIXED_INPUTS),
    "mode": (workloads.MODE_VARIANTS, workloads.TRAIN_INPUTS),
    "step part": (workloads.STEP_PART_VARIANTS, workloads.TRAIN_INPUTS),
    "recall": (workloads.RECALL_VARIANTS, workloads.RECALL_INPUTS),
    "kernel cost": (workloads.KERNEL_COSTS, workloads.KERNEL_INPUTS),
    "decode cost": (workloads.DECODE_COSTS, workloads.DECODE_INPUTS),
    "mask": (workloads.MASK_VARIANTS, (8, 32, 128, 512, 2048)),
    "gemm": (("float32", "bfloat16"), workloads.GEMM_SIZES),
    "read": (("sum",), workloads.READ_SIZES),
    "dispatch": (("add", "linear"), (1,)),
}


#: What else is asked of a room's bodies.
ASKED = re.compile(r" (counted|compared|traced|launched|error)$")


@pytest.mark.parametrize("grid", grids.GRIDS)
def test_every_room_of_a_grid_has_known_variants_and_inputs(grid) -> None:
    for room, cases in grids.GRIDS[grid].items():
        variants, inputs = ROOMS[ASKED.sub("", room)]
        assert cases.variants
        assert cases.inputs
        assert set(cases.variants) <= set(variants), room
        assert set(cases.inputs) <= set(inputs), room


def test_every_room_is_some_benchmarks(discover) -> None:
    for grid, rooms in grids.GRIDS.items():
        found = {tuple(map(tuple, benchmark._params)) for benchmark in discover(grid)}
        assert {tuple(cases) for cases in rooms.values()} == found


def test_an_unknown_grid_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("PERFSVC_GRID", "huge")
    with pytest.raises(ValueError, match="'huge', wanted one of quick, full, gpu"):
        grids.grid()


UNITS = {
    "time": "seconds",
    "ratio": "1",
    "operators": "operators",
    "copies": "copies",
    "transfers": "transfers",
    "graph_breaks": "breaks",
    "backend": "1",
    "kernels": "kernels",
    "allocated": "bytes",
    "peak": "bytes",
    "flops": "FLOP",
    "bytes": "bytes",
    "cosine": "1",
    "error": "1",
}


def test_every_metric_is_in_a_grid(discover) -> None:
    assert {benchmark.metric for grid in grids.GRIDS for benchmark in discover(grid)} == set(UNITS)


@pytest.mark.parametrize("grid", ["quick", "full", "gpu"])
def test_no_benchmark_has_a_setup_hook_and_each_says_its_metric(grid, discover) -> None:
    found = discover(grid)
    assert found
    for benchmark in found:
        assert not benchmark._setups, f"{benchmark.name}: a setup hook makes every sample one call"
        assert not benchmark._teardowns
        assert re.fullmatch(r"\d+", benchmark.version), f"{benchmark.name}: set the version by hand"
        assert benchmark.direction in {"lower", "higher", "neither"}
        assert benchmark.metric in UNITS
        assert benchmark.unit == UNITS[benchmark.metric]
        assert benchmark.exact == (benchmark.metric not in {"time", "ratio"})
        assert benchmark.variant == benchmark.param_names[0]
        # What takes its samples by itself is run as often as a timing, what is exact once.
        assert (getattr(benchmark, "rounds", 1) == 6) != benchmark.exact


@pytest.mark.parametrize("grid", ["quick", "full"])
def test_every_timing_has_six_rounds_and_the_clock_of_the_best_call(grid, discover) -> None:
    timings = [benchmark for benchmark in discover(grid) if benchmark.type == "time"]
    assert timings
    for benchmark in timings:
        assert (benchmark.rounds, benchmark.repeat, benchmark.number) == (6, 5, 1)
        assert benchmark.timer.__module__ == "benchmarks.best"


def test_flops_and_bytes_are_given_for_every_input_of_the_grid(discover) -> None:
    told = [
        (benchmark, getattr(benchmark, name))
        for grid in grids.GRIDS
        for benchmark in discover(grid)
        for name in ("flops", "bytes")
        if hasattr(benchmark, name)
    ]
    assert told
    for benchmark, constants in told:
        # Keys are text: b1_t1 for the name 'b1_t1', 1024 for the number.
        assert {*constants, *map(repr, constants)} >= set(benchmark.params[1])
        assert all(count > 0 for count in constants.values())


def test_the_suites_formulas_are_the_librarys() -> None:
    from attention import cost
    from benchmarks import costs

    kernel = workloads.KERNEL_INPUTS["b1_h8_t256_d64"]
    shape = (kernel.batch, kernel.heads, kernel.length, kernel.length, kernel.head_width)
    assert costs.KERNEL_FLOPS["b1_h8_t256_d64"] == cost.attention_flops(*shape)
    assert costs.BACKWARD_FLOPS["b1_h8_t256_d64"] == cost.attention_flops(*shape, backward=True)
    assert costs.KERNEL_BYTES["b1_h8_t256_d64"] == cost.attention_bytes(shape[0], shape[1], *shape[1:])
    step = workloads.DECODE_INPUTS["b1_hq8_hkv2_s512_d64"]
    assert costs.DECODE_BYTES["b1_hq8_hkv2_s512_d64"] == cost.decode_bytes(1, step.kv_heads, step.length, 64)


def test_a_backends_number_has_its_name_in_the_legend(discover) -> None:
    (backend,) = [b for b in discover("quick") if b.name == "counters.Kernels.track_backend"]
    assert backend.legend == {"0": "SDPA not called", **{str(n): name for name, n in BACKEND_NUMBERS.items()}}
    assert sorted(BACKEND_NUMBERS.values()) == [2**bit for bit in range(len(BACKEND_NUMBERS))]


def test_the_page_says_how_many_cases_a_grid_has(discover) -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarking.md").read_text()
    for grid in grids.GRIDS:
        counts: Counter[str] = Counter()
        for benchmark in discover(grid):
            kind = "exact" if benchmark.exact else benchmark.metric
            counts[kind] += math.prod(map(len, benchmark.params))
        told = f"| {grid} | {counts.total()} | {counts['time']} | {counts['ratio']} | {counts['exact']} |"
        assert told in page, f"docs/benchmarking.md: wanted {told}"
