"""What every table's columns are made of: alike in SQLite and in PostgreSQL, and alike when they are hashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import CheckConstraint, MetaData, String
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "%(table_name)s_by_%(column_0_N_name)s",
    "uq": "%(table_name)s_one_%(column_0_N_name)s",
    "ck": "%(table_name)s_%(constraint_name)s",
    "fk": "%(table_name)s_%(column_0_name)s_is_%(referred_table_name)s",
    "pk": "%(table_name)s_key",
}
"""Of indexes and constraints: a migration must be able to name what it changes."""

METADATA = MetaData(naming_convention=NAMES)
"""All tables of the store."""

MOMENT_CHARACTERS = 27
MOMENT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
DAY_CHARACTERS = 10


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """That a column has one of these values."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(one) for one in values)})", name=f"has_a_{column}")


@lru_cache(maxsize=64)
def moment_text(value: datetime) -> str:
    """How a moment is written down. All rows of one change have the same.

    Raises:
        ValueError: It has no time zone, so it says nothing.
    """
    if value.tzinfo is None:
        raise ValueError("needed a moment with its time zone")
    return value.astimezone(UTC).strftime(MOMENT_FORMAT)


def told_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as people and programs read it: moments and days as they are written down, no sealed values and hashes."""
    return {name: _told(value) for name, value in row.items() if not isinstance(value, bytes)}


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment_text(value)
    return value.isoformat() if isinstance(value, date) else value


class Moment(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond, kept as text that sorts by time: ``2026-11-27T08:30:00.000000Z``."""

    impl = String(MOMENT_CHARACTERS)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Write it down."""
        return None if value is None else moment_text(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """Read it back."""
        return None if value is None else datetime.strptime(value, MOMENT_FORMAT).replace(tzinfo=UTC)


class Day(TypeDecorator[date]):
    """A calendar day, kept as text: ``2026-11-27``."""

    impl = String(DAY_CHARACTERS)
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Write it down."""
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Any) -> date | None:  # noqa: ARG002
        """Read it back."""
        return None if value is None else date.fromisoformat(value)
