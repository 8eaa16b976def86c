"""Rules of risk control: what they look at and measure, shadow, and who has refused."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect.kinds import Kind
from switch.dialect.model import ENTRY_MODES
from switch.dialect.reasons import Reason
from switch.files.problems import ConfigError
from switch.tables.card_table import CARD_TYPES
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.risk import OWN_RULES, Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.rules import WORDS_BYTES_MAX
from switch.tables.time_windows import WindowTable

YUAN = 156
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000
CARD = "4000001234567890"
MERCHANTS = 12
CATEGORIES = ("5411", "6011")


@pytest.fixture(scope="module")
def registry() -> Registry:
    merchants = "".join(f"M{number},Shop,active,{CATEGORIES[number % 2]},\n" for number in range(MERCHANTS))
    terminals = "".join(f"T{number},M{number},active,,,none,none,\n" for number in range(MERCHANTS))
    return Registry.build(
        f"{','.join(MERCHANT_COLUMNS)}\n{merchants}".encode(),
        f"{','.join(TERMINAL_COLUMNS)}\n{terminals}".encode(),
        {},
        [kind.label for kind in Kind],
        ["pos"],
    )


def registry_of_one() -> Registry:
    merchants = f"{','.join(MERCHANT_COLUMNS)}\nM0,Shop,active,5411,\n"
    terminals = f"{','.join(TERMINAL_COLUMNS)}\nT0,M0,active,,,none,none,\n"
    return Registry.build(merchants.encode(), terminals.encode(), {}, [kind.label for kind in Kind], ["pos"])


def rule(name: str = "rule", **terms: object) -> RuleTerms:
    return RuleTerms(**({"name": name, "window_ms": HOUR_MS} | terms))  # type: ignore[arg-type]


def build(*rules: RuleTerms, clock_offset_ms: int = 0, **options: object) -> Risk:
    return Risk.build(None, WindowTable(1_000, clock_offset_ms), rules=rules, **options)  # type: ignore[arg-type]


def asked(pan: str = CARD, amount: int = 10, **said: int) -> dict[str, object]:
    return {"kind": Kind.PURCHASE, "currency": YUAN, "pan": pan, "amount_minor": amount, "now_ms": HOUR_MS, **said}


def check(risk: Risk, pan: str = CARD, amount: int = 10, **said: int) -> Reason:
    return Reason(risk.check_request(**asked(pan, amount, **said)))  # type: ignore[arg-type]


def take_back(risk: Risk, pan: str = CARD, amount: int = 10, *, is_declined: bool = False, **said: int) -> None:
    risk.uncount_request(**asked(pan, amount, **said), is_declined=is_declined)  # type: ignore[arg-type]


def by(risk: Risk) -> str:
    return risk.rule_ids[risk.refused_by]


# Names.


def test_what_refuses_is_named_and_counted(registry: Registry) -> None:
    risk = build(
        rule("amounts", version=7, currency=YUAN, amount_max=100),
        rule("counts", version=2, count_max=3),
        own_rules=[RuleTerms(name="countries", version=4)],
        countries=b"low,high,country\n5,,408\n",
        blocked_countries=(408,),
        registry=registry,
    )
    assert risk.rule_ids[: len(OWN_RULES)] == (
        "terminal-kinds@1", "merchant-kinds@1", "cards@1", "merchants@1", "bins@1", "countries@4",
    )  # fmt: skip
    assert check(risk) is Reason.APPROVED
    assert risk.refused_by == -1
    assert (check(risk, amount=91), by(risk)) == (Reason.AMOUNT_LIMIT, "amounts@7")
    assert (check(risk, "5100000000000000"), by(risk)) == (Reason.RESTRICTED_CARD, "countries@4")
    check(risk)
    check(risk)
    assert (check(risk), by(risk)) == (Reason.COUNT_LIMIT, "counts@2")
    assert dict(zip(risk.rule_ids, risk.refused, strict=True)) == dict.fromkeys(risk.rule_ids, 0) | {
        "amounts@7": 1, "countries@4": 1, "counts@2": 1,
    }  # fmt: skip
    assert not any(risk.shadowed)


def test_words_that_are_too_long_are_refused() -> None:
    build(rule(text="x" * WORDS_BYTES_MAX))
    with pytest.raises(ValueError, match="more than 255 bytes"):
        build(rule(source="x" * (WORDS_BYTES_MAX + 1)))
    with pytest.raises(ValueError, match="nothing of risk control is called surprise"):
        build(own_rules=[RuleTerms(name="surprise")])


# Shadow.


def test_a_rule_in_shadow_counts_what_it_would_refuse_and_refuses_nothing() -> None:
    risk = build(rule("trial", count_max=2, is_shadow=True), rule("real", count_max=4))
    assert [check(risk) for _ in range(4)] == [Reason.APPROVED] * 4
    assert risk.shadowed[len(OWN_RULES) :] == [2, 0]
    assert (check(risk), by(risk)) == (Reason.COUNT_LIMIT, "real@1")
    assert risk.shadowed[len(OWN_RULES) :] == [3, 0]
    assert risk.refused[len(OWN_RULES) :] == [0, 1]


# What a rule looks at.


@pytest.mark.parametrize(
    ("terms", "met", "not_met"),
    [
        ({"entries": 1 << ENTRY_MODES.index("manual")}, {"entry_mode": 1}, {"entry_mode": 5}),
        ({"amount_from": 5, "amount_to": 20}, {"amount": 20}, {"amount": 21}),
        ({"amount_from": 5, "amount_to": 20}, {"amount": 5}, {"amount": 4}),
        ({"countries": (408,)}, {"pan": "51"}, {"pan": "52"}),
        ({"countries": (408,)}, {"pan": "51"}, {"pan": "4"}),
        ({"currency": YUAN}, {}, {"currency": 840}),
        ({"kinds": 1 << Kind.REFUND}, {"kind": Kind.REFUND}, {}),
        ({"minutes": (60, 120)}, {"now_ms": 60 * MINUTE_MS}, {"now_ms": 120 * MINUTE_MS}),
        ({"minutes": (60, 120)}, {"now_ms": 120 * MINUTE_MS - 1}, {"now_ms": 60 * MINUTE_MS - 1}),
        ({"minutes": (1380, 60)}, {"now_ms": 1380 * MINUTE_MS}, {"now_ms": 1380 * MINUTE_MS - 1}),
        ({"minutes": (1380, 60)}, {"now_ms": DAY_MS + 60 * MINUTE_MS - 1}, {"now_ms": DAY_MS + 60 * MINUTE_MS}),
    ],
)
def test_a_rule_looks_at_what_meets_its_conditions_and_counts_nothing_else(terms, met, not_met) -> None:
    countries = b"low,high,country\n51,,408\n52,,840\n"
    ban = build(rule("ban", window_ms=0, count_max=0, **terms), countries=countries)
    assert check(ban, **met) is Reason.COUNT_LIMIT
    assert check(ban, **not_met) is Reason.APPROVED
    one = build(rule("one", window_ms=2 * DAY_MS, count_max=1, **terms), countries=countries)
    assert [check(one, **not_met) for _ in range(3)] == [Reason.APPROVED] * 3
    assert [check(one, **met) for _ in range(2)] == [Reason.APPROVED, Reason.COUNT_LIMIT]
    take_back(one, **met)
    assert check(one, **met) is Reason.APPROVED


def test_time_of_day_is_that_of_the_offset() -> None:
    risk = build(rule(window_ms=0, count_max=0, minutes=(0, 60)), clock_offset_ms=8 * HOUR_MS)
    assert check(risk, now_ms=16 * HOUR_MS) is Reason.COUNT_LIMIT
    assert check(risk, now_ms=0) is Reason.APPROVED


def test_cards_of_a_bin_and_merchants_of_a_category_are_counted_together(registry: Registry) -> None:
    risk = build(rule("bin", scope="bin", count_max=2), registry=registry)
    assert [check(risk, f"400000{number}") for number in range(3)] == [Reason.APPROVED] * 2 + [Reason.COUNT_LIMIT]
    assert check(risk, "4000010") is Reason.APPROVED
    longer = build(rule("bin", scope="bin", count_max=1), bin_digits=8)
    assert [check(longer, pan) for pan in ("400000110", "400000120", "400000111")] == [
        Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT,
    ]  # fmt: skip
    risk = build(rule("category", scope="category", count_max=2), registry=registry)
    codes = [check(risk, merchant=number) for number in (0, 2, 4, 1)]
    assert codes == [Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT, Reason.APPROVED]


@pytest.mark.parametrize(
    ("asked_for", "unlisted", "looked_at"),
    [
        ({"credit"}, "credit", {"credit", "unlisted", "none"}),
        ({"credit"}, "debit", {"credit"}),
        ({"debit", "prepaid"}, "credit", {"debit", "prepaid"}),
        ({"debit"}, "debit", {"debit", "unlisted", "none"}),
    ],
)
def test_a_rule_looks_at_types_of_cards(asked_for, unlisted, looked_at) -> None:
    types = b"low,high,type\n41,,credit\n42,,debit\n4299,,prepaid\n"
    cards = {"credit": "41", "debit": "42", "prepaid": "4299", "unlisted": "43", "none": ""}
    mask = sum(1 << CARD_TYPES.index(name) for name in asked_for)
    merchants = rule(window_ms=0, count_max=0, scope="terminal", card_types=mask)
    risk = build(merchants, card_types=types, unlisted_card_type=unlisted, registry=registry_of_one())
    refused = {name for name, pan in cards.items() if check(risk, pan, terminal=0) is Reason.COUNT_LIMIT}
    assert refused == looked_at


def test_problems_of_the_table_of_types() -> None:
    with pytest.raises(ConfigError) as caught:
        build(card_types=b"low,high,type\n4,,gold\n4,,credit,5\n5,4,debit\n")
    assert [(problem.key, problem.reason) for problem in caught.value.problems] == [
        ("line 2, column 4", "a type of card is one of credit, debit, prepaid"),
        ("line 3, column 1", "4 cells; needed are 3"),
        ("line 4, column 3", "the high end is below the low end"),
    ]


MONTHS = st.datetimes(datetime(1971, 1, 1), datetime(2120, 1, 1))


@settings(deadline=None)
@given(begin=MONTHS, moments=st.lists(st.timedeltas(timedelta(0), timedelta(days=70)), max_size=30))
def test_months_are_those_of_the_calendar(begin: datetime, moments: list[timedelta]) -> None:
    """Against the standard library's calendar, by the clock of the place."""
    epoch, limit, zone = datetime(1970, 1, 1), 3, timedelta(hours=8)
    risk = build(
        rule("month", window_ms=31 * DAY_MS, sliding=False, monthly=True, count_max=limit),
        clock_offset_ms=zone // timedelta(milliseconds=1),
    )
    found: Counter[tuple[int, int]] = Counter()
    for moment in sorted(begin + wait for wait in moments):
        month = ((moment + zone).year, (moment + zone).month)
        told = check(risk, now_ms=(moment - epoch) // timedelta(milliseconds=1))
        assert told is (Reason.APPROVED if found[month] < limit else Reason.COUNT_LIMIT)
        found[month] += told is Reason.APPROVED


def test_a_month_ends_at_midnight_of_its_last_day_and_gives_back_in_its_own() -> None:
    risk = build(rule("month", window_ms=31 * DAY_MS, sliding=False, monthly=True, currency=YUAN, amount_max=100))
    february = int(datetime(2028, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1000)
    assert check(risk, amount=100, now_ms=february) is Reason.APPROVED
    assert check(risk, amount=1, now_ms=february) is Reason.AMOUNT_LIMIT
    assert check(risk, amount=90, now_ms=february + 1) is Reason.APPROVED
    take_back(risk, amount=100, now_ms=february)
    assert check(risk, amount=11, now_ms=february + 1) is Reason.AMOUNT_LIMIT, "it was of the month before"
    assert check(risk, amount=10, now_ms=february + 1) is Reason.APPROVED


def test_a_refusal_may_have_another_reason() -> None:
    assert check(build(rule(count_max=0, refuse_as="suspected-fraud"))) is Reason.SUSPECTED_FRAUD


def test_blocked_merchants(registry: Registry) -> None:
    many = {f"X{number}": "suspected-fraud" for number in range(1_000)}
    risk = build(blocked_merchants={"M1": "unknown-merchant", "M2": "suspected-fraud", **many}, registry=registry)
    codes = [check(risk, merchant=number) for number in range(4)]
    assert codes == [Reason.APPROVED, Reason.UNKNOWN_MERCHANT, Reason.SUSPECTED_FRAUD, Reason.APPROVED]
    check(risk, pan="", merchant=1)
    assert by(risk) == "merchants@1"
    with pytest.raises(ValueError, match="at most 15 characters, not 16"):
        build(blocked_merchants={"M" * 16: "suspected-fraud"})


# What a rule measures.


def test_declines_are_counted_and_nothing_else_is() -> None:
    risk = build(rule("declines", measure="declines", count_max=2))
    for _ in range(5):
        assert check(risk) is Reason.APPROVED
    for _ in range(2):
        take_back(risk)
    assert check(risk) is Reason.APPROVED
    for _ in range(2):
        take_back(risk, is_declined=True)
    assert check(risk) is Reason.COUNT_LIMIT
    assert check(risk, "5") is Reason.APPROVED
    assert check(risk, now_ms=3 * HOUR_MS) is Reason.APPROVED


def test_refunds_may_be_above_sales_by_so_much(registry: Registry) -> None:
    risk = build(
        rule(
            "refunds",
            scope="merchant",
            currency=YUAN,
            amount_max=50,
            kinds=1 << Kind.REFUND,
            against=1 << Kind.PURCHASE,
        ),
        registry=registry,
    )
    give = {"kind": Kind.REFUND, "merchant": 0}
    assert check(risk, amount=51, **give) is Reason.AMOUNT_LIMIT
    assert check(risk, amount=100, merchant=0) is Reason.APPROVED
    assert check(risk, amount=151, **give) is Reason.AMOUNT_LIMIT
    assert check(risk, amount=150, **give) is Reason.APPROVED
    assert check(risk, amount=1, **give) is Reason.AMOUNT_LIMIT
    assert check(risk, amount=1, **give | {"merchant": 1}) is Reason.APPROVED
    assert check(risk, amount=10**9, merchant=0) is Reason.APPROVED, "a sale is never too much"
    take_back(risk, amount=10**9, merchant=0)
    take_back(risk, amount=150, **give)
    assert check(risk, amount=151, **give) is Reason.AMOUNT_LIMIT
    assert check(risk, amount=150, **give) is Reason.APPROVED


def test_a_card_may_be_used_at_so_many_merchants(registry: Registry) -> None:
    risk = build(rule("roaming", measure="merchants", count_max=3, window_ms=10 * MINUTE_MS), registry=registry)
    assert [check(risk, merchant=number) for number in (0, 1, 2, 0, 3)] == [Reason.APPROVED] * 4 + [Reason.COUNT_LIMIT]
    take_back(risk, merchant=1)
    assert check(risk, merchant=3) is Reason.APPROVED
    take_back(risk, merchant=0)
    assert check(risk, merchant=4) is Reason.COUNT_LIMIT, "it was there twice"
    later = HOUR_MS + 10 * MINUTE_MS + 1_000
    assert check(risk, merchant=4, now_ms=later) is Reason.APPROVED
    assert check(risk, "5", merchant=5) is Reason.APPROVED
    assert check(risk) is Reason.APPROVED, "without a merchant nothing is told"


@settings(max_examples=200, deadline=None)
@given(
    most=st.integers(1, 7),
    visits=st.lists(st.tuples(st.integers(0, MERCHANTS - 1), st.integers(0, 90), st.booleans()), max_size=60),
)
def test_merchants_of_a_card_agree_with_a_plain_list(registry: Registry, most: int, visits) -> None:
    """Within a second: what is a second older may still count."""
    window_s = 120
    risk = build(rule("roaming", measure="merchants", count_max=most, window_ms=window_s * 1000), registry=registry)
    now_s = 1_000
    seen: dict[int, list[int]] = {}
    for merchant, wait_s, stands in visits:
        now_s += wait_s
        inside = {other for other, times in seen.items() if times and max(times) >= now_s - window_s}
        refused = len(inside - {merchant}) >= most
        told = check(risk, merchant=merchant, now_ms=now_s * 1000)
        assert told is (Reason.COUNT_LIMIT if refused else Reason.APPROVED)
        if refused:
            continue
        seen.setdefault(merchant, []).append(now_s)
        if not stands and len(seen[merchant]) == 1:
            take_back(risk, merchant=merchant, now_ms=now_s * 1000)
            seen[merchant].pop()
