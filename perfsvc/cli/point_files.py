"""The points of a project as one flat table, for notebooks and spreadsheets: Parquet, CSV or JSON."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from perfsvc import units
from perfsvc.cli.context import Reading
from perfsvc.cli.output import print_lines
from perfsvc.errors import SettingsError
from perfsvc.rows import PointRow, SeriesRow, to_json
from perfsvc.store import queries

#: Series whose points are in memory together.
SERIES = 256


@dataclass(frozen=True, slots=True)
class Row:
    """A point with all that tells it apart. Without a value there is the reason in `skip`."""

    project: str
    benchmark: str
    version: str
    params: str  #: a JSON list of asv's reprs
    metric: str
    unit: str
    direction: str
    machine: str
    commit: str
    position: int | None
    authored_at: datetime
    measured_at: datetime | None
    environment: str
    value: float | None
    q25: float | None
    q75: float | None
    wrong: bool
    skip: str


Chunks = Iterator[list[Row]]


def write_points(found: Reading, path: Path, format: str) -> None:
    """Write every point of the project. The file has its name only when it is whole.

    Raises: SettingsError when there is something of that name, or what writes Parquet is not installed.
    """
    if path.exists():
        raise SettingsError(f"{path}: is there already; wanted a new file")
    unfinished = path.with_name(f"{path.name}.part")
    try:
        n = WRITERS[format](unfinished, _chunks(found.tx, found.project.id))
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    print_lines([f"{found.project.name}: {units.count(n, 'point')} in {path}"])


def _chunks(tx: Connection, project_id: int) -> Chunks:
    series = queries.series(tx, project_id)
    for start in range(0, len(series), SERIES):
        some = series[start : start + SERIES]
        points = queries.points_of(tx, [row.id for row in some])
        yield [_row(row, point) for row in some for point in points.get(row.id, ())]


def _row(series: SeriesRow, point: PointRow) -> Row:
    return Row(
        project=series.project,
        benchmark=series.benchmark,
        version=series.version,
        params=json.dumps(series.params),
        metric=series.metric,
        unit=series.unit,
        direction=series.direction.value,
        machine=series.machine,
        commit=point.commit.hash,
        position=point.commit.position,
        authored_at=point.commit.authored_at,
        measured_at=point.measured_at,
        environment=point.environment,
        value=point.value,
        q25=point.q25,
        q75=point.q75,
        wrong=point.wrong,
        skip=point.skip,
    )


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def _csv(path: Path, chunks: Chunks) -> int:
    n = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for rows in chunks:
            out.writerows(_cells(row) for row in rows)
            n += len(rows)
    return n


def _cells(row: Row) -> list[Any]:
    cells = (getattr(row, name) for name in COLUMNS)
    return [cell.isoformat() if isinstance(cell, datetime) else cell for cell in cells]


def _json(path: Path, chunks: Chunks) -> int:
    """One JSON list, a point a line."""
    n = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for rows in chunks:
            for row in rows:
                file.write(",\n" if n else "\n")
                file.write(json.dumps(to_json(row), allow_nan=False))
                n += 1
        file.write("\n]\n")
    return n


def _parquet(path: Path, chunks: Chunks) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise SettingsError("--format parquet needs pyarrow: pip install 'perfsvc[dashboard]', or take csv") from None
    text, number, time = pyarrow.string(), pyarrow.float64(), pyarrow.timestamp("us", tz="UTC")
    others = {
        **{"position": pyarrow.int32(), "wrong": pyarrow.bool_()},
        **dict.fromkeys(("authored_at", "measured_at"), time),
        **dict.fromkeys(("value", "q25", "q75"), number),
    }
    schema = pyarrow.schema([(name, others.get(name, text)) for name in COLUMNS])
    n = 0
    with parquet.ParquetWriter(path, schema) as out:
        for rows in chunks:
            columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
            out.write_table(pyarrow.table(columns, schema=schema))
            n += len(rows)
    return n


WRITERS: dict[str, Callable[[Path, Chunks], int]] = {"parquet": _parquet, "csv": _csv, "json": _json}
