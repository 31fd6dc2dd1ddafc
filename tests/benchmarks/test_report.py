"""The seeds' tables: what is measured stands beside what they said."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.report import Timing


def test_a_pair_is_a_table_and_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = iter([Timing(3.0, 0.1), Timing(2.0, 0.2)] * 2)
    monkeypatch.setattr(report, "timing", lambda body: (body(), next(given))[1])
    monkeypatch.setattr(report, "INPUTS", dict.fromkeys(report.INPUTS, (report.head, "b4_t64_c64")))
    assert report.main(["pair", str(tmp_path)]) == 0
    assert "| attention forward | 3.00 ms | 2.00 ms | 1.50x | 1.44x |" in capsys.readouterr().out
    for which, median in (("baseline", 3.0), ("optimized", 2.0)):
        told = json.loads((tmp_path / f"phase4_numbers_{which}.json").read_text())
        assert told["benchmarks"]["train step"]["median_ms"] == median
        assert told["about"]["device"] == "cpu"


def test_shares_are_of_the_whole_and_stand_beside_the_seeds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "WIDTH", 64)
    monkeypatch.setattr(report, "HEADS", 4)
    monkeypatch.setattr(report, "LENGTHS", (8,))
    milliseconds = iter([6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 20.0])  # the seven parts, the whole last
    monkeypatch.setattr(report, "timing", lambda body, **_: (body(), Timing(next(milliseconds), 0.0))[1])
    assert report.main(["shares"]) == 0
    table = capsys.readouterr().out
    assert "| projection | 6 ms, 30% (21 ms) |" in table
    assert "| rest | 9 ms, 45% |" in table
    assert "| whole | 20 ms, 100% |" in table


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report.main(["pair", str(tmp_path / "nowhere")])
    assert "nowhere is no folder" in capsys.readouterr().err


def test_a_timing_is_of_the_calls_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now, costs = [0.0], iter([9.0, 9.0, 0.001, 0.002, 0.003, 0.004])
    monkeypatch.setattr(report.devices, "clock", lambda: now[0])
    took = report.timing(lambda: now.__setitem__(0, now[0] + next(costs)), calls=4, warm_ups=2)
    assert took.milliseconds == pytest.approx(2.5)
    assert took.spread == pytest.approx(2.0)
