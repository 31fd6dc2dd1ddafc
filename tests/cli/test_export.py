"""`export`: what is kept, as a tree that asv and this service read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from perfsvc.rows import SeriesRow
from perfsvc.store import Store, queries
from tests.bench import Bench
from tests.cli.conftest import Call


def values(home: Path, project: str) -> dict[SeriesRow, list[tuple[object, ...]]]:
    """Every number of a project under the identity of its series."""
    store = Store.open(f"sqlite:///{home / 'perfsvc.sqlite'}")
    with store.reading() as tx:
        rows = queries.series(tx, queries.project(tx, project).id)
        points = queries.points_of(tx, [row.id for row in rows])
    store.close()
    return {
        replace(row, id=0, project=""): [
            (p.commit.hash, p.commit.authored_at, p.value, p.q25, p.q75) for p in points[row.id]
        ]
        for row in rows
        if row.id in points
    }


def test_an_ingested_tree_goes_out_and_comes_in_as_it_was(
    perfsvc: Call, tree: Path, home: Path, tmp_path: Path
) -> None:
    perfsvc("ingest", str(tree), "-p", "first")
    said = perfsvc("export", "-p", "first", str(tmp_path / "out"))
    assert (said.code, said.out) == (0, f"first: 3 result files in {tmp_path / 'out'}\n")
    perfsvc("ingest", str(tmp_path / "out"), "-p", "second")
    first = values(home, "first")
    assert values(home, "second") == first
    assert len(first) == 12
    assert all(len(points) == 3 for points in first.values())


def test_an_excluded_run_stays_here(perfsvc: Call, story: Bench, tmp_path: Path) -> None:
    run = perfsvc("runs", "--json").json()["runs"][0]
    perfsvc("exclude", str(run["id"]), "--reason", "somebody compiled beside it")
    perfsvc("export", str(tmp_path / "out"))
    files = list((tmp_path / "out").rglob("*-*.json"))
    told = {json.loads(file.read_text())["commit_hash"] for file in files}
    assert len(told) == 15
    assert run["commit"]["hash"] not in told


def test_what_is_there_is_not_written_over(perfsvc: Call, story: Bench, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    said = perfsvc("export", str(tmp_path / "out"))
    assert (said.code, "is there already" in said.err) == (2, True)


@pytest.mark.parametrize(("name", "more"), [("points.csv", ()), ("points", ("--format", "csv"))])
def test_a_table_is_asked_for_by_the_ending_or_by_its_name(
    perfsvc: Call, story: Bench, tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    said = perfsvc("export", *more, str(tmp_path / name))
    assert (said.code, said.out) == (0, f"attention: 32 points in {tmp_path / name}\n")
    assert len((tmp_path / name).read_text().splitlines()) == 33


def test_a_format_that_nobody_writes_is_told(perfsvc: Call, story: Bench, tmp_path: Path) -> None:
    said = perfsvc("export", "--format", "auto", str(tmp_path / "out"))
    assert (said.code, "'auto' is no format to write; wanted asv, parquet, csv, json" in said.err) == (2, True)
    assert not (tmp_path / "out").exists()
