"""Cells of the registry's files that say one of several names, and what is told where they do not."""

from __future__ import annotations

from collections.abc import Sequence

from switch.tables.party_states import IDENTITY_DIGITS, MERCHANT_CLASSES, read_terminal_state

STATE_CELL = 2
CLASS_CELL, SAME_IDENTITY_CELL = 7, 8
SAME_IDENTITY_BYTES = 8
"""So many of the hash are kept in memory: two identities of a billion have the same once in 40 registries."""


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


def merchant_class(text: str) -> int:
    """A class's place among ``MERCHANT_CLASSES``, counted from 1; 0: nobody has said it.

    Raises:
        CellError: It is none.
    """
    # What stands in the wrong column may be an identity number, so it is not repeated; nor below.
    if text and text not in MERCHANT_CLASSES:
        raise CellError(CLASS_CELL, f"is none of {', '.join(MERCHANT_CLASSES)}")
    return 1 + MERCHANT_CLASSES.index(text) if text else 0


def same_identity(text: str) -> int:
    """The number that stands for the identity of a merchant; 0: it is not known.

    Raises:
        CellError: The cell holds no such hash.
    """
    if not text:
        return 0
    if len(text) != IDENTITY_DIGITS or not set(text) <= set("0123456789abcdef"):
        raise CellError(SAME_IDENTITY_CELL, f"the hash of an identity has {IDENTITY_DIGITS} hex digits")
    return int(text[: 2 * SAME_IDENTITY_BYTES], 16)


def terminal_state(text: str) -> tuple[int, int]:
    """As ``read_terminal_state``.

    Raises:
        CellError: It is none.
    """
    try:
        return read_terminal_state(text)
    except ValueError as error:
        raise CellError(STATE_CELL, str(error)) from None
