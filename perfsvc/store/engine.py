"""Open a database: SQLite made safe, or PostgreSQL; create it, upgrade it, refuse a newer one.

SQLite: WAL, foreign keys, a busy timeout; writers take BEGIN IMMEDIATE (otherwise two that read before they write lose
updates without an error), readers a plain BEGIN.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from perfsvc.errors import DatabaseVersionError, NotFound, SettingsError
from perfsvc.store.tables import metadata

BUSY_TIMEOUT_MS = 10_000


def open_engine(url: str) -> Engine:
    """An engine for `url`; for SQLite the file's folder is made. Nothing is created in the database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            f"PERFSVC_DATABASE_URL: not a database URL: {url!r}; wanted sqlite:///PATH or postgresql://..."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)

    @event.listens_for(engine, "connect")
    def _prepare(raw: sqlite3.Connection, _: Any) -> None:
        raw.isolation_level = None  # otherwise the driver opens its transactions late, after the first read
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it, or nothing."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that reads a single state of the store, however long it takes."""
    with engine.connect() as connection, connection.begin():
        yield connection


def upgrade(engine: Engine) -> bool:
    """Create the tables or bring them to this version's; True if anything was done.

    A SQLite file with rows in it is copied to `NAME.before-REVISION` first.
    Raises: DatabaseVersionError when a newer perfsvc wrote it.
    """
    found, wanted = revision(engine), head()
    if found == wanted:
        return False
    _refuse_newer(engine, found)
    if found is not None:
        _keep_copy(engine, found)
    with engine.connect().execution_options(writes=True) as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:  # a batch migration rebuilds tables: with foreign keys on, it would empty their children
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if sqlite:
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            connection.commit()
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.commit()
            if broken:
                raise DatabaseVersionError(f"{engine.url!r}: after the upgrade {len(broken)} rows point at nothing")
    return True


def require_current(engine: Engine) -> None:
    """Raises: NotFound when there is no database yet; DatabaseVersionError when it is older or newer than we are."""
    found = revision(engine)
    if found == head():
        return
    if found is None:
        raise NotFound(f"there is no perfsvc database at {engine.url!r}: run `perfsvc init` (or `perfsvc up`)")
    _refuse_newer(engine, found)
    raise DatabaseVersionError(
        f"{engine.url!r} is at revision {found}, this perfsvc needs {head()}: run `perfsvc init`"
    )


def revision(engine: Engine) -> str | None:
    """The revision that the database says it has; None: it is empty."""
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except OperationalError as error:
        raise SettingsError(f"cannot open {engine.url!r}: {error.orig}") from None


def head() -> str:
    """The revision that this perfsvc writes."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def differences(engine: Engine) -> list[Any]:
    """What `alembic check` would say: how the database differs from tables.py."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def _refuse_newer(engine: Engine, found: str | None) -> None:
    try:
        ScriptDirectory.from_config(_config()).get_revision(found or "base")
    except CommandError:
        raise DatabaseVersionError(
            f"{engine.url!r} is at revision {found}, which this perfsvc does not know (it knows {head()}): "
            "a newer perfsvc wrote it. Upgrade perfsvc, or set PERFSVC_DATABASE_URL to another database"
        ) from None


def _keep_copy(engine: Engine, found: str) -> None:
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        return
    with engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    shutil.copy2(path, f"{path}.before-{found}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
