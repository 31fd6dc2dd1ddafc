"""Print how good the detector is, beside others, as one Markdown table.

    python -m tools.evaluation [--trees TREE...] [--seed N] [--quick] [--pictures FOLDER]

TREE is an asv results folder or a .tar.xz of one; without trees only what needs none is printed. A referee that is not
installed has dashes. Ours is asked more often than the others, who are slower: how often is told below the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from perfsvc.detect.machine import LEAST_SERIES
from tools.evaluation import data, pictures, scores
from tools.evaluation.data import Stretch
from tools.evaluation.rules import OURS, RULES, Rule
from tools.evaluation.table import Goal, Table

STEPS = (0.03, 0.05, 0.10)
LONG, SHORT = 150, 50  #: points of a stretch
RECALL = {(LONG, 0.03): 0.88, (LONG, 0.05): 0.94, (LONG, 0.10): 0.97}
FALSE_PER_1000 = 1.5
DELAY = {0.05: 5.0, 0.10: 4.0}
FALSE_ONLINE = {0.01: 1.0, 0.02: 0.3}  #: by minimum effect
FALSE_IN_300 = {
    "log-normal": 0.01,
    "heavy-tailed (t, 3 degrees)": 0.01,
    "5 % slow outliers": 0.01,
    "bimodal, 5 sigma": 0.15,
    "AR(1) 0.5": 0.25,
}
LEAST_RUNS = 30  #: with a value, of a series whose sigma is asked
FASTER_THAN = {"asv, 5 %": 60.0, "kernel PELT": 25.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=Path, nargs="*", default=[], help="asv result trees, or archives of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it run?")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures (SVG)")
    chosen = parser.parse_args()
    asked = Evaluation(chosen.seed, part=10 if chosen.quick else 1)
    with tempfile.TemporaryDirectory() as folder:
        trees = list(data.unpacked(chosen.trees, Path(folder)))
        for length in (LONG, SHORT) if trees else ():
            found = data.stretches(trees, length, 240 // asked.part, asked.generator("stretches", length))
            asked.real(found, length)
        for tree in trees:
            asked.shared_noise(tree)
    asked.synthetic()
    print("\n".join(asked.table.markdown()))
    print("\n" + "\n".join(asked.notes))
    missed = asked.table.missed()
    print(f"\nNot reached: {'; '.join(missed)}." if missed else "\nEvery goal is reached.")
    if chosen.pictures:
        pictures.draw(asked.table, asked.rules, chosen.pictures, seed=chosen.seed)


class Evaluation:
    """Asks every rule every question."""

    def __init__(self, seed: int, *, part: int) -> None:
        self.seed, self.part = seed, part
        self.rules = [rule for rule in RULES if rule.is_here]
        self.table = Table([rule.name for rule in RULES])
        self.notes = [f"Seed {seed}{f', a part in {part} of everything' if part > 1 else ''}."]

    def generator(self, *names: object) -> Generator:
        """The same for every rule, another for every question."""
        return np.random.default_rng([self.seed, *(sum(map(ord, str(name))) for name in names)])

    def tell(self, question: str, goal: Goal, answers: Mapping[str, float]) -> None:
        self.table.add(question, goal, answers)
        print(question, file=sys.stderr, flush=True)

    def times(self, rule: Rule, ours: int, others: int) -> int:
        """How many cases: a part of them for a rule that takes a hundred times as long."""
        return max(2, (ours if rule is OURS else others) // self.part)

    def real(self, stretches: Sequence[Stretch], length: int) -> None:
        """Stable stretches of real histories."""
        trees = Counter(stretch.tree for stretch in stretches)
        told = ", ".join(f"{count} of {tree}" for tree, count in sorted(trees.items())) or "none"
        self.notes.append(f"Stable stretches of {length} points: {told}; {scores.PLACES} places of a step in each.")
        if not stretches:
            return
        found = {
            rule.name: scores.recall(rule, stretches, STEPS, self.generator("places", length)) for rule in self.rules
        }
        for step in STEPS:
            question = f"recall of {100 * step:.0f} %, {length} points"
            answers = {name: got.found[step] for name, got in found.items()}
            self.tell(question, Goal(least=RECALL.get((length, step))), answers)
        goal = Goal(most=FALSE_PER_1000 if length == LONG else None)
        false = {name: got.false_per_1000 for name, got in found.items()}
        self.tell(f"false per 1,000 points, {length} points", goal, false)
        if length == LONG:
            self._online(stretches)

    def _online(self, stretches: Sequence[Stretch]) -> None:
        late = {
            rule.name: scores.online(rule, stretches[: self.times(rule, 240, 30)], tuple(DELAY)) for rule in self.rules
        }
        for step, most in DELAY.items():
            delays = {name: got.delay[step] for name, got in late.items()}
            self.tell(f"points until {100 * step:.0f} % is told", Goal(most=most), delays)
        false = {name: got.false_per_1000 for name, got in late.items()}
        self.tell("false per 1,000 new points", Goal(most=FALSE_ONLINE[0.01]), false)
        larger = scores.online(OURS, stretches, (), minimum_effect=0.02).false_per_1000
        self.tell("the same, minimum effect 2 %", Goal(most=FALSE_ONLINE[0.02]), {OURS.name: larger})
        self.notes.append("Point by point: every stretch for ours, 30 of them for the others.")

    def shared_noise(self, tree: Path) -> None:
        """How much of a machine's noise its series share."""
        for (machine, environment), series in data.machines_of(tree).items():
            long = [x for x in series if np.isfinite(x).sum() >= LEAST_RUNS and np.nanmin(x) > 0.0]
            if len(long) >= LEAST_SERIES:
                before, after = scores.sigmas(long)
                self.notes.append(
                    f"Machine factor: {tree.name}, {machine}, {environment}: {len(long)} series, {len(long[0])} runs, "
                    f"sigma {100 * before:.2f} % -> {100 * after:.2f} %."
                )

    def synthetic(self) -> None:
        """Noise, nights, A/B experiments and speed, from the seed alone."""
        for kind in data.KINDS:
            made_up = {
                rule.name: scores.false_changes(rule, kind, self.times(rule, 4000, 100), self.generator(kind))
                for rule in self.rules
            }
            self.tell(f"changes made up in 300 points: {kind}", Goal(most=FALSE_IN_300[kind]), made_up)
        nights = {
            rule.name: scores.nights(rule, self.times(rule, 20, 2), self.generator("night"), series=2000 // self.part)
            for rule in self.rules
        }
        false = {name: got.false_share for name, got in nights.items()}
        self.tell("nights of 2,000 series: false share", Goal(most=0.10), false)
        self.tell("nights of 2,000 series: slowdowns told", Goal(), {name: got.told for name, got in nights.items()})
        self.notes.append("Series without a change: 4,000 of each kind for ours, 100 for the others; nights: 20 and 2.")
        for sigmas, goal in ((0.0, Goal(most=0.01)), (2.0, Goal()), (3.0, Goal(least=0.97)), (5.0, Goal())):
            got = scores.power(sigmas, 2000 // self.part, self.generator("pairs"))
            self.tell(f"A/B at {sigmas:g} run-sigmas: called different", goal, {OURS.name: got.different})
            self.tell(f"A/B at {sigmas:g} run-sigmas: pairs", Goal(), {OURS.name: got.pairs})
        fast = scores.speed(self.rules, self.generator("speed"))
        self.tell("series of 1,000 points a second and core", Goal(), fast)
        for name, least in FASTER_THAN.items():
            if name in fast:
                times = fast[OURS.name] / fast[name]
                self.tell(f"times as fast as {name.split(',')[0]}", Goal(least=least), {OURS.name: times})


if __name__ == "__main__":
    main()
