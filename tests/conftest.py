"""What the tests share: a store on each database, and a bench to make runs on that are small enough to see."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError

from perfsvc.store import Store, engine, tables
from tests.bench import Bench

#: A database that is there; each test gets its own beside it.
POSTGRES = "PERFSVC_TEST_POSTGRES"
LOCAL_POSTGRES = "postgresql://127.0.0.1:5432/postgres"
REQUIRE_POSTGRES = "PERFSVC_REQUIRE_POSTGRES"

NO_POSTGRES = (
    "no PostgreSQL answers at {url}: start one (Debian: apt-get install postgresql; macOS: brew install postgresql), "
    f"or set {POSTGRES} to postgresql://USER@HOST/NAME of one that may create databases"
)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from outside."""
    for name in list(os.environ):
        if name.startswith("PERFSVC_") and name not in (POSTGRES, REQUIRE_POSTGRES):
            monkeypatch.delenv(name)


# --- databases --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "empty.sqlite"
    Store.create(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def _postgres() -> Iterator[Engine]:
    """The server, as whoever may create databases."""
    url = os.environ.get(POSTGRES, LOCAL_POSTGRES)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        admin.connect().close()
    except OperationalError:
        if POSTGRES in os.environ or os.environ.get(REQUIRE_POSTGRES) == "1":
            pytest.fail(NO_POSTGRES.format(url=make_url(url).render_as_string()))
        pytest.skip(NO_POSTGRES.format(url=url))
    yield admin
    admin.dispose()


@pytest.fixture(scope="session")
def _postgres_store(_postgres: Engine) -> Iterator[Store]:
    """A database of this session's own."""
    name = _new_database(_postgres)
    _command(_postgres, f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = Store.create(_url(_postgres, name))
    yield store
    store.close()
    _command(_postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def _postgres_url(_postgres_store: Store) -> str:
    """That database, emptied: ten times faster than a new one."""
    with _postgres_store.writing() as tx:
        for table in reversed(tables.metadata.sorted_tables):
            tx.execute(table.delete())
        tx.exec_driver_sql("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
        tx.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{engine.head()}'")
    return _postgres_store.engine.url.render_as_string(hide_password=False)


_numbers = itertools.count()


def _new_database(admin: Engine) -> str:
    name = f"perfsvc_test_{os.getpid()}_{next(_numbers)}"
    _command(admin, f"CREATE DATABASE {name}")
    return name


def _command(admin: Engine, sql: str) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(sql)


def _url(admin: Engine, database: str) -> str:
    return admin.url.set(database=database).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store's address, on each database in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("_postgres_url"))
    shutil.copy(request.getfixturevalue("_sqlite_template"), tmp_path / "store.sqlite")
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database in which there is nothing yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'store.sqlite'}"
        return
    admin = request.getfixturevalue("_postgres")
    name = _new_database(admin)
    yield _url(admin, name)
    _command(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty store, on each database in turn."""
    opened = Store.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(_sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    """An empty store, where the database makes no difference."""
    shutil.copy(_sqlite_template, tmp_path / "alone.sqlite")
    opened = Store.open(f"sqlite:///{tmp_path / 'alone.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def bench(sqlite_store: Store, tmp_path: Path, clean_environment: None) -> Bench:
    """A project of 30 commits, none of them measured."""
    return Bench.set_up(sqlite_store, tmp_path)


@pytest.fixture
def stored_bench(store: Store, tmp_path: Path, clean_environment: None) -> Bench:
    """The same, on each database in turn."""
    return Bench.set_up(store, tmp_path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is required, a skip is a failure: what was not tried is not known to work."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("PERFSVC_REQUIRE_ALL") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("PERFSVC_REQUIRE_ALL is set, and tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
