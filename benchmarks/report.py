"""The tables of the five source documents, with ours beside theirs.

    python -m benchmarks.report                               # all of them
    python -m benchmarks.report --seed 004                    # where a pipeline's time goes
    python -m benchmarks.report --seed 000 --folder FOLDER    # and the two JSON files of seed 000

Seeds 000 and 004: medians of calls after a warm-up, as they took them (000: 200 after 50, which takes minutes); 001 and
003: best calls, in turns. On the device that PERFSVC_DEVICE names. A look, for people: what is followed over commits is
what asv measures.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import devices, seeds
from benchmarks.medians import CALLS, WARM_UPS, Timing
from benchmarks.turns import settings

TITLES = {
    "000": "Attention optimisation notes: before and after",
    "001": "Attention optimisation report: a decoder's batch, and its settings",
    "002": "Multi-head attention audit",
    "003": "Attention architecture analysis: caches",
    "004": "Component benchmarks: shares of the time",
}


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


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", action="append", choices=seeds.TABLES, help="which; may be given several times")
    parser.add_argument("--folder", type=Path, help="where the two JSON files of seed 000 are written")
    chosen = parser.parse_args(arguments)
    if chosen.folder is not None and not chosen.folder.is_dir():
        parser.error(f"{chosen.folder} is no folder")
    devices.prepare()
    for name in chosen.seed or seeds.TABLES:
        print(f"seed {name} ...", file=sys.stderr, flush=True)
        if name == "000" and chosen.folder is not None:
            rows = list(seeds.pairs())
            write_pair(rows, chosen.folder)
            table = seeds.seed_000(rows)
        else:
            table = seeds.TABLES[name]()
        print(f"## {name} {TITLES[name]}\n\n{table}\n")
    print(settings())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
