"""facts.jsonl: a good line is a fact, a bad one a complaint with its number."""

from __future__ import annotations

import json

import pytest

from perfsvc.formats.facts import read_facts
from perfsvc.model import Fact

GOOD = {
    "benchmark": "forward.Kernels.time_forward",
    "params": ["'sdpa'", "16"],
    "operators": {"aten::mm": 3},
    "backend": "flash",
    "device_state": {"allocated": 1024, "temperature": float("nan")},
    "imported_from": "attention/__init__.py",
    "something_new": 1,
}


def test_a_line_is_a_fact() -> None:
    facts, complaints = read_facts(json.dumps(GOOD).encode(), "facts.jsonl")
    assert complaints == ()
    assert facts == (
        Fact(
            "forward.Kernels.time_forward",
            ("'sdpa'", "16"),
            {"aten::mm": 3},
            "flash",
            {"allocated": 1024, "temperature": None},
            "attention/__init__.py",
        ),
    )


@pytest.mark.parametrize("word", ["skipped", "failed"])
def test_a_case_without_a_number_may_tell_its_reason(word: str) -> None:
    ((fact,), _) = read_facts(json.dumps({"benchmark": "b", word: "too little memory"}).encode(), "facts.jsonl")
    assert fact == Fact("b", (), reason="too little memory")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"benchmark": "x", ', "is not JSON"),
        ("[]", "holds a list; wanted an object"),
        ('{"operators": {}}', "has no benchmark"),
        ('{"benchmark": 7}', "benchmark is 7; wanted a text"),
        ('{"benchmark": "x", "params": "y"}', "params is 'y'; wanted a list"),
        ('{"benchmark": "x", "params": [16]}', "params is [16]; wanted a list, each of it a text"),
        ('{"benchmark": "x", "operators": [1]}', "operators is [1]; wanted an object"),
        ('{"benchmark": "x", "operators": ' + '{"a":' * 99 + "1" + "}" * 99 + "}", "is nested deeper than 64 levels"),
    ],
)
def test_a_bad_line_is_a_complaint_and_the_rest_goes_in(line: str, reason: str) -> None:
    text = f'{{"benchmark": "a"}}\n{line}\r\n\n{{"benchmark": "b"}}'
    facts, (complaint,) = read_facts(text.encode(), "facts.jsonl")
    assert [fact.benchmark for fact in facts] == ["a", "b"]
    assert complaint.place == "facts.jsonl:2"
    assert complaint.reason.startswith(reason)


def test_an_empty_file_holds_nothing() -> None:
    assert read_facts(b"", "facts.jsonl") == ((), ())
