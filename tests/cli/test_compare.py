"""`perfsvc compare`: what it refuses, and what it prints."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsvc.cli import answers, comparing
from perfsvc.cli.output import plain
from perfsvc.work.comparing import Compared, Comparison, Verdict
from tests.cli.conftest import Call
from tests.cli.toy import BROKEN, FILES, SLOWER, Toy

HOSTILE = "x|y`z`<img src=x>@everyone [a](http://b.c) **b** www.d.e \u202e\n# top"


def compared(verdict: Verdict, label: str = "b.time_x(1)", reason: str = "") -> Compared:
    return Compared(label, "time", "seconds", False, verdict, reason, 1.05, 1.03, 1.07, 1e-3, 1.05e-3, 10, 0.02)


def comparison(*rows: Compared, failing: tuple[str, ...] = ()) -> Comparison:
    return Comparison("a" * 40, "b" * 40, "cpu", rows, failing, (), 61.0)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("no-such-branch",), "no commit is called 'no-such-branch'"),
        (("--", "--upload-pack=x"), "is not a revision"),
        (("HEAD", "HEAD", "--bench", "nothing"), "matches none of speed.time_work, speed.track_steps"),
        (("HEAD", "--bench", "("), "not a regular expression"),
        (("HEAD", "--pairs", "7"), "none of 6, 10, 14, 20"),
        (("HEAD", "--minimum-effect", "0"), "minimum-effect"),
        (("HEAD", "--guards"), "has none"),
        (("HEAD", "--json", "--markdown"), "exclude each other"),
        (("HEAD", "--suite", "nowhere"), "no commit is called 'nowhere'"),
        ((), "BASE"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(
    perfsvc: Call, toy: Toy, arguments: tuple[str, ...], reason: str
) -> None:
    said = perfsvc("compare", *arguments)
    assert said.code == 2
    # A usage error is drawn in a box, which may break a line anywhere.
    assert "".join(reason.split()) in re.sub(r"[\s│]", "", said.err)
    assert said.out == ""


def test_one_must_stand_in_a_project(perfsvc: Call) -> None:
    said = perfsvc("compare", "main")
    assert (said.code, "asv quickstart" in said.err) == (2, True)


def test_a_suite_that_does_not_import_says_so_with_its_trace(perfsvc: Call, toy: Toy) -> None:
    toy.commit("a broken suite", ("benchmarks/speed.py", BROKEN))
    said = perfsvc("compare", "HEAD~1", "HEAD", "--json")
    assert (said.code, said.out) == (3, "")
    assert "no benchmark imports" in said.err
    assert "toy is broken on purpose" in said.err


def test_a_head_that_does_not_import_fails_and_is_worse(perfsvc: Call, toy: Toy) -> None:
    toy.commit("a broken package", ("toy/__init__.py", BROKEN))
    toy.write("NOTES", "not committed\n")
    said = perfsvc("compare", "HEAD~1", "HEAD", "--json")
    rows = said.json()["comparison"]["rows"]
    assert said.code == 1
    assert {row["verdict"] for row in rows} == {"fails"}
    assert all("toy is broken on purpose" in row["reason"] for row in rows)
    assert "uncommitted changes are not measured" in said.err


def test_both_sides_broken_is_no_answer(perfsvc: Call, toy: Toy) -> None:
    toy.commit("a broken package", ("toy/__init__.py", BROKEN))
    said = perfsvc("compare", "HEAD", "HEAD")
    assert said.code == 3
    assert "nothing can be compared; speed.t" in said.err


def test_an_exact_count_needs_one_round(perfsvc: Call, toy: Toy) -> None:
    said = perfsvc("compare", "HEAD~1", "--bench", "track_steps")
    assert said.code == 1
    assert "exact: 45 before, 55 now" in said.out
    said = perfsvc("compare", "HEAD~2", "HEAD~1", "--bench", "track_steps", "--markdown")
    assert said.code == 0
    assert said.out.startswith("**Nothing slower**")


def test_a_guard_that_breaks_makes_what_it_covers_wrong(
    perfsvc: Call, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["python", "-m", "pytest", "tests", "-q", "-p", "no:cacheprovider", "--junitxml={junit}"]
    monkeypatch.setenv("PERFSVC_GUARDS__COMMAND", json.dumps(command))
    guard = "import toy\n\ndef test_sum():\n    assert toy.work(10) == 45\n"
    good = toy.commit("back", ("toy/__init__.py", FILES["toy/__init__.py"]), ("tests/test_toy.py", guard))
    toy.commit("wrong", ("toy/__init__.py", SLOWER))
    said = perfsvc("compare", good, "--bench", "track_steps", "--guards", "--json")
    told = said.json()["comparison"]
    assert said.code == 1
    assert [(row["label"], row["verdict"]) for row in told["rows"]] == [("speed.track_steps", "wrong")]
    assert "fails on head; slower: exact: 45 before, 55 now" in told["rows"][0]["reason"]
    assert len(told["failing"]) == 1
    assert "test_sum" in told["failing"][0]


def test_asvs_own_command_line_tells_the_same(perfsvc: Call, toy: Toy) -> None:
    said = perfsvc("compare", "HEAD~1", "--bench", "track_steps", "--asv")
    assert said.code == 1
    assert "exact: 45 before, 55 now" in said.out


def test_the_answer_is_a_sentence() -> None:
    rows = [compared(Verdict.SLOWER), compared(Verdict.SAME), compared(Verdict.SAME)]
    told = answers.sentence(comparison(*rows, failing=("G4 test_x",)))
    assert told == "bbbbbbbb against aaaaaaaa on cpu: 1 slower, 2 same; 1 guard broken; in 1 min"


def test_markdown_folds_away_what_need_not_be_read() -> None:
    told = "\n".join(answers.markdown(comparison(compared(Verdict.SLOWER), compared(Verdict.SAME, "b.time_y"))))
    before, _, after = told.partition("<details>")
    assert before.startswith("**Slower, wrong or failing**")
    assert "1.05x slower" in html.unescape(before)
    assert ("time_y" in html.unescape(before), "time_y" in html.unescape(after)) == (False, True)


def test_hostile_names_stay_text() -> None:
    done = comparison(compared(Verdict.SLOWER, HOSTILE, HOSTILE), failing=(HOSTILE,))
    told = "\n".join(answers.markdown(done))
    for poison in ("<img", "@everyone", "[a](", "**b**", "`z`", "http://", "www.d", "\n# top", "x|y"):
        assert poison not in told
    (line,) = (line for line in told.splitlines() if "slower" in line and line.startswith("|"))
    assert line.count("|") == len(answers.COLUMNS) + 1


@given(st.text())
def test_a_cell_is_one_line_of_letters_and_entities(text: str) -> None:
    told = answers.cell(text)
    inner = told.removeprefix("<code>").removesuffix("</code>")
    assert html.unescape(inner) == plain(text).strip()
    assert all(c.isalnum() or c in "&#; " for c in inner)


def test_json_holds_what_programs_need(capsys: pytest.CaptureFixture[str]) -> None:
    comparing.tell(comparison(compared(Verdict.SLOWER)), as_json=True, as_markdown=False)
    told = json.loads(capsys.readouterr().out)["comparison"]
    assert (told["base"], told["head"], told["is_worse"]) == ("a" * 40, "b" * 40, True)
    assert told["rows"][0]["verdict"] == "slower"
    assert (told["rows"][0]["ratio"], told["rows"][0]["pairs"]) == (1.05, 10)
