"""Open a database: SQLite made safe, or PostgreSQL; create it, upgrade it, refuse a newer one.

One writer at a time, on both: writers that read before they write would otherwise lose each other's updates without an
error. SQLite: BEGIN IMMEDIATE, in WAL, with foreign keys and a busy timeout. PostgreSQL: an advisory lock.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from perfsvc.errors import DatabaseVersionError, NotFound, SettingsError
from perfsvc.store.tables import metadata

BUSY_TIMEOUT_MS = 10_000

#: The advisory lock that PostgreSQL's writers take, per database: "perf" in ASCII.
WRITER_LOCK = 0x70657266


def open_engine(url: str) -> Engine:
    """An engine for `url`. Nothing is created, and nothing is connected to yet."""
    try:
        parsed = make_url(url)
    except ArgumentError:  # the text is not shown: it may hold a password
        raise SettingsError(
            "PERFSVC_DATABASE_URL: not a database URL; wanted sqlite:///PATH or postgresql://USER@HOST/NAME"
        ) from None
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, pool_pre_ping=True, json_serializer=_json)
        event.listen(engine, "connect", _speak_utc)
        return engine
    engine = create_engine(parsed, json_serializer=_json)

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


def _speak_utc(raw: Any, _: Any) -> None:
    """Times come back in the connection's zone, which is otherwise the server's."""
    raw.cursor().execute("SET TIME ZONE 'UTC'")
    raw.commit()


def _json(value: Any) -> str:
    """Strict JSON: PostgreSQL refuses NaN and Infinity, and nobody can show them; they become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it, or nothing. The others who want to write wait."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        _wait_for_the_other_writers(connection)
        yield connection


def _wait_for_the_other_writers(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that reads a single state of the store, however long it takes."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def compact(engine: Engine) -> None:
    """Rewrite SQLite's file without its gaps. It takes as much room again meanwhile; others wait."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("VACUUM")


def upgrade(engine: Engine) -> bool:
    """Create the tables or bring them to this version's; True if anything was done. All of it, or nothing.

    A SQLite file with rows in it is copied to `NAME.before-REVISION` first.
    Raises: DatabaseVersionError when a newer perfsvc wrote it.
    """
    if file := sqlite_file(engine):
        file.parent.mkdir(parents=True, exist_ok=True)
    found = revision(engine)
    if found == head():
        return False
    _refuse_newer(engine, found)
    if found is not None:
        _keep_copy(engine, found)
    with (
        engine.connect().execution_options(writes=True) as connection,
        _without_foreign_keys(connection),
        connection.begin(),
    ):
        _wait_for_the_other_writers(connection)
        if _revision(connection) == head():  # another process was quicker
            return False
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _require_whole(connection)
    return True


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite's batch migrations rebuild tables: with foreign keys on, that would empty their children.

    The pragma does nothing inside a transaction, so it goes to the driver, around it.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


def _require_whole(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise DatabaseVersionError(
            f"{connection.engine.url!r}: the upgrade would leave rows that point at nothing ({len(broken)}); "
            "it was undone"
        )


def require_current(engine: Engine) -> None:
    """Raises: NotFound when there is no database yet; DatabaseVersionError when it is older or newer than we are."""
    file = sqlite_file(engine)
    found = None if file is not None and not file.exists() else revision(engine)
    if found == head():
        return
    if found is None:
        raise NotFound(f"there is no perfsvc database at {engine.url!r}: run `perfsvc init` (or `perfsvc up`)")
    _refuse_newer(engine, found)
    raise DatabaseVersionError(
        f"{engine.url!r} is at revision {found}, this perfsvc needs {head()}: run `perfsvc init`"
    )


def sqlite_file(engine: Engine) -> Path | None:
    """Where a SQLite database lies; None for others, and for one in memory."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def revision(engine: Engine) -> str | None:
    """The revision that the database says it has; None: it is empty."""
    try:
        with engine.connect() as connection:
            return _revision(connection)
    except DBAPIError as error:
        raise SettingsError(f"cannot open {engine.url!r}: {error.orig}") from None


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this perfsvc writes."""
    found = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert found is not None
    return found


def differences(engine: Engine) -> list[Any]:
    """What `alembic check` would say: how the database differs from the tables."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def _refuse_newer(engine: Engine, found: str | None) -> None:
    try:
        ScriptDirectory.from_config(alembic_config()).get_revision(found or "base")
    except CommandError:
        raise DatabaseVersionError(
            f"{engine.url!r} is at revision {found}, which this perfsvc does not know (it knows {head()}): "
            "a newer perfsvc wrote it. Upgrade perfsvc, or set PERFSVC_DATABASE_URL to another database"
        ) from None


def _keep_copy(engine: Engine, found: str) -> None:
    file = sqlite_file(engine)
    if file is None:
        return
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(f"{file}.before-{found}")) as copy:
        source.backup(copy)  # one consistent state, whoever writes meanwhile


def alembic_config() -> Config:
    """Where the migrations lie. The caller puts its connection into `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
