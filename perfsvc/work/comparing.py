"""Is HEAD slower than BASE? One sitting, judged by the A/B rule; each benchmark leaves when it has its verdict."""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from perfsvc import units, wording
from perfsvc.errors import RunnerError
from perfsvc.experiments import LOOKS, Judgement, judge
from perfsvc.model import Direction, ExperimentVerdict, GuardResult, Metric, Outcome
from perfsvc.runner import paired
from perfsvc.runner.events import Progress, Stage
from perfsvc.runner.paired import Sitting
from perfsvc.runner.processes import Cancelled
from perfsvc.runner.request import Request
from perfsvc.runner.turns import Case, Seat, Turn
from perfsvc.stats import ratio_of
from perfsvc.work.doing import Show

#: A difference below it is called "same", unless the project or the person says otherwise.
MINIMUM_EFFECT = 0.03


class Verdict(StrEnum):
    """What is said of a benchmark, worst first. Where the metric is no time, slower means worse, and faster better."""

    WRONG = "wrong"  #: a guard that covers it fails on HEAD and passed on BASE
    FAILS = "fails"  #: it ran on BASE and does not on HEAD
    SLOWER = "slower"
    CHANGED = "changed"  #: its metric has no better direction
    UNDECIDED = "undecided"
    FASTER = "faster"
    SAME = "same"
    NOT_COMPARED = "not compared"


BAD = frozenset({Verdict.WRONG, Verdict.FAILS, Verdict.SLOWER})


@dataclass(frozen=True, slots=True)
class Compared:
    """One benchmark. Ratios are HEAD over BASE; base and head are the medians of the rounds' medians."""

    label: str
    metric: str
    unit: str
    exact: bool
    verdict: Verdict
    reason: str
    ratio: float | None = None
    low: float | None = None  #: the interval that the verdict was read from
    high: float | None = None
    base: float | None = None
    head: float | None = None
    pairs: int = 0
    would_see: float | None = None  #: an estimate from here on would have been called a difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the question. `rows`: worst first."""

    base: str  #: full hashes
    head: str
    device: str
    rows: tuple[Compared, ...]
    failing: tuple[str, ...]  #: guards that fail on HEAD and not on BASE
    warnings: tuple[str, ...]
    seconds: float

    @property
    def is_worse(self) -> bool:
        return bool(self.failing) or any(row.verdict in BAD for row in self.rows)

    @property
    def is_undecided(self) -> bool:
        return any(row.verdict is Verdict.UNDECIDED for row in self.rows)

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict is verdict for row in self.rows)


def compare(
    request: Request,
    base: str,
    head: str,
    *,
    suite: str = "",
    minimum_effect: float | None = None,
    pairs: int = LOOKS[-1],
    by_asv: bool = False,
    progress: Show = lambda _: None,
    cancelled: Cancelled = lambda: False,
) -> Comparison:
    """Measure both commits in turns until each benchmark has its verdict, or `pairs` rounds are over.

    pairs: one of the looks, 6, 10, 14 or 20. With `request.guards` the correctness tests are run on both sides first.
    Raises: GitError, NotFound when no benchmark fits, RunnerError when nothing can be compared, Interrupted.
    """
    started = time.monotonic()
    with paired.opened(
        request, base, head, suite=suite, by_asv=by_asv, progress=progress, cancelled=cancelled
    ) as sitting:
        failing, said = _guards(sitting) if request.guard_command else ((), ())
        rows = _rounds(sitting, _effects(sitting, request, minimum_effect), pairs, progress)
    rows += [_not_compared(name, reason) for name, reason in sitting.lacking]
    if not any(row.ratio is not None or row.verdict is Verdict.FAILS for row in rows):
        first = rows[0]
        raise RunnerError(f"nothing can be compared; {first.label}: {first.reason}")
    sides = sitting.sides
    differ = sides[Seat.BASE].lock != sides[Seat.HEAD].lock
    told = ("the two commits order different environments: code and packages are compared together",) if differ else ()
    return Comparison(
        base=sides[Seat.BASE].commit,
        head=sides[Seat.HEAD].commit,
        device=str(request.device),
        rows=tuple(sorted((believed(row, failing) for row in rows), key=worst_first)),
        failing=tuple(f"{guard.guard} {guard.test}".strip() for guard in failing),
        warnings=(*sitting.warnings, *told, *said),
        seconds=time.monotonic() - started,
    )


def _effects(sitting: Sitting, request: Request, chosen: float | None) -> dict[str, float]:
    """The minimum effect of each case: the person's, else the project's where it is above ours."""
    return {
        case.label: chosen or max(MINIMUM_EFFECT, request.settings.minimum_effect(case.label)) for case in sitting.cases
    }


def _rounds(sitting: Sitting, effects: Mapping[str, float], pairs: int, progress: Show) -> list[Compared]:
    """Round after round over the cases that still have no verdict."""
    left = list(sitting.cases)
    turns: dict[str, list[Turn]] = {case.label: [] for case in left}
    rows: list[Compared] = []
    number, seconds = 0, 0.0
    while left:
        number, started = number + 1, time.monotonic()
        told = sitting.round(number, left, told=_teller(number, pairs, len(left), seconds, progress))
        seconds = time.monotonic() - started
        for name, turn in told.items():
            turns[name].append(turn)
        closed = _close(left, turns, number, pairs, effects)
        rows += [_with_operators(row, sitting) for row in closed]
        done = {row.label for row in closed}
        left = [case for case in left if case.label not in done]
    return rows


def _teller(number: int, pairs: int, left: int, seconds: float, progress: Show) -> Callable[[int, str], None]:
    """Says where a round is, and how long the rest takes if every benchmark stays and rounds stay as the last was."""
    rest = f", at most {units.duration(seconds * (pairs - number + 1))} to go" if seconds else ""

    def told(done: int, name: str) -> None:
        text = f"round {number} of at most {pairs}, {units.count(left, 'benchmark')} left{rest}: {name}"
        progress(Progress(Stage.BENCHMARKS, done=(number - 1) * left + done, of=pairs * left, text=text))

    return told


def _close(
    left: Sequence[Case], turns: Mapping[str, Sequence[Turn]], number: int, pairs: int, effects: Mapping[str, float]
) -> list[Compared]:
    """Those that have their verdict after this round; after the last round, all."""
    closed = []
    for case in left:
        seen = turns[case.label]
        row = first_look(case, seen[0]) if number == 1 else None
        if row is None and number in LOOKS and number <= pairs:
            row = look_at(case, seen, effects[case.label])
            row = None if row.verdict is Verdict.UNDECIDED and number < pairs else row
        if row is not None:
            closed.append(row)
    return closed


def first_look(case: Case, turn: Turn) -> Compared | None:
    """What one round settles: a value that is missing, or an exact metric. None: more rounds are needed."""
    base, head = turn[Seat.BASE], turn[Seat.HEAD]
    if base.value is None or head.value is None:
        gone = base.value is not None and not head.skipped
        sides = {Seat.BASE: base, Seat.HEAD: head}
        missing = [f"{seat}: {answer.reason}" for seat, answer in sides.items() if answer.value is None]
        verdict = Verdict.FAILS if gone else Verdict.NOT_COMPARED
        return _row(case, verdict, "; ".join(missing), base=base.value, head=head.value)
    if not case.metric.exact:
        return None
    if base.value == head.value:
        return _row(case, Verdict.SAME, "exact, and equal", ratio=1.0, base=base.value, head=head.value, pairs=1)
    ratio = ratio_of(base.value, head.value)
    told = f"exact: {units.value(base.value, case.metric.unit)} before, {units.value(head.value, case.metric.unit)} now"
    return _row(case, direction_of(ratio, case.metric), told, ratio=ratio, base=base.value, head=head.value, pairs=1)


def look_at(case: Case, turns: Sequence[Turn], minimum_effect: float) -> Compared:
    """The A/B rule's word after 6, 10, 14 or 20 rounds."""
    columns = {seat: [_value(turn, seat) for turn in turns] for seat in Seat}
    found = judge(
        list(zip(columns[Seat.BASE], columns[Seat.HEAD], strict=True)),
        minimum_effect=minimum_effect,
        look=LOOKS.index(len(turns)) + 1,
        control=list(zip(columns[Seat.BASE], columns[Seat.AGAIN], strict=True)),
    )
    verdicts = {ExperimentVerdict.SAME: Verdict.SAME, ExperimentVerdict.UNDECIDED: Verdict.UNDECIDED}
    row = _row(
        case,
        verdicts.get(found.verdict) or direction_of(found.estimate, case.metric),
        found.reason,
        base=_median(columns[Seat.BASE]),
        head=_median(columns[Seat.HEAD]),
        pairs=len(turns),
    )
    return row if math.isnan(found.estimate) else _measured(row, found, minimum_effect)


def _measured(row: Compared, found: Judgement, minimum_effect: float) -> Compared:
    seen = max(found.high / found.estimate, math.sqrt(1.0 + minimum_effect)) - 1.0
    return replace(row, ratio=found.estimate, low=found.low, high=found.high, would_see=seen)


def direction_of(ratio: float, metric: Metric) -> Verdict:
    """Whether a ratio is a turn for the worse."""
    if metric.direction is Direction.NEITHER:
        return Verdict.CHANGED
    return Verdict.SLOWER if (ratio > 1.0) is (metric.direction is Direction.LOWER) else Verdict.FASTER


def _row(
    case: Case,
    verdict: Verdict,
    reason: str,
    *,
    ratio: float | None = None,
    base: float | None = None,
    head: float | None = None,
    pairs: int = 0,
) -> Compared:
    metric = case.metric
    edges = {"ratio": ratio, "low": ratio, "high": ratio}
    return Compared(
        case.label,
        metric.name,
        metric.unit,
        metric.exact,
        verdict,
        reason,
        **edges,
        base=base,
        head=head,
        pairs=pairs,
        would_see=0.0 if ratio is not None else None,
    )


def _not_compared(name: str, reason: str) -> Compared:
    return Compared(name, "", "", False, Verdict.NOT_COMPARED, reason)


def _with_operators(row: Compared, sitting: Sitting) -> Compared:
    """Where the two sides dispatch different operators, which came and which went."""
    told = sitting.operators or {}
    base, head = (told.get(seat, {}).get(row.label) for seat in (Seat.BASE, Seat.HEAD))
    moved = wording.operators(base, head) if base and head else ""
    return replace(row, reason=f"{row.reason}; operators: {moved}") if moved else row


def _guards(sitting: Sitting) -> tuple[tuple[GuardResult, ...], tuple[str, ...]]:
    """Guards that fail on HEAD and do not on BASE; what fails on both is said, and is nobody's change."""
    results, said = sitting.guards()
    before = {guard.test for guard in results[Seat.BASE] if guard.outcome is Outcome.FAILED}
    now = [guard for guard in results[Seat.HEAD] if guard.outcome is Outcome.FAILED]
    both = sum(guard.test in before for guard in now)
    told = (f"{units.count(both, 'guard')} failing on both sides",) if both else ()
    return tuple(guard for guard in now if guard.test not in before), (*said, *told)


def believed(row: Compared, failing: Iterable[GuardResult]) -> Compared:
    """A result that became wrong has no speed."""
    covering = [guard for guard in failing if re.search(guard.covers, row.label)]
    if not covering or row.verdict is Verdict.NOT_COMPARED:
        return row
    names = ", ".join(sorted({guard.guard or guard.test for guard in covering}))
    return replace(row, verdict=Verdict.WRONG, reason=f"{names} fails on head; {row.verdict}: {row.reason}")


def worst_first(row: Compared) -> tuple[int, float, str]:
    size = abs(math.log(row.ratio)) if row.ratio and math.isfinite(row.ratio) else math.inf
    return list(Verdict).index(row.verdict), -size, row.label


def _value(turn: Turn, seat: Seat) -> float:
    answer = turn.get(seat)
    return math.nan if answer is None or answer.value is None else answer.value


def _median(values: Sequence[float]) -> float | None:
    there = [value for value in values if not math.isnan(value)]
    return statistics.median(there) if there else None
