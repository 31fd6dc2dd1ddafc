"""Series whose truth is known: stable stretches of real histories with a step put in, and noise from a seed."""

from __future__ import annotations

import itertools
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from perfsvc.formats import asv_results
from perfsvc.model import RunReport
from perfsvc.stats import Floats, mad_sigma, median

EDGE = 15  #: points of a stretch at either end in which no step is put
BLOCKS = 5  #: a stretch is stable when the medians of so many equal parts agree
QUIET = (0.001, 0.015)  #: sigma of a stretch, from differences: not constant, and about 1 % as the goals have it
#: Of a part's median, in standard errors: five that scatter by chance alone differ by more in one draw of sixty.
AGREE = 4.4
MEDIAN_SE = 1.25
#: So many points in a row, so many sigma to one side: a level of its own, too short for a part's median to show.
VISIT, FAR_OUT = 4, 5.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive points of a real series in which, by a rule that no detector shares, nothing happened."""

    tree: str
    values: Floats


Machine = tuple[str, str]  #: its name, and the environment that it measured in


def machines_of(tree: Path) -> dict[Machine, list[Floats]]:
    """The series of an asv result tree, by machine: one place a run, in the order of commit dates, NaN = missing."""
    points: dict[Machine, dict[tuple[str, ...], dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    times: dict[Machine, set[float]] = defaultdict(set)
    for run in asv_results.read(tree):
        if isinstance(run, RunReport):
            machine, moment = (run.machine, run.env_name), run.commit.authored_at.timestamp()
            times[machine].add(moment)
            for told in run.measurements:
                points[machine][(told.benchmark, *told.params)][moment] = told.value
    aligned: dict[Machine, list[Floats]] = {}
    for machine, own in sorted(points.items()):
        line = sorted(times[machine])
        aligned[machine] = [np.array([values.get(t, np.nan) for t in line]) for _, values in sorted(own.items())]
    return aligned


def stretches(trees: Iterable[Path], length: int, wanted: int, generator: Generator) -> list[Stretch]:
    """Draw stable stretches of `length` points, none of which share a point."""
    found: list[Stretch] = []
    for tree in trees:
        for values in itertools.chain.from_iterable(machines_of(tree).values()):
            positive = values[np.isfinite(values) & (values > 0)]
            start = 0
            while start + length <= len(positive):
                stable = is_stable(positive[start : start + length])
                if stable:
                    found.append(Stretch(tree.name, positive[start : start + length]))
                start += length if stable else length // 10
    return [found[place] for place in sorted(generator.permutation(len(found))[:wanted])]


def is_stable(values: Floats) -> bool:
    """Do the medians of five parts agree, and is nothing far out for four points in a row?"""
    x = np.log(values)
    sigma = mad_sigma(np.diff(x)) / np.sqrt(2.0)
    if not QUIET[0] <= sigma <= QUIET[1]:
        return False
    far_out = np.lib.stride_tricks.sliding_window_view((x - median(x)) / sigma, VISIT)
    if far_out.min(axis=1).max() > FAR_OUT or far_out.max(axis=1).min() < -FAR_OUT:
        return False
    levels = [median(part) for part in np.array_split(x, BLOCKS)]
    return max(levels) - min(levels) <= AGREE * MEDIAN_SE * sigma / np.sqrt(len(x) / BLOCKS)


def with_step(values: Floats, at: int, step: float) -> Floats:
    """Everything from `at` on takes `step` longer (0.05 = 5 %)."""
    changed = values.copy()
    changed[at:] *= 1.0 + step
    return changed


def noise(kind: str, points: int, sigma: float, generator: Generator) -> Floats:
    """A series without a change. Raises: KeyError for an unknown kind."""
    return np.exp(sigma * KINDS[kind](points, generator))


def _normal(points: int, generator: Generator) -> Floats:
    return generator.normal(size=points)


def _heavy(points: int, generator: Generator) -> Floats:
    return generator.standard_t(3, points)


def _outliers(points: int, generator: Generator) -> Floats:
    """Normal, and one point in twenty up to a hundred sigma slow."""
    x = generator.normal(size=points)
    return np.where(generator.random(points) < 0.05, np.abs(x) + generator.pareto(1.5, points).clip(0, 100), x)


def _bimodal(points: int, generator: Generator) -> Floats:
    return generator.normal(size=points) + 5.0 * (generator.random(points) < 0.3)


def _ar1(points: int, generator: Generator) -> Floats:
    warm = 100
    shocks = generator.normal(size=points + warm) * np.sqrt(1 - 0.5**2)
    for t in range(1, len(shocks)):
        shocks[t] += 0.5 * shocks[t - 1]
    return shocks[warm:]


KINDS: dict[str, Callable[[int, Generator], Floats]] = {
    "log-normal": _normal,
    "heavy-tailed (t, 3 degrees)": _heavy,
    "5 % slow outliers": _outliers,
    "bimodal, 5 sigma": _bimodal,
    "AR(1) 0.5": _ar1,
}


def unpacked(paths: Iterable[Path], folder: Path) -> Iterator[Path]:
    """Result trees as they are, and archives of them unpacked into `folder`."""
    for path in paths:
        if path.is_dir():
            yield path
            continue
        target = folder / path.name.partition(".")[0]
        with tarfile.open(path) as archive:
            archive.extractall(target, filter="data")
        yield target
