"""Every benchmark runs, with every variant, and tells its facts under its own name."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import attention
from benchmarks import turns, workloads

#: Inputs by the room that they are a room's of, the smallest of each kind; a room of its own has one of these.
SMALLEST = (
    *("b4_t64_c64", "b1_h8_t64_d64", "b1_h8_t1024_d64_w64", "b1_h8_t1024_d64_s8", "b1_hq8_hkv2_s256_d64"),
    *("b1_t1_c512_h8", "b1_h8_t1_d64", "b4_s50_t25_d128", "b4_t256_c64_n2", "b8_s64x7_s4096_hq8_hkv2_d64"),
    *("b32_s8_f8_z8_n60", 8, 1),
)
KINDS = (
    *(workloads.HEAD_INPUTS, workloads.KERNEL_INPUTS, workloads.LOCAL_INPUTS, workloads.STRIDED_INPUTS),
    *(workloads.DECODE_INPUTS, workloads.PROJECTION_INPUTS, workloads.ROTARY_INPUTS, workloads.DECODER_INPUTS),
    *(workloads.TRAIN_INPUTS, workloads.MIXED_INPUTS, workloads.RECALL_INPUTS),
)


def smallest(name: str | int) -> str | int:
    """The smallest input of the kind that `name` is of; of numbers the number itself, where it is small."""
    if isinstance(name, int):
        return min(name, 8)
    (found,) = {each for kind in KINDS if name in kind for each in kind if each in SMALLEST} & set(SMALLEST)
    return found


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """One call a sample: of the suite as it was imported last."""
    return lambda: monkeypatch.setattr("benchmarks.best.PATIENCE", 0.0)


def test_every_quick_case_tells_its_facts_under_its_own_name(discover, hurry, monkeypatch, tmp_path) -> None:
    facts = tmp_path / "facts.jsonl"
    monkeypatch.setenv("PERFSVC_FACTS", str(facts))
    monkeypatch.setenv("PERFSVC_EXPECT", str(Path(attention.__file__).parents[1]))
    benchmarks, expected = discover("quick"), []
    hurry()
    for benchmark in benchmarks:
        for index, names in enumerate(itertools.product(*benchmark.params)):
            benchmark.set_param_idx(index)
            benchmark.func(*benchmark._current_params)
            expected.append((benchmark.name, list(names)))
    lines = [json.loads(line) for line in facts.read_text().splitlines()]
    assert [(line["benchmark"], line["params"]) for line in lines] == expected
    for line in lines:
        assert line["imported_from"] == attention.__file__
        assert line["device_state"]["device"] == "cpu"
        assert line["backend"] in {"flash", ""}  # at these sizes nothing falls back to the formula unseen
        if "'sdpa'" in line["params"]:
            assert line["backend"] == "flash"
        # A cached mask runs none, nor does a formula.
        assert line["operators"] or line["benchmark"].startswith(("components.Mask", "costs."))


def test_every_variant_runs_at_its_smallest_input(discover, hurry) -> None:
    """All benchmarks of all grids; what is for another device says so, and what compiles is another test's."""
    done = {
        (name, variant, smallest(each))
        for name, (variants, inputs) in cases(discover("quick"))
        for variant in variants
        for each in inputs
        if smallest(each) == each
    }  # the test above ran them
    left_out = set()
    for grid in ("quick", "full", "gpu"):
        benchmarks = discover(grid)
        hurry()
        for benchmark in benchmarks:
            variants, inputs = benchmark._params
            for variant in variants:
                case = (benchmark.name, variant, smallest(inputs[0]))
                if case in done or variant == "compiled":
                    continue
                done.add(case)
                try:
                    benchmark.func(*case[1:])
                except NotImplementedError as reason:
                    left_out.add((benchmark.name.split(".")[0], variant, str(reason)))
    assert {name for name, _, _ in left_out} == {"launches", "kv_cache"}
    assert ("kv_cache", "kernel", "kernel does not run on cpu") in left_out


def cases(benchmarks: list) -> list[tuple[str, list]]:
    return [(benchmark.name, benchmark._params) for benchmark in benchmarks]


@pytest.mark.long
def test_the_compiled_step_runs() -> None:
    eager, compiled = (turns.seeded("mode", variant, "b4_t256_c64_n2") for variant in ("eager", "compiled"))
    assert float(compiled()) == pytest.approx(float(eager()), rel=1e-3)


def test_every_input_of_a_grid_for_cpus_runs_with_some_variant(discover, hurry) -> None:
    benchmarks = discover("full")
    hurry()
    for benchmark in benchmarks:
        if benchmark.type == "time":
            variants, inputs = benchmark._params
            for name in inputs[1:]:
                benchmark.func(variants[0 if variants[0] == "gathered" else -1], name)
