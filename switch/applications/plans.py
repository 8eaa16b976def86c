"""Plans on offer: what a merchant pays, and what it gets for that, in versions that never change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.applications.policy import ApplicantKind, Limit, load_section
from switch.applications.tables import PLANS
from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError
from switch.files.sections import AMOUNT_MAX, Section
from switch.store.changing import Change, row_of
from switch.store.problems import RefusedError

CardType = Literal["debit", "credit", "prepaid", "foreign"]
Minor = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
Text = Annotated[str, Field(min_length=1, max_length=400)]


class Fee(Section):
    """What a transaction with one type of card costs.

    Attributes:
        card_type: Of the card.
        rate_ppm: Millionths of the amount: 6000 are 0.60 %.
        fixed_minor: A sum on top of each, in the currency's minor unit.
        cap_minor: At most this; None: without a cap.
        source: Of a legal limit within which it stays, where there is one.
    """

    card_type: CardType
    rate_ppm: int = Field(ge=0, le=100_000)
    fixed_minor: Minor = 0
    cap_minor: Minor | None = None
    source: Text | None = None


class Deposit(Section):
    """What a merchant pays for a terminal, and gets back: the condition is part of the promise."""

    amount_minor: Minor
    refund_after_days: int = Field(ge=0, le=3_650)
    refund_if: Text


class Benefit(Section):
    """Something that is better for a time.

    Attributes:
        begins: The first day of it.
        ends: The last one.
        fees: In the place of the plan's, for these types of cards.
        terminal_month_minor: In the place of the plan's.
        source: Where it is laid down, or promised, where that is so.
    """

    name: Text
    begins: date
    ends: date
    fees: tuple[Fee, ...] = ()
    terminal_month_minor: Minor | None = None
    source: Text | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Benefit:
        if self.ends < self.begins:
            raise ValueError("it ends before it begins")
        _refuse_second_fee(self.fees)
        return self

    @property
    def prices(self) -> list[str]:
        """What of the plan's prices it takes the place of."""
        own = [] if self.terminal_month_minor is None else ["terminal_month_minor"]
        return [*own, *(f"the fee of {fee.card_type} cards" for fee in self.fees)]


class SmallMerchant(Section):
    """Limits of a plan for natural persons without a licence, in the currency's minor unit."""

    credit_day_minor: Limit
    credit_month_minor: Limit


class Plan(Section):
    """One version of one plan.

    Attributes:
        id: Name and version: ``shop@3``.
        decimals: Of the currency.
        settlement_days: Business days after which money is paid out.
        notice_days: Before a price of it may rise.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}@[1-9][0-9]{0,3}$")
    title: Text
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    decimals: int = Field(2, ge=0, le=3)
    offered_to: tuple[ApplicantKind, ...] = Field(min_length=1)
    fees: tuple[Fee, ...] = Field(min_length=1)
    terminals_included: int = Field(ge=0, le=10_000)
    terminal_month_minor: Minor = 0
    deposit: Deposit | None = None
    benefits: tuple[Benefit, ...] = ()
    settlement_days: int = Field(ge=0, le=30)
    notice_days: Limit
    small_merchant: SmallMerchant | None = None

    @model_validator(mode="after")
    def _whole(self) -> Plan:
        _refuse_second_fee(self.fees)
        for number, one in enumerate(self.benefits):
            if strange := {fee.card_type for fee in one.fees} - {fee.card_type for fee in self.fees}:
                raise ValueError(f"benefit {one.name!r} has a fee of cards that are not taken: {', '.join(strange)}")
            for other in self.benefits[:number]:
                both = [price for price in one.prices if price in other.prices]
                if both and one.begins <= other.ends and other.begins <= one.ends:
                    raise ValueError(f"two benefits say at one time: {', '.join(both)}")
        if "person" in self.offered_to and self.small_merchant is None:
            raise ValueError("a plan for persons needs small_merchant, with its limits")
        return self


def _refuse_second_fee(fees: Sequence[Fee]) -> None:
    types = [fee.card_type for fee in fees]
    if len(set(types)) != len(types):
        raise ValueError("a type of card has two fees")


class PlanFile(Section):
    """Plans as an operator writes them."""

    plan: tuple[Plan, ...] = Field(min_length=1)


def load_plans(file: Path) -> tuple[Plan, ...]:
    """The plans of a file.

    Raises:
        ConfigError: All that is wrong with it.
    """
    return load_section(file, PlanFile).plan


def body_of(plan: Plan) -> str:
    """A plan as the store keeps it; its hash is that of these bytes."""
    said = plan.model_dump(mode="json")
    # What benefits may say was less once: a plan that says no more than that has the hash that it had.
    said["benefits"] = [{name: one[name] for name in one if one[name] not in (None, [])} for one in said["benefits"]]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_of(body: str) -> str:
    """By which a plan is named in a contract: SHA-256, in hex."""
    return sha256(body.encode()).hexdigest()


def plan_said(said: Mapping[str, Any]) -> Plan:
    """A plan as a program says it, in JSON what a file says.

    Raises:
        ConfigError: All that is wrong with it.
    """
    try:
        return Plan.model_validate_json(json.dumps(said))
    except ValidationError as error:
        raise ConfigError(problems_of(error, Plan, "plan", "")) from None


def import_plans(change: Change, plans: Sequence[Plan]) -> int:
    """Offer plans; how many were not there before. One that is there stays as it is.

    Raises:
        RefusedError: One of the same version is there and says something else.
    """
    added = 0
    for plan in plans:
        body = body_of(plan)
        found = change.connection.execute(select(PLANS.c.body).where(PLANS.c.id == plan.id)).scalar_one_or_none()
        if found not in (None, body):
            raise RefusedError(f"plan {plan.id} is there and says something else: what changes is a new version")
        if found is None:
            change.insert(PLANS, {"id": plan.id, "body": body, "hash": hash_of(body), "since": change.at})
            added += 1
    return added


def set_offered(change: Change, key: str, *, is_offered: bool) -> bool:
    """Offer a plan no longer, or again; contracts that have it stay. False where it was so before.

    Raises:
        NoSuchError: There is none.
    """
    row_of(change.connection, PLANS, key)
    return change.update(PLANS, key, {"state": "offered" if is_offered else "withdrawn"})


def plan_of(connection: Connection, key: str) -> Plan:
    """One plan.

    Raises:
        NoSuchError: There is none.
    """
    return _plan_in(row_of(connection, PLANS, key)["body"])


def offered_plan(connection: Connection, key: str, kind: ApplicantKind) -> Plan:
    """A plan that somebody may ask for.

    Raises:
        RefusedError: It is not there, no longer offered, or not to such applicants.
    """
    row = row_of(connection, PLANS, key)
    plan = _plan_in(row["body"])
    if row["state"] != "offered":
        raise RefusedError(f"plan {key} is no longer offered")
    if kind not in plan.offered_to:
        raise RefusedError(f"plan {key} is not for a {kind}")
    return plan


def _plan_in(body: str) -> Plan:
    return Plan.model_validate_json(body, strict=False)


def plans_on_offer(connection: Connection) -> list[Plan]:
    """All that are offered, by their names."""
    query = select(PLANS.c.body).where(PLANS.c.state == "offered").order_by(PLANS.c.id)
    return [_plan_in(body) for body in connection.execute(query).scalars()]


def side_by_side(plans: Sequence[Plan]) -> list[tuple[str, list[str]]]:
    """What plans say, one line for each thing, one cell for each plan."""
    lines: list[tuple[str, list[str]]] = [("title", [plan.title for plan in plans])]
    types = dict.fromkeys(fee.card_type for plan in plans for fee in plan.fees)
    lines.extend((f"{one} card", [_fee_words(plan, one) for plan in plans]) for one in types)
    lines += [
        ("terminals included", [str(plan.terminals_included) for plan in plans]),
        ("each further terminal a month", [_money(plan, plan.terminal_month_minor) for plan in plans]),
        ("deposit", [_deposit_words(plan) for plan in plans]),
        ("paid out after business days", [str(plan.settlement_days) for plan in plans]),
        ("a rise is told before, days", [_limit_words(plan.notice_days) for plan in plans]),
        ("for", [", ".join(plan.offered_to) for plan in plans]),
        ("credit cards a day", [_small_words(plan, "credit_day_minor") for plan in plans]),
        ("credit cards a month", [_small_words(plan, "credit_month_minor") for plan in plans]),
        ("benefits", ["; ".join(_benefit_words(plan, one) for one in plan.benefits) for plan in plans]),
    ]
    return lines


def _money(plan: Plan, minor: int) -> str:
    return f"{minor / 10**plan.decimals:,.{plan.decimals}f} {plan.currency}"


def _fee_words(plan: Plan, card_type: str) -> str:
    fee = next((one for one in plan.fees if one.card_type == card_type), None)
    return "not taken" if fee is None else _price_words(plan, fee)


def _price_words(plan: Plan, fee: Fee) -> str:
    words = f"{_percent(fee.rate_ppm)} %"
    if fee.fixed_minor:
        words += f" + {_money(plan, fee.fixed_minor)}"
    return words if fee.cap_minor is None else f"{words}, at most {_money(plan, fee.cap_minor)}"


def _percent(ppm: int) -> str:
    """All of it, with two decimals at least: it is a price."""
    whole, rest = divmod(ppm, 10_000)
    decimals = f"{rest:04}"
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def _benefit_words(plan: Plan, benefit: Benefit) -> str:
    """What is better, from which day to which, and who says so."""
    prices = [f"{fee.card_type} card {_price_words(plan, fee)}" for fee in benefit.fees]
    if benefit.terminal_month_minor is not None:
        prices.append(f"each further terminal a month {_money(plan, benefit.terminal_month_minor)}")
    days = f"({benefit.begins} to {benefit.ends}{f'; {benefit.source}' if benefit.source else ''})"
    return " ".join([f"{benefit.name}:" if prices else benefit.name, *([", ".join(prices)] if prices else []), days])


def _deposit_words(plan: Plan) -> str:
    if plan.deposit is None:
        return "none"
    back = f"back after {plan.deposit.refund_after_days} days if {plan.deposit.refund_if}"
    return f"{_money(plan, plan.deposit.amount_minor)}, {back}"


def _limit_words(limit: Limit) -> str:
    return f"{limit.value} ({limit.source})"


def _small_words(plan: Plan, name: str) -> str:
    if plan.small_merchant is None:
        return "no limit of the plan"
    limit: Any = getattr(plan.small_merchant, name)
    return f"{_money(plan, limit.value)} ({limit.source})"
