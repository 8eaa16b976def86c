"""Numbers with names, each with one line that tells an operator what it means."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class DescribedEnum(IntEnum):
    """Members are written ``NAME = number, "what it means"``."""

    description: str

    def __new__(cls, value: int, description: str = "") -> Self:
        """Make a member of its number and its line."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    @property
    def label(self) -> str:
        """The name in lower case, as dialect files and metrics write it."""
        return self.name.lower()
