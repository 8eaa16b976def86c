"""What a simulated issuer decides: cards with balances, and amounts and PANs that are refused, all as data.

The amount rules serve terminals as well: they say which answer to expect for an amount.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

APPROVED = "approved"
APPROVED_IN_PART = "partially_approved"
APPROVALS = frozenset({APPROVED, APPROVED_IN_PART})
"""Reasons under which the cardholder is charged."""

AMOUNT_KINDS = frozenset({"purchase", "cash_advance", "preauthorization"})
"""Kinds on which rules about amounts act that terminals must expect."""

Digits = Annotated[str, Field(pattern=r"^[0-9]+$")]


class Card(BaseModel):
    """One card that the issuer knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pan: Annotated[str, Field(pattern=r"^[0-9]{8,19}$", repr=False)]
    balance_minor: Annotated[int, Field(ge=0)] | None = None
    """What may be spent, in minor units; None: without end."""
    refusal: str | None = None
    """The reason with which everything is refused to this card (``lost_card``, ``expired_card``); None: nothing is."""


class AmountRule(BaseModel):
    """A refusal by the last digits of the amount in minor units, as test hosts do: 51 for ``.51``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ending: Digits
    refusal: str


class PartRule(BaseModel):
    """The approval of a part, by the last digits of the amount asked for in minor units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ending: Digits
    percent: Annotated[int, Field(ge=1, le=99)] = 40

    def of(self, amount_minor: int) -> int:
        """What is approved of an amount."""
        return max(1, amount_minor * self.percent // 100)


class PanRule(BaseModel):
    """A refusal by the first digits of the PAN."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: Digits
    refusal: str


DEFAULT_AMOUNT_RULES = (
    AmountRule(ending="05", refusal="do_not_honour"),
    AmountRule(ending="14", refusal="invalid_card"),
    AmountRule(ending="51", refusal="insufficient_funds"),
    AmountRule(ending="54", refusal="expired_card"),
    AmountRule(ending="55", refusal="wrong_pin"),
    AmountRule(ending="61", refusal="amount_limit"),
    AmountRule(ending="62", refusal="restricted_card"),
)


class Rules(BaseModel):
    """All that decides between approval and refusal; the first that applies wins: card, PAN, amount, balance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cards: tuple[Card, ...] = ()
    pans: tuple[PanRule, ...] = ()
    amounts: tuple[AmountRule, ...] = DEFAULT_AMOUNT_RULES
    parts: tuple[PartRule, ...] = ()
    """Of which amounts only a part is approved, where the request does not say that its terminal cannot take one."""
    no_part: str = "insufficient_funds"
    """The reason for which such an amount is refused to other terminals."""
    clock_offset_seconds: int | None = None
    """Answers carry the issuer's own time and date, so far from this machine's; None: those of the request."""
    unknown_card: str | None = None
    """The reason with which cards outside ``cards`` are refused; None: they have money without end."""
    unknown_original: str = "original_not_found"
    """What a reversal or void of something unknown is answered."""

    @model_validator(mode="after")
    def _cards_once(self) -> Rules:
        if len({card.pan for card in self.cards}) != len(self.cards):
            raise ValueError("cards: the same PAN twice")
        return self


class AmountTable:
    """Amount rules compiled for look-up by ending."""

    def __init__(self, rules: tuple[AmountRule, ...]) -> None:
        self._by_length = {
            length: {int(rule.ending): rule.refusal for rule in rules if len(rule.ending) == length}
            for length in sorted({len(rule.ending) for rule in rules}, reverse=True)
        }

    def refusal(self, amount_minor: int) -> str | None:
        """The reason for which this amount is refused, or None; longer endings are looked at first."""
        for length, refusals in self._by_length.items():
            refusal = refusals.get(amount_minor % 10**length)
            if refusal is not None:
                return refusal
        return None


def approved_part(rules: tuple[PartRule, ...], amount_minor: int) -> int:
    """What the first rule that fits approves of an amount; 0: none fits, or it is all of it."""
    for rule in rules:
        if amount_minor % 10 ** len(rule.ending) == int(rule.ending) and rule.of(amount_minor) < amount_minor:
            return rule.of(amount_minor)
    return 0


class Decider:
    """Rules at work: decides requests and keeps the balances."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._cards = {card.pan: card for card in rules.cards}
        self._balances = {card.pan: card.balance_minor for card in rules.cards if card.balance_minor is not None}
        self._amounts = AmountTable(rules.amounts)

    def part(self, amount_minor: int) -> int:
        """How much is approved of an amount that is not refused: 0 where it is all of it."""
        return approved_part(self.rules.parts, amount_minor)

    def decide(self, pan: str, amount_minor: int, *, debit: bool, held_minor: int = 0) -> str:
        """The reason for one request: ``approved`` or a refusal. Books nothing.

        Args:
            pan: Digits.
            amount_minor: Amount in minor units.
            debit: Whether it takes money from the card (or holds it), so that the balance must suffice.
            held_minor: What was set aside for this very request before.
        """
        refusal = self._refuse_card(pan)
        if refusal is None and debit:
            refusal = self._refuse_amount(pan, amount_minor, held_minor)
        return refusal or APPROVED

    def _refuse_card(self, pan: str) -> str | None:
        card = self._cards.get(pan)
        refusal = self.rules.unknown_card if card is None else card.refusal
        if refusal is None:
            refusal = next((rule.refusal for rule in self.rules.pans if pan.startswith(rule.prefix)), None)
        return refusal

    def _refuse_amount(self, pan: str, amount_minor: int, held_minor: int) -> str | None:
        refusal = self._amounts.refusal(amount_minor)
        if refusal is None and self._balances.get(pan, amount_minor) + held_minor < amount_minor:
            refusal = "insufficient_funds"
        return refusal

    def book(self, pan: str, amount_minor: int) -> None:
        """Take an amount from a card's balance; a negative amount gives it back."""
        if pan in self._balances:
            self._balances[pan] -= amount_minor

    def balance(self, pan: str) -> int:
        """What is left on a card, in minor units; a card without end shows 1,000,000.00."""
        return self._balances.get(pan, 100_000_000)
