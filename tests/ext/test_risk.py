"""Risk control: limits against a plain list of what happened, blocks, and the bounded table of windows."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect.kinds import Kind
from switch.dialect.reasons import Reason
from switch.files.problems import ConfigError
from switch.tables.card_hashes import card_hash, keyed_hash
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable

SECRET = bytes(range(16))
ALL_KINDS = (1 << 64) - 1
YUAN = 156
SLICES_COVERING = 7


@dataclass
class Limit(RuleTerms):
    name: str = "limit"
    scope: str = "card"
    kinds: int = ALL_KINDS
    currency: int = YUAN
    window_ms: int = 1_000
    sliding: bool = True
    amount_max: int | None = None
    count_max: int | None = None
    single_max: int | None = None


@dataclass
class Bin:
    low: str
    high: str = ""
    block: str = ""
    kinds: int = ALL_KINDS


@pytest.fixture(scope="module")
def registry() -> Registry:
    merchants = ",".join(MERCHANT_COLUMNS) + "\nM0,A,active,5411,\nM1,B,active,5411,purchase|refund\n"
    terminals = (
        ",".join(TERMINAL_COLUMNS)
        + "\n"
        + "".join(
            f"T{number},M{number % 2},active,,{'void|purchase' if number == 3 else ''},none,none,\n"
            for number in range(4)
        )
    )
    return Registry.build(merchants.encode(), terminals.encode(), {}, [kind.label for kind in Kind], ["pos"])


def build(*limits: Limit, room: int = 1_000, clock_offset_ms: int = 0, **options: object) -> Risk:
    return Risk.build(SECRET, WindowTable(room, clock_offset_ms), rules=limits, **options)  # type: ignore[arg-type]


def buy(risk: Risk, now_ms: int = 0, amount: int = 10, pan: str = "4000001234567890", **options: int) -> Reason:
    options = {"kind": Kind.PURCHASE, "currency": YUAN, **options}
    return Reason(risk.check_request(pan=pan, amount_minor=amount, now_ms=now_ms, **options))


def take_back(risk: Risk, now_ms: int = 0, amount: int = 10, pan: str = "4000001234567890", **options: int) -> None:
    options = {"kind": Kind.PURCHASE, "currency": YUAN, **options}
    risk.uncount_request(pan=pan, amount_minor=amount, now_ms=now_ms, **options)


# The keyed hash.


def test_siphash_agrees_with_its_authors() -> None:
    # The vectors of the reference implementation (SipHash-2-4, 64 bits): key 00..0f, data 00, 00 01, ...
    expected = {0: 0x726FDB47DD0E0E31, 1: 0x74F839C593DC67FD, 7: 0xAB0200F58B01D137, 8: 0x93F5F5799A932462,
                15: 0xA129CA6149BE45E5}  # fmt: skip
    for size, digest in expected.items():
        assert keyed_hash(SECRET, bytes(range(size))) == digest


def test_card_hash_is_written_in_16_digits() -> None:
    assert card_hash(SECRET, "4000001234567890") == f"{keyed_hash(SECRET, b'4000001234567890'):016x}"
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        card_hash(SECRET[:15], "4")


# Limits.


@dataclass
class PlainLimit:
    """The definition: a slice is a seventh of the window; what counts is this slice and the seven before it."""

    limit: Limit
    offset_ms: int
    counted: list[tuple[str, int, int]] = field(default_factory=list)

    def slice_at(self, now_ms: int) -> int:
        if self.limit.sliding:
            return now_ms // -(-self.limit.window_ms // SLICES_COVERING)
        return (now_ms + self.offset_ms) // self.limit.window_ms

    def refusal(self, pan: str, amount: int, now_ms: int) -> Reason | None:
        back = SLICES_COVERING if self.limit.sliding else 0
        here = self.slice_at(now_ms)
        amounts = [a for p, a, at in self.counted if p == pan and here - back <= self.slice_at(at) <= here]
        if self.limit.single_max is not None and amount > self.limit.single_max:
            return Reason.AMOUNT_LIMIT
        if self.limit.amount_max is not None and sum(amounts) + amount > self.limit.amount_max:
            return Reason.AMOUNT_LIMIT
        if self.limit.count_max is not None and len(amounts) >= self.limit.count_max:
            return Reason.COUNT_LIMIT
        return None


limits = st.builds(
    Limit,
    window_ms=st.sampled_from([1, 7, 100, 1_000]),
    sliding=st.booleans(),
    amount_max=st.none() | st.integers(0, 100),
    count_max=st.none() | st.integers(0, 6),
    single_max=st.none() | st.integers(0, 60),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(limits, min_size=1, max_size=4),
    st.integers(0, 5_000),
    st.lists(
        st.tuples(st.sampled_from(["4", "5", "62"]), st.integers(0, 70), st.integers(0, 400), st.booleans()),
        max_size=60,
    ),
)
def test_agrees_with_a_plain_list(
    rules: list[Limit], offset_ms: int, requests: list[tuple[str, int, int, bool]]
) -> None:
    for number, rule in enumerate(rules):
        rule.name = f"limit-{number}"
    risk = build(*rules, clock_offset_ms=offset_ms)
    plain = [PlainLimit(rule, offset_ms) for rule in rules]
    now_ms = 10_000
    for pan, amount, wait_ms, taken_back in requests:
        now_ms += wait_ms
        refusals = [limit.refusal(pan, amount, now_ms) for limit in plain]
        expected = next((reason for reason in refusals if reason is not None), Reason.APPROVED)
        assert buy(risk, now_ms, amount, pan) == expected
        if expected is Reason.APPROVED:
            if taken_back:
                take_back(risk, now_ms, amount, pan)
            else:
                for limit in plain:
                    limit.counted.append((pan, amount, now_ms))
    assert risk.windows.evicted_live == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5_000), st.integers(1, 5), st.lists(st.integers(0, 1_500), min_size=1, max_size=60))
def test_no_sliding_window_ever_holds_more_than_its_limit(window_ms: int, count_max: int, waits: list[int]) -> None:
    risk = build(Limit(window_ms=window_ms, count_max=count_max))
    approved: list[int] = []
    now_ms = 0
    for wait_ms in waits:
        now_ms += wait_ms
        before = [at for at in approved if now_ms - at < window_ms]
        if buy(risk, now_ms) is Reason.APPROVED:
            assert len(before) < count_max
            approved.append(now_ms)
        else:
            # It refuses only for what lies in the slices that cover the window, and the one that has begun.
            slice_ms = -(-window_ms // SLICES_COVERING)
            assert len([at for at in approved if now_ms - at < (SLICES_COVERING + 1) * slice_ms]) >= count_max


def test_a_refused_request_is_counted_nowhere() -> None:
    risk = build(Limit("a", count_max=2), Limit("b", amount_max=50))
    assert buy(risk, amount=51) is Reason.AMOUNT_LIMIT
    assert [buy(risk, amount=1), buy(risk, amount=1), buy(risk, amount=1)] == [
        Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT,
    ]  # fmt: skip


def test_fixed_windows_begin_at_local_midnight() -> None:
    day_ms = 86_400_000
    risk = build(Limit(window_ms=day_ms, sliding=False, count_max=1), clock_offset_ms=8 * 3_600_000)
    assert buy(risk, 16 * 3_600_000 - 1) is Reason.APPROVED
    assert buy(risk, 16 * 3_600_000 - 1) is Reason.COUNT_LIMIT
    assert buy(risk, 16 * 3_600_000) is Reason.APPROVED
    assert buy(risk, 16 * 3_600_000 + day_ms - 1) is Reason.COUNT_LIMIT
    assert buy(risk, 16 * 3_600_000 + day_ms) is Reason.APPROVED


def test_a_limit_holds_in_its_currency_and_for_its_kinds() -> None:
    risk = build(Limit(amount_max=10, kinds=1 << Kind.PURCHASE), Limit("any", currency=0, count_max=3))
    assert buy(risk, amount=11, currency=840) is Reason.APPROVED
    assert buy(risk, amount=11, kind=Kind.REFUND) is Reason.APPROVED
    assert buy(risk, amount=11) is Reason.AMOUNT_LIMIT
    assert buy(risk, amount=10) is Reason.APPROVED
    assert buy(risk, amount=0, currency=840) is Reason.COUNT_LIMIT


def test_an_absent_amount_counts_as_nothing() -> None:
    risk = build(Limit(amount_max=10, count_max=2))
    assert buy(risk, amount=-1) is Reason.APPROVED
    assert buy(risk, amount=10) is Reason.APPROVED
    assert buy(risk, amount=-1) is Reason.COUNT_LIMIT


def test_huge_amounts_do_not_overflow() -> None:
    risk = build(Limit(amount_max=10**15))
    assert buy(risk, amount=10**15) is Reason.APPROVED
    assert buy(risk, amount=2**63 - 1) is Reason.AMOUNT_LIMIT
    assert buy(risk, amount=1) is Reason.AMOUNT_LIMIT


def test_cards_terminals_and_merchants_count_apart(registry: Registry) -> None:
    rules = (Limit("t", "terminal", count_max=2), Limit("m", "merchant", count_max=3))
    risk = build(*rules, registry=registry)
    assert buy(risk, terminal=0, merchant=0) is Reason.APPROVED
    assert buy(risk, terminal=0, merchant=0, pan="5") is Reason.APPROVED
    assert buy(risk, terminal=0, merchant=0) is Reason.COUNT_LIMIT
    assert buy(risk, terminal=2, merchant=0) is Reason.APPROVED
    assert buy(risk, terminal=2, merchant=0) is Reason.COUNT_LIMIT
    assert buy(risk, terminal=1, merchant=1) is Reason.APPROVED
    # Who is unknown is not counted together with the others who are.
    assert [buy(risk, terminal=99, merchant=99) for _ in range(4)] == [Reason.APPROVED] * 4
    take_back(risk, terminal=0, merchant=0)
    assert buy(risk, terminal=0, merchant=0) is Reason.APPROVED


def test_taking_back_what_is_over_or_unknown_changes_nothing() -> None:
    risk = build(Limit(window_ms=700, count_max=1, amount_max=100))
    take_back(risk)
    assert buy(risk, 0) is Reason.APPROVED
    take_back(risk, 10_000)
    assert buy(risk, 0) is Reason.COUNT_LIMIT
    assert buy(risk, 5_000) is Reason.APPROVED
    take_back(risk, 0)
    assert buy(risk, 5_000) is Reason.COUNT_LIMIT
    take_back(risk, 5_000)
    take_back(risk, 5_000)
    assert [buy(risk, 5_000), buy(risk, 5_000)] == [Reason.APPROVED, Reason.COUNT_LIMIT]


def test_a_clock_that_goes_back_does_not_free_a_limit() -> None:
    risk = build(Limit(count_max=1))
    assert buy(risk, 50_000) is Reason.APPROVED
    assert buy(risk, 10_000) is Reason.COUNT_LIMIT


# Blocks.


def test_blocked_cards_by_hash() -> None:
    cards = {keyed_hash(SECRET, f"40000{number:011d}".encode()): "restricted-card" for number in range(50)}
    cards[keyed_hash(SECRET, b"5100000000000001")] = "suspected-fraud"
    risk = build(blocked_cards=cards)
    for number in range(100):
        expected = Reason.RESTRICTED_CARD if number < 50 else Reason.APPROVED
        assert buy(risk, pan=f"40000{number:011d}") is expected
    assert buy(risk, pan="5100000000000001") is Reason.SUSPECTED_FRAUD


def test_the_narrowest_bin_decides() -> None:
    risk = build(bins=[
        Bin("4", block="restricted-card"),
        Bin("400000", "400099", kinds=1 << Kind.PURCHASE),
        Bin("400050", block="suspected-fraud"),
    ])  # fmt: skip
    assert buy(risk, pan="4999990000000000") is Reason.RESTRICTED_CARD
    assert buy(risk, pan="4000010000000000") is Reason.APPROVED
    assert buy(risk, pan="4000010000000000", kind=Kind.REFUND) is Reason.KIND_NOT_PERMITTED_TO_CARD
    assert buy(risk, pan="4000500000000000") is Reason.SUSPECTED_FRAUD
    assert buy(risk, pan="5") is Reason.APPROVED
    assert buy(risk, pan="") is Reason.APPROVED


@pytest.mark.parametrize("bins", [[Bin("4x")], [Bin("4", "44")], [Bin("4" * 20)], [Bin("4")] * 65])
def test_impossible_bins_are_refused(bins: list[Bin]) -> None:
    with pytest.raises(ValueError, match="BIN"):
        build(bins=bins)


def test_blocked_countries_by_message_or_table() -> None:
    risk = build(
        countries=b"low,high,country\n# fictional\n400000,400999,408\n\n4,,840\n", blocked_countries=[408, 999]
    )
    assert buy(risk, pan="4000001234567890") is Reason.RESTRICTED_CARD
    assert buy(risk, pan="4001001234567890") is Reason.RESTRICTED_CARD
    assert buy(risk, pan="4100001234567890") is Reason.APPROVED
    assert buy(risk, pan="5100001234567890") is Reason.APPROVED
    assert buy(risk, pan="5100001234567890", country=408) is Reason.RESTRICTED_CARD
    assert buy(risk, pan="4000001234567890", country=840) is Reason.APPROVED
    assert buy(risk, pan="5", country=1_000_000) is Reason.APPROVED


def test_problems_of_the_table_of_countries() -> None:
    with pytest.raises(ConfigError) as caught:
        build(countries=b"low,high,country\n4\n4x,,840\n4,,84\n4,,8400\n", blocked_countries=[840])
    assert [(problem.key, problem.reason) for problem in caught.value.problems] == [
        ("line 2, column 1", "1 cells; needed are 3"),
        ("line 3, column 1", "the low end must be 1 to 19 digits"),
        ("line 4, column 4", "a country is a numeric ISO 3166-1 code of 3 digits"),
        ("line 5, column 4", "a country is a numeric ISO 3166-1 code of 3 digits"),
    ]
    with pytest.raises(ConfigError, match="first row must be low,high,country"):
        build(countries=b"4,,840\n")
    with pytest.raises(ConfigError, match="line 66, column 1: more than 64 ranges"):
        build(countries=b"low,high,country\n" + b"".join(b"4%03d,4999,840\n" % n for n in range(65)))


def test_kinds_of_terminal_and_merchant(registry: Registry) -> None:
    risk = build(registry=registry)
    assert buy(risk, terminal=0, merchant=0, kind=Kind.CASH_ADVANCE) is Reason.APPROVED
    assert buy(risk, terminal=3, merchant=0, kind=Kind.CASH_ADVANCE) is Reason.KIND_NOT_PERMITTED_TO_TERMINAL
    assert buy(risk, terminal=3, merchant=0, kind=Kind.VOID) is Reason.APPROVED
    assert buy(risk, terminal=3, merchant=1, kind=Kind.VOID) is Reason.KIND_NOT_PERMITTED_TO_TERMINAL
    assert buy(risk, terminal=3, merchant=1) is Reason.APPROVED
    assert buy(risk, terminal=0, merchant=0, kind=64) is Reason.KIND_NOT_PERMITTED_TO_TERMINAL


def test_another_registry_is_used_from_then_on(registry: Registry) -> None:
    risk = build(Limit("t", "terminal", count_max=1))
    assert buy(risk, terminal=3, kind=Kind.REFUND) is Reason.APPROVED
    risk.use_registry(registry)
    assert buy(risk, terminal=3, kind=Kind.REFUND) is Reason.KIND_NOT_PERMITTED_TO_TERMINAL
    assert [buy(risk, terminal=0), buy(risk, terminal=0)] == [Reason.APPROVED, Reason.COUNT_LIMIT]


# The table of windows.


def test_memory_is_bounded_and_eviction_is_told() -> None:
    risk = build(Limit(count_max=1), room=100)
    for number in range(100):
        assert buy(risk, pan=f"4{number}") is Reason.APPROVED
    assert (risk.windows.used, risk.windows.evicted_live) == (100, 0)
    assert all(buy(risk, pan=f"4{number}") is Reason.COUNT_LIMIT for number in range(100))
    for number in range(50):
        buy(risk, pan=f"5{number}")
    assert (risk.windows.used, risk.windows.evicted_live) == (100, 50)
    # Half of the old ones are gone, none of the new ones.
    assert all(buy(risk, pan=f"5{number}") is Reason.COUNT_LIMIT for number in range(50))
    assert risk.windows.size_bytes < 100 * 150


def test_ended_windows_give_their_room_first() -> None:
    risk = build(Limit(window_ms=700, count_max=1), room=10)
    for number in range(10):
        buy(risk, 0, pan=f"4{number}")
    for number in range(9):
        buy(risk, 10_000, pan=f"5{number}")
    assert risk.windows.evicted_live == 0
    assert all(buy(risk, 10_000, pan=f"5{number}") is Reason.COUNT_LIMIT for number in range(9))


def test_a_table_of_one_window_holds_a_request_with_two_limits() -> None:
    risk = build(Limit("a", count_max=5), Limit("b", count_max=5), room=1)
    for _ in range(20):
        assert buy(risk) is Reason.APPROVED
    assert risk.windows.used == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 300)), max_size=200))
def test_a_small_table_never_refuses_more_than_a_large_one(room: int, requests: list[tuple[int, int]]) -> None:
    rule = Limit(window_ms=700, count_max=2)
    small, large = build(rule, room=room), build(rule, room=10_000)
    now_ms = 0
    for card, wait_ms in requests:
        now_ms += wait_ms
        said = buy(small, now_ms, pan=f"4{card}"), buy(large, now_ms, pan=f"4{card}")
        assert small.windows.used <= room
        assert said[1] is not Reason.APPROVED or said[0] is Reason.APPROVED
        if said[0] is not said[1]:
            break  # what is refused is not counted: from here on they count different payments


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 60, 300])), max_size=60))
def test_a_window_that_another_rule_has_begun_counts_for_none(room: int, requests: list[tuple[int, int]]) -> None:
    """Where there is no room for all: the window that was found for a rule may be given up for an earlier rule."""
    short, long = Limit("short", window_ms=50, count_max=2), Limit("long", window_ms=4_000, count_max=1_000)
    small, large = build(short, long, room=room), build(short, long, room=10_000)
    now_ms = 0
    for card, wait_ms in requests:
        now_ms += wait_ms
        said = buy(small, now_ms, pan=f"4{card}"), buy(large, now_ms, pan=f"4{card}")
        assert said[1] is not Reason.APPROVED or said[0] is Reason.APPROVED
        if said[0] is not said[1]:
            break


def test_new_rules_go_on_counting() -> None:
    windows = WindowTable(100)
    old = Risk.build(None, windows, rules=[Limit(count_max=2)])
    assert [buy(old), buy(old)] == [Reason.APPROVED] * 2
    new = Risk.build(None, old.windows, rules=[Limit("other", count_max=9), Limit(count_max=3)], previous=old)
    assert [buy(new), buy(new)] == [Reason.APPROVED, Reason.COUNT_LIMIT]
    # Without the previous rules the key is another one.
    assert buy(Risk.build(None, windows, rules=[Limit(count_max=1)])) is Reason.APPROVED


def test_impossible_tables_and_rules() -> None:
    with pytest.raises(ValueError, match="room for at least one"):
        WindowTable(0)
    with pytest.raises(ValueError, match="129 rules; there may be 128"):
        build(*[Limit(count_max=1)] * 129)
    with pytest.raises(TypeError, match=r"Risk\.build"):
        Risk()
