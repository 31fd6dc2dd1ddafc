"""One JSON object, asked key by key: what is missing is empty, what is of the wrong kind is told with its place."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text

_HASH = re.compile(r"[0-9a-fA-F]{6,64}")
_LARGEST = 2**63 - 1  # what an integer column holds


class Words:
    """An object of a document. `place` is its file and, for an inner object, its key."""

    def __init__(self, told: Any, place: str) -> None:
        self._told = json_text.strict(told, place)
        self.place = place

    def text(self, key: str, *, needed: bool = False) -> str:
        """A text, or the empty one. Raises: ResultFormatError, also when it is needed and is not there."""
        value = self._of(key, str, "")
        if needed and not value:
            raise ResultFormatError(f"{self.place}: has no {key}")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self._each(key, str))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A list of pairs of texts."""
        pairs = self._each(key, list)
        if not all(len(pair) == 2 and all(isinstance(part, str) for part in pair) for pair in pairs):
            raise ResultFormatError(f"{self.place}: {key} are {json_text.brief(pairs)}; wanted pairs of texts")
        return tuple((first, second) for first, second in pairs)

    def object(self, key: str) -> dict[str, Any]:
        """An object, or an empty one."""
        value: dict[str, Any] = self._of(key, dict, {})
        return value

    def objects(self, key: str) -> list[dict[str, Any]]:
        """A list of objects."""
        return self._each(key, dict)

    def values(self, key: str) -> list[Any]:
        """A list of anything."""
        return self._each(key, object)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._told)

    def value(self, key: str) -> Any:
        """Whatever stands there."""
        return self._told.get(key)

    def flag(self, key: str) -> bool:
        """A truth; what is missing is none."""
        return bool(self._of(key, bool, False))

    def inner(self, key: str) -> Words:
        """An object, to be asked in its turn."""
        return Words(self.object(key), f"{self.place}: {key}")

    def integer(self, key: str) -> int | None:
        """A whole number that a database column holds."""
        value = self._of(key, int, None)
        if isinstance(value, bool) or (value is not None and abs(value) > _LARGEST):
            raise self._wrong(key, value, "a whole number")
        return value if value is None else int(value)

    def real(self, key: str) -> float | None:
        """A number. NaN and Infinity are none."""
        value = self._of(key, (int, float), None)
        if isinstance(value, bool) or (isinstance(value, int) and abs(value) > _LARGEST):
            raise self._wrong(key, value, "a number")
        return value if value is None else float(value)

    def moment(self, key: str) -> datetime | None:
        """A time as ISO 8601 text; one without a zone is in UTC."""
        text = self.text(key)
        try:
            moment = datetime.fromisoformat(text) if text else None
            aware = moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
            return aware and aware.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self._wrong(key, text, "a time such as 2026-01-31T22:00:00+00:00") from None

    def hash(self, key: str) -> str:
        """A commit's hash, in small letters. It must be there."""
        value = self.text(key, needed=True)
        if not _HASH.fullmatch(value):
            raise self._wrong(key, value, "a hash in hexadecimal")
        return value.lower()

    def _of(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = self._told.get(key)
        if value is None:
            return default
        if not isinstance(value, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            raise self._wrong(key, value, json_text.kind(kinds[0]()))
        return value

    def _each(self, key: str, kind: type) -> list[Any]:
        values: list[Any] = self._of(key, list, [])
        if not all(isinstance(value, kind) for value in values):
            raise self._wrong(key, values, f"a list, each of it {json_text.kind(kind())}")
        return values

    def _wrong(self, key: str, value: Any, wanted: str) -> ResultFormatError:
        return ResultFormatError(f"{self.place}: {key} is {json_text.brief(value)}; wanted {wanted}")
