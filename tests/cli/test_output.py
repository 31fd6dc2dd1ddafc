"""Tables: a line a row, nothing cut, nothing that a measured repository could forge."""

import io
import sys

import pytest
from rich.cells import cell_len

from perfsvc.cli.output import Column, open_streams, plain, print_json, print_lines, table, tell_alerts
from tests.bench import Bench

WORD = Column("word", lambda row: row[0])
ON = Column("on", lambda row: row[1], once=True)


def test_columns_line_up_and_the_last_has_no_tail() -> None:
    said, *lines = table([("a", "m1"), ("longer", "box")], [WORD, ON])
    assert said == ""
    assert lines == ["word    on", "a       m1", "longer  box"]


def test_a_column_without_words_is_left_out() -> None:
    assert list(table([("", "m1"), ("", "box")], [WORD, ON])) == ["", "on", "m1", "box"]


def test_what_every_row_says_is_said_above() -> None:
    assert list(table([("a", "m1"), ("b", "m1")], [WORD, ON])) == ["on m1", "word", "a", "b"]


def test_wide_letters_are_counted_as_wide() -> None:
    _, _, wide, narrow = table([("幅広", "m1"), ("abcd", "box")], [WORD, ON])
    assert cell_len(wide.split("m1")[0]) == cell_len(narrow.split("box")[0])


@pytest.mark.parametrize("text", ["a\x1b[31mred", "two\nlines", "back\rwards", "right\u202eleft", "null\0", "a\u2028b"])
def test_text_from_elsewhere_cannot_move_the_cursor_or_begin_a_line(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


def test_brackets_are_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(["[red]not markup[/red] [link=x]y[/link]"])
    assert capsys.readouterr().out == "[red]not markup[/red] [link=x]y[/link]\n"


def test_a_terminal_that_knows_no_greek_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    open_streams()
    print_lines(["3.4 µs"])
    print_json("rows", ["µ"])
    sys.stdout.flush()
    assert raw.getvalue().decode("ascii").startswith("3.4 \\xb5s\n")


def test_of_many_new_alerts_the_first_are_told_and_the_rest_counted(
    story: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    one = story.alerts()[0].alert
    tell_alerts([one] * 12)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["ALERT"] * 10 + ["and"]
    assert said[-1] == "and 2 more: perfsvc alerts"
