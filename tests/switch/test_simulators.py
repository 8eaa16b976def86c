"""Simulated terminals against a simulated issuer of the same dialect, over loopback sockets."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import iso8583
import pytest

from switch.dialect.source import dialect_names
from switch.keys.sign_in import build_sign_in_keys
from switch.simulators.dialect_profile import MacSetting
from switch.simulators.faults import Fault, FaultRule
from switch.simulators.fleet import Fleet
from switch.simulators.fleet_settings import FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency
from switch.simulators.messages import MessageWriter, answer_mti
from switch.simulators.receipts import Receipt, merge_counters, quantiles_us, receipts_document
from switch.simulators.rules import PanRule, Rules
from switch.simulators.scenario import BASED_ON, FIRST_KINDS, Flaw, Scenario, Share
from switch.simulators.terminals import TerminalIdentity
from switch.wire.framing import Deframer
from tests.switch.simulated import CARDS, NO_RULES, PLAIN, fleet_for, mac_of, profile_of, serving


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
