"""The figures that the suites must reach: what is counted, and what is wanted of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import bench_suites
from tools.bench_suites import Figure

ROOT = Path(__file__).parents[2]


def test_a_figure_says_what_was_wanted_and_whether_it_is_reached() -> None:
    assert str(Figure("series", 59, "series", least=60)) == "| series | at least 60 | 59 series | not reached |"
    assert str(Figure("seconds", 180, "s", most=180)) == "| seconds | at most 180 | 180 s |  |"
    assert str(Figure("found", 2, "of 10")) == "| found | for comparison | 2 of 10 |  |"


def test_what_is_planted_fits_the_code_as_it_is() -> None:
    (edit,) = bench_suites.SLOWER.edits
    assert (ROOT / edit.file).read_text().count(edit.find) == 1


def test_what_is_planted_takes_five_percent_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that every look moves on by a millisecond, and the head itself by a second."""
    now = [0.0]

    def tick(seconds: float = 0.001) -> float:
        now[0] += seconds
        return now[0]

    (edit,) = bench_suites.SLOWER.edits
    scope: dict[str, object] = {}
    exec(f"def forward(self, x):\n{edit.replace}", scope)
    monkeypatch.setattr("time.thread_time", tick)
    head = SimpleNamespace(query=str, key=str, value=str, _attend=lambda *_: tick(1.0), _project_out=str)
    scope["forward"](head, "x")
    assert now[0] == pytest.approx(1.05, abs=0.005)


def row(label: str, head: float, *, unit: str = "seconds", exact: bool = False, base: float = 1.0) -> dict[str, object]:
    return {"label": label, "unit": unit, "exact": exact, "base": base, "head": head, "verdict": "same"}


def test_equal_code_is_judged_by_the_spread_of_its_medians(monkeypatch, tmp_path) -> None:
    sittings = iter(
        [
            [row("a", 1.0), row("b", 2.0), row("c", 3.0), row("count", 5, unit="operators", exact=True, base=5)],
            [row("a", 1.0), row("b", 2.2), row("c", 3.0), row("count", 5, unit="operators", exact=True, base=4)],
        ]
    )
    monkeypatch.setattr(bench_suites, "_history", lambda *_: (tmp_path, ("base", "head")))
    monkeypatch.setattr(bench_suites, "_compare", lambda *_: {"rows": next(sittings)})
    spread, odd, spoke = bench_suites.aa(tmp_path, 2)
    assert spread.found == 0.0  # the median of three: one of them moved by 7 %
    assert spread.holds
    assert (odd.found, odd.holds) == (1, False)
    assert (spoke.found, spoke.unit) == (0, "of 8")


def test_a_slower_head_is_asked_of_both(monkeypatch, tmp_path) -> None:
    asked: list[tuple[str, ...]] = []

    def asv(_: Path, *arguments: str) -> str:
        asked.append(arguments)
        return "| + | 1.0 | 1.06 | 1.06 | case |" if arguments[:3] == ("compare", "-f", "1.03") else ""

    monkeypatch.setattr(bench_suites, "_history", lambda *_: (tmp_path, ("base", "head")))
    monkeypatch.setattr(bench_suites, "_compare", lambda *_: {"rows": [{"verdict": "slower"}]})
    monkeypatch.setattr(bench_suites, "_asv", asv)
    found, longest, *others = bench_suites.five_percent(tmp_path, 2)
    assert (found.found, found.least, found.holds) == (2, 1.8, True)
    assert longest.holds
    assert [figure.found for figure in others] == [0, 0, 2]
    assert [words[:3] for words in asked[:5]] == [
        ("continuous", "-a", "rounds=2"),
        ("compare", "-f", "1.1"),
        ("compare", "-f", "1.05"),
        ("continuous", "-a", "rounds=6"),
        ("compare", "-f", "1.03"),
    ]


def test_a_figure_that_is_not_reached_is_told_by_the_exit_code(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setitem(bench_suites.PARTS, "quick", lambda *_: iter([Figure("series", 59, "series", least=60)]))
    assert bench_suites.main(["--part", "quick", "--folder", str(tmp_path)]) == 1
    assert "| series | at least 60 | 59 series | not reached |" in capsys.readouterr().out


def test_a_part_that_there_is_not_is_refused(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench_suites.main(["--part", "everything"])
    assert "invalid choice: 'everything'" in capsys.readouterr().err
