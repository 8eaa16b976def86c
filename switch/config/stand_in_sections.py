"""The configuration of stand-in: what the switch approves itself while a link's issuer cannot be asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from switch.config.value_types import BinRange, Currency
from switch.files.sections import AMOUNT_MAX, Section, count
from switch.tables.stand_in import LIMITS_MAX as STAND_IN_LIMITS_MAX


class StandInLimit(Section):
    """How much is approved in one currency, in its minor units."""

    currency: Currency = Field(description="Numeric ISO 4217 code; payments in a currency without limits are refused.")
    amount_max: int = Field(ge=1, le=AMOUNT_MAX, description="One payment.")
    outstanding_max: int = Field(
        ge=1,
        le=AMOUNT_MAX,
        description="All approvals together that the issuer has not been told yet: the most that can be lost.",
    )
    card_amount_max: int | None = Field(
        None, ge=1, le=AMOUNT_MAX, description="One card's approvals within `window_seconds`."
    )
    card_count_max: int | None = Field(
        None, ge=1, le=1_000_000, description="How many approvals one card gets within `window_seconds`."
    )


class LinkStandIn(Section):
    """Payments that the switch approves itself while no link of their route can be asked, at the acquirer's risk."""

    kinds: tuple[Literal["purchase", "preauthorization"], ...] = Field(
        ("purchase",), strict=False, min_length=1, max_length=2, description="Kinds of transaction that are covered."
    )
    bins: tuple[BinRange, ...] = Field(
        (),
        strict=False,
        max_length=1_000,
        description='First digits of the cards that are covered, such as "622848" or "622840-622849"; none: every card '
        "that is routed here.",
    )
    pin: bool = Field(
        False, description="Cover payments with a PIN, too, though nobody verifies the PIN while the issuer is away."
    )
    window_seconds: int = count(86_400, "Over which one card's approvals are added up.", most=31 * 24 * 3600)
    cards_max: int = count(100_000, "Cards that are counted at the same time; about 140 bytes each.", most=10_000_000)
    limits: tuple[StandInLimit, ...] = Field(
        strict=False, min_length=1, max_length=STAND_IN_LIMITS_MAX, description="One table for each currency."
    )
