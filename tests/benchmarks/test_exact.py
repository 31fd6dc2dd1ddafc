"""An exact series is the same number every time: in one process, and in another."""

import gc
import itertools
import json

import pytest
import torch

from benchmarks.training import recalled

TIMES = 10


@pytest.fixture(autouse=True)
def quick_collections() -> None:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def repeated(benchmarks: list) -> dict[str, set[float]]:
    """The distinct values of each exact case in ten runs."""
    seen = {}
    for benchmark in benchmarks:
        for index, names in enumerate(itertools.product(*benchmark.params)):
            benchmark.set_param_idx(index)
            seen[f"{benchmark.name}({', '.join(names)})"] = {
                benchmark.func(*benchmark._current_params) for _ in range(TIMES)
            }
    return seen


def test_every_exact_case_of_the_quick_grid_is_the_same_ten_times(discover) -> None:
    seen = repeated([benchmark for benchmark in discover("quick") if benchmark.exact])
    assert len(seen) > 60
    assert {case: values for case, values in seen.items() if len(values) > 1} == {}
    assert all(value >= 0 for values in seen.values() for value in values)


def test_a_network_that_is_trained_again_recalls_the_same() -> None:
    def trained() -> float:
        torch.manual_seed(0)
        return recalled("maximum_speed", "b32_s8_f8_z8_n60")()

    assert trained() == trained()


def test_what_is_traced_breaks_as_often_again(discover) -> None:
    """The whole grid in the long test."""
    for benchmark in discover("full"):
        if benchmark.metric == "graph_breaks":
            variants, inputs = benchmark._params
            assert len({benchmark.func(variants[-1], inputs[0]) for _ in range(TIMES)}) == 1, benchmark.name


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_exact_case_of_the_full_grid_is_the_same_ten_times(discover) -> None:
    seen = repeated([b for b in discover("full") if b.exact])
    assert {case: values for case, values in seen.items() if len(values) > 1} == {}


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("counters.Forward.track_operators", 1),
        ("counters.Cache.track_copies", 0),
        ("memory.Forward.track_peak", 1),
        ("quality.Int8.track_error", 1),
        ("quality.Recall.track_cosine", 1),
    ],
)
def test_another_process_counts_the_same(name, index, tmp_path, discover, in_a_process_of_asv) -> None:
    (here,) = [benchmark for benchmark in discover("quick") if benchmark.name == name]
    here.set_param_idx(index)
    done = in_a_process_of_asv(f"{name}-{index}", tmp_path / "result.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result.json").read_text()) == here.func(*here._current_params)
