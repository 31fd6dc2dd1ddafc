"""All rows of one database into another, empty one: a backup, its restoring, a move from SQLite to PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Table, func, insert, select

from perfsvc.errors import SettingsError
from perfsvc.store import Store
from perfsvc.store.tables import metadata

#: Rows in memory at once: most are blocks of less than a kilobyte; a run may hold megabytes of samples.
ROWS = 500


def backup(store: Store, path: Path) -> int:
    """Write one state of the store into a new SQLite file, whoever writes meanwhile. How many rows.

    The file has its name only when it is whole. Raises: SettingsError when there is something of that name.
    """
    if path.exists():
        raise SettingsError(f"{path}: is there already; wanted a new file")
    unfinished = path.with_name(f"{path.name}.part")
    _remove(unfinished)
    try:
        copy = Store.create(f"sqlite:///{unfinished}")
        try:
            rows = copy_rows(store, copy)
        finally:
            copy.close()
        unfinished.rename(path)
    finally:
        _remove(unfinished)
    return rows


def _remove(unfinished: Path) -> None:
    """With what SQLite keeps beside a file that it was not done with."""
    for ending in ("", "-wal", "-shm"):
        unfinished.with_name(unfinished.name + ending).unlink(missing_ok=True)


def restore(path: Path, store: Store) -> int:
    """Bring a backup into a store in which there is nothing yet. How many rows.

    Raises: SettingsError when there is no such file, or rows in the store; DatabaseVersionError for another version's.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; wanted what `perfsvc backup` wrote")
    kept = Store.open(f"sqlite:///{path}")
    try:
        return copy_rows(kept, store)
    finally:
        kept.close()


def copy_rows(source: Store, target: Store) -> int:
    """Every row of every table, in one transaction: all of them, or none."""
    rows = 0
    with source.reading() as ours, target.writing() as theirs:
        for table in metadata.sorted_tables:
            _require_empty(theirs, table)
        for table in metadata.sorted_tables:
            rows += _copy(ours, theirs, table)
            _count_on(theirs, table)
    return rows


def _require_empty(tx: Connection, table: Table) -> None:
    if tx.execute(select(table).limit(1)).first() is not None:
        raise SettingsError(
            f"{tx.engine.url!r}: its table {table.name} has rows; wanted a database in which there is nothing yet"
        )


def _copy(ours: Connection, theirs: Connection, table: Table) -> int:
    rows = 0
    found = ours.execution_options(stream_results=True).execute(select(table).order_by(*table.primary_key.columns))
    for part in found.mappings().partitions(ROWS):
        theirs.execute(insert(table), [dict(row) for row in part])
        rows += len(part)
    return rows


def _count_on(tx: Connection, table: Table) -> None:
    """PostgreSQL's sequences do not notice ids that were given to them."""
    if tx.dialect.name == "postgresql" and "id" in table.c:
        newest = select(func.max(table.c.id)).scalar_subquery()
        sequence = func.pg_get_serial_sequence(tx.dialect.identifier_preparer.quote(table.name), "id")
        tx.execute(select(func.setval(sequence, func.coalesce(newest, 1), newest.is_not(None))))
