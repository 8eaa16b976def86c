"""Rules over one identity: what all merchants of it did, by the class of each, the type of card, and the calendar."""

from __future__ import annotations

from functools import partial

import pytest

from switch.dialect.kinds import Kind
from switch.dialect.reasons import Reason
from switch.files.problems import ConfigError
from switch.tables.card_table import CARD_TYPES
from switch.tables.party_states import MERCHANT_CLASSES
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.registry_changes import take_changes
from switch.tables.risk import PAST_MS, Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable

from .test_mesh_node_counts import Two

YUAN = 156
DAY_MS = 86_400_000
CREDIT, DEBIT = "6225000000000014", "6217000000000014"
ONE, OTHER = "1f" * 32, "2e" * 32
PARTIES = {"M0": ("small", ONE), "M1": ("small", ONE), "M2": ("small", OTHER), "M3": ("company", ONE), "M4": ("", "")}


def registry_of(parties=PARTIES) -> Registry:
    rows = [f"{key},Shop,active,5411,,,,{','.join(row)}" for key, row in parties.items()]
    merchants = "\n".join([",".join(BOUND_MERCHANT_COLUMNS), *rows, ""])
    terminals = "".join(f"T{number},{key},active,,,none,none,\n" for number, key in enumerate(parties))
    tables = merchants.encode(), f"{','.join(TERMINAL_COLUMNS)}\n{terminals}".encode()
    return Registry.build(*tables, {}, [kind.label for kind in Kind], ["pos"])


def limit(name="small", **terms) -> RuleTerms:
    wanted = {
        "scope": "identity",
        "kinds": 1 << Kind.PURCHASE,
        "currency": YUAN,
        "window_ms": DAY_MS,
        "sliding": False,
        "amount_max": 1_000,
        "card_types": 1 << CARD_TYPES.index("credit"),
        "merchant_classes": 1 << MERCHANT_CLASSES.index("small"),
    }
    return RuleTerms(name=name, **wanted | terms)


def build(*rules, registry=None) -> Risk:
    return Risk.build(
        None,
        WindowTable(1_000),
        rules=rules or [limit()],
        registry=registry or registry_of(),
        card_types=b"low,high,type\n6217,,debit\n",
    )


def asked(merchant, amount, pan=CREDIT, **said):
    return {
        "kind": Kind.PURCHASE, "pan": pan, "amount_minor": amount, "currency": YUAN, "terminal": merchant,
        "merchant": merchant, **said,
    }  # fmt: skip


def buy(risk, merchant, amount, pan=CREDIT, **said) -> Reason:
    return Reason(risk.check_request(**asked(merchant, amount, pan, **said)))


def test_all_merchants_of_one_identity_have_one_limit() -> None:
    risk = build()
    assert buy(risk, 0, 600) is Reason.APPROVED
    assert buy(risk, 1, 401) is Reason.AMOUNT_LIMIT
    assert risk.rule_ids[risk.refused_by] == "small@1"
    assert buy(risk, 1, 400) is Reason.APPROVED
    assert buy(risk, 0, 1) is Reason.AMOUNT_LIMIT
    assert buy(risk, 2, 1_000) is Reason.APPROVED, "it is another's"
    assert buy(risk, 3, 5_000) is Reason.APPROVED, "it is a company"
    assert buy(risk, 4, 5_000) is Reason.APPROVED, "nobody has said whose it is"
    assert buy(risk, 0, 5_000, DEBIT) is Reason.APPROVED, "the card is none of credit"
    assert buy(risk, 0, 5_000, currency=840) is Reason.APPROVED
    assert buy(risk, 0, 1, now_ms=DAY_MS) is Reason.APPROVED, "it is the next day"


def test_what_does_not_stand_is_given_back_to_the_identity() -> None:
    risk = build()
    assert buy(risk, 0, 1_000) is Reason.APPROVED
    risk.uncount_request(**asked(0, 1_000))
    risk.uncount_request(**asked(0, 1_000, DEBIT))
    assert buy(risk, 1, 1_000) is Reason.APPROVED
    assert buy(risk, 1, 1) is Reason.AMOUNT_LIMIT


def test_a_rule_without_a_class_looks_at_all_that_an_identity_holds() -> None:
    risk = build(limit(merchant_classes=0, card_types=0))
    assert buy(risk, 3, 600, DEBIT) is Reason.APPROVED
    assert buy(risk, 0, 401) is Reason.AMOUNT_LIMIT
    assert buy(risk, 4, 5_000) is Reason.APPROVED


def test_a_day_and_a_month_hold_at_once() -> None:
    risk = build(limit("day"), limit("month", monthly=True, window_ms=31 * DAY_MS, amount_max=2_500))
    told = [buy(risk, day % 2, 1_000, now_ms=day * DAY_MS) for day in range(2)]
    assert told == [Reason.APPROVED] * 2
    assert buy(risk, 0, 501, now_ms=30 * DAY_MS) is Reason.AMOUNT_LIMIT
    assert risk.rule_ids[risk.refused_by] == "month@1"
    assert buy(risk, 0, 500, now_ms=30 * DAY_MS) is Reason.APPROVED
    assert buy(risk, 1, 1_000, now_ms=31 * DAY_MS) is Reason.APPROVED, "in February"


def test_in_shadow_it_only_tells() -> None:
    risk = build(limit(is_shadow=True))
    assert [buy(risk, 0, 1_000), buy(risk, 1, 1_000)] == [Reason.APPROVED] * 2
    assert risk.shadowed[-1] == 1


def test_who_holds_a_merchant_may_change_while_it_is_looked_up() -> None:
    registry = registry_of()
    risk = build(registry=registry)
    assert buy(risk, 0, 1_000) is Reason.APPROVED
    take_changes(registry, registry_of({"M1": ("company", ONE), "M4": ("small", ONE)}))
    assert registry.describe_merchant("M4")["same_identity"] == ONE[:16]
    assert registry.describe_merchant("M1")["merchant_class"] == "company"
    assert buy(risk, 1, 1) is Reason.APPROVED
    assert buy(risk, 4, 1) is Reason.AMOUNT_LIMIT


def test_problems_of_the_columns_are_told_and_no_number_is_repeated() -> None:
    number = "11010519491231002X"
    with pytest.raises(ConfigError) as caught:
        registry_of({"M0": (number, number), "M1": ("small", number), "M2": ("large", ONE)})
    assert [(problem.key, problem.reason) for problem in caught.value.problems] == [
        ("line 2, column 24", "class: is none of company, small"),
        ("line 2, column 43", "same_identity: the hash of an identity has 64 hex digits"),
        ("line 3, column 30", "same_identity: the hash of an identity has 64 hex digits"),
        ("line 4, column 24", "class: is none of company, small"),
    ]


def test_nodes_count_one_identity_together() -> None:
    two = Two(build(), build())
    here, there = (partial(buy, node.risk, now_ms=node.now_ms + PAST_MS) for node in two.nodes)
    assert here(0, 700) is Reason.APPROVED
    assert here(0, 700, DEBIT) is Reason.APPROVED
    two.carry()
    assert there(1, 301) is Reason.AMOUNT_LIMIT
    assert there(1, 300) is Reason.APPROVED
    two.carry()
    two.nodes[0].risk.uncount_request(**asked(0, 700, now_ms=two.nodes[0].now_ms + PAST_MS))
    two.carry()
    assert there(1, 700) is Reason.APPROVED
    assert there(1, 1) is Reason.AMOUNT_LIMIT
