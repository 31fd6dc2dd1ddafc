"""What timing benchmarks share, the cases that each runs, and the words by which the service reads a metric."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from benchmarks import best
from benchmarks.workloads import GRIDS, grid

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


def runs(room: str, *, names: str = "input") -> Callable[[type[Suite]], type[Suite] | None]:
    """Give a class the chosen grid's cases of a room. Without any there is no class: asv knows none without a case."""

    def choose(suite: type[Suite]) -> type[Suite] | None:
        cases = GRIDS[grid()].get(room)
        if cases is None:
            return None
        suite.params, suite.param_names = tuple(cases), ("variant", names)  # type: ignore[attr-defined]
        return suite

    return choose


def measures(
    metric: Literal["time", "operators", "allocated", "peak"],
    *,
    unit: str,
    direction: Literal["lower", "higher", "neither"] = "lower",
    exact: bool = False,
    flops: Mapping[str, float] | None = None,
    version: str = "1",
) -> Callable[[Function], Function]:
    """Attach what asv carries into benchmarks.json for the service. `variant` names the parameter that holds variants.

    `flops` are per call, by the value of the input parameter: constants of a case, for rates that a reader derives.
    `version` is raised by hand when the body measures something else: asv's own, a hash of the source, would cut the
    series at a cosmetic edit.
    """

    def attach(function: Function) -> Function:
        function.__dict__.update(
            metric=metric, unit=unit, direction=direction, exact=exact, variant="variant", version=version
        )
        if flops is not None:
            function.__dict__["flops"] = dict(flops)
        return function

    return attach
