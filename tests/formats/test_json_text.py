"""JSON from elsewhere: what is refused, what is mended, what a message quotes."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text


def test_the_numbers_that_asv_writes_are_read() -> None:
    nan, infinity = json_text.load(b"[NaN, -Infinity]", "x")
    assert nan != nan
    assert infinity == float("-inf")
    assert json_text.strict([nan, (infinity, 1)], "x") == [None, [None, 1]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x: is not JSON: Expecting value"),
        (b"\x80", "x: is not JSON: 'utf-8' codec"),
        (b"[" * 10**6, "x: is nested too deeply to be read"),
        (b'{"a": {"b": 1, "b": 1}}', "x: is not JSON: the key 'b' stands twice in one object"),
        (b"1" * 5000, "x: is not JSON: Exceeds the limit"),
        (b"7", "x: holds a number; wanted an object"),
    ],
)
def test_what_cannot_be_read_is_told(data: bytes, message: str) -> None:
    with pytest.raises(ResultFormatError, match=message):
        json_text.load_object(data, "x")


def test_deep_documents_are_not_kept() -> None:
    deep = json_text.load(b"[" * 65 + b"]" * 65, "x")
    assert json_text.strict(deep[0], "x")
    with pytest.raises(ResultFormatError, match="x: is nested deeper than 64 levels"):
        json_text.strict(deep, "x")


def test_only_text_that_no_database_takes_is_mended() -> None:
    assert json_text.load(rb'{"\u0000": ["\ud83d\ude42", "\ud83d", "\u00e9"]}', "x") == {
        "\ufffd": ["\U0001f642", "\ufffd", "é"],
    }


def test_a_quoted_value_is_short_however_long_or_deep_it_is() -> None:
    assert len(json_text.brief("a" * 10_000)) <= 60
    assert len(json_text.brief([["a" * 100] * 100] * 100)) <= 120
    assert len(json_text.brief(10**4000)) < 60


def test_a_file_that_is_too_large_or_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(ResultFormatError, match="large: has 11 bytes; at most 10 are read"):
        json_text.read_bytes(tmp_path / "large", limit=10)
    with pytest.raises(ResultFormatError, match="is not a file"):
        json_text.read_bytes(tmp_path)
