"""Exits and bands of rules: what is measured, which band holds it, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect.kinds import Kind
from switch.dialect.model import ENTRY_MODES
from switch.dialect.reasons import Reason
from switch.tables.card_table import CARD_TYPES
from switch.tables.grades import GRADES_MAX
from switch.tables.risk import OWN_RULES, Risk
from switch.tables.rule_terms import BandTerms, ExitTerms, RuleTerms
from tests.ext.test_risk_rules import HOUR_MS, MERCHANTS, YUAN, build, by, check, registry, rule, take_back

__all__ = ["registry"]


def bands(*ends: int, then: str = "refuse") -> tuple[BandTerms, ...]:
    """Bands from each of these values to the next; below the first one nothing follows."""
    edges = zip(ends, (*ends[1:], None), strict=True)
    return tuple(BandTerms(name=f"b{begin}", begin=begin, below=below, then=then) for begin, below in edges)


def graded(value: str, *some: BandTerms, exits: tuple[ExitTerms, ...] = (), **terms: object) -> RuleTerms:
    measure = {"declines": "declines", "decline_share": "share", "merchants": "merchants"}.get(value, "requests")
    return rule("graded", value=value, measure=measure, bands=some, exits=exits, **terms)


def decided(risk: Risk) -> dict[str, int]:
    """How often each exit and band has decided, by its own name; those that never did are left out."""
    counts = zip(risk.grades, risk.graded, strict=True)
    return {name.partition("/")[2]: count for name, count in counts if count}


def test_the_first_band_that_holds_the_value_decides() -> None:
    risk = build(
        graded(
            "amount",
            BandTerms(name="small", below=100),
            BandTerms(name="odd", begin=150, below=151, then="shadow"),
            BandTerms(name="middle", begin=100, below=200, then="case"),
            BandTerms(name="large", begin=1_000, then="refuse", refuse_as="suspected-fraud", text="too much"),
            version=4,
            window_ms=0,
        )
    )
    assert risk.rule_ids[len(OWN_RULES) :] == (
        "graded@4", "graded@4/small", "graded@4/odd", "graded@4/middle", "graded@4/large",
    )  # fmt: skip
    assert risk.grades == {
        "graded@4/small": "pass", "graded@4/odd": "shadow", "graded@4/middle": "case", "graded@4/large": "refuse",
    }  # fmt: skip
    assert [check(risk, amount=amount) for amount in (0, 99, 100, 150, 199, 200, 999)] == [Reason.APPROVED] * 7
    assert decided(risk) == {"small": 2, "odd": 1, "middle": 2}
    assert check(risk, amount=1_000) is Reason.SUSPECTED_FRAUD
    assert by(risk) == "graded@4/large"
    assert dict(zip(risk.rule_ids, risk.refused, strict=True))["graded@4/large"] == 1
    assert dict(zip(risk.rule_ids, risk.shadowed, strict=True))["graded@4/odd"] == 1


def test_bands_of_a_calendar_month_hold_for_the_types_of_cards_that_the_rule_looks_at() -> None:
    credit = graded(
        "sum",
        *bands(101),
        exits=(ExitTerms(name="chip", entries=1 << ENTRY_MODES.index("chip")),),
        card_types=1 << CARD_TYPES.index("credit"),
        window_ms=31 * 24 * HOUR_MS,
        sliding=False,
        monthly=True,
    )
    risk = build(credit, card_types=b"low,high,type\n42,,debit\n")
    last_ms = int(datetime(2028, 2, 29, 23, 59, tzinfo=UTC).timestamp() * 1000)
    chip, manual = ENTRY_MODES.index("chip"), ENTRY_MODES.index("manual")
    assert check(risk, "42", amount=500, now_ms=last_ms, entry_mode=manual) is Reason.APPROVED
    assert check(risk, "41", amount=500, now_ms=last_ms, entry_mode=chip) is Reason.APPROVED
    assert decided(risk) == {"chip": 1}
    assert check(risk, "41", amount=1, now_ms=last_ms, entry_mode=manual) is Reason.AMOUNT_LIMIT
    assert check(risk, "41", amount=100, now_ms=last_ms + 60_000, entry_mode=manual) is Reason.APPROVED
    assert check(risk, "41", amount=1, now_ms=last_ms + 60_000, entry_mode=manual) is Reason.AMOUNT_LIMIT


def test_a_band_names_its_cases_unless_the_request_is_refused() -> None:
    risk = build(
        graded("amount", BandTerms(name="look", begin=50, then="case"), window_ms=0),
        rule("other", currency=YUAN, window_ms=0, single_max=100),
    )
    check(risk, amount=60)
    assert risk.cases == ["graded@1/look"]
    assert check(risk, amount=101) is Reason.AMOUNT_LIMIT
    assert risk.cases == []
    check(risk, amount=10)
    assert risk.cases == []


@pytest.mark.parametrize(
    ("value", "reason"), [("sum", Reason.AMOUNT_LIMIT), ("count", Reason.COUNT_LIMIT)], ids=["sum", "count"]
)
def test_sums_and_counts_are_with_the_request_itself(value: str, reason: Reason) -> None:
    risk = build(graded(value, *bands(20 if value == "sum" else 2, 40 if value == "sum" else 4), currency=YUAN))
    assert check(risk) is Reason.APPROVED
    assert check(risk) is reason, "what is refused is not counted"
    assert by(risk).endswith("/b20" if value == "sum" else "/b2")
    take_back(risk)
    assert check(risk) is Reason.APPROVED
    assert check(risk, now_ms=3 * HOUR_MS) is Reason.APPROVED


def test_a_rule_in_shadow_refuses_by_no_band_and_raises_no_case() -> None:
    some = (*bands(0, 10), BandTerms(name="look", then="case"))
    risk = build(graded("amount", *some, window_ms=0, is_shadow=True))
    assert [check(risk, amount=amount) for amount in (5, 10)] == [Reason.APPROVED] * 2
    assert set(risk.grades.values()) == {"shadow"}
    assert sum(risk.shadowed) == 2
    assert risk.cases == []


def test_declines_and_their_share() -> None:
    risk = build(graded("declines", *bands(2)))
    for _ in range(2):
        assert check(risk) is Reason.APPROVED
        take_back(risk, is_declined=True)
    assert check(risk) is Reason.COUNT_LIMIT
    share = build(graded("decline_share", *bands(50)))
    for declined in (False, False, True, False, True, True):
        assert check(share) is Reason.APPROVED
        if declined:
            take_back(share, is_declined=True)
    assert check(share) is Reason.COUNT_LIMIT, "3 of 6"
    share = build(graded("decline_share", *bands(50)))
    check(share)
    for _ in range(9):
        check(share)
        take_back(share)
    assert check(share) is Reason.APPROVED, "what ended in neither way is no part of the whole"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["approved", "declined", "gone"]), max_size=60), st.integers(1, 100))
def test_the_share_of_declines_agrees_with_a_plain_list(ends: list[str], most: int) -> None:
    risk = build(graded("decline_share", *bands(most)))
    seen: list[str] = []
    for end in ends:
        known = [one for one in seen if one != "gone"]
        percent = 100 * known.count("declined") // len(known) if known else 0
        told = check(risk)
        assert told is (Reason.COUNT_LIMIT if percent >= most else Reason.APPROVED)
        if told is not Reason.APPROVED:
            return
        if end != "approved":
            take_back(risk, is_declined=end == "declined")
        seen.append(end)


def test_merchants_are_with_the_one_that_asks(registry) -> None:
    risk = build(graded("merchants", *bands(3)), registry=registry)
    assert [check(risk, merchant=number) for number in (0, 1, 0, 1)] == [Reason.APPROVED] * 4
    assert check(risk, merchant=2) is Reason.COUNT_LIMIT
    assert check(risk) is Reason.APPROVED, "without a merchant nothing is measured"


def test_what_refunds_are_above_sales(registry) -> None:
    terms = {"scope": "merchant", "currency": YUAN, "kinds": 1 << Kind.REFUND, "against": 1 << Kind.PURCHASE}
    risk = build(graded("refund_excess", *bands(51), **terms), registry=registry)
    give = {"kind": Kind.REFUND, "merchant": 0}
    assert check(risk, amount=51, **give) is Reason.AMOUNT_LIMIT
    assert check(risk, amount=100, merchant=0) is Reason.APPROVED
    assert check(risk, amount=150, **give) is Reason.APPROVED
    assert check(risk, amount=1, **give) is Reason.AMOUNT_LIMIT


@pytest.mark.parametrize(
    ("conditions", "left", "decides"),
    [
        ({"amount_below": 10}, {"amount": 9}, {"amount": 10}),
        ({"entries": 1 << ENTRY_MODES.index("manual")}, {"entry_mode": 1}, {"entry_mode": 5}),
        ({"categories": (5411,)}, {"merchant": 0}, {"merchant": 1}),
        ({"categories": (5411,)}, {"merchant": 2}, {}),
        ({"merchants": ("M3", "M7")}, {"merchant": 7}, {"merchant": MERCHANTS - 1}),
        ({"merchants": ("M3",), "amount_below": 10}, {"merchant": 3, "amount": 1}, {"merchant": 3, "amount": 10}),
    ],
)
def test_an_exit_is_taken_when_all_its_conditions_hold(registry, conditions, left, decides) -> None:
    away = (ExitTerms(name="away", text="why", **conditions),)
    for one in (
        graded("amount", BandTerms(name="all", then="refuse"), exits=away, window_ms=0),
        rule("ban", count_max=0, window_ms=0, exits=away),
    ):
        risk = build(one, registry=registry)
        assert check(risk, **left) is Reason.APPROVED
        assert decided(risk) == {"away": 1}
        assert check(risk, **decides) is not Reason.APPROVED


def test_too_little_history_is_an_exit_and_counts() -> None:
    few = (ExitTerms(name="few", requests_below=3),)
    risk = build(rule("counts", count_max=1, exits=few))
    assert [check(risk) for _ in range(4)] == [Reason.APPROVED] * 3 + [Reason.COUNT_LIMIT]
    assert decided(risk) == {"few": 3}
    assert by(risk) == "counts@1"


def test_there_is_room_for_so_many_and_no_more() -> None:
    some = tuple(BandTerms(name=f"b{number}", begin=number) for number in range(GRADES_MAX))
    build(graded("amount", *some, window_ms=0))
    with pytest.raises(ValueError, match=f"more than {GRADES_MAX} exits and bands"):
        build(graded("amount", *some, window_ms=0), graded("amount", some[0], window_ms=0))
