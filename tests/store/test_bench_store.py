"""The tool that measures the store: what it makes is what it says, and a target that is missed is called so."""

from __future__ import annotations

from pathlib import Path

from perfsvc import formats, git
from perfsvc.model import RunReport
from tools.bench_store.reading import LONG, _runs
from tools.bench_store.table import TARGETS, Table
from tools.bench_store.tree import SETS, Machine, Tree, shape


def test_at_full_size_the_tree_is_as_large_as_the_targets_want() -> None:
    machines = shape(1)
    assert sum(machine.runs for machine in machines) == 1_400
    assert sum(machine.series for machine in machines) == 28_000
    assert sum(machine.series * machine.runs for machine in machines) >= 6_000_000


def test_the_tree_is_read_whole_and_each_run_lies_on_its_commit(tmp_path: Path) -> None:
    made = Tree(tmp_path / "project", [Machine("large", 2, 4), Machine("small", 1, 3)])
    made.write()
    found = [report for report in formats.read(made.results) if isinstance(report, RunReport)]
    assert (
        (len(found), sum(len(report.measurements) for report in found)) == (made.files, made.points) == (7, 11 * SETS)
    )
    assert (
        len({(report.machine, m.benchmark, m.params) for report in found for m in report.measurements}) == made.series
    )
    line = [commit.hash for commit in git.first_parent_line(made.folder, "main")]
    assert {report.commit.hash for report in found} == set(line[:4])
    made.add_night()
    assert len(list(formats.read(made.results))) == made.files + 2


def test_a_long_history_is_as_long_as_it_says() -> None:
    (first, *_, last) = _runs("long0", 2, LONG)
    assert len(first.measurements) == len(last.measurements) == 2 * SETS
    assert first.commit.hash != last.commit.hash


def test_a_missed_target_is_called_so() -> None:
    table = Table()
    table.keep("alerts", "SQLite", 21.0)
    table.keep("ingest", "SQLite", 100_000.0)
    rows = table.markdown().splitlines()
    assert "| alerts | <= 20.0 ms | 21.0 ms (missed) |" in rows
    assert "| ingest | >= 100,000 points/s | 100,000 points/s |" in rows
    assert len(TARGETS) == 10
