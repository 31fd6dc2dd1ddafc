"""For other programs' eyes: a badge for a README, a feed of alerts, figures for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from datetime import UTC, datetime
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from fastapi import APIRouter, Depends, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from perfsvc.api.access import Caller, Door
from perfsvc.api.problems import AS_TOLD, answers
from perfsvc.api.reading import Name
from perfsvc.model import STANDING, AlertKind, JobState, Verdict
from perfsvc.rows import AlertRow
from perfsvc.store import Store, queries
from perfsvc.tokens import Scope


class Svg(Response):
    media_type = "image/svg+xml"


class Atom(Response):
    media_type = "application/atom+xml"


class Figures(Response):
    media_type = "text/plain; version=0.0.4; charset=utf-8"


_ATOM = "http://www.w3.org/2005/Atom"
#: Entries of a feed: whoever reads it less often than so many alerts come has other worries.
_NEWEST = 50
_UNJUDGED = frozenset({Verdict.NEW, Verdict.NOISY, Verdict.NO_DATA})
_GOOD, _BAD, _UNKNOWN = "#2c7a3f", "#b3261e", "#5f6368"


def routes(store: Store, door: Door) -> APIRouter:
    router = APIRouter(tags=["telling"], responses=answers(401, 403, 404, 422, 429, 503))
    reader: Caller = Depends(door.wants(Scope.READ))

    @router.get("/badge/{project:path}.svg", response_class=Svg)
    def badge(project: str, who: Caller = reader) -> Response:
        """How the project stands, in four words."""
        with store.reading() as tx:
            row = who.enter(queries.project(tx, project))
            alerts = queries.alerts(tx, row.id, states=STANDING)
            verdicts = {word for counts in queries.verdict_counts(tx, row.id).values() for word in counts}
        said, colour = _stands(alerts, verdicts)
        headers = {**AS_TOLD, "Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'"}
        return Svg(_svg(row.name, said, colour), headers=headers)

    @router.get("/feed.atom", response_class=Atom)
    def feed(project: Name, who: Caller = reader) -> Response:
        """The newest alerts."""
        with store.reading() as tx:
            row = who.enter(queries.project(tx, project))
            alerts = sorted(queries.alerts(tx, row.id), key=lambda a: (a.updated_at, a.id), reverse=True)[:_NEWEST]
        return Atom(_atom(row.name, alerts), headers=AS_TOLD)

    return router


def figures(store: Store, door: Door) -> APIRouter:
    """`/metrics`, beside the version of the API: Prometheus asks there."""
    router = APIRouter(tags=["telling"], responses=answers(401, 403, 429, 503))
    reader: Caller = Depends(door.wants(Scope.READ))

    @router.get("/metrics", response_class=Figures)
    def metrics(who: Caller = reader) -> Response:
        registry = CollectorRegistry()
        with store.reading() as tx:
            registry.register(_Figures(tx, who))
            body = generate_latest(registry)
        return Figures(body, headers=AS_TOLD)

    return router


def _stands(alerts: Sequence[AlertRow], verdicts: Set[Verdict]) -> tuple[str, str]:
    """Steady is said only where some series could be judged: silence is no good news."""
    wrong = sum(row.kind is AlertKind.WRONG for row in alerts)
    slower = sum(row.kind is AlertKind.REGRESSION for row in alerts)
    silent = sum(row.kind is AlertKind.SILENCE for row in alerts)
    parts = [f"{n} {word}" for n, word in ((wrong, "wrong"), (slower, "slower"), (silent, "silent")) if n]
    if parts:
        return ", ".join(parts), _BAD if wrong or slower else _UNKNOWN
    return ("steady", _GOOD) if verdicts - _UNJUDGED else ("not judged", _UNKNOWN)


def _svg(name: str, said: str, colour: str) -> str:
    shown = name if len(name) <= 40 else f"{name[:39]}\u2026"
    left, right = (14 + 7 * len(text) for text in (shown, said))
    label = escape("".join(c if c.isprintable() else "\ufffd" for c in shown))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img">'
        f"<title>{label}: {said}</title>"
        f'<rect width="{left}" height="20" fill="#3c4043"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2}" y="14">{label}</text><text x="{left + right / 2}" y="14">{said}</text></g></svg>'
    )


def _atom(project: str, alerts: list[AlertRow]) -> bytes:
    ET.register_namespace("", _ATOM)
    newest = max((row.updated_at for row in alerts), default=datetime(1970, 1, 1, tzinfo=UTC))
    feed = _element(None, "feed", "")
    for tag, text in (("title", f"{project}: alerts"), ("id", f"tag:perfsvc,2026:{project}")):
        _element(feed, tag, text)
    _element(feed, "updated", newest.isoformat())
    for row in alerts:
        entry = _element(feed, "entry", "")
        _element(entry, "title", f"{row.state.value}: {row.title}")
        _element(entry, "id", f"tag:perfsvc,2026:{project}/alert/{row.id}")
        _element(entry, "updated", row.updated_at.isoformat())
        _element(_element(entry, "author", ""), "name", "perfsvc")
        _element(entry, "content", row.explanation or row.title)
    body: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return body


def _element(parent: ET.Element | None, tag: str, text: str) -> ET.Element:
    name = f"{{{_ATOM}}}{tag}"
    made = ET.Element(name) if parent is None else ET.SubElement(parent, name)
    # XML has no place for most control characters, whatever they are escaped as.
    made.text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return made


class _Figures(Collector):
    """What the store says now; nothing is counted in this process."""

    def __init__(self, tx: Connection, who: Caller) -> None:
        self._tx, self._who = tx, who

    def collect(self) -> Iterator[GaugeMetricFamily]:
        tx, now = self._tx, datetime.now(UTC)
        series = GaugeMetricFamily(
            "perfsvc_series", "series by what holds of them today", labels=["project", "machine", "verdict"]
        )
        alerts = GaugeMetricFamily(
            "perfsvc_standing_alerts", "alerts that wait for somebody", labels=["project", "kind"]
        )
        silent = GaugeMetricFamily(
            "perfsvc_newest_run_age_seconds", "since a machine's newest run came in", labels=["project", "machine"]
        )
        jobs = GaugeMetricFamily("perfsvc_jobs", "jobs that have not ended", labels=["project", "state"])
        for project in (row for row in queries.projects(tx) if self._who.sees(row.name)):
            for machine, verdicts in queries.verdict_counts(tx, project.id).items():
                for verdict, count in verdicts.items():
                    series.add_metric([project.name, machine, verdict.value], count)
            for kind, count in Counter(a.kind for a in queries.alerts(tx, project.id, states=STANDING)).items():
                alerts.add_metric([project.name, kind.value], count)
            for machine, run in queries.newest_runs(tx, project.id).items():
                silent.add_metric([project.name, machine], (now - run.stored_at).total_seconds())
            waiting = queries.jobs(tx, project.id, states=(JobState.QUEUED, JobState.RUNNING), limit=10_000)
            for state, count in Counter(job.state for job in waiting).items():
                jobs.add_metric([project.name, state.value], count)
        yield from (series, alerts, silent, jobs)
