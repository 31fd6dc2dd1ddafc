"""Does `asv continuous` tell the truth on this machine? Measure pairs whose truth is known, and count.

A throwaway clone gets, for each pair, a commit of its own beside the base: one that changes nothing, or one whose
forward spins for 50 % or 20 % of its own CPU time more. asv is asked as docs/benchmarking.md says. Goes on where it was
stopped: a line per pair is kept in results.jsonl. An hour on two quiet cores; other work spoils it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from perfsvc.selftest import Edit, Mutant, plant_history

BENCH = "forward.Forward.time_forward.*'cached'"
OPTIONS = ("-f", "1.03", "-a", "rounds=6")
KINDS = {"unchanged": 1.0, "50 % slower": 1.5, "20 % slower": 1.2}

HEAD = "        return self._project_out(self._attend(self.query(x), self.key(x), self.value(x)))\n"
SLOW = """        import time

        started = time.thread_time()
        result = self._project_out(self._attend(self.query(x), self.key(x), self.value(x)))
        until = started + {factor} * (time.thread_time() - started)
        while time.thread_time() < until:
            pass
        return result
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20, help="of each kind")
    parser.add_argument("--folder", type=Path, default=Path(".perfsvc/asv-pairs"))
    chosen = parser.parse_args()
    folder = chosen.folder.resolve()
    results = folder / "results.jsonl"
    base, heads = _history(folder / "repository", chosen.pairs)
    subprocess.run([sys.executable, "-m", "asv", "machine", "--yes"], cwd=folder / "repository", check=True)
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    waiting = heads[len(done) :]
    for number, (kind, commit) in enumerate(waiting, start=len(done) + 1):
        row = {"kind": kind, **_ask(folder / "repository", base, commit)}
        with results.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        done.append(row)
        print(f"{number} of {len(heads)}  {kind}: {row['said']}, {row['seconds']:.0f} s", flush=True)
    _table(done)


def _history(repository: Path, pairs: int) -> tuple[str, list[tuple[str, str]]]:
    """The base, and (kind, commit) in turns, so that the machine's drift falls on all kinds alike."""
    kinds = [kind for _ in range(pairs) for kind in KINDS]
    # Each slow commit is followed by one that takes it back, so that every commit stands beside the same base.
    mutants = {kind: _mutant(kind, factor) for kind, factor in KINDS.items() if factor > 1}
    backs = {f"back from {kind}": _back(mutant) for kind, mutant in mutants.items()}
    plan, wanted = [""], []
    for kind in kinds:
        wanted.append(len(plan))
        plan.append(kind if kind in mutants else "")
        if kind in mutants:
            plan.append(f"back from {kind}")
    if (repository / ".git").is_dir():
        command = ["git", "rev-list", "--reverse", "main"]
        listed = subprocess.run(command, cwd=repository, capture_output=True, check=True)
        hashes = listed.stdout.decode().split()
    else:
        hashes = plant_history(Path.cwd(), repository, plan, mutants | backs)
    return hashes[0], [(kind, hashes[place]) for kind, place in zip(kinds, wanted, strict=True)]


def _mutant(kind: str, factor: float) -> Mutant:
    edit = Edit("attention/modules.py", HEAD, SLOW.format(factor=factor))
    return Mutant(kind, f"the forward takes {kind}", f"modules: {kind}", "performance", ("forward",), (edit,))


def _back(mutant: Mutant) -> Mutant:
    edits = tuple(Edit(edit.file, edit.replace, edit.find) for edit in mutant.edits)
    return Mutant(f"back from {mutant.name}", mutant.sentence, "modules: back", "performance", (), edits)


def _ask(repository: Path, base: str, head: str) -> dict[str, object]:
    """What asv says of the pair, from a fresh results folder."""
    subprocess.run(["rm", "-rf", ".asv/results"], cwd=repository, check=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "asv", "continuous", *OPTIONS, "--bench", BENCH, base, head]
    environment = {**os.environ, "COLUMNS": "200"}
    ran = subprocess.run(command, cwd=repository, capture_output=True, text=True, env=environment)
    text = ran.stdout
    if "PERFORMANCE DECREASED" in text:
        said = "slower"
    elif "PERFORMANCE INCREASED" in text or "SOME BENCHMARKS HAVE CHANGED" in text:
        said = "faster"
    elif "NOT SIGNIFICANTLY CHANGED" in text:
        said = "silent"
    else:
        raise SystemExit(f"asv ended with {ran.returncode} and no verdict:\n{text[-3000:]}\n{ran.stderr[-2000:]}")
    return {"said": said, "seconds": time.monotonic() - started, "load": os.getloadavg()[0]}


def _table(rows: list[dict[str, object]]) -> None:
    print("\n| pairs | asked | slower | faster | silent |\n| --- | --- | --- | --- | --- |")
    for kind in KINDS:
        said = Counter(row["said"] for row in rows if row["kind"] == kind)
        print(f"| {kind} | {sum(said.values())} | {said['slower']} | {said['faster']} | {said['silent']} |")
    seconds = sorted(float(str(row["seconds"])) for row in rows)
    print(f"\nmedian {seconds[len(seconds) // 2]:.0f} s a pair; longest {seconds[-1]:.0f} s")


if __name__ == "__main__":
    main()
