"""What a fleet of terminals does: which transactions, on which cards, for which amounts, and what must come of them."""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from switch.dialect.reasons import REASONS
from switch.simulators.rules import (
    AMOUNT_KINDS,
    APPROVED,
    APPROVED_IN_PART,
    DEFAULT_AMOUNT_RULES,
    AmountRule,
    AmountTable,
    PartRule,
    approved_part,
)

if TYPE_CHECKING:
    import random


class Flaw(StrEnum):
    """What is deliberately wrong with a request."""

    NONE = "none"
    WRONG_MAC = "wrong-mac"
    UNKNOWN_CARD = "unknown-card"
    """A PAN that no BIN range holds."""
    UNKNOWN_TERMINAL = "unknown-terminal"
    """A terminal identifier that nobody registered."""


FLAW_REASON = {
    Flaw.WRONG_MAC: "mac_failed",
    Flaw.UNKNOWN_CARD: "no_such_issuer",
    Flaw.UNKNOWN_TERMINAL: "unknown_terminal",
}
"""How a switch refuses each."""

IN_PART = (APPROVED_IN_PART, "partial_not_accepted", "insufficient_funds")
"""What may become of an amount of which the issuer approves a part: told, taken back by the switch, or refused."""

BASED_ON = {
    "void": "purchase",
    "reversal": "purchase",
    "preauthorization_void": "preauthorization",
    "completion": "preauthorization",
    "completion_void": "completion",
    "refund_void": "refund",
}
"""Kinds that need an approved transaction of another kind before them, on the same terminal."""

ADVICES = ("advice", "preauthorization_advice")
"""Kinds that the switch accepts without asking: the terminal has approved them by itself."""

FIRST_KINDS = ("purchase", "cash_advance", "refund", "balance_inquiry", "preauthorization", *ADVICES)


class Share(BaseModel):
    """One kind of request among the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    weight: Annotated[float, Field(gt=0)] = 1.0
    flaw: Flaw = Flaw.NONE
    expect: tuple[str, ...] | None = None
    """Reasons, any of which is right; None: what the flaw or the amount rules say."""

    @model_validator(mode="after")
    def _known(self) -> Share:
        if self.kind not in FIRST_KINDS and self.kind not in BASED_ON:
            raise ValueError(f"kind: needed one of {', '.join((*FIRST_KINDS, *BASED_ON))}, got {self.kind!r}")
        for reason in self.expect or ():
            if reason not in REASONS:
                raise ValueError(f"expect: no reason is called {reason!r}")
        return self


class PaymentCard(BaseModel):
    """A card that terminals pay with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pan: Annotated[str, Field(pattern=r"^[0-9]{12,19}$", repr=False)]
    expiry: Annotated[str, Field(pattern=r"^[0-9]{4}$")] = "3012"
    """YYMM."""
    expect: str | None = None
    """The reason for which its issuer refuses everything; None: it does not."""

    @property
    def track2(self) -> str:
        """Track 2 of the magnetic stripe (ISO/IEC 7813): PAN, separator, expiry, service code."""
        return f"{self.pan}={self.expiry}201"


class Scenario(BaseModel):
    """The transaction mix of a fleet, as data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (Share(kind="purchase"),)
    cards: Annotated[tuple[PaymentCard, ...], Field(min_length=1)]
    unknown_cards: tuple[PaymentCard, ...] = ()
    """For requests with the flaw ``unknown-card``."""
    amount_min_minor: Annotated[int, Field(ge=1)] = 100
    amount_max_minor: Annotated[int, Field(le=999_999_999_999)] = 500_00
    currency: Annotated[str, Field(pattern=r"^[0-9]{3}$")] = "156"
    amounts: tuple[AmountRule, ...] = DEFAULT_AMOUNT_RULES
    """The issuers' rules, to know what to expect."""
    parts: tuple[PartRule, ...] = ()
    """The issuers' rules on what they approve in part."""
    takes_parts: bool = False
    """Terminals say in their requests that they can take the approval of a part, where there is a place for that."""
    tolerate: tuple[str, ...] = ()
    """Reasons that are right for every request, as where faults are injected."""

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        if self.amount_max_minor < self.amount_min_minor:
            raise ValueError("amount_max_minor: needed at least amount_min_minor")
        if not self.unknown_cards and any(share.flaw is Flaw.UNKNOWN_CARD for share in self.shares):
            raise ValueError("unknown_cards: needed for the flaw unknown-card")
        return self


class Plan(NamedTuple):
    """One request to be made."""

    kind: str
    flaw: Flaw
    card: PaymentCard
    amount_minor: int
    expected: frozenset[str]
    """Reasons that are right."""


class Planner:
    """Draws requests from a scenario; the same generator and seed give the same requests."""

    def __init__(self, scenario: Scenario, generator: random.Random) -> None:
        self._scenario = scenario
        self._generator = generator
        self._shares = scenario.shares
        self._weights = list(accumulate(share.weight for share in scenario.shares))
        self._amounts = AmountTable(scenario.amounts)
        self._expectations: dict[tuple[str | None, ...], frozenset[str]] = {}
        self._tolerate = scenario.tolerate

    def draw_share(self) -> Share:
        """Which kind of request comes next."""
        return self._generator.choices(self._shares, cum_weights=self._weights)[0]

    def plan(self, share: Share) -> Plan:
        """A request that needs no other before it."""
        generator = self._generator
        scenario = self._scenario
        unknown = share.flaw is Flaw.UNKNOWN_CARD
        card = generator.choice(scenario.unknown_cards if unknown else scenario.cards)
        amount_minor = 0
        if share.kind != "balance_inquiry":
            amount_minor = generator.randint(scenario.amount_min_minor, scenario.amount_max_minor)
        refusal = self._amounts.refusal(amount_minor) if share.kind in AMOUNT_KINDS else None
        if share.kind not in ADVICES:
            refusal = card.expect or refusal
        reasons: tuple[str, ...] = (refusal or APPROVED,)
        if refusal is None and share.kind in AMOUNT_KINDS and approved_part(scenario.parts, amount_minor):
            reasons = IN_PART
        return Plan(share.kind, share.flaw, card, amount_minor, self._expect(share, reasons))

    def plan_on(self, share: Share, card: PaymentCard, amount_minor: int) -> Plan:
        """A request that refers to an approved one, for its card and amount."""
        refusal = self._amounts.refusal(amount_minor) if share.kind == "completion" else None
        return Plan(share.kind, share.flaw, card, amount_minor, self._expect(share, (refusal or APPROVED,)))

    def _expect(self, share: Share, reasons: tuple[str, ...]) -> frozenset[str]:
        if share.expect is not None:
            reasons = share.expect
        elif share.flaw is not Flaw.NONE:
            reasons = (FLAW_REASON[share.flaw],)
        expected = self._expectations.get(reasons)
        if expected is None:
            expected = self._expectations[reasons] = frozenset((*reasons, *self._tolerate))
        return expected
