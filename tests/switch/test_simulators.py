"""Simulated terminals against a simulated issuer of the same dialect, over loopback sockets."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import iso8583
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from switch.dialects import load_dialect
from switch.dialects.source import dialect_names
from switch.framing import Deframer
from switch.keys import Key, KeyFile
from switch.keys.master import create_master_key
from switch.keys.sign_in import build_sign_in_keys
from switch.simulators.cli import app
from switch.simulators.faults import Fault, FaultPlan, FaultRule, parse_fault
from switch.simulators.fleet import Fleet, FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency, parse_latency
from switch.simulators.ledger import Identity, Ledger, Original
from switch.simulators.messages import MessageWriter, answer_mti
from switch.simulators.profile import MacSetting, Profile
from switch.simulators.receipts import Receipt, merge_counters, quantiles_us, receipts_document
from switch.simulators.rules import AmountRule, AmountTable, Card, Decider, PanRule, Rules
from switch.simulators.scenario import BASED_ON, FIRST_KINDS, Flaw, PaymentCard, Scenario, Share
from switch.simulators.setup import Keys, SetupError, read_model, registered_terminals, terminal_tls
from switch.simulators.terminals import TerminalIdentity

MACS = {
    "iso87-ascii": ("x9.19", 16),
    "iso87-binary": ("aes-cmac", 16),
    "iso87-ebcdic": ("x9.9", 8),
    "iso93-ascii": ("x9.19", 16),
    "iso93-binary": ("aes-cmac", 32),
    "cup": ("cup-ecb", 8),
}
CARDS = (PaymentCard(pan="6225000000000014"), PaymentCard(pan="4111111111111111"))
PLAIN = Scenario(cards=CARDS, amounts=(), amount_min_minor=1000, amount_max_minor=1000)
NO_RULES = Rules(amounts=())
PROFILES: dict[str, Profile] = {}


def profile_of(dialect: str) -> Profile:
    if dialect not in PROFILES:
        PROFILES[dialect] = Profile(load_dialect(dialect))
    return PROFILES[dialect]


def mac_of(dialect: str) -> MacSetting:
    algorithm, size = MACS.get(dialect, ("x9.19", 16))
    return MacSetting(algorithm, bytes(range(1, size + 1)))


@asynccontextmanager
async def serving(dialect: str, settings: IssuerSettings, mac: MacSetting | None) -> AsyncIterator[tuple[Issuer, int]]:
    issuer = Issuer(profile_of(dialect), settings, mac)
    port = await issuer.listen()
    try:
        yield issuer, port
    finally:
        await issuer.stop()


def fleet_for(
    port: int,
    *,
    dialect: str = "iso87-ascii",
    terminals: int = 3,
    mac: MacSetting | None = None,
    scenario: Scenario = PLAIN,
    timeout_ms: float = 10_000,
    one_shot: bool = False,
    pipelining: int = 1,
    rate: float | None = None,
) -> Fleet:
    settings = FleetSettings(
        scenario, timeout_ms=timeout_ms, one_shot=one_shot, pipelining=pipelining, rate=rate, think_ms=0
    )
    identities = [TerminalIdentity(f"{10_000_001 + n}", "898000000000001", mac) for n in range(terminals)]
    return Fleet(profile_of(dialect), settings, identities, host="127.0.0.1", port=port)


@pytest.mark.parametrize("dialect", dialect_names())
async def test_every_kind_in_every_dialect_is_answered_and_accounted_for(dialect: str) -> None:
    known = profile_of(dialect).dialect.kinds
    kinds = [kind for kind in (*FIRST_KINDS, *BASED_ON) if kind in known]
    shares = (*(Share(kind=kind) for kind in kinds), Share(kind="purchase", flaw=Flaw.WRONG_MAC))
    mac = mac_of(dialect)
    async with serving(dialect, IssuerSettings(), mac) as (issuer, port):
        fleet = fleet_for(port, dialect=dialect, mac=mac, scenario=Scenario(shares=shares, cards=CARDS))
        counters = await fleet.run(count=300)
    assert counters.problems == []
    assert (counters.sent, counters.answered, counters.missing, counters.wrong) == (300, 300, 0, 0)
    assert set(counters.by_kind) == set(kinds)
    assert issuer.counters.mac_failures > 0
    assert issuer.counters.unreadable == issuer.counters.unexpected == 0
    totals = issuer.ledger.totals()
    told = receipts_document(fleet.receipts)["totals"]
    assert (told["charged_minor"], told["refunded_minor"]) == (totals.charged_minor, totals.refunded_minor)
    assert totals.reversed_count == issuer.counters.reversals > 0
    assert totals.voided_count > 0


@pytest.mark.parametrize("dialect", dialect_names())
def test_messages_from_pieces_are_those_that_the_codec_encodes(dialect: str) -> None:
    """pyiso8583 reads them, and encodes them to the same bytes."""
    profile = profile_of(dialect)
    pieces = profile.request(
        "purchase",
        terminal="10000001",
        merchant="898000000000001",
        batch="000007",
        stan="000042",
        card=CARDS[0],
        amount_minor=12_345,
        currency="156",
        at="261123035715",
    )
    data = profile.signed(profile.request_mti("purchase"), pieces, mac_of(dialect))
    oracle = {
        name: {key: value for key, value in entry.items() if key != "content"}
        for name, entry in profile.dialect.layout.items()
    }
    document, _ = iso8583.decode(data, oracle)
    assert (document["2"], document["4"], document["11"]) == (CARDS[0].pan, "000000012345", "000042")
    assert document["t"] == profile.request_mti("purchase")
    encoded, _ = iso8583.encode({name: text for name, text in document.items() if name not in {"p", "1"}}, oracle)
    assert encoded == data
    message = profile.scan(data)
    assert profile.kind(message) == "purchase"
    assert profile.mac_is_right(message, data, mac_of(dialect))
    assert not profile.mac_is_right(message, data, mac_of(dialect).with_key(bytes(len(mac_of(dialect).key))))


def test_a_message_may_reach_into_the_secondary_bitmap() -> None:
    writer = MessageWriter(profile_of("iso87-ascii").spec)
    data = writer.message("0800", {70: writer.piece(70, "301"), 11: writer.piece(11, "000001")})
    assert data == b"0800" + b"80200000000000000400000000000000" + b"000001" + b"301"
    assert writer.message("0800", {11: writer.piece(11, "000001")}) == b"0800" + b"0020000000000000" + b"000001"


def test_a_piece_of_the_wrong_size_is_refused() -> None:
    writer = MessageWriter(profile_of("iso87-binary").spec)
    with pytest.raises(ValueError, match="11"):
        writer.piece(11, "1234567")


@pytest.mark.parametrize(
    ("mti", "answer"),
    [("0200", "0210"), ("0201", "0210"), ("0421", "0430"), ("0800", "0810"), ("1804", "1814"), ("0820", "0830")],
)
def test_mti_of_the_answer(mti: str, answer: str) -> None:
    assert answer_mti(mti) == answer


# Connections


async def test_one_shot_connections_carry_one_request_each() -> None:
    async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES), None) as (issuer, port):
        counters = await fleet_for(port, one_shot=True).run(count=30)
    assert (counters.answered, counters.wrong, counters.missing) == (30, 0, 0)
    assert issuer.counters.connections == counters.connections == 30


async def test_pipelined_requests_are_each_answered_in_any_order() -> None:
    latency = Latency(shape="uniform", ms=2)
    async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES, latency=latency), None) as (_, port):
        counters = await fleet_for(port, terminals=1, pipelining=20).run(count=200)
    assert (counters.answered, counters.wrong, counters.missing) == (200, 0, 0)


async def test_open_loop_plans_at_its_rate_and_counts_from_the_plan() -> None:
    latency = Latency(shape="fixed", ms=20)
    async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES, latency=latency), None) as (_, port):
        counters = await fleet_for(port, terminals=1, rate=1000).run(count=10)
    assert counters.planned == counters.answered == 10
    # One terminal, one at a time: the tenth waits for nine others.
    assert quantiles_us(counters.latency_us)["max"] > 5 * quantiles_us(counters.service_us)["p50"]


async def test_a_broken_connection_is_made_again() -> None:
    rules = (FaultRule(fault=Fault.CLOSE, count=1, after=5),)
    async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES, faults=rules), None) as (issuer, port):
        counters = await fleet_for(port, terminals=2).run(count=40)
    assert (counters.sent, counters.answered, counters.missing) == (40, 39, 1)
    assert counters.connection_failures == 1
    assert len(issuer.ledger.entries) == 39


async def test_terminals_that_find_nobody_say_so() -> None:
    async with serving("iso87-ascii", IssuerSettings(), None) as (_, port):
        pass
    with pytest.raises(OSError, match=r"refused|[Cc]onnect"):
        await fleet_for(port).run(count=1)


async def test_an_issuer_that_calls_us() -> None:
    """It connects, answers on its own connection, and its own echo test is answered by us."""
    profile = profile_of("iso87-ascii")
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    connections: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.put_nowait(writer)
        deframer = Deframer(profile.framing)
        while data := await reader.read(1000):
            for _, message in deframer.feed(data):
                arrived.put_nowait(message)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    issuer = Issuer(profile, IssuerSettings())
    issuer.call("127.0.0.1", server.sockets[0].getsockname()[1])
    async with asyncio.timeout(5):
        writer = await connections.get()
        writer.write(profile.framing.wrap(profile.network_request("sign_on", "000009")))
        answer = profile.scan(await arrived.get())
        issuer.echo()
        echo = profile.scan(await arrived.get())
        pieces = {**profile.echo(echo, network=True), 39: profile.code_piece("approved")}
        writer.write(profile.framing.wrap(profile.writer.message("0810", pieces)))
        writer.write(profile.framing.wrap(profile.network_request("sign_off", "000010")))
        await arrived.get()
    assert (answer.mti, answer.text(11), answer.text(39), answer.text(70)) == ("0810", "000009", "00", "001")
    assert (echo.mti, echo.text(70)) == ("0800", "301")
    assert issuer.counters.echoes_answered == issuer.counters.echoes_sent == 1
    assert issuer.counters.network == Counter(sign_on=1, sign_off=1)
    await issuer.stop()
    server.close()
    await server.wait_closed()


async def test_before_sign_on_everything_can_be_refused() -> None:
    scenario = PLAIN.model_copy(update={"shares": (Share(kind="purchase", expect=("issuer_unavailable",)),)})
    async with serving("iso87-ascii", IssuerSettings(require_sign_on=True), None) as (issuer, port):
        counters = await fleet_for(port, scenario=scenario).run(count=5)
    assert (counters.answered, counters.wrong) == (5, 0)
    assert issuer.ledger.entries == []


# Faults: what a terminal sees of each


FaultCase = tuple[Fault, dict[str, int], int]
FAULT_CASES: list[FaultCase] = [
    (Fault.IGNORE, {"missing": 1}, 0),
    (Fault.CLOSE, {"missing": 1, "connection_failures": 1}, 0),
    (Fault.DROP_ANSWER, {"missing": 1}, 1),
    (Fault.LATE_ANSWER, {"missing": 1}, 1),
    (Fault.DUPLICATE_ANSWER, {"answered": 1, "duplicate": 1}, 1),
    (Fault.WRONG_STAN, {"missing": 1, "mismatched": 1}, 1),
    (Fault.WRONG_MAC, {"answered": 1, "wrong_mac": 1}, 1),
    (Fault.GARBAGE, {"missing": 1, "unreadable": 1}, 1),
    (Fault.CLOSE_AFTER_RECEIVE, {"missing": 1, "connection_failures": 1}, 1),
    (Fault.UNSOLICITED, {"answered": 1, "mismatched": 1}, 1),
    (Fault.SLOW_WRITE, {"answered": 1}, 1),
]


@pytest.mark.parametrize(("fault", "seen", "booked"), FAULT_CASES, ids=lambda case: getattr(case, "value", None))
async def test_a_fault_strikes_once_and_is_noticed(fault: Fault, seen: dict[str, int], booked: int) -> None:
    mac = mac_of("iso87-ascii")
    rules = (FaultRule(fault=fault, count=1),)
    settings = IssuerSettings(rules=NO_RULES, faults=rules, late_ms=60_000)
    async with serving("iso87-ascii", settings, mac) as (issuer, port):
        fleet = fleet_for(port, terminals=1, mac=mac, timeout_ms=1000 if fault is Fault.SLOW_WRITE else 60)
        await fleet.start()
        await fleet.work(count=1)
        first = fleet.counters.document()
        ledger_after_first = len(issuer.ledger.entries)
        await settled(lambda: fleet.counters.wrong >= sum(seen.get(name, 0) for name in ("duplicate", "mismatched")))
        await fleet.stop()
    names = ("answered", "missing", "mismatched", "duplicate", "wrong_mac", "unreadable", "connection_failures")
    counted = {name: getattr(fleet.counters, name) for name in names}
    assert {name: count for name, count in counted.items() if count} == seen
    assert ledger_after_first == booked
    assert first["sent"] == 1
    assert issuer.faults.struck == {fault: 1}


async def settled(done: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - many things are waited for here
            await asyncio.sleep(0)


async def test_a_late_answer_is_counted_as_late() -> None:
    settings = IssuerSettings(rules=NO_RULES, faults=(FaultRule(fault=Fault.LATE_ANSWER, count=1),), late_ms=150)
    async with serving("iso87-ascii", settings, None) as (_, port):
        fleet = fleet_for(port, terminals=1, timeout_ms=20)
        await fleet.start()
        await fleet.work(count=1)
        await settled(lambda: fleet.counters.late == 1)
        await fleet.stop()
    assert (fleet.counters.missing, fleet.counters.wrong) == (1, 0)


def test_faults_strike_by_count_after_a_number_of_requests() -> None:
    plan = FaultPlan([parse_fault("drop-answer=2x@3"), parse_fault("garbage=1x@4")], random.Random(1))
    struck = [plan.next_fault() for _ in range(8)]
    assert struck == [None, None, None, Fault.DROP_ANSWER, Fault.DROP_ANSWER, Fault.GARBAGE, None, None]
    plan.add(parse_fault("close=1x@1"))
    assert [plan.next_fault() for _ in range(3)] == [None, Fault.CLOSE, None]
    plan.add(parse_fault("close=100%"))
    plan.clear()
    assert plan.next_fault() is None


def test_faults_strike_by_probability() -> None:
    plan = FaultPlan([parse_fault("wrong-mac=10%")], random.Random(1))
    struck = sum(plan.next_fault() is Fault.WRONG_MAC for _ in range(10_000))
    assert 850 < struck < 1150


@pytest.mark.parametrize(
    "text", ["", "drop-answer", "drop-answer=", "nonsense=1x", "close=x", "close=101%", "close=0x"]
)
def test_faults_that_nobody_knows_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|probability|count"):
        parse_fault(text)


# Decisions and ledger


def test_decisions_by_card_pan_amount_and_balance() -> None:
    rules = Rules(
        cards=(Card(pan="6225000000000014", balance_minor=5_000), Card(pan="4111111111111111", refusal="lost_card")),
        pans=(PanRule(prefix="5454", refusal="restricted_card"),),
        amounts=(AmountRule(ending="51", refusal="insufficient_funds"), AmountRule(ending="951", refusal="wrong_pin")),
    )
    decider = Decider(rules)
    assert decider.decide("6225000000000014", 5_000, debit=True) == "approved"
    assert decider.decide("6225000000000014", 5_001, debit=True) == "insufficient_funds"
    assert decider.decide("4111111111111111", 1, debit=False) == "lost_card"
    assert decider.decide("5454545454545454", 1, debit=False) == "restricted_card"
    assert decider.decide("3000000000000004", 1_051, debit=True) == "insufficient_funds"
    assert decider.decide("3000000000000004", 1_051, debit=False) == "approved"
    assert decider.decide("3000000000000004", 1_951, debit=True) == "wrong_pin"
    decider.book("6225000000000014", 4_000)
    assert decider.balance("6225000000000014") == 1_000
    assert Decider(Rules(unknown_card="invalid_card")).decide("3000000000000004", 1, debit=False) == "invalid_card"
    with pytest.raises(ValueError, match="same PAN twice"):
        Rules(cards=(Card(pan="6225000000000014"), Card(pan="6225000000000014")))


@given(st.lists(st.tuples(st.text("0123456789", min_size=1, max_size=4), st.sampled_from("abc")), max_size=6))
def test_the_longest_ending_of_an_amount_wins(pairs: list[tuple[str, str]]) -> None:
    rules = {ending: AmountRule(ending=ending, refusal=refusal) for ending, refusal in pairs}
    table = AmountTable(tuple(rules.values()))
    for amount in (0, 5, 51, 951, 1951, 123_456):
        digits = f"{amount:012d}"
        matching = [rule for rule in rules.values() if digits.endswith(rule.ending)]
        expected = max(matching, key=lambda rule: len(rule.ending)).refusal if matching else None
        assert table.refusal(amount) == expected


Asking = Callable[..., AbstractAsyncContextManager[tuple[Issuer, Callable[..., dict[int, str]]]]]


@pytest.fixture
def asking() -> Asking:
    """An issuer without sockets, asked message by message."""

    class Recorder:
        signed_on = True
        last_stan = ""

        def __init__(self) -> None:
            self.frames: list[bytes] = []

        def send(self, frame: bytes) -> None:
            self.frames.append(frame)

    @asynccontextmanager
    async def ask_issuer(
        rules: Rules = NO_RULES, *, charge_after_reversal: bool = False
    ) -> AsyncIterator[tuple[Issuer, Callable[..., dict[int, str]]]]:
        profile = profile_of("iso87-ascii")
        issuer = Issuer(profile, IssuerSettings(rules=rules, charge_after_reversal=charge_after_reversal))

        def ask(mti: str, fields: dict[int, str]) -> dict[int, str]:
            recorder = Recorder()
            pieces = {number: profile.writer.piece(number, text) for number, text in fields.items()}
            issuer.receive(recorder, b"", profile.writer.message(mti, pieces))  # type: ignore[arg-type]
            (frame,) = recorder.frames
            ((_, message),) = Deframer(profile.framing).feed(frame)
            answer = profile.scan(message)
            return {0: answer.mti, **{number: answer.text(number) for number in answer.fields}}

        yield issuer, ask

    return ask_issuer


def purchase(stan: str = "000001", **changes: str) -> dict[int, str]:
    fields = {
        2: "6225000000000014",
        3: "000000",
        4: "000000001000",
        7: "1123035715",
        11: stan,
        32: "10000001",
        37: f"000000{stan}",
        41: "10000001",
        42: "898000000000001",
        49: "156",
    }
    return fields | {int(name[1:]): text for name, text in changes.items()}


def original_data(stan: str) -> str:
    return "0200" + stan + "1123035715" + "00010000001" + "00000000000"


async def test_a_repeated_request_is_charged_once_and_answered_alike(asking: Asking) -> None:
    async with asking() as (issuer, ask):
        first = ask("0200", purchase())
        again = ask("0201", purchase())
    assert first == again
    assert (first[0], first[39]) == ("0210", "00")
    assert issuer.counters.repeats == 1
    assert [(entry.received, entry.state) for entry in issuer.ledger.entries] == [(2, "approved")]


async def test_a_reversal_is_idempotent_and_gives_the_money_back(asking: Asking) -> None:
    card = Card(pan="6225000000000014", balance_minor=1_500)
    async with asking(Rules(cards=(card,), amounts=())) as (issuer, ask):
        assert ask("0200", purchase())[39] == "00"
        assert ask("0200", purchase("000002"))[39] == "51"
        reversal = purchase("000003", f90=original_data("000001"))
        answers = [ask(mti, reversal) for mti in ("0420", "0421", "0421", "0400")]
        assert {answer[39] for answer in answers} == {"00"}
        assert [answer[0] for answer in answers] == ["0430", "0430", "0430", "0410"]
        assert issuer.decider.balance(card.pan) == 1_500
        assert ask("0200", purchase("000004"))[39] == "00"
    assert [(entry.state, entry.reversals) for entry in issuer.ledger.entries] == [
        ("reversed", 4),
        ("declined", 0),
        ("approved", 0),
    ]


async def test_an_original_that_comes_after_its_reversal_is_refused(asking: Asking) -> None:
    async with asking() as (issuer, ask):
        assert ask("0420", purchase("000003", f90=original_data("000001")))[39] == "25"
        assert ask("0200", purchase("000001"))[39] == "05"
        assert ask("0200", purchase("000002"))[39] == "00"
    assert list(issuer.ledger.orphan_reversals.values()) == [1]
    assert issuer.ledger.totals().charged_count == 1


async def test_an_original_that_comes_after_its_reversal_is_charged_by_some(asking: Asking) -> None:
    async with asking(charge_after_reversal=True) as (issuer, ask):
        taken_back = purchase("000003", f90=original_data("000001"))
        assert ask("0420", taken_back)[39] == "25"
        assert ask("0200", purchase("000001"))[39] == "00"
        assert issuer.ledger.totals().charged_count == 1
        assert ask("0420", taken_back)[39] == "00"
    assert issuer.ledger.totals().charged_count == 0


async def test_a_void_undoes_its_original_once_and_its_reversal_restores_it(asking: Asking) -> None:
    async with asking() as (issuer, ask):
        first = ask("0200", purchase())
        void = purchase("000002", f3="020000", f37=first[37], f38=first[38])
        assert ask("0200", void)[39] == "00"
        assert issuer.ledger.totals().voided_minor == 1_000
        assert ask("0200", {**void, 11: "000003"})[39] == "12"
        assert ask("0200", {**void, 11: "000004", 37: "999999999999", 38: "999999"})[39] == "25"
        assert ask("0420", purchase("000005", f3="020000", f90=original_data("000002")))[39] == "00"
    totals = issuer.ledger.totals()
    assert (totals.charged_minor, totals.voided_count) == (1_000, 0)


async def test_the_reversal_of_a_completion_leaves_the_hold(asking: Asking) -> None:
    card = Card(pan="6225000000000014", balance_minor=1_500)
    async with asking(Rules(cards=(card,), amounts=())) as (issuer, ask):
        first = ask("0100", purchase(f25="06"))
        completion = purchase("000002", f4="000000000800", f25="06", f37=first[37], f38=first[38])
        assert ask("0220", completion)[39] == "00"
        assert issuer.decider.balance(card.pan) == 700
        assert issuer.ledger.entries[0].state == "completed"
        assert ask("0420", purchase("000003", f90=original_data("000002")))[39] == "00"
        assert issuer.decider.balance(card.pan) == 500
    assert [entry.state for entry in issuer.ledger.entries] == ["approved", "reversed"]


async def test_a_balance_inquiry_gives_the_balance(asking: Asking) -> None:
    async with asking(Rules(cards=(Card(pan="6225000000000014", balance_minor=123_45),))) as (_, ask):
        answer = ask("0200", {n: text for n, text in purchase(f3="310000").items() if n != 4})
    assert (answer[39], answer[54]) == ("00", "0002156C000000012345")


async def test_the_ledger_as_json_holds_no_card_number(asking: Asking, tmp_path) -> None:
    async with asking() as (issuer, ask):
        first = ask("0200", purchase())
        ask("0200", purchase("000002", f3="020000", f37=first[37], f38=first[38]))
    issuer.ledger.write(tmp_path / "ledger.json")
    text = (tmp_path / "ledger.json").read_text()
    document = json.loads(text)
    assert "6225000000000014" not in text
    assert document["entries"][0]["pan"] == "622500******0014"
    assert document["entries"][1]["original"] == {"rrn": first[37], "stan": "000001"}
    assert document["totals"]["voided_count"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]


async def test_what_cannot_be_read_is_counted(asking: Asking) -> None:
    async with asking() as (issuer, _):
        issuer.receive(None, b"", b"0200nonsense")  # type: ignore[arg-type]
    assert issuer.counters.unreadable == 1


def test_the_ledger_tells_one_use_of_a_stan_from_the_next() -> None:
    ledger = Ledger("bank")
    identity = Identity("2", "000001", "1123035715", "000000000001", "10000001")
    assert ledger.find_repeat(identity) is None
    assert ledger.find_original(Original("000001", "1123035715", "", "10000001", "")) is None
    ledger.add_orphan(Original("000001", "1123035715", "", "10000001", ""))
    assert ledger.is_orphaned(identity)
    assert not ledger.is_orphaned(identity._replace(occasion="1123035716"))


# Terminals


async def test_cup_terminals_take_their_key_from_the_sign_in() -> None:
    profile = profile_of("cup")
    master_key, mac_key = bytes(range(16)), bytes(range(16, 32))
    right = MacSetting("cup-ecb", mac_key)
    block = build_sign_in_keys(master_key, bytes(range(32, 48)), mac_key)

    class KeyGivingIssuer(Issuer):
        def _receive_network(self, connection, headers, message) -> None:
            pieces = profile.echo(message, network=True)
            pieces[39] = profile.code_piece("approved")
            pieces[62] = profile.writer.piece(62, block.hex().upper())
            self._reply(connection, headers, profile.writer.message(answer_mti(message.mti), pieces))

    issuer = KeyGivingIssuer(profile, IssuerSettings(rules=NO_RULES), right)
    port = await issuer.listen()
    identities = [
        TerminalIdentity(f"{10_000_001 + n}", "898000000000001", right.with_key(bytes(16)), master_key)
        for n in range(3)
    ]
    settings = FleetSettings(PLAIN, sign_in=True)
    counters = await Fleet(profile, settings, identities, host="127.0.0.1", port=port).run(count=12)
    await issuer.stop()
    assert (counters.sign_ins, counters.working_keys, counters.answered, counters.wrong) == (3, 3, 12, 0)
    assert issuer.counters.mac_failures == 0


async def test_an_approval_without_a_mac_is_wrong() -> None:
    async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES), None) as (_, port):
        counters = await fleet_for(port, mac=mac_of("iso87-ascii")).run(count=3)
    assert (counters.answered, counters.unsigned, counters.wrong) == (3, 3, 3)


async def test_an_outcome_that_nobody_expected_is_wrong_and_told() -> None:
    rules = Rules(pans=(PanRule(prefix="6225", refusal="stolen_card"), PanRule(prefix="4", refusal="stolen_card")))
    async with serving("iso87-ascii", IssuerSettings(rules=rules), None) as (_, port):
        counters = await fleet_for(port).run(count=3)
    assert counters.unexpected_outcome == 3
    assert "answered 43 (stolen_card); expected approved" in counters.problems[0]
    assert counters.by_code == Counter({("43", "stolen_card"): 3})


@pytest.mark.parametrize(
    ("field", "text", "counter"),
    [
        (41, "10000009", "wrong_terminal"),
        (42, "898000000000009", "wrong_echo"),
        (4, "000000000999", "wrong_echo"),
        (3, "200000", "wrong_echo"),
    ],
)
async def test_an_answer_for_somebody_else_is_noticed(field: int, text: str, counter: str) -> None:
    profile = profile_of("iso87-ascii")

    class Confused(Issuer):
        def _compose(self, message, decision, stan="", mac=None) -> bytes:
            pieces = profile.echo(message)
            pieces[37] = profile.writer.piece(37, "000000000001")
            pieces[39] = profile.code_piece("approved")
            pieces[field] = profile.writer.piece(field, text)
            return profile.writer.message("0210", pieces)

    issuer = Confused(profile, IssuerSettings(rules=NO_RULES))
    port = await issuer.listen()
    counters = await fleet_for(port, terminals=1).run(count=1)
    await issuer.stop()
    assert (getattr(counters, counter), counters.wrong) == (1, 1)


async def test_the_same_seed_makes_the_same_requests() -> None:
    amounts = []
    for _ in range(2):
        async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES), None) as (issuer, port):
            scenario = Scenario(cards=CARDS, amounts=())
            await fleet_for(port, terminals=1, scenario=scenario).run(count=20)
            amounts.append([entry.amount_minor for entry in issuer.ledger.entries])
    assert amounts[0] == amounts[1]
    assert len(set(amounts[0])) > 10


def test_receipts_add_up_to_the_money_that_stands() -> None:
    def receipt(kind: str, state: str, amount: int) -> Receipt:
        return Receipt(kind, "1", "2", "3", "4", "5", "6", amount, "156", "", "", "", state)

    document = receipts_document(
        [
            receipt("purchase", "approved", 100),
            receipt("purchase", "voided", 50),
            receipt("refund", "approved", 30),
            receipt("preauthorization", "approved", 70),
        ]
    )
    assert document["totals"]["charged_minor"] == 100
    assert document["totals"]["refunded_minor"] == 30


async def test_counters_of_several_fleets_are_merged() -> None:
    async with serving("iso87-ascii", IssuerSettings(rules=NO_RULES), None) as (_, port):
        parts = [await fleet_for(port).run(count=count) for count in (3, 4)]
    whole = merge_counters(parts)
    assert (whole.sent, whole.answered, whole.by_kind["purchase"]) == (7, 7, 7)
    assert whole.latency_us.get_total_count() == 7
    assert json.loads(json.dumps(whole.document()))["latency_us"]["p50"] > 0


def test_scenarios_name_what_they_lack() -> None:
    with pytest.raises(ValueError, match="unknown_cards"):
        Scenario(cards=CARDS, shares=(Share(kind="purchase", flaw=Flaw.UNKNOWN_CARD),))
    with pytest.raises(ValueError, match="needed one of"):
        Share(kind="echo_test")
    with pytest.raises(ValueError, match="no reason"):
        Share(kind="purchase", expect=("fine",))
    with pytest.raises(ValueError, match="amount_min_minor"):
        Scenario(cards=CARDS, amount_min_minor=10, amount_max_minor=9)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("5", Latency(shape="fixed", ms=5)),
        ("fixed:0", Latency(shape="fixed", ms=0)),
        ("uniform:1.5", Latency(shape="uniform", ms=1.5)),
        ("lognormal:5,0.25", Latency(shape="lognormal", ms=5, sigma=0.25)),
    ],
)
def test_latencies_of_the_command_line(text: str, latency: Latency) -> None:
    assert parse_latency(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "normal:5", "fixed:", "5,6,7", "-1", "1.2.3"])
def test_latencies_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"latency|ms"):
        parse_latency(text)


def test_latencies_are_drawn_as_they_say() -> None:
    generator = random.Random(1)
    assert Latency(shape="fixed", ms=5).draw_s(generator) == 0.005
    uniform = [Latency(shape="uniform", ms=5).draw_s(generator) for _ in range(2000)]
    assert 0 <= min(uniform) < 0.001 < 0.009 < max(uniform) <= 0.01
    lognormal = sorted(Latency(shape="lognormal", ms=5, sigma=0.5).draw_s(generator) for _ in range(2001))
    assert 0.0045 < lognormal[1000] < 0.0055
    assert Latency(shape="lognormal", ms=0).draw_s(generator) == 0


# The commands


def test_files_of_the_documentation_are_read(tmp_path) -> None:
    """The rules and the scenario that the page shows are valid."""
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for model, text in zip((Rules, Scenario), examples, strict=True):
        path = tmp_path / "example.toml"
        path.write_text(text)
        assert read_model(path, model)
    names = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert {fault.value for fault in Fault} <= names


def test_a_wrong_file_is_told_key_by_key(tmp_path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('unknwon = 1\n[[cards]]\npan = "12x"\n')
    with pytest.raises(SetupError) as caught:
        read_model(path, Rules)
    assert "unknwon" in str(caught.value)
    assert "cards.0.pan" in str(caught.value)
    assert "12x" not in str(caught.value)
    with pytest.raises(SetupError, match="No such file"):
        read_model(tmp_path / "absent.toml", Rules)


def test_terminals_of_a_registry_bring_their_keys(tmp_path) -> None:
    master_key = create_master_key(tmp_path / "master.key")
    with KeyFile.create(tmp_path / "keys.sealed", master_key) as file:
        file.put(Key("terminal/10000001/tak", "tak", "3des-2key", bytes(range(16))))
        file.put(Key("terminal/10000001/tmk", "tmk", "3des-2key", bytes(range(16, 32))))
        file.save()
    registry = tmp_path / "terminals.csv"
    registry.write_text(
        "# a comment\n"
        "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n"
        "10000001,898000000000001,active,pos|other,,x9.19,none,\n"
        "10000002,898000000000001,closed,,,x9.19,none,\n"
        "10000003,898000000000001,active,other,,x9.19,none,\n"
        "10000004,898000000000001,active,,,none,none,\n"
    )
    keys = Keys(tmp_path / "keys.sealed", tmp_path / "master.key", None)
    found = registered_terminals(registry, keys, "pos", 10, terminal_tls(None, None))
    assert [identity.terminal for identity in found] == ["10000001", "10000004"]
    assert found[0].mac == MacSetting("x9.19", bytes(range(16)))
    assert found[0].master_key == bytes(range(16, 32))
    assert (found[1].mac, found[1].master_key, found[1].tls) == (None, None, None)
    assert "mac=None" not in repr(found[0])
    assert str(bytes(range(16))) not in repr(found[0])
    with pytest.raises(SetupError, match="no key terminal/10000003/tak"):
        registered_terminals(registry, keys, "other", 10, terminal_tls(None, None))
    with pytest.raises(SetupError, match=r"x9\.9"):
        keys.mac("terminal/10000001/tak", "x9.9")
    registry.write_text("id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n")
    with pytest.raises(SetupError, match="no active terminal"):
        registered_terminals(registry, keys, None, 10, terminal_tls(None, None))


@pytest.mark.parametrize(
    "arguments",
    [
        ["issuer"],
        ["issuer", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1"],
        ["issuer", "--listen", "nowhere"],
        ["issuer", "--listen", "127.0.0.1:0", "--latency", "fast"],
        ["issuer", "--listen", "127.0.0.1:0", "--fault", "nonsense=1x"],
        ["issuer", "--listen", "127.0.0.1:0", "--dialect", "nonsense"],
        ["issuer", "--listen", "127.0.0.1:0", "--mac-key", "link/bank-a/zak"],
        ["terminals", "127.0.0.1:1"],
        ["terminals", "127.0.0.1:1", "--requests", "1", "--scenario", "absent.toml"],
    ],
)
def test_what_is_asked_wrongly_ends_with_status_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_terminals_that_find_nobody_end_with_status_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = CliRunner().invoke(app, ["terminals", f"127.0.0.1:{taken.getsockname()[1]}", "--requests", "1"])
    assert result.exit_code == 1


def test_both_commands_speak_with_each_other(tmp_path) -> None:
    """Two processes; the issuer ends at SIGTERM and leaves its ledger."""
    command = [sys.executable, "-m", "switch", "simulate"]
    root = Path(__file__).parents[2]
    ledger = tmp_path / "ledger.json"
    issuer = subprocess.Popen(
        [*command, "issuer", "--listen", "127.0.0.1:0", "--fault", "duplicate-answer=1x", "--ledger", str(ledger)],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert issuer.stdout is not None
        address = issuer.stdout.readline().partition("listening on ")[2].partition(",")[0]
        receipts = tmp_path / "receipts.json"
        result = subprocess.run(
            [*command, "terminals", address, "--requests", "30", "--receipts", str(receipts), "--json"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        issuer.send_signal(signal.SIGTERM)
        said, _ = issuer.communicate(timeout=30)
    finally:
        issuer.kill()
        issuer.wait()
    counted = json.loads(result.stdout)
    assert (counted["answered"], counted["duplicate"], counted["wrong"]) == (30, 1, 1)
    assert result.returncode == 1
    assert issuer.returncode == 0
    assert "30 requests, 31 answers" in said
    assert len(json.loads(ledger.read_text())["entries"]) == len(json.loads(receipts.read_text())["receipts"]) == 30
