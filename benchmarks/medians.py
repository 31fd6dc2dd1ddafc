"""Medians of calls after a warm-up, as the seeds took theirs: for tables that people read beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import devices
from benchmarks.bodies import Body

WARM_UPS, CALLS = 50, 200  # seed 000's


@dataclass(frozen=True, slots=True)
class Timing:
    """Median and quartile-to-quartile spread of one call, in milliseconds."""

    milliseconds: float
    spread: float


def timing(body: Body, *, calls: int = CALLS, warm_ups: int = WARM_UPS) -> Timing:
    """Call, wait for the device, note the time; again and again."""
    for _ in range(warm_ups):
        body()
    taken = []
    for _ in range(calls):
        started = devices.clock()
        body()
        taken.append(1e3 * (devices.clock() - started))
    taken.sort()
    return Timing(median(taken), taken[3 * calls // 4] - taken[calls // 4])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
