"""Deterministic metrics (operator counts, bytes, launches) have no noise: any other value is a change, at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perfsvc.model import Change, ChangeKind
from perfsvc.stats import ratio_of


def exact_changes(values: Sequence[float]) -> list[Change]:
    """Every point whose value differs from the last one that is there.

    Shapes: values in time order, NaN = missing; `Change.index` counts in `values` as given.
    The caller passes points of one environment: across two, another value may be the environment's.
    """
    given = np.asarray(values, dtype=float)
    places = np.flatnonzero(np.isfinite(given))
    x = given[places]
    edges = [0, *(np.flatnonzero(x[1:] != x[:-1]) + 1).tolist(), len(x)]
    return [
        _change(int(places[at]), float(x[at - 1]), float(x[at]), at - start, end - at)
        for start, at, end in zip(edges, edges[1:], edges[2:], strict=False)
    ]


def _change(index: int, before: float, after: float, n_before: int, n_after: int) -> Change:
    ratio = ratio_of(before, after)
    return Change(index, ratio, ratio, ratio, 0.0, before, after, n_before, n_after, kind=ChangeKind.EXACT)
