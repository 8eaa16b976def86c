"""Cells of the registry's files that say one of several names, and what is told where they do not."""

from __future__ import annotations

from collections.abc import Sequence

from switch.tables.party_states import read_terminal_state

STATE_CELL = 2


class CellError(ValueError):
    """A cell that cannot be used.

    Attributes:
        cell: Which one of the row.
        reason: Why.
    """

    def __init__(self, cell: int, reason: str) -> None:
        super().__init__(reason)
        self.cell = cell
        self.reason = reason


def chosen(place: int, text: str, names: Sequence[str], what: str) -> int:
    """Number of the one name that a cell holds.

    Raises:
        CellError: It holds none of them.
    """
    if text not in names:
        raise CellError(place, f"unknown {what} {text!r}; known are {', '.join(names)}")
    return names.index(text)


def mask(place: int, text: str, names: Sequence[str], what: str, width: int) -> int:
    """Bits of the names that a cell holds between ``|``; an empty cell means all, also those that come to be later.

    Raises:
        CellError: One is none of them.
    """
    if not text:
        return (1 << width) - 1
    return sum(1 << number for number in {chosen(place, name.strip(), names, what) for name in text.split("|")})


def terminal_state(text: str) -> tuple[int, int]:
    """As ``read_terminal_state``.

    Raises:
        CellError: It is none.
    """
    try:
        return read_terminal_state(text)
    except ValueError as error:
        raise CellError(STATE_CELL, str(error)) from None
