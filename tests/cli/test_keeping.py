"""backup, restore, prune; and the points as a flat table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from pyarrow import parquet
from sqlalchemy import Connection, Table
from typer.testing import CliRunner, Result

from perfsvc.cli import keeping, point_files
from perfsvc.cli.context import Reading
from perfsvc.errors import SettingsError
from perfsvc.model import Measurement
from perfsvc.store import Store, copying, queries
from tests.bench import NOON, Bench, rows_of, steady

Call = Callable[..., Result]


@pytest.fixture
def call(stored_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A command on the bench's store."""
    app = typer.Typer()
    keeping.register(app)
    url = stored_bench.store.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("PERFSVC_DATABASE_URL", url)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def story(bench: Bench) -> None:
    """Runs with a slowdown, a skip, samples, and what was found and told of them."""
    for place, level in enumerate(steady(1.0, 1, 12) + steady(1.5, 2, 8)):
        report = bench.report(place, {"time_a": level, "count_b": None if place == 3 else 4.0})
        sampled = tuple(replace(m, samples=(m.value, m.value)) for m in report.measurements)
        bench.ingest(replace(report, measurements=sampled))
    bench.process()


def test_a_backup_is_restored_row_by_row_into_an_empty_database(
    stored_bench: Bench, call: Call, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(stored_bench)
    before = rows_of(stored_bench.store, times=True)
    assert call("backup", str(tmp_path / "copy.sqlite")).exit_code == 0
    monkeypatch.setenv("PERFSVC_DATABASE_URL", empty_database)
    restored = call("restore", str(tmp_path / "copy.sqlite"))
    assert "restored from" in restored.output
    other = Store.open(empty_database)
    assert rows_of(other, times=True) == before
    assert all(before[table] for table in ("measurement", "skip", "change", "alert", "notification", "series_state"))
    there = replace(stored_bench, store=other)
    there.run(20, {"time_a": 1.5, "time_new": 1.0})  # ids are counted on from where they were
    there.process()
    assert there.series("time_a").points == 21
    other.close()


def test_a_backup_overwrites_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "copy.sqlite").write_text("mine")
    ended = call("backup", str(tmp_path / "copy.sqlite"))
    assert isinstance(ended.exception, SettingsError)
    assert (tmp_path / "copy.sqlite").read_text() == "mine"


def test_a_backup_that_breaks_leaves_no_file(
    stored_bench: Bench, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(stored_bench)
    copy = copying._copy

    def break_at_the_runs(ours: Connection, theirs: Connection, table: Table) -> int:
        if table.name == "run":
            raise OSError("no space left on device")
        return copy(ours, theirs, table)

    monkeypatch.setattr(copying, "_copy", break_at_the_runs)
    (tmp_path / "backups").mkdir()
    assert "no space left" in str(call("backup", str(tmp_path / "backups" / "copy.sqlite")).exception)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_restore_overwrites_nothing(stored_bench: Bench, call: Call, tmp_path: Path) -> None:
    story(stored_bench)
    before = rows_of(stored_bench.store, times=True)
    call("backup", str(tmp_path / "copy.sqlite"))
    ended = call("restore", str(tmp_path / "copy.sqlite"))
    assert "wanted a database in which there is nothing yet" in str(ended.exception)
    assert rows_of(stored_bench.store, times=True) == before


def test_what_is_old_is_dropped_and_the_points_stay(stored_bench: Bench, call: Call) -> None:
    stored_bench.now = NOON - timedelta(days=400)  # long ago, whatever the day is
    story(stored_bench)
    with stored_bench.store.writing() as tx:
        tx.exec_driver_sql("UPDATE notification SET sent_at = created_at, next_at = NULL")
    before = rows_of(stored_bench.store)
    assert "dropped the samples of 20 runs" in call("prune", "--older-than", "100").output
    after = rows_of(stored_bench.store)
    changed = {table for table in before if before[table] != after[table]}
    assert changed == {"run", "notification"}
    assert "dropped the samples of 0 runs" in call("prune", "--older-than", "100").output


def test_what_is_young_stays(stored_bench: Bench, call: Call) -> None:
    story(stored_bench)
    before = rows_of(stored_bench.store, times=True)
    call("prune", "--older-than", "36500")
    assert rows_of(stored_bench.store, times=True) == before


# --- points as a table ------------------------------------------------------------------------------------------------


def write(bench: Bench, path: Path, format: str) -> None:
    with bench.store.reading() as tx:
        point_files.write_points(Reading(tx, queries.project(tx, "attention"), NOON), path, format)


@pytest.mark.parametrize("format", sorted(point_files.WRITERS))
def test_every_point_is_written_in_each_format(stored_bench: Bench, tmp_path: Path, format: str) -> None:
    report = stored_bench.report(0, {"time_=HYPERLINK(1)": 0.1, "time_b": None})
    odd = Measurement("time_=HYPERLINK(1)", ("'a\n;\"b'",), 1 / 3, 0.25, 0.5)
    stored_bench.ingest(replace(report, measurements=(odd,)))
    write(stored_bench, tmp_path / "points", format)
    if format == "parquet":
        rows = parquet.read_table(tmp_path / "points").to_pylist()
    elif format == "json":
        rows = json.loads((tmp_path / "points").read_text())
    else:
        with (tmp_path / "points").open(newline="") as file:
            rows = list(csv.DictReader(file))
    first, second = sorted(rows, key=lambda row: row["benchmark"])
    assert (float(first["value"]), float(first["q25"]), first["benchmark"]) == (1 / 3, 0.25, "time_=HYPERLINK(1)")
    assert json.loads(first["params"]) == ["'a\n;\"b'"]
    assert (second["value"] or None, second["skip"]) == (None, "it failed")
    assert first["commit"] == stored_bench.commit(0).hash


def test_a_table_of_points_overwrites_nothing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("mine")
    with pytest.raises(SettingsError, match="is there already"):
        write(bench, tmp_path / "points.csv", "csv")
    assert (tmp_path / "points.csv").read_text() == "mine"
