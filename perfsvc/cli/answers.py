"""What a comparison says: one sentence, a table for people, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfsvc import units
from perfsvc.cli.output import Column, plain
from perfsvc.work.comparing import Compared, Comparison, Verdict

#: Verdicts that a reviewer need not look at one by one: folded away in a pull request.
QUIET = frozenset({Verdict.SAME, Verdict.NOT_COMPARED})


def sentence(done: Comparison) -> str:
    """The answer in one line."""
    counts = [f"{done.count(verdict)} {verdict}" for verdict in Verdict if done.count(verdict)]
    told = f"{done.head[:8]} against {done.base[:8]} on {done.device}: {', '.join(counts)}"
    broken = f"; {units.count(len(done.failing), 'guard')} broken" if done.failing else ""
    return f"{told}{broken}; in {units.duration(done.seconds)}"


def _change(row: Compared) -> str:
    if row.ratio is None:
        return ""
    return units.change(row.ratio, row.unit, row.metric, before=row.base, after=row.head)


def _between(row: Compared) -> str:
    return "exact" if row.exact else units.interval(row.low, row.high, row.unit, row.metric)


def _sees(row: Compared) -> str:
    return "" if row.would_see is None else "any" if row.exact else units.percent(row.would_see)


def _why(row: Compared) -> str:
    return "" if row.verdict is Verdict.SAME else row.reason.splitlines()[0] if row.reason else ""


COLUMNS = (
    Column("verdict", lambda row: row.verdict),
    Column("change", _change),
    Column("between", _between),
    Column("pairs", lambda row: row.pairs or ""),
    Column("would see", _sees),
    Column("benchmark", lambda row: row.label),
    Column("why", _why),
)


def markdown(done: Comparison) -> Iterator[str]:
    """For a pull request: the answer, a table of what differs, the rest folded away."""
    loud = [row for row in done.rows if row.verdict not in QUIET]
    quiet = [row for row in done.rows if row.verdict in QUIET]
    yield f"**{'Slower, wrong or failing' if done.is_worse else 'Nothing slower'}**: {sentence(done)}"
    yield ""
    yield from (f"- guard fails on head: {cell(name)}" for name in done.failing)
    yield ""
    if loud:
        yield from _rows(loud)
    if quiet:
        yield f"<details><summary>{units.count(len(quiet), 'other benchmark')}</summary>"
        yield ""
        yield from _rows(quiet)
        yield "</details>"
    yield from (f"- {cell(warning.splitlines()[0])}" for warning in done.warnings)


def _rows(rows: Sequence[Compared]) -> Iterator[str]:
    yield f"| {' | '.join(column.title for column in COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    for row in rows:
        yield f"| {' | '.join(cell(column.take(row)) for column in COLUMNS)} |"
    yield ""


def cell(value: object) -> str:
    """Text that stays text in Markdown and HTML: no table, link, tag or mention comes of it, whoever wrote it."""
    text = plain(value).strip()
    escaped = "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)
    return f"<code>{escaped}</code>" if escaped != text else text
