"""The tables of two seeds with ours beside theirs: before and after (000), where a pipeline's time goes (004).

    python -m benchmarks.report pair [FOLDER]     # attention and train step; writes the two JSON files of seed 000
    python -m benchmarks.report shares            # projection, rotation, scores, mask, softmax, output

Medians of calls after a warm-up, as the seeds took them, on the device that PERFSVC_DEVICE names. A look, for people:
what is followed over commits is what asv measures.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import devices
from benchmarks.bodies import Body, head, parts, train
from benchmarks.workloads import ProjectionInput

WARM_UPS, CALLS = 50, 200  # seed 000's
INPUTS = {"attention forward": (head, "b4_t256_c64"), "train step": (train, "b4_t256_c256_n4")}
#: Seed 000's speed-ups on an M1 Pro, B=4, T=256.
SEED_000 = {"attention forward": 1.44, "train step": 1.05}

WIDTH, HEADS, LENGTHS = 4096, 32, (1, 8, 32, 128, 512)
#: Seed 004's milliseconds by length at that width, on a CPU. Its mask was built anew, element by element.
SEED_004: dict[str, dict[int, float]] = {
    "projection": {1: 19.1, 8: 21.0, 32: 50.8, 128: 65.5},
    "rotation": {1: 0.0626, 8: 0.2061, 32: 0.4678, 128: 9.2},
    "scores": {1: 0.0038, 8: 0.0448, 32: 0.3085, 128: 8.5},
    "mask": {8: 0.0099, 32: 0.1187, 128: 2.1, 512: 58.8},
}


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


def pair() -> Iterator[tuple[str, Timing, Timing]]:
    """Baseline and optimised form of what seed 000 timed."""
    for name, (build, given) in INPUTS.items():
        before, after = (timing(build(variant, given)) for variant in ("plain", "cached"))
        yield name, before, after


def write_pair(rows: Sequence[tuple[str, Timing, Timing]], folder: Path) -> None:
    """The two files of seed 000: what was measured, where, how."""
    about = {"calls": CALLS, "warm_ups": WARM_UPS, **devices.state()}
    timings = {
        "baseline": [(name, before) for name, before, _ in rows],
        "optimized": [(n, after) for n, _, after in rows],
    }
    for which, told in timings.items():
        numbers = {name: {"median_ms": took.milliseconds, "iqr_ms": took.spread} for name, took in told}
        text = json.dumps({"variant": which, "about": about, "benchmarks": numbers}, indent=2)
        (folder / f"phase4_numbers_{which}.json").write_text(text + "\n", encoding="utf-8")


def pair_table(rows: Sequence[tuple[str, Timing, Timing]]) -> str:
    lines = ["| benchmark | baseline | optimised | speed-up | seed 000 |", "| --- | --- | --- | --- | --- |"]
    for name, before, after in rows:
        ratio = before.milliseconds / after.milliseconds
        times = f"{before.milliseconds:.2f} ms | {after.milliseconds:.2f} ms"
        lines.append(f"| {name} | {times} | {ratio:.2f}x | {SEED_000[name]}x |")
    return "\n".join(lines)


def shares(length: int) -> dict[str, float]:
    """Milliseconds of each part of the pipeline at a length; "rest" is the output projection and what lies between."""
    size = ProjectionInput(1, length, WIDTH, HEADS)
    taken = {name: timing(body, calls=9, warm_ups=2).milliseconds for name, body in parts(size).items()}
    taken["rest"] = max(0.0, taken["whole"] - sum(ms for name, ms in taken.items() if name != "whole"))
    return taken


def shares_table(by_length: dict[int, dict[str, float]]) -> str:
    """Milliseconds and share of the whole, and seed 004's milliseconds behind them."""
    lengths = " | ".join(f"T={length}" for length in by_length)
    lines = [f"| part | {lengths} |", "| --- |" + " --- |" * len(by_length)]
    for name in ("projection", "rotation", "scores", "mask", "softmax", "output", "rest", "whole"):
        cells = [_cell(name, length, taken) for length, taken in by_length.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(name: str, length: int, taken: dict[str, float]) -> str:
    theirs = SEED_004.get(name, {}).get(length)
    cell = f"{taken[name]:.3g} ms, {taken[name] / taken['whole']:.0%}"
    return cell if theirs is None else f"{cell} ({theirs:g} ms)"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_pair = commands.add_parser("pair", help="before and after, as seed 000 tells it")
    of_pair.add_argument("folder", type=Path, nargs="?", default=Path(), help="for the two JSON files")
    commands.add_parser("shares", help="where a pipeline's time goes, as seed 004 tells it")
    chosen = parser.parse_args(arguments)
    devices.prepare()
    if chosen.command == "pair":
        if not chosen.folder.is_dir():
            parser.error(f"{chosen.folder} is no folder")
        rows = list(pair())
        write_pair(rows, chosen.folder)
        print(pair_table(rows))
        return 0
    by_length = {}
    for length in LENGTHS:
        print(f"T={length} ...", file=sys.stderr, flush=True)
        by_length[length] = shares(length)
    print(f"width {WIDTH}, {HEADS} heads on {devices.device()}; in brackets what seed 004 measured\n")
    print(shares_table(by_length))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
