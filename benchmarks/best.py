"""What a call takes while nobody else is in the way: the best of many calls, not their mean.

On a shared machine a neighbour slows a process down for milliseconds or for seconds and never makes it faster, so the
mean of a sample tells as much of the neighbours as of the code (docs/benchmarking.md has the numbers). asv knows no
best, but it takes a benchmark's own clock: ours stands still, and `call` moves it on by what the best call took.
"""

from bisect import insort
from collections.abc import Callable
from time import perf_counter

from benchmarks import devices

BATCH_SECONDS = 0.001  # a shorter body is called in batches: the clock itself takes a microsecond
AGREEING = 5  # batches that lie together, at the lower end: that is the floor,
WITHIN = 0.01  # and they lie together within this,
PATIENCE = 0.2  # or nobody waits any longer (seconds)

_shown = 0.0


def clock() -> float:
    """Seconds of the best calls so far: asv's `timer`."""
    return _shown


def call(body: Callable[[], object]) -> None:
    """Call the body until its best time is known, and show it on the clock."""
    global _shown
    with devices.measuring():
        _shown += seconds(body)


def seconds(body: Callable[[], object]) -> float:
    """Seconds a call takes at best. Takes 5 ms, on a busy machine up to PATIENCE; a longer body is called once."""
    until = perf_counter() + PATIENCE
    lowest = [_batch(body, 1)]
    calls = max(1, round(BATCH_SECONDS / max(lowest[0], 1e-9)))
    while not _agree(lowest) and perf_counter() < until:
        insort(lowest, _batch(body, calls))
        del lowest[AGREEING:]
    return lowest[0]


def least(read: Callable[[], float]) -> float:
    """The least of what `read` says of itself, asked for PATIENCE."""
    until = perf_counter() + PATIENCE
    found = read()
    while perf_counter() < until:
        found = min(found, read())
    return found


def _agree(lowest: list[float]) -> bool:
    return len(lowest) == AGREEING and lowest[-1] <= lowest[0] * (1 + WITHIN)


def _batch(body: Callable[[], object], calls: int) -> float:
    started = devices.clock()
    for _ in range(calls):
        body()
    return (devices.clock() - started) / calls
