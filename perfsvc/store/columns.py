"""What the tables are written with: times in UTC, the model's words, links, small facts; how constraints are named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Dialect, Enum, ForeignKey, Integer, MetaData, Text, TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite drops the zone; PostgreSQL gives it in the connection's, which engine.py sets."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """A series of 2,000 points has 4,000 times: one call each at most."""
        return _from_text if dialect.name == "sqlite" else None


@lru_cache(maxsize=8_192)
def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value + "+00:00")


def words(enum: type[StrEnum], name: str) -> Enum:
    """A column of one of the model's words, checked by the database too."""
    return Enum(
        enum,
        native_enum=False,
        create_constraint=True,
        name=name,
        length=30,
        values_callable=lambda members: [member.value for member in members],
    )


def key() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def link(name: str, target: str, *, required: bool = True, cascade: bool = False, index: bool = False) -> Column[int]:
    """A foreign key; `cascade`: goes when its parent goes."""
    return Column(
        name,
        Integer,
        ForeignKey(f"{target}.id", ondelete="CASCADE" if cascade else None),
        nullable=not required,
        index=index,
    )


def text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, default="", **options)


def facts(name: str) -> Column[Any]:
    """A small JSON object that is shown, never searched."""
    return Column(name, JSON, nullable=False, default=dict)


def moment(name: str, *, required: bool = False, index: bool = False) -> Column[datetime]:
    return Column(name, UTCDateTime, nullable=not required, index=index)
