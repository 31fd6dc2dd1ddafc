"""The kinds of columns that tables.py is written with: times in UTC, the model's words, links, small facts."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Dialect, Enum, ForeignKey, Integer, Text, TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time. SQLite drops the zone, so it is kept as UTC and given back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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
