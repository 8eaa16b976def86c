"""Kinds of transaction that a link's dialect has no message for: refused at once, and never written."""

from __future__ import annotations

import itertools

import pytest

from switch.dialect.kinds import Kind, kind_traits
from switch.simulators.dialect_profile import MacSetting, Profile, moment
from switch.simulators.receipts import Receipt
from switch.simulators.scenario import PaymentCard
from tests.ext.seeking_world import SeekingWorld, stood_in, world_of
from tests.ext.test_engine_stand_in import RULE
from tests.ext.world import CARD, CUP_TAK, MERCHANT, START_S, dialect, link, listener

BUILT_IN = ("cup", "iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary")
TERMINAL = "10000001"
ORIGINALS = {
    "void": "purchase",
    "refund": "purchase",
    "refund_void": "refund",
    "preauthorization_void": "preauthorization",
    "completion": "preauthorization",
    "completion_void": "completion",
}
REFUSED = {"1": "902"}
"""By version of the MTI; 12 elsewhere."""

SENT_ON = [kind for kind in Kind if kind_traits(kind).forwarded or kind_traits(kind).is_advice]


class TerminalOfOneDialect:
    """A terminal that writes every kind of its dialect, as the simulated ones do."""

    def __init__(self, world: SeekingWorld, spoken: str) -> None:
        self.world, self.line = world, world.terminal("pos")
        self.profile = Profile(dialect(spoken))
        self._stans = itertools.count(1)

    def ask(self, kind: str, amount_minor: int, original: Receipt | None = None) -> Receipt:
        """Send a request, without waiting for its answer."""
        stan, at = f"{next(self._stans):06d}", moment(START_S + self.world.now_s)
        pieces = self.profile.request(
            kind,
            terminal=TERMINAL,
            merchant=MERCHANT,
            batch="000001",
            stan=stan,
            card=PaymentCard(pan=CARD),
            amount_minor=amount_minor,
            currency="156",
            at=at,
            original=original,
        )
        raw = self.profile.signed(self.profile.request_mti(kind), pieces, MacSetting("cup-ecb", CUP_TAK))
        self.line.feed(self.line.frame(raw))
        self.world.tick()
        return Receipt(kind, TERMINAL, MERCHANT, "000001", stan, at, CARD, amount_minor, "156", "", "", "", "unknown")

    def hear(self, receipt: Receipt) -> str:
        """The code of its answer."""
        told = self.line.read_one()
        receipt.rrn, receipt.authorization_code = told.get("37", ""), told.get("38", "")
        return str(told["39"])


def requests_of(spoken: str) -> set[str]:
    """The MTIs with which a dialect asks, repeats included; reversals as well."""
    one = dialect(spoken)
    first = {entry.mti for entries in one.kinds.values() for entry in entries}
    version = next(iter(first))[0]
    first |= {f"{version}400", f"{version}420", f"{version}800"}
    return first | {f"{mti[:3]}1" for mti in first}


def all_of(bank, spoken):
    """What has left for the issuer, none of it with an MTI that its dialect does not have."""
    documents = bank.read()
    assert {one["t"] for one in documents} <= requests_of(spoken)
    return documents


@pytest.mark.parametrize("issuer", BUILT_IN)
@pytest.mark.parametrize("spoken", BUILT_IN)
def test_nothing_leaves_that_the_dialect_of_the_link_has_no_message_for(spoken, issuer):
    world = world_of(spoken, issuer, originals={"excess": "forward"})
    terminal, bank = TerminalOfOneDialect(world, spoken), world.issuer()
    known = dialect(issuer).kinds
    receipts: dict[str, Receipt] = {}
    for kind in SENT_ON:
        if kind.label not in dialect(spoken).kinds:
            continue
        original = receipts.get(ORIGINALS.get(kind.label, ""))
        amount = 1_000 + kind if original is None else original.amount_minor
        receipt = terminal.ask(kind.label, amount, original)
        sent = all_of(bank, issuer)
        if kind.label not in known:
            assert sent == []
            assert terminal.hear(receipt) == REFUSED.get(terminal.profile.request_mti(kind.label)[0], "12"), kind
            assert world.count("transactions_total", kind=kind.label, reason="invalid_transaction") == 1
            assert world.told("request_refused")[-1]["fault"] == "kind_abroad"
            continue
        receipts[kind.label] = receipt
        for one in sent:
            bank.answer(one)
        world.tick()
        terminal.hear(receipt)
        for one in all_of(bank, issuer):
            bank.answer(one)
        assert len(sent) == 1 or kind_traits(kind).is_advice, kind
    world.advance(120, step=1)
    all_of(bank, issuer)
    assert world.engine.owed == 0


def test_all_pairs_are_asked_for_something():
    """What is tried above is not nothing: CUP is the only one that lacks kinds, and takes most of them."""
    lacking = {name: {kind.label for kind in SENT_ON} - dialect(name).kinds.keys() for name in BUILT_IN}
    assert lacking["cup"] == {"refund_void", "preauthorization_advice"}
    assert not any(lacking[name] for name in BUILT_IN if name != "cup")


def two_banks(**of_cup):
    """A world whose card goes to a CUP link first, and then to one that has all kinds."""
    links = [link("bank-a", "cup", mac=False, **of_cup), link("bank-b", "iso87-ascii")]
    world = world_of("iso87-ascii", "", links=links, routes=["6,,,,,,bank-a:1|bank-b:2"])
    return world, TerminalOfOneDialect(world, "iso87-ascii")


@pytest.mark.parametrize("is_up", [True, False])
def test_advice_goes_to_the_link_that_has_a_message_for_it(is_up):
    world, terminal = two_banks()
    first = world.issuer("bank-a")
    second = world.issuer("bank-b") if is_up else None
    receipt = terminal.ask("preauthorization_advice", 1_000)
    assert terminal.hear(receipt) == "00"
    world.tick()
    if second is None:
        second = world.issuer("bank-b")
        world.tick()
    sent = [one for one in second.read() if one["t"] == "0120"]
    assert len(sent) == 1
    assert [one for one in first.read() if one["t"][1] != "8"] == []


def test_refund_is_voided_only_where_its_issuer_knows_of_voids_of_refunds():
    world, terminal = two_banks()
    first, second = world.issuer("bank-a"), world.issuer("bank-b")
    sale = terminal.ask("purchase", 1_000)
    first.answer(first.read_one())
    assert terminal.hear(sale) == "00"
    refund = terminal.ask("refund", 1_000, sale)
    first.answer(first.read_one())
    assert terminal.hear(refund) == "00"
    void = terminal.ask("refund_void", 1_000, refund)
    assert terminal.hear(void) == "12"
    assert first.read() == second.read() == []
    assert world.engine.owed == 0


def test_link_does_not_stand_in_with_an_advice_that_it_has_no_message_for():
    world = world_of(
        "iso87-ascii",
        "",
        links=[link("bank-a", "cup", mac=False, stand_in={**RULE, "kinds": ["preauthorization"]})],
    )
    terminal = TerminalOfOneDialect(world, "iso87-ascii")
    receipt = terminal.ask("preauthorization", 1_000)
    assert terminal.hear(receipt) == "91"
    assert world.engine.owed == 0


def test_others_go_on_standing_in():
    assert stood_in()[0].engine.owed == 1


def test_listener_says_why():
    world = world_of("iso93-ascii", "cup", listeners=[listener("pos", "iso93-ascii")])
    terminal, _ = TerminalOfOneDialect(world, "iso93-ascii"), world.issuer()
    assert terminal.hear(terminal.ask("preauthorization_advice", 1_000)) == "902"
    (note,) = world.told("request_refused")
    assert (note["listener"], note["field"], note["fault"]) == ("pos", 3, "kind_abroad")
