from collections.abc import Callable
from typing import final

from _typeshed import ReadableBuffer

from switch.files.problems import ProblemList

CARD_TYPES: tuple[str, ...]
"""Types of cards that a rule may look at."""

def country_in(cell: bytes) -> int:
    """A numeric ISO 3166-1 code of a cell.

    Raises:
        ValueError: It is none.
    """

def card_type_in(cell: bytes) -> int:
    """A type of card of a cell: its place in ``CARD_TYPES``, counted from 1.

    Raises:
        ValueError: It is none.
    """

@final
class CardTable:
    """What ranges of card numbers stand for: a number each, above 0.

    Args:
        data: A CSV file with the columns low, high and ``column``; empty: nothing is known of any card.
        column: What the last column is called.
        read: Makes a number of a cell of it; a ValueError says why it cannot.
        problems: Takes all that is wrong with the file, by line and column; the table is of no use then.
        unlisted: What stands for a card that no range holds.
    """

    def __init__(
        self,
        data: ReadableBuffer,
        column: str,
        read: Callable[[bytes], int],
        problems: ProblemList,
        unlisted: int = 0,
    ) -> None: ...
