"""What a terminal does with payments of other terminals of its merchant, where these may be of other partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checker import APPROVED, Key

if TYPE_CHECKING:
    from random import Random

    from .payment import Payment
    from .terminal import Terminal

REFERS = 0.15
"""How likely it refers to what another one has sold."""

TAKES_BACK = 0.05
"""How likely it takes back a sale of its own to which another one refers."""

KINDS = ("refund", "refund", "void")
PART = 0.3
SMALL_MINOR = 777
"""The two parts of a sale that are refunded: neither is the amount of a payment."""


class Others:
    """The others, as one terminal knows them.

    Args:
        terminal: Itself.
        draw: What it decides by.
        finds_all: The switch finds what is older than its duplicate window, too.
    """

    def __init__(self, terminal: Terminal, draw: Random, *, finds_all: bool) -> None:
        self._terminal = terminal
        self._draw = draw
        self._finds_all = finds_all

    def are_dealt_with(self) -> bool:
        """Whether it refers now to a sale of another one, perhaps not the first to do so, or takes back what another
        one refers to."""
        chance = self._draw.random()
        if chance < TAKES_BACK:
            return self._takes_back()
        return chance < TAKES_BACK + REFERS and self._refers()

    def _refers(self) -> bool:
        terminal, checker = self._terminal, self._terminal.checker
        sales = [one for one in checker.payments.values() if one.key.kind == "purchase" and one.state == APPROVED]
        sales = [one for one in sales if one.key.terminal != terminal.id and not (one.is_reuse or one.is_given_up)]
        sales = [one for one in sales if self._finds_all or terminal.is_known(one)]
        if not sales:
            return False
        sale, kind = self._draw.choice(sales), self._draw.choice(KINDS)
        amount_minor = sale.part or sale.key.amount_minor
        if kind == "refund" and self._draw.random() < PART:
            amount_minor = self._draw.choice((SMALL_MINOR, max(amount_minor - SMALL_MINOR, 1)))
        if Key(terminal.id, kind, amount_minor) in checker.payments:
            return False
        sale.is_voided = True
        terminal.begin(kind, sale.card, amount_minor, sale)
        return True

    def _takes_back(self) -> bool:
        terminal = self._terminal
        referring = [one for one in terminal.checker.payments.values() if one.key.terminal != terminal.id]
        sales: list[Payment] = [one.original for one in referring if one.original is not None]
        mine = [one for one in sales if one.key.terminal == terminal.id and terminal.is_known(one)]
        mine = [one for one in mine if not (one.is_mistaken or one.is_reuse or one.is_given_up)]
        if not mine:
            return False
        sale = self._draw.choice(mine)
        sale.is_mistaken = True
        terminal.take_back(sale)
        return True
