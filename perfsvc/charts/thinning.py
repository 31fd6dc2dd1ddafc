"""Which points of a long series to draw."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from perfsvc.rows import PointRow

#: More points than pixels show nothing more, and cost a second each 2,000.
MOST_POINTS = 2000
NEWEST_KEPT = 200


def thin(points: Sequence[PointRow], keep: Collection[int] = (), limit: int = MOST_POINTS) -> list[int]:
    """Which points to draw, in order: `keep`, the newest 200, and of each stretch of the rest its ends and oddities."""
    n = len(points)
    if n <= limit:
        return list(range(n))
    chosen = {i for i in keep if 0 <= i < n} | set(range(n - min(NEWEST_KEPT, limit // 2), n))
    rest = [i for i in range(n) if i not in chosen]
    stretches = max(1, (limit - len(chosen)) // 4)
    for k in range(stretches):
        chosen |= _telling(points, rest[k * len(rest) // stretches : (k + 1) * len(rest) // stretches])
    return sorted(chosen)[-limit:]


def _telling(points: Sequence[PointRow], stretch: Sequence[int]) -> set[int]:
    """Its lowest, its highest, a wrong and a missing one: at most four."""
    valued = [(points[i].value, i) for i in stretch if points[i].value is not None]
    found = {min(valued)[1], max(valued)[1]} if valued else set()
    found |= set([i for i in stretch if points[i].wrong][:1])
    return found | set([i for i in stretch if points[i].value is None][:1])
