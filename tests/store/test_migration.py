"""A migration of a store with rows in it: all of them are there afterwards, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from sqlalchemy import text

from perfsvc.model import Outcome
from perfsvc.store import Store, engine
from tests.bench import Bench, guard, rows_of, steady

#: Rebuilds the table that most others point at, as SQLite must to alter a column.
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("run") as batch:
        batch.alter_column("machine", type_=sa.String(300), existing_nullable=False)
        batch.add_column(sa.Column("room", sa.Text(), nullable=False, server_default="cellar"))
{more}
"""


@pytest.fixture
def upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the next perfsvc's revisions lie beside ours, as soon as one is written there."""
    folder = tmp_path / "versions"
    folder.mkdir()
    ours = engine.alembic_config

    def config() -> Config:
        found = ours()
        found.set_main_option("path_separator", "newline")
        found.set_main_option("version_locations", f"{Path(engine.__file__).parent}/migrations/versions\n{folder}")
        return found

    monkeypatch.setattr(engine, "alembic_config", config)
    return folder


def filled(url: str, home: Path) -> Store:
    """A store in which something stands in nearly every table."""
    store = Store.create(url)
    bench = Bench.set_up(store, home)
    for place, level in enumerate(steady(1.0, 1, 12) + steady(1.5, 2, 8)):
        failed = guard(Outcome.FAILED if place > 15 else Outcome.PASSED)
        values = {"time_a": level, "count_b": None if place == 3 else 4.0}
        bench.run(place, values, guards=[failed], operators={"aten::mm": 1})
    bench.process()
    return store


def test_every_row_is_there_after_a_migration(
    empty_database: str, tmp_path: Path, upgraded: Path, clean_environment: None
) -> None:
    store = filled(empty_database, tmp_path)
    before = rows_of(store, times=True)
    assert all(
        before[name] for name in ("measurement", "skip", "guard_result", "fact", "change", "alert", "alert_event")
    )
    store.close()
    (upgraded / "0002_room.py").write_text(NEXT.format(more=""))
    newer = Store.create(empty_database)
    assert engine.revision(newer.engine) == "0002"
    assert rows_of(newer, times=True) == before
    with newer.reading() as tx:
        assert set(tx.execute(text("SELECT room FROM run")).scalars()) == {"cellar"}
    newer.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(
    empty_database: str, tmp_path: Path, upgraded: Path, clean_environment: None
) -> None:
    store = filled(empty_database, tmp_path)
    before = rows_of(store, times=True)
    (upgraded / "0002_room.py").write_text(NEXT.format(more="    raise RuntimeError('halfway')"))
    with pytest.raises(RuntimeError, match="halfway"):
        engine.upgrade(store.engine)
    assert engine.revision(store.engine) == "0001"
    assert rows_of(store, times=True) == before
    with store.reading() as tx:
        columns = list(tx.execute(text("SELECT * FROM run")).keys())
    assert "room" not in columns
    store.close()
