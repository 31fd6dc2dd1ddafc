"""perfsvc export: what is kept, written for other programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from perfsvc import units
from perfsvc.cli import context, point_files
from perfsvc.cli.context import ProjectOption
from perfsvc.cli.output import note, print_lines
from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_writing
from perfsvc.model import Benchmark, Commit, Measurement, Metric, RunReport, Skip
from perfsvc.rows import PointRow, SeriesRow
from perfsvc.store import queries

LEFT_OUT_SHOWN = 10

ASV = "asv"
FORMATS = (ASV, *point_files.WRITERS)


def export(
    path: Annotated[Path, typer.Argument(help="The file or the folder to make.")],
    project: ProjectOption = "",
    format_: Annotated[str, typer.Option("--format", help="asv, parquet, csv or json; default: as PATH ends.")] = "",
) -> None:
    """Write the points of a project: as a table, or as a folder of asv results that `asv publish` and ingest read.

    A point is a commit's median over its runs; runs that were excluded are left out, raw samples stay here.
    """
    ending = path.suffix.removeprefix(".")
    chosen = format_ or (ending if ending in point_files.WRITERS else ASV)
    if chosen not in FORMATS:
        raise ResultFormatError(f"{chosen!r} is no format to write; wanted {', '.join(FORMATS)}")
    with context.reading(project) as found:
        if chosen == ASV:
            _write_asv(found, path)
        else:
            point_files.write_points(found, path, chosen)


def _write_asv(found: context.Reading, path: Path) -> None:
    written = asv_writing.write_tree(path, _reports(found.tx, found.project.id))
    for reason in written.left_out[:LEFT_OUT_SHOWN]:
        note(f"left out: {reason}")
    if len(written.left_out) > LEFT_OUT_SHOWN:
        note(f"and {len(written.left_out) - LEFT_OUT_SHOWN} more that were left out")
    print_lines([f"{found.project.name}: {units.count(written.files, 'result file')} in {path}"])


def _reports(tx: Connection, project_id: int) -> Iterator[RunReport]:
    """A report for each machine and commit. The points of one machine are in memory together."""
    machines: dict[str, list[SeriesRow]] = defaultdict(list)
    for row in queries.series(tx, project_id):
        machines[row.machine].append(row)
    for machine, rows in machines.items():
        commits: dict[str, list[tuple[SeriesRow, PointRow]]] = defaultdict(list)
        points = queries.points_of(tx, [row.id for row in rows])
        for row in rows:
            for point in points.get(row.id, ()):
                commits[point.commit.hash].append((row, point))
        for cases in commits.values():
            yield _report(machine, cases)


def _report(machine: str, cases: Sequence[tuple[SeriesRow, PointRow]]) -> RunReport:
    """One machine at one commit. Of several versions or metrics of a benchmark the newest series' counts."""
    newest = {row.benchmark: _benchmark(row) for row, _ in sorted(cases, key=lambda case: case[0].id)}
    kept = [(row, point) for row, point in cases if _benchmark(row) == newest[row.benchmark]]
    commit = cases[0][1].commit
    name, _, environment = machine.rpartition("/")  # as formats.naming puts them together
    return RunReport(
        machine=name or machine,
        env_name=environment if name else "",
        commit=Commit(commit.hash, commit.authored_at),
        content_hash="",
        benchmarks=tuple(newest.values()),
        measurements=tuple(
            Measurement(row.benchmark, row.params, point.value, point.q25, point.q75)
            for row, point in kept
            if point.value is not None
        ),
        skips=tuple(Skip(row.benchmark, row.params, point.skip) for row, point in kept if point.value is None),
    )


def _benchmark(row: SeriesRow) -> Benchmark:
    metric = Metric(row.metric, row.unit, row.direction, row.exact)
    return Benchmark(row.benchmark, row.version, metric, row.param_names)
