"""Simulated issuers that approve a part or answer by their own clock, and terminals and books that understand both."""

from __future__ import annotations

from calendar import timegm
from itertools import pairwise
from random import Random
from time import strptime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.demo.reconcile import reconcile
from switch.demo.world import PARTS
from switch.dialect import load_dialect
from switch.simulators.answer_checks import Question, examine
from switch.simulators.dialect_profile import MacSetting, Profile, moment
from switch.simulators.fleet import Fleet
from switch.simulators.fleet_settings import FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.ledger import Entry, Identity, Ledger
from switch.simulators.receipts import FleetCounters, Receipt
from switch.simulators.rules import DEFAULT_AMOUNT_RULES, AmountRule, AmountTable, Card, PartRule, Rules, approved_part
from switch.simulators.scenario import PaymentCard, Planner, Scenario, Share
from switch.simulators.terminals import TerminalIdentity
from switch.wire.framing import Deframer
from switch.wire.scan import Message
from tests.switch.simulated import Recorder
from tests.switch.test_repeating_terminals import fleet_for, work_until

CARD = PaymentCard(pan="6225000000000014")
EVERY = (PartRule(ending="0", percent=40), PartRule(ending="5", percent=40))
MAC = MacSetting("x9.19", bytes(range(16)))
AT = "261123035715"
TERMINAL, MERCHANT = "10000001", "898000000000001"


class Desk:
    """An issuer without sockets, and the one terminal that asks it."""

    def __init__(self, dialect: str, rules: Rules) -> None:
        self.profile = Profile(load_dialect(dialect))
        self.issuer = Issuer(self.profile, IssuerSettings(rules=rules))

    def ask(self, kind: str, amount_minor: int, stan: str, *, takes_parts: bool = False) -> Message:
        profile = self.profile
        pieces = profile.request(
            kind, terminal=TERMINAL, merchant=MERCHANT, batch="000001", stan=stan, card=CARD,
            amount_minor=amount_minor, currency="156", at=AT, takes_parts=takes_parts,
        )  # fmt: skip
        recorder = Recorder()
        message = profile.writer.message(profile.request_mti(kind), pieces)
        ((headers, message),) = Deframer(profile.framing).feed(profile.framing.wrap(message))
        self.issuer.receive(recorder, headers, message)  # type: ignore[arg-type]
        (frame,) = recorder.frames
        ((_, answer),) = Deframer(profile.framing).feed(frame)
        return profile.scan(answer)


def desk(dialect: str = "iso87-ascii", **rules: object) -> Desk:
    return Desk(dialect, Rules(amounts=(), **rules))  # type: ignore[arg-type]


@given(st.integers(1, 10**12 - 1), st.integers(1, 99))
def test_a_part_is_less_than_the_whole_and_more_than_nothing(amount: int, percent: int) -> None:
    part = approved_part((PartRule(ending="7", percent=percent),), amount)
    assert (part == 0) == (amount % 10 != 7)
    assert part < amount


@pytest.mark.parametrize(("dialect", "code"), [("iso87-ascii", "10"), ("iso93-binary", "002")])
def test_what_is_told_is_what_is_booked(dialect: str, code: str) -> None:
    at = desk(dialect, parts=EVERY, cards=(Card(pan=CARD.pan, balance_minor=10_000),))
    answer = at.ask("purchase", 1_000, "000001")
    assert (answer.text(39), int(answer.text(4))) == (code, 400)
    again = at.ask("purchase", 1_000, "000001")
    assert again.data == answer.data
    (entry,) = at.issuer.ledger.entries
    assert (entry.amount_minor, entry.part_of_minor, entry.asked_minor, entry.state) == (400, 1_000, 1_000, "approved")
    assert (entry.reason, entry.response_code) == ("partially_approved", code)
    assert at.issuer.decider.balance(CARD.pan) == 9_600
    assert at.issuer.ledger.totals().charged_minor == 400
    assert at.issuer.ledger.document()["entries"][0]["part_of_minor"] == 1_000


def test_other_amounts_and_kinds_are_approved_in_full() -> None:
    at = desk(parts=(PartRule(ending="10"),))
    assert at.ask("purchase", 1_000, "000001").text(39) == "00"
    assert at.ask("purchase", 1_010, "000002").text(39) == "10"
    assert at.ask("refund", 1_010, "000003").text(39) == "00"
    assert at.ask("preauthorization", 1_010, "000004").text(39) == "10"


def test_a_refusal_comes_before_a_part() -> None:
    rules = Rules(amounts=(AmountRule(ending="51", refusal="insufficient_funds"),), parts=(PartRule(ending="1"),))
    assert Desk("iso87-ascii", rules).ask("purchase", 1_051, "000001").text(39) == "51"


@pytest.mark.parametrize(("takes_parts", "code"), [(True, "10"), (False, "51")])
def test_a_cup_issuer_looks_whether_the_terminal_can_take_a_part(*, takes_parts: bool, code: str) -> None:
    at = desk("cup", parts=EVERY)
    answer = at.ask("purchase", 1_000, "000001", takes_parts=takes_parts)
    assert answer.text(39) == code
    assert answer.text(60)[13:14] == ("1" if takes_parts else "")
    assert at.issuer.ledger.totals().charged_minor == (400 if takes_parts else 0)


@pytest.mark.parametrize("dialect", ["iso87-ascii", "iso87-ebcdic", "iso93-ascii"])
@pytest.mark.parametrize("offset", [None, 0, 7, -86_400])
def test_an_issuer_may_answer_by_its_own_clock(dialect: str, offset: int | None) -> None:
    at = desk(dialect, clock_offset_seconds=offset)
    before = moment()
    answer = at.ask("purchase", 1_000, "000001")
    after = moment()
    if offset is None:
        assert answer.text(7) == AT[2:]
        return
    own = {moment(timegm(strptime(each, "%y%m%d%H%M%S")) + offset) for each in (before, after)}
    assert answer.text(7) in {each[2:] for each in own}
    if dialect == "iso93-ascii":
        assert answer.text(12) in own
    else:
        assert answer.text(13) + answer.text(12) in {each[2:] for each in own}


@pytest.mark.parametrize(
    ("code", "told", "wrong"),
    [
        ("10", 400, ""), ("10", 1_000, "amount"), ("10", 0, "amount"), ("10", 1_001, "amount"), ("10", None, "amount"),
        ("00", 400, "amount"), ("00", 1_000, ""), ("00", None, ""),
    ],
)  # fmt: skip
def test_a_terminal_looks_at_the_amount_of_a_part(code: str, told: int | None, wrong: str) -> None:
    profile = Profile(load_dialect("iso87-ascii"))
    texts = {3: "000000", 11: "000001", 39: code, 41: TERMINAL, 42: MERCHANT}
    if told is not None:
        texts[4] = f"{told:012d}"
    data = profile.writer.message(
        "0210", {number: profile.writer.piece(number, text) for number, text in texts.items()}
    )
    question = Question(
        "0200", "000001", "purchase", TERMINAL, MERCHANT, 1_000, None, frozenset({"approved", "partially_approved"})
    )
    counters = FleetCounters()
    examine(profile, question, (profile.scan(data), data), counters, counters.note)
    assert counters.wrong_echo == bool(wrong)
    assert all(wrong in problem for problem in counters.problems)


def test_a_scenario_knows_what_may_become_of_a_part() -> None:
    scenario = Scenario(cards=(CARD,), parts=(PartRule(ending="10"),), amount_min_minor=1_010, amount_max_minor=1_010)
    planner = Planner(scenario, Random(1))
    assert planner.plan(Share(kind="purchase")).expected == {
        "partially_approved", "partial_not_accepted", "insufficient_funds",
    }  # fmt: skip
    assert planner.plan(Share(kind="refund")).expected == {"approved"}


SHARES = tuple(
    Share(kind=kind, weight=weight)
    for kind, weight in (("purchase", 6), ("void", 2), ("reversal", 2), ("preauthorization", 2), ("completion", 2))
)


async def test_repeating_terminals_and_books_agree_on_parts() -> None:
    profile = Profile(load_dialect("iso87-ascii"))
    issuer = Issuer(profile, IssuerSettings(rules=Rules(amounts=(), parts=EVERY, clock_offset_seconds=7)), MAC)
    scenario = Scenario(cards=(CARD,), shares=SHARES, amounts=(), parts=EVERY)
    fleet = fleet_for(await issuer.listen(), profile, repeats_max=1, scenario=scenario)

    def has_seen_all() -> bool:
        parts = {receipt.state for receipt in fleet.receipts if receipt.part_of_minor}
        return parts >= {"approved", "voided", "reversed", "completed"}

    await work_until(fleet, has_seen_all)
    await issuer.stop()
    assert (fleet.counters.missing, fleet.counters.wrong) == (0, 0), fleet.counters.problems
    result = reconcile(fleet.receipts, [issuer.ledger])
    assert result.agrees, result.differences


async def test_a_fleet_keeps_what_was_approved() -> None:
    profile = Profile(load_dialect("iso87-ascii"))
    issuer = Issuer(profile, IssuerSettings(rules=Rules(amounts=(), parts=EVERY)), MAC)
    port = await issuer.listen()
    scenario = Scenario(cards=(CARD,), shares=SHARES, amounts=(), parts=EVERY)
    identities = [TerminalIdentity(TERMINAL, MERCHANT, MAC)]
    fleet = Fleet(profile, FleetSettings(scenario=scenario, rate=None), identities, host="127.0.0.1", port=port)
    counters = await fleet.run(count=200)
    await issuer.stop()
    assert (counters.missing, counters.wrong) == (0, 0), counters.problems
    assert any(receipt.part_of_minor for receipt in fleet.receipts)
    result = reconcile(fleet.receipts, [issuer.ledger])
    assert result.agrees, result.differences


def booked(amount: int, part_of: int, state: str = "approved") -> Ledger:
    book = Ledger("bank")
    entry = Entry("purchase", "1", "", "R1", "T1", "M1", "", amount, "156", "", "", "A1", state, part_of_minor=part_of)
    book.add(Identity("2", "1", "", "R1", "T1"), entry)
    return book


def slip(amount: int, part_of: int, state: str = "approved") -> Receipt:
    return Receipt("purchase", "T1", "M1", "1", "1", "", "", amount, "156", "R1", "A1", "00", state, part_of)


@pytest.mark.parametrize(
    ("receipt", "entry", "agrees"),
    [
        (slip(40, 100), booked(40, 100), True),
        (slip(40, 100), booked(41, 100), False),
        (slip(100, 0), booked(40, 100), False),
        (slip(40, 100), booked(100, 0), False),
        (slip(40, 100, "reversed"), booked(40, 100, "reversed"), True),
        (slip(40, 100, "voided"), booked(39, 100, "voided"), False),
        # Its terminal was told no, and the part was taken back.
        (slip(100, 0, "declined"), booked(40, 100, "reversed"), True),
        (slip(100, 0, "declined"), booked(40, 100), False),
    ],
)
def test_told_is_booked(receipt: Receipt, entry: Ledger, *, agrees: bool) -> None:
    result = reconcile([receipt], [entry])
    assert result.agrees == agrees, result.differences


def test_amounts_of_parts_do_not_collide_with_refusals_of_the_demo() -> None:
    refusals = AmountTable(DEFAULT_AMOUNT_RULES)
    parts = [part for amount in range(100, 50_001) if (part := approved_part(PARTS, amount))]
    assert len(parts) > 400
    assert all(refusals.refusal(part) is None for part in parts)
    assert all(a < b for a, b in pairwise(parts))
