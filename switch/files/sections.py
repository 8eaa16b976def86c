"""What every table of an operator's file is made of: no type is guessed, no unknown key is passed over."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

HOUR_MS = 3_600_000

AMOUNT_MAX = 10**15
"""Of a limit, in the currency's minor unit."""


def milliseconds(default: int, description: str, *, least: int = 1, most: int = 24 * HOUR_MS) -> int:
    """A duration in milliseconds, with its limits."""
    return Field(default, ge=least, le=most, description=description)


def count(default: int, description: str, *, least: int = 1, most: int) -> int:
    """A number of things or bytes, with its limits."""
    return Field(default, ge=least, le=most, description=description)


class Section(BaseModel):
    """A table of a file: no type is guessed, no unknown key is passed over, nothing changes afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
