"""Keep and answer. The only place that knows SQL: tables, migrations, writes, queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import Connection, Engine

from perfsvc.store import engine as databases


class Store:
    """An open database. `reading()` and `writing()` are transactions, handed to the functions of queries and writes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Raises: NotFound when it was never created; DatabaseVersionError when it is not this version's."""
        engine = databases.open_engine(url)
        databases.require_current(engine)
        return cls(engine)

    @classmethod
    def create(cls, url: str) -> Self:
        """Open it; create the tables, or bring them to this version's, where that is needed."""
        engine = databases.open_engine(url)
        databases.upgrade(engine)
        return cls(engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with databases.reading(self.engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with databases.writing(self.engine) as connection:
            yield connection

    def compact(self) -> None:
        """Give the room of dropped rows back to the file system. PostgreSQL does so by itself."""
        databases.compact(self.engine)

    def close(self) -> None:
        self.engine.dispose()
