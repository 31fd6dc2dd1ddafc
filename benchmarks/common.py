"""What timing benchmarks share, the cases that each runs, and the words by which the service reads a metric."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from benchmarks import best, devices
from benchmarks.grids import GRIDS, grid

Function = TypeVar("Function", bound=Callable[..., object])
Suite = TypeVar("Suite")


class Timed:
    """Six processes of five samples each: numbers differ between processes more than within, so the processes are many.

    A body is `best.call(...)`, which calls often enough by itself. With `asv continuous -f 1.03` this sees steps of a
    few percent and stays quiet on equal code (docs/benchmarking.md).
    """

    timer = staticmethod(best.clock)
    rounds = 6
    repeat = 5
    number = 1
    warmup_time = 0.0  # a sample is its own warm-up: the first calls are not the best
    timeout = 120.0


def samples(take: Callable[[], float]) -> dict[str, object]:
    """As many values as a timing has samples, in the words by which asv reads them as such."""
    with devices.measuring():
        return {"samples": [take() for _ in range(Timed.repeat)], "number": 1}


def runs(room: str, *, names: str = "input") -> Callable[[type[Suite]], type[Suite] | None]:
    """Give a class the chosen grid's cases of a room. Without any there is no class: asv knows none without a case."""

    def choose(suite: type[Suite]) -> type[Suite] | None:
        cases = GRIDS[grid()].get(room)
        if cases is None:
            return None
        suite.params, suite.param_names = tuple(cases), ("variant", names)  # type: ignore[attr-defined]
        return suite

    return choose


Metric = Literal[
    "time",
    "ratio",
    "operators",
    "copies",
    "transfers",
    "graph_breaks",
    "backend",
    "kernels",
    "allocated",
    "peak",
    "flops",
    "bytes",
    "cosine",
    "error",
]


def measures(
    metric: Metric,
    *,
    unit: str,
    direction: Literal["lower", "higher", "neither"] = "lower",
    exact: bool = False,
    flops: Mapping[str, float] | None = None,
    bytes: Mapping[str, float] | None = None,
    legend: Mapping[str, str] | None = None,
    rounds: int = 1,
    version: str = "1",
) -> Callable[[Function], Function]:
    """Attach what asv carries into benchmarks.json for the service. `variant` names the parameter that holds variants.

    `flops` and `bytes` are per call, by the value of the input parameter: constants of a case, for rates that a reader
    derives. `legend` says what a number stands for. `rounds` are for what takes its samples by itself: asv reads those
    of a timing from its class.
    `version` is raised by hand when the body measures something else: asv's own, a hash of the source, would cut the
    series at a cosmetic edit.
    """

    def attach(function: Function) -> Function:
        function.__dict__.update(
            metric=metric, unit=unit, direction=direction, exact=exact, variant="variant", version=version
        )
        if rounds > 1:
            function.__dict__["rounds"] = rounds
        for name, told in (("flops", flops), ("bytes", bytes), ("legend", legend)):
            if told is not None:
                function.__dict__[name] = dict(told)
        return function

    return attach
