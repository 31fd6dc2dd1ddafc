"""A database of our own on each of the two systems, empty at first and gone afterwards."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError


@dataclass(frozen=True, slots=True)
class Database:
    system: str
    url: str
    size: Callable[[], int]  #: bytes


New = Callable[[], AbstractContextManager[Database]]


def systems(folder: Path, server: str) -> list[New]:
    """How to make a new database on each system that is there."""
    found: list[New] = [partial(_sqlite, folder)]
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        admin.connect().close()
    except OperationalError:
        print(f"no PostgreSQL answers at {make_url(server)!r}: its column is left out", file=sys.stderr)
    else:
        found.append(partial(_postgresql, admin))
    return found


@contextmanager
def _sqlite(folder: Path) -> Iterator[Database]:
    place = folder / "sqlite"
    place.mkdir()
    yield Database(
        "SQLite", f"sqlite:///{place / 'store.sqlite'}", lambda: sum(p.stat().st_size for p in place.iterdir())
    )
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


@contextmanager
def _postgresql(admin: Engine) -> Iterator[Database]:
    name = f"perfsvc_bench_{os.getpid()}"

    def ask(sql: str) -> int:
        with admin.connect() as connection:
            return int(connection.exec_driver_sql(sql).scalar_one())

    def command(sql: str) -> None:
        with admin.connect() as connection:
            connection.exec_driver_sql(sql)

    command(f"CREATE DATABASE {name}")
    empty = ask(f"SELECT pg_database_size('{name}')")
    url = admin.url.set(database=name).render_as_string(hide_password=False)
    try:
        yield Database("PostgreSQL", url, lambda: ask(f"SELECT pg_database_size('{name}')") - empty)
    finally:
        command(f"DROP DATABASE {name} WITH (FORCE)")
