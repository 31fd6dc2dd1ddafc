"""Guards from JUnit XML: what pytest 9 wrote for every way in which a test can end, and XML that means harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats.junit import MAX_BYTES, MESSAGE_LENGTH, read_guards
from perfsvc.model import GuardResult, Outcome

WRITTEN_BY_PYTEST = Path(__file__).parents[1] / "data" / "junit" / "pytest_9" / "every_outcome.xml"


def guards(text: str) -> tuple[GuardResult, ...]:
    return read_guards(f"<testsuites><testsuite>{text}</testsuite></testsuites>".encode(), "guards.xml")


def guard(
    body: str = "", attributes: str = 'classname="tests.guards.test_causal" name="test_x"', **told: str
) -> GuardResult:
    properties = "".join(f'<property name="{name}" value="{value}"/>' for name, value in told.items())
    (only,) = guards(f"<testcase {attributes}><properties>{properties}</properties>{body}</testcase>")
    return only


def test_every_outcome_of_pytest_is_told_apart() -> None:
    found = read_guards(WRITTEN_BY_PYTEST.read_bytes(), "guards.xml")
    assert {result.test.rpartition("::")[2]: (result.guard, result.outcome.value) for result in found} == {
        "test_import": ("test_import", "not run"),  # a module that could not be collected
        "test_future_tokens_change_nothing[naive]": ("G4", "passed"),
        "test_future_tokens_change_nothing[leaky]": ("G4", "failed"),
        "test_window": ("G5", "not applicable"),
        "test_gpu": ("test_causal", "not run"),
        "test_error_is_nan": ("test_causal", "passed"),
        "test_known": ("test_causal", "not run"),
        "test_teardown": ("test_causal", "not run"),
        "test_both": ("test_causal", "failed"),  # failed, and its teardown broke: written as two entries
        "test_needs": ("test_causal", "not run"),
        "test_one": ("test_causal", "passed"),
    }
    leaky = next(result for result in found if result.outcome is Outcome.FAILED and result.guard == "G4")
    assert (leaky.variant, leaky.device, leaky.dtype) == ("leaky", "cpu", "float32")
    assert (leaky.error, leaky.tolerance, leaky.covers) == (0.25, 1e-6, "forward.*'leaky'")
    assert leaky.message.startswith("AssertionError: a future token changes the past")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("", Outcome.PASSED),
        ('<failure message="wrong"/>', Outcome.FAILED),
        ('<failure message="Failed: Timeout (&gt;1.0s) from pytest-timeout."/>', Outcome.NOT_RUN),
        ('<error message="no module"/>', Outcome.NOT_RUN),
        ('<skipped message="Not applicable: no such variant"/>', Outcome.NOT_APPLICABLE),
        ("<skipped>not applicable: no such variant</skipped>", Outcome.NOT_APPLICABLE),
        ('<skipped message="no device"/>', Outcome.NOT_RUN),
        ("<skipped/>", Outcome.NOT_RUN),
        ("<system-out>text</system-out>", Outcome.PASSED),
    ],
)
def test_how_a_test_ended(body: str, outcome: Outcome) -> None:
    assert guard(body).outcome is outcome


@pytest.mark.parametrize(
    ("attributes", "stem"),
    [
        ('classname="tests.guards.test_causal" name="test_x"', "test_causal"),
        ('classname="tests.guards.test_causal.TestMask" name="test_x"', "test_causal"),
        ('classname="" name="tests.guards.test_causal"', "test_causal"),
        ('file="tests/guards/test_causal.py" classname="a.b" name="c"', "test_causal"),
        ('file="tests\\guards\\test_causal.py" name="c"', "test_causal"),
        ("", ""),
    ],
)
def test_a_test_without_a_guard_is_called_after_its_file(attributes: str, stem: str) -> None:
    assert guard(attributes=attributes).guard == stem


def test_a_property_of_the_suite_holds_for_its_tests() -> None:
    common = '<properties><property name="device" value="mps"/></properties>'
    own = '<testcase name="b"><properties><property name="device" value="cpu"/></properties></testcase>'
    assert [each.device for each in guards(f'{common}<testcase name="a"/>{own}')] == ["mps", "cpu"]


@pytest.mark.parametrize("value", ["nan", "inf", "much"])
def test_an_error_that_is_no_finite_number_is_told_in_words(value: str) -> None:
    result = guard('<failure message="wrong"/>', error=value, tolerance="1e-3")
    assert (result.error, result.tolerance) == (None, 1e-3)
    assert result.message == f"wrong\nerror is '{value}'"


def test_a_guard_whose_covers_is_no_pattern_covers_everything() -> None:
    result = guard(covers="forward(")
    assert result.covers == ""
    assert "taken for everything" in result.message


def test_a_message_is_bounded() -> None:
    assert len(guard(f'<failure message="x">{"y" * 10_000}</failure>').message) == MESSAGE_LENGTH


def test_markup_in_a_name_stays_text() -> None:
    assert guard(attributes='name="&lt;script&gt;"').test == "<script>"


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuites><testsuite name="&b;"/></testsuites>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuites><testsuite name="&a;"/></testsuites>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not XML: no element found"),
        ("<testsuites><testsuite>", "is not XML: no element found"),
        ("{}", "is not XML: not well-formed"),
        ("<html/>", "is XML of 'html'; wanted JUnit's <testsuites>"),
        (BOMB, "defines entities, which are not read"),
        (FILE, "defines entities, which are not read"),
        ('<?xml version="1.0" encoding="klingon"?><testsuites/>', "is not XML"),
        (" " * (MAX_BYTES + 1), "has 67,108,865 bytes; at most 67,108,864 are read"),
    ],
)
def test_what_is_not_junit_is_refused(text: str, message: str) -> None:
    with pytest.raises(ResultFormatError, match=f"guards.xml: {message}"):
        read_guards(text.encode(), "guards.xml")


def test_deep_nesting_does_no_harm() -> None:
    deep = "<a>" * 100_000 + "</a>" * 100_000
    assert guards(f"{deep}<testcase name='x'/>")[0].test == "x"
