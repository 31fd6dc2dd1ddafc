"""Opening, creating, refusing and upgrading a database; one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update

from perfsvc.errors import DatabaseVersionError, NotFound, SettingsError
from perfsvc.model import Device
from perfsvc.store import Store, engine, tables, writes
from tests.bench import NOON, rows_of


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    assert engine.differences(store.engine) == []


def test_an_empty_database_says_how_to_create_it(empty_database: str) -> None:
    with pytest.raises(NotFound, match="perfsvc init"):
        Store.open(empty_database)


def test_looking_for_a_database_creates_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Store.open(f"sqlite:///{tmp_path / 'no' / 'store.sqlite'}")
    assert list(tmp_path.iterdir()) == []


def test_creating_twice_changes_nothing(empty_database: str) -> None:
    first = Store.create(empty_database)
    with first.writing() as tx:
        writes.catalog.keep_project(tx, "attention", now=NOON)
    before = rows_of(first, times=True)
    first.close()
    again = Store.create(empty_database)
    assert rows_of(again, times=True) == before
    again.close()


def test_two_processes_may_create_it_at_once(empty_database: str) -> None:
    failures: list[BaseException] = []

    def create() -> None:
        try:
            Store.create(empty_database).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    Store.open(empty_database).close()


def test_a_newer_database_is_refused_and_untouched(database_url: str) -> None:
    store = Store.open(database_url)
    with store.writing() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '0999'"))
        writes.catalog.keep_project(tx, "attention", now=NOON)
    before = rows_of(store, times=True)
    for door in (Store.open, Store.create):
        with pytest.raises(DatabaseVersionError, match=r"0999.*newer perfsvc wrote it.*PERFSVC_DATABASE_URL"):
            door(database_url)
    assert rows_of(store, times=True) == before
    assert engine.revision(store.engine) == "0999"
    store.close()


def test_an_older_database_says_what_to_do(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "head", lambda: "0002")
    with pytest.raises(DatabaseVersionError, match=r"revision 0001.*needs 0002.*perfsvc init"):
        Store.open(database_url)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(SettingsError, match=r"cannot open.*not a database"):
        Store.open(f"sqlite:///{tmp_path / 'notes.txt'}")


def test_an_address_that_is_none_is_told_without_repeating_it() -> None:
    with pytest.raises(SettingsError, match="PERFSVC_DATABASE_URL") as told:
        Store.open("postgres//me:hunter2@host")
    assert "hunter2" not in str(told.value)


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(SettingsError, match="cannot open") as told:
        Store.open("postgresql://me:hunter2@127.0.0.1:1/nothing")
    assert "hunter2" not in str(told.value)


def test_reading_before_writing_loses_no_update(store: Store) -> None:
    """Four threads add one to a number fifty times each."""
    with store.writing() as tx:
        writes.catalog.keep_project(tx, "0", now=NOON)

    def count() -> None:
        for _ in range(50):
            with store.writing() as tx:
                number = int(tx.execute(select(tables.project.c.name)).scalar_one())
                tx.execute(update(tables.project).values(name=str(number + 1)))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as tx:
        assert tx.execute(select(tables.project.c.name)).scalar_one() == "200"


def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    count = select(func.count()).select_from(tables.project)
    with store.reading() as reading:
        assert reading.execute(count).scalar_one() == 0
        with store.writing() as tx:
            writes.catalog.keep_project(tx, "attention", now=NOON)
        assert reading.execute(count).scalar_one() == 0
    with store.reading() as reading:
        assert reading.execute(count).scalar_one() == 1


def test_what_is_interrupted_is_undone(store: Store) -> None:
    def half_a_write() -> None:
        with store.writing() as tx:
            writes.catalog.keep_project(tx, "attention", now=NOON)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_a_write()
    assert rows_of(store)["project"] == []


def test_an_upgrade_of_sqlite_keeps_a_copy_of_what_was(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(database_url)
    with store.writing() as tx:
        writes.catalog.keep_project(tx, "attention", now=NOON)
    monkeypatch.setattr(engine, "head", lambda: "0002")
    monkeypatch.setattr(engine.command, "upgrade", lambda *_: None)
    assert engine.upgrade(store.engine)
    file = engine.sqlite_file(store.engine)
    if file is not None:
        with sqlite3.connect(f"{file}.before-0001") as copy:
            assert copy.execute("SELECT name FROM project").fetchall() == [("attention",)]
    store.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL alters tables in place
def test_a_rebuilt_table_does_not_empty_its_children(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite drops and recreates a table to alter it; with foreign keys on, the rows below would go with it."""
    store = Store.open(database_url)
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "attention", now=NOON)
        writes.catalog.keep_runner(tx, "box", Device.CPU, {}, now=NOON)
        tx.execute(tables.commit.insert().values(project_id=project, hash="a", authored_at=NOON))

    def rebuild(config: engine.Config, _: str) -> None:
        tx = config.attributes["connection"]
        for sql in (
            "CREATE TABLE moved AS SELECT * FROM project",
            "DROP TABLE project",
            "ALTER TABLE moved RENAME TO project",
        ):
            tx.exec_driver_sql(sql)

    monkeypatch.setattr(engine, "head", lambda: "0002")
    monkeypatch.setattr(engine.command, "upgrade", rebuild)
    monkeypatch.setattr(engine, "_require_whole", lambda _: None)
    engine.upgrade(store.engine)
    assert len(rows_of(store)["commit"]) == 1
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.close()


def test_an_upgrade_that_would_orphan_rows_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.create(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "attention", now=NOON)
        tx.execute(tables.commit.insert().values(project_id=project, hash="a", authored_at=NOON))
    before = rows_of(store)

    def orphan(config: engine.Config, _: str) -> None:
        config.attributes["connection"].exec_driver_sql("DELETE FROM project")

    monkeypatch.setattr(engine, "head", lambda: "0002")
    monkeypatch.setattr(engine.command, "upgrade", orphan)
    with pytest.raises(DatabaseVersionError, match=r"point at nothing \(1\); it was undone"):
        engine.upgrade(store.engine)
    assert rows_of(store) == before
    store.close()


def test_what_json_cannot_say_becomes_null(store: Store) -> None:
    with store.writing() as tx:
        writes.catalog.keep_runner(tx, "box", Device.CPU, {"load": float("nan"), "heat": [1.0, float("inf")]}, now=NOON)
    with store.reading() as tx:
        assert tx.execute(select(tables.runner.c.machine_facts)).scalar_one() == {"load": None, "heat": [1.0, None]}


def test_memory_needs_no_file() -> None:
    store = Store.create("sqlite://")
    with store.reading() as tx:
        assert tx.execute(select(func.count()).select_from(tables.run)).scalar_one() == 0
    store.close()
