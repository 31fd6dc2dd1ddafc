"""How much faster than its baseline is each variant, inside one process? In turns, so that the machine's drift cancels.

    python -m benchmarks.ratios head b4_t256_c64

A command for people who look into a claim; it keeps nothing. Run it with the environment of asv.conf.json to compare
with asv's numbers: the allocator's settings matter (docs/benchmarking.md).
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks import best, devices
from benchmarks.cases import BUILDERS
from benchmarks.workloads import HEAD_INPUTS, KERNEL_INPUTS, TRAIN_INPUTS

REGISTERED = {"head": "module", "kernel": "attention", "mask": "mask", "train": "train"}


@dataclass(frozen=True, slots=True)
class Ratio:
    """Speed over the baseline: 2.0 = half the time. `low` and `high` hold eight in ten rounds."""

    variant: str
    seconds: float
    speedup: float
    low: float
    high: float


def ratios(kind: str, name: object, *, rounds: int = 15) -> Iterator[Ratio]:
    """Time all variants of a kind in turn, `rounds` times, forwards and backwards; compare within each round."""
    devices.prepare()
    known = {variant.name: variant for variant in devices.measured().variants(REGISTERED[kind])}
    bodies = {variant: BUILDERS[kind](variant, name) for variant in known}
    times: dict[str, list[float]] = {variant: [] for variant in bodies}
    for turn in range(rounds):
        order = list(bodies) if turn % 2 == 0 else list(reversed(bodies))
        for variant in order:
            times[variant].append(best.seconds(bodies[variant]))
    for variant, own in times.items():
        base = times[known[variant].baseline]
        compared = [b / o for b, o in zip(base, own, strict=True)]
        tenths = quantiles(compared, n=10)
        yield Ratio(variant, median(own), median(compared), tenths[0], tenths[-1])


def main(arguments: Sequence[str]) -> int:
    names: dict[str, Callable[[str], object]] = {"head": str, "kernel": str, "mask": int, "train": str}
    if len(arguments) != 2 or arguments[0] not in names:
        inputs = ", ".join([*HEAD_INPUTS, *KERNEL_INPUTS, *TRAIN_INPUTS])
        print(f"usage: python -m benchmarks.ratios {'|'.join(names)} INPUT   (a length for mask; else {inputs})")
        return 2
    kind, name = arguments[0], names[arguments[0]](arguments[1])
    print(f"{kind} {name} on {devices.device()}: speed over the baseline, median of rounds [eight in ten]")
    for ratio in ratios(kind, name):
        spread = f"[{ratio.low:.2f}, {ratio.high:.2f}]"
        print(f"{ratio.variant:14} {ratio.seconds * 1e6:12.1f} us   {ratio.speedup:8.2f} {spread}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
