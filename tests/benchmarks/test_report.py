"""The seeds' tables: what is measured stands beside what they said."""

import json
from pathlib import Path

import pytest

from benchmarks import medians, report, seeds
from benchmarks.medians import Timing


def test_a_pair_is_a_table_and_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = iter([Timing(3.0, 0.1), Timing(2.0, 0.2)] * 2)
    monkeypatch.setattr(seeds, "timing", lambda body: (body(), next(given))[1])
    monkeypatch.setattr(seeds, "PAIRS", dict.fromkeys(seeds.PAIRS, (seeds.head, "b4_t64_c64")))
    assert report.main(["--seed", "000", "--folder", str(tmp_path)]) == 0
    assert "| attention forward | 3.00 ms | 2.00 ms | 1.50x | 5.31 ms | 3.7 ms | 1.44x |" in capsys.readouterr().out
    for which, median in (("baseline", 3.0), ("optimized", 2.0)):
        told = json.loads((tmp_path / f"phase4_numbers_{which}.json").read_text())
        assert told["benchmarks"]["train step"]["median_ms"] == median
        assert told["about"]["device"] == "cpu"


def test_a_decoder_stands_beside_the_rnn_and_a_preset_beside_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "_best", lambda bodies: {name: 2.0 + place for place, name in enumerate(bodies)})
    monkeypatch.setattr(seeds.compiler, "lacking", lambda: "a C++ compiler")
    cosines = {"rnn": 0.5, "maximum_speed": 0.8, "balanced": 0.8, "maximum_quality": 0.9}
    monkeypatch.setattr(seeds, "recalled", lambda variant, name: lambda: cosines[variant])
    rows = seeds.seed_001().splitlines()
    assert "| attention as it was | recompute | 3.00 ms | 1.50x | 450 ms | 10.00x |" in rows
    assert "| with torch.compile | batched | wants a C++ compiler |  | 55 ms | 1.22x |" in rows
    assert "| maximum_speed | 0.67x | +0.30 | 75% | 3-5x | 90 % |" in rows


def test_what_was_audited_is_counted() -> None:
    rows = seeds.seed_002().splitlines()
    assert rows[2] == "| transfers to the host in hot paths (head, kernel, decode) | 0 | 0 |"
    assert rows[3].startswith("| bytes for 8 heads that share one key head | ")
    error = float(rows[4].split("|")[2])
    assert 0 < error < 1e-6


def test_caches_stand_beside_concatenation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "_best", lambda bodies: {"concat": 4.0, "static": 2.0, "paged": 1.0})
    rows = seeds.seed_003().splitlines()
    assert rows[3].startswith("| static | 2.00 ms | 2.000 ms | 500 | 2.00x |")
    assert rows[4].endswith("| paged, with Metal kernels | 592 ms | 70.75 ms | 0.75x |")


def test_shares_are_of_the_whole_and_stand_beside_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "WIDTH", 64)
    monkeypatch.setattr(seeds, "HEADS", 4)
    monkeypatch.setattr(seeds, "LENGTHS", (8,))
    monkeypatch.setattr(seeds, "SEED_004_MASK", {8: 0.0099})
    parts = [6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 20.0]  # the seven parts, the whole last
    milliseconds = iter([*parts, 0.5, 0.25, 0.125])
    monkeypatch.setattr(seeds, "timing", lambda body, **_: (body(), Timing(next(milliseconds), 0.0))[1])
    rows = seeds.seed_004().splitlines()
    assert "| projection | 6 ms, 30% (21 ms) |" in rows
    assert "| attention | 4 ms, 20% (0.1198 ms) |" in rows
    assert "| rest | 9 ms, 45% |" in rows
    assert "| whole | 20 ms, 100% |" in rows
    assert "| element_loop | 0.5 ms |" in rows
    assert "| theirs | 0.0099 ms |" in rows


def test_every_seed_is_printed_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report.seeds, "TABLES", {name: lambda name=name: f"table {name}" for name in report.TITLES})
    assert report.main([]) == 0
    told = capsys.readouterr().out
    assert [f"table {name}" in told for name in ("000", "001", "002", "003", "004")] == [True] * 5


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--folder", "nowhere"], "nowhere is no folder"), (["--seed", "7"], "invalid choice: '7'")]
)
def test_a_wrong_call_says_what_is_wanted(arguments, said, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        report.main(arguments)
    assert said in capsys.readouterr().err


def test_a_timing_is_of_the_calls_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now, costs = [0.0], iter([9.0, 9.0, 0.001, 0.002, 0.003, 0.004])
    monkeypatch.setattr(medians.devices, "clock", lambda: now[0])
    took = medians.timing(lambda: now.__setitem__(0, now[0] + next(costs)), calls=4, warm_ups=2)
    assert took.milliseconds == pytest.approx(2.5)
    assert took.spread == pytest.approx(2.0)
