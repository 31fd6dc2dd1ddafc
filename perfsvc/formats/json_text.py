"""JSON as other programs wrote it: bytes in, plain Python values out, or one line that says why not."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfsvc.errors import ResultFormatError

#: A larger file is not read at all: a result file of 28,000 series with samples has some 10 MB, and a document takes
#: up to twenty times its size in memory.
MAX_BYTES = 64 * 2**20

#: Deeper documents are kept by nobody: a column, a page and Python's own writer all have their limits.
MAX_DEPTH = 64

_BRIEF_LENGTH = 120
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 60
_BRIEF.maxlevel = 3

# NUL and halves of surrogate pairs are text that no database takes. JSON can only hold them as escapes.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def read_bytes(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file. Raises: ResultFormatError when it cannot be read or is larger than `limit`."""
    try:
        if not path.is_file():
            raise ResultFormatError(f"{path}: is not a file")
        size = path.stat().st_size
        if size > limit:
            raise ResultFormatError(f"{path}: has {size:,} bytes; at most {limit:,} are read")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ResultFormatError(f"{path}: cannot be read: {error}") from None


def load(data: bytes, place: str) -> Any:
    """Parse JSON, with the NaN and Infinity that asv writes. Raises: ResultFormatError, also for a key met twice."""
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
        return _storable(value) if _ESCAPED.search(data) else value
    except RecursionError:
        raise ResultFormatError(f"{place}: is nested too deeply to be read") from None
    except ValueError as error:  # also what is not UTF-8, and integers of thousands of digits
        raise ResultFormatError(f"{place}: is not JSON: {error}") from None


def load_object(data: bytes, place: str) -> dict[str, Any]:
    """As `load`, and an object. Raises: ResultFormatError for anything else."""
    value = load(data, place)
    if not isinstance(value, dict):
        raise ResultFormatError(f"{place}: holds {kind(value)}; wanted an object")
    return value


def strict(value: Any, place: str, depth: int = MAX_DEPTH) -> Any:
    """The same value without NaN and Infinity, which JSON columns and browsers refuse: null stands in for them.

    Raises: ResultFormatError when it is nested deeper than `depth`.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth == 0:
        raise ResultFormatError(f"{place}: is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {key: strict(item, place, depth - 1) for key, item in value.items()}
    return [strict(item, place, depth - 1) for item in value]


def kind(value: Any) -> str:
    """What a value is, in JSON's words, for messages."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def brief(value: object) -> str:
    """A value quoted for a message, cut where it is long or deep."""
    text = _BRIEF.repr(value)
    return text if len(text) <= _BRIEF_LENGTH else f"{text[: _BRIEF_LENGTH - 1]}…"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, unless a key stands in it twice: then either value may be the wrong one."""
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {brief(twice)} stands twice in one object")
    return made


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value
