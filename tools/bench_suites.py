"""The figures that the suites must reach, each measured and printed beside what is wanted of it.

    python -m tools.bench_suites                      # all parts: a night
    python -m tools.bench_suites --part quick         # the quick grid: series, seconds a commit, share of measuring
    python -m tools.bench_suites --part full          # the full grid: seconds
    python -m tools.bench_suites --part aa            # equal code ten times by `perfsvc compare`, on the quick grid
    python -m tools.bench_suites --part five-percent  # a head 5 % slower, ten times: perfsvc compare, asv continuous
    python -m tools.bench_suites --part setup         # a cold environment from a warm package cache

What is committed is measured, in a folder that each part makes anew; rows go to its results.jsonl as they come. Other
work on the machine spoils it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc.runner import asv_conf, environments
from perfsvc.selftest import Edit, Mutant, plant_history
from perfsvc.settings import Settings
from tools.asv_pairs import HEAD, SLOW

SOURCE = Path(__file__).resolve().parents[1]
#: What is slowed down, and the case that shows it.
BENCH = r"forward\.Forward\.time_forward.*'cached'"
#: How asv is asked, by what the table calls it: rounds of the measurement, then the factor of the comparison.
ASKED = {"asv, its defaults": (2, "1.1"), "asv -f 1.05": (2, "1.05"), "asv rounds=6 -f 1.03": (6, "1.03")}
SLOWER = Mutant(
    name="5 %",
    sentence="the forward takes 5 % more",
    subject="modules: tidy",
    kind="performance",
    noticed_by=("forward",),
    edits=(Edit("attention/modules.py", HEAD, SLOW.format(factor=1.05)),),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number beside what is wanted of it; without a target it is told for comparison."""

    sentence: str
    found: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        return (self.least is None or self.found >= self.least) and (self.most is None or self.found <= self.most)

    def __str__(self) -> str:
        bounds = {"at least": self.least, "at most": self.most}
        wanted = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
        kept = "" if self.holds else "not reached"
        return f"| {self.sentence} | {wanted or 'for comparison'} | {self.found:.3g} {self.unit} | {kept} |"


def quick(folder: Path, _: int) -> Iterator[Figure]:
    """One commit of the quick grid, by the service, with its environment ready."""
    spent = folder / "spent.txt"
    seconds = _measure(folder, "quick", spent)
    rows = _printed_json(folder, "series")["series"]
    measuring = sum(map(float, spent.read_text().split()))
    yield Figure("quick grid: series", len(rows), "series", least=60)
    yield Figure("quick grid: a commit", seconds, "s", most=180)
    yield Figure("quick grid: warming up and sampling of it", 100 * measuring / seconds, "%", least=60)


def full(folder: Path, _: int) -> Iterator[Figure]:
    """One commit of the full grid."""
    yield Figure("full grid: a commit", _measure(folder, "full", folder / "spent.txt") / 60, "min", most=20)


def aa(folder: Path, tries: int) -> Iterator[Figure]:
    """Two commits of equal code, ten times: how far do medians wander, and who speaks?"""
    repository, (base, head) = _history(folder, "equal", [""])
    seen: defaultdict[str, list[float]] = defaultdict(list)
    verdicts: Counter[str] = Counter()
    odd: set[str] = set()
    for number in range(tries):
        rows = _compare(folder, repository, base, head)["rows"]
        for row in rows:
            verdicts[row["verdict"]] += 1
            if row["exact"] and row["base"] != row["head"]:
                odd.add(row["label"])
            if row["unit"] == "seconds" and row["head"] is not None:
                seen[row["label"]].append(row["head"])
        _note(folder, {"part": "aa", "number": number, "rows": rows})
    spreads = [statistics.stdev(each) / statistics.fmean(each) for each in seen.values() if len(each) > 1]
    print(f"verdicts of {tries} sittings on equal code: {dict(verdicts)}")
    yield Figure("A/A: median CV of run medians", 100 * statistics.median(spreads), "%", most=3)
    yield Figure("A/A: exact series that differ", len(odd), "series", most=0)
    yield Figure("A/A: verdicts of slower or faster", verdicts["slower"] + verdicts["faster"], f"of {verdicts.total()}")


def five_percent(folder: Path, tries: int) -> Iterator[Figure]:
    """A head that spins for 5 % of its own time more, ten times: who says so?"""
    repository, (base, head) = _history(folder, "slower", ["5 %"])
    found: Counter[str] = Counter()
    seconds = []
    for number in range(tries):
        started = time.monotonic()
        rows = _compare(folder, repository, base, head, "--bench", BENCH)["rows"]
        seconds.append(time.monotonic() - started)
        said = [row["verdict"] for row in rows]
        found["perfsvc compare"] += "slower" in said
        for rounds in sorted({rounds for rounds, _ in ASKED.values()}):
            _asv(repository, "continuous", "-a", f"rounds={rounds}", "--bench", BENCH, base, head)
            for name, (asked, factor) in ASKED.items():
                if asked == rounds:
                    told = _asv(repository, "compare", "-f", factor, "--only-changed", base, head)
                    found[name] += bool(re.search(r"^\| \+ ", told, re.MULTILINE))
        _note(folder, {"part": "five-percent", "number": number, "said": said, "seconds": seconds, "found": found})
    yield Figure("5 % slower: found by perfsvc compare", found["perfsvc compare"], f"of {tries}", least=0.9 * tries)
    yield Figure("5 % slower: the longest try of it", max(seconds), "s", most=60)
    for name in ASKED:
        yield Figure(f"5 % slower: found by {name}", found[name], f"of {tries}")


def setup(folder: Path, _: int) -> Iterator[Figure]:
    """The service's environment for this project, built where none is; the first one warms the package cache."""
    lock = environments.ordered(Settings.load(SOURCE), asv_conf.load(SOURCE))
    seconds = 0.0
    for _ in range(2):
        shutil.rmtree(folder / "cold", ignore_errors=True)
        started = time.monotonic()
        environments.ready(folder / "cold", lock, leash="")
        seconds = time.monotonic() - started
    yield Figure("a cold environment, warm package cache", seconds, "s", most=60)


PARTS: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "quick": quick,
    "full": full,
    "aa": aa,
    "five-percent": five_percent,
    "setup": setup,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_suites", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="which; may be given several times")
    parser.add_argument("--folder", type=Path, default=SOURCE / ".perfsvc" / "bench-suites")
    parser.add_argument("--tries", type=int, default=10, help="of aa (at least 2) and five-percent")
    chosen = parser.parse_args(arguments)
    figures: list[Figure] = []
    for part in chosen.part or PARTS:
        folder = chosen.folder.resolve() / part
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"{part}: load {os.getloadavg()[0]:.1f}", flush=True)
        figures += PARTS[part](folder, chosen.tries)
    print("\n| figure | wanted | here | |\n| --- | --- | --- | --- |", *figures, sep="\n")
    return 0 if all(figure.holds for figure in figures) else 1


def _measure(folder: Path, grid: str, spent: Path) -> float:
    """Seconds of measuring HEAD once more, without guards."""
    spent.write_text("")
    started = time.monotonic()
    _perfsvc(folder, SOURCE, "measure", "--commits", "HEAD", "--grid", grid, "--no-guards", "--again", spent=spent)
    return time.monotonic() - started


def _compare(folder: Path, repository: Path, base: str, head: str, *options: str) -> dict[str, Any]:
    told = _perfsvc(folder, repository, "compare", base, head, *options, "--json")
    comparison: dict[str, Any] = json.loads(told)["comparison"]
    return comparison


def _printed_json(folder: Path, *command: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_perfsvc(folder, SOURCE, *command, "--json"))
    return told


def _perfsvc(folder: Path, project: Path, *arguments: str, spent: Path | None = None) -> str:
    """The command line as people type it, with a home of its own and this python as the measured environment's."""
    settings = {"PERFSVC_HOME": str(folder / "home"), "PERFSVC_ENVIRONMENT__PYTHON": sys.executable}
    if spent is not None:
        settings["PERFSVC_ENVIRONMENT__VARIABLES"] = json.dumps({"PERFSVC_SPENT": str(spent)})
    return _run([sys.executable, "-P", "-m", "perfsvc", *arguments], project, settings, allowed=(0, 1))


def _asv(repository: Path, *arguments: str) -> str:
    subprocess.run([sys.executable, "-m", "asv", "machine", "--yes"], cwd=repository, check=True, capture_output=True)
    if arguments[0] == "continuous":
        shutil.rmtree(repository / ".asv" / "results", ignore_errors=True)
    return _run([sys.executable, "-m", "asv", *arguments], repository, {"COLUMNS": "200"}, allowed=(0, 1))


def _run(command: list[str], folder: Path, settings: dict[str, str], *, allowed: tuple[int, ...]) -> str:
    ran = subprocess.run(command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True)
    if ran.returncode not in allowed:
        raise SystemExit(
            f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
        )
    return ran.stdout


def _history(folder: Path, name: str, plan: Sequence[str]) -> tuple[Path, tuple[str, str]]:
    """A throwaway repository: what is committed here, and on top of it the one commit of `plan`."""
    base, head = plant_history(SOURCE, folder / name, ["", *plan], {SLOWER.name: SLOWER})
    return folder / name, (base, head)


def _note(folder: Path, row: dict[str, object]) -> None:
    with (folder / "results.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")
    print(f"  {row['part']} {row['number']}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
