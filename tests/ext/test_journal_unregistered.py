"""A terminal that the journal knows and the registry does not: what it did stays known, and it is barred."""

from __future__ import annotations

from typing import Any

import pytest

from switch.dialect.kinds import Kind
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.registry_changes import take_changes
from tests.ext.journal_world import JournalWorld
from tests.ext.world import MERCHANT, MERCHANTS, OTHER_MERCHANT, TERMINALS, Keys, change, listener, purchase, reversal

SIGNED = "10000002"
PLAIN = "10000008"
TLS = {"certificate": "a.pem", "private_key": "a.key", "client_ca": "ca.pem", "client_certificate": "required"}


def registered(world, *terminals, merchant=MERCHANT):
    """The registry comes to know terminals."""
    rows = [",".join((one, merchant, *TERMINALS[one][1:])) for one in terminals]
    files = (
        ",".join(columns) + "\n" + "".join(f"{line}\n" for line in lines)
        for columns, lines in ((MERCHANT_COLUMNS, [f"{merchant},Shop,active,5411,"]), (TERMINAL_COLUMNS, rows))
    )
    registry = world.engine.state.registry
    kinds = [kind.label for kind in Kind]
    changes = Registry.build(*(one.encode() for one in files), Keys(), kinds, registry.listener_names)
    take_changes(registry, changes)


class Forgotten:
    """A sale of a terminal that the next start does not know, answered with 00.

    Args:
        monkeypatch: Takes the terminal out of the registry to come.
        terminal: Which.
        listener_section: What it comes in by.
        merchant: Whether its merchant is not known either.
    """

    def __init__(self, monkeypatch, terminal, listener_section=None, merchant=False):
        self.changes: dict[str, Any] = {"listeners": [listener_section]} if listener_section else {}
        self.first = JournalWorld(**self.changes)
        self.sale = purchase(self.first, f41=terminal)
        till, bank = self.first.terminal("iso", terminal if listener_section else None), self.first.issuer()
        till.send(self.sale)
        bank.answer(bank.read_one())
        self.first.sync()
        assert till.read_one()["39"] == "00"
        self.row = TERMINALS[terminal]
        self.terminal = terminal
        with monkeypatch.context() as lacking:
            lacking.delitem(TERMINALS, terminal)
            if merchant:
                lacking.delitem(MERCHANTS, MERCHANT)
                for one in [one for one, row in TERMINALS.items() if row[0] == MERCHANT]:
                    lacking.delitem(TERMINALS, one)
            self.world = self.first.killed(**self.changes)
        self.bank = self.world.issuer()

    def said(self, request, certificate=None):
        """The response codes to a request: none, or one."""
        till = self.world.terminal("iso", certificate)
        till.send(request)
        self.world.sync()
        return [one["39"] for one in till.read()]


@pytest.mark.parametrize("merchant", [False, True])
def test_its_payment_is_not_charged_again_when_the_registry_knows_it(monkeypatch, merchant):
    one, terminal = Forgotten(monkeypatch, SIGNED, merchant=merchant), SIGNED
    registry = one.world.engine.state.registry
    number = registry.terminal_index(terminal)
    assert registry.describe_terminal(terminal)["state"] == "suspended"
    assert registry.unregistered_count == 1
    registered(one.world, terminal)
    assert registry.terminal_index(terminal) == number
    assert registry.unregistered_count == 0
    assert one.said(one.sale) == ["00"]
    assert one.said(purchase(one.world, f41=terminal, f11="999999")) == []
    assert [asked["t"] for asked in one.bank.read()] == ["0200"], "only the new one"


def test_is_told_what_became_of_its_payment_and_asks_for_nothing_new(monkeypatch):
    one = Forgotten(monkeypatch, PLAIN, listener("iso", "iso87-ascii", mac="none"))
    assert one.said(one.sale) == ["00"]
    assert one.said(purchase(one.world, f41=PLAIN, f11="999999")) == ["58"]
    refused = one.world.told("terminal_refused")[-1]
    assert (refused["terminal"], refused["reason"]) == (PLAIN, "terminal not registered")
    assert one.bank.read() == []


def test_takes_its_payment_back(monkeypatch):
    one = Forgotten(monkeypatch, PLAIN, listener("iso", "iso87-ascii", mac="none"))
    assert one.said(reversal(one.world, one.sale, f11="888888")) == ["00"]
    one.world.sync()
    one.world.tick()
    assert [asked["t"] for asked in one.bank.read()] == ["0420"]
    assert one.said(one.sale) == ["68"]


def test_is_left_to_ask_again_where_it_cannot_prove_who_it_is(monkeypatch):
    """A refusal would tell its approved payment as declined, and end its reversal."""
    one = Forgotten(monkeypatch, SIGNED)
    back = reversal(one.world, one.sale, f11="888888")
    assert one.said(one.sale) == one.said(back) == []
    assert one.said(purchase(one.world, f41=SIGNED, f11="999999")) == ["58"]
    registered(one.world, SIGNED)
    assert one.said(one.sale) == ["00"]
    assert one.said(back) == ["00"]


def test_is_left_to_ask_again_where_its_certificate_is_not_known(monkeypatch):
    secured = listener("iso", "iso87-ascii", mac="none", tls=TLS)
    monkeypatch.setitem(TERMINALS, PLAIN, (MERCHANT, "active", "", "", "none", "none", ""))
    one = Forgotten(monkeypatch, PLAIN, secured)
    assert one.said(one.sale, "till-8") == []
    assert one.said(purchase(one.world, f41=PLAIN, f11="999999"), "till-8") == ["58"]
    assert one.said(one.sale, PLAIN) == ["00"]


def test_what_is_known_of_its_merchant_stays(monkeypatch):
    one = Forgotten(monkeypatch, SIGNED)
    described = one.world.engine.state.registry.describe_merchant(MERCHANT)
    assert (described["name"], described["state"]) == ("Shop", "active")


def test_a_request_under_way_is_reversed_and_ends_once(monkeypatch):
    world = JournalWorld()
    sale = purchase(world)
    bank, till = world.issuer(), world.terminal("iso")
    till.send(sale)
    world.sync()
    assert len(bank.read()) == 1
    monkeypatch.delitem(TERMINALS, SIGNED)
    after = world.killed()
    monkeypatch.undo()
    registered(after, SIGNED)
    till = after.terminal("iso")
    assert till.ask(sale)["39"] == "68"
    assert [asked["t"] for asked in after.issuer().read()] == ["0420"]


def test_a_payment_under_another_merchant_than_its_terminal_has_now_stays_known(monkeypatch):
    """What a start loads may be older than the terminal's move: it comes to know of that later."""
    world = JournalWorld()
    till, bank = world.terminal("iso"), world.issuer()
    sale = purchase(world)
    till.send(sale)
    bank.answer(bank.read_one())
    world.sync()
    with monkeypatch.context() as earlier:
        earlier.setitem(TERMINALS, SIGNED, (OTHER_MERCHANT, *TERMINALS[SIGNED][1:]))
        after = world.killed()
    registered(after, SIGNED)
    assert after.terminal("iso").ask(sale)["39"] == "00"
    assert after.issuer().read() == []


def test_very_many_of_them_are_known(monkeypatch):
    ids = [f"5{number:07d}" for number in range(900)]
    row = (MERCHANT, "active", "", "", "none", "none", "")
    world = JournalWorld(listeners=[listener("iso", "iso87-ascii", mac="none")])
    for one in ids:
        TERMINALS[one] = row
    try:
        registered(world, *ids)
    finally:
        for one in ids:
            del TERMINALS[one]
    world.engine.state.terminals.grow(world.engine.state.registry.terminal_count)
    till, sales = world.terminal("iso"), []
    for one in ids:
        sales.append(purchase(world, f41=one, f2="5111111111111111"))
        assert till.ask(sales[-1])["39"] == "15"
    world.sync()
    after = world.killed(listeners=[listener("iso", "iso87-ascii", mac="none")])
    assert after.engine.state.registry.unregistered_count == len(ids)
    again = after.terminal("iso")
    assert [again.ask(sale)["39"] for sale in sales] == ["15"] * len(ids)
    assert again.ask(change(sales[0], f11="999999"))["39"] == "58"


def test_the_answer_to_one_merchant_is_not_told_to_another(monkeypatch):
    """A terminal that moves while the switch runs takes no payment of its former merchant with it."""
    monkeypatch.setitem(MERCHANTS, OTHER_MERCHANT, "active")
    world = JournalWorld()
    till, bank = world.terminal("iso"), world.issuer()
    sale = purchase(world)
    till.send(sale)
    bank.answer(bank.read_one())
    world.sync()
    assert till.read_one()["39"] == "00"
    registered(world, SIGNED, merchant=OTHER_MERCHANT)
    for one in (world, world.killed()):
        registered(one, SIGNED, merchant=OTHER_MERCHANT)
        assert one.terminal("iso").ask(change(sale, f42=OTHER_MERCHANT))["39"] == "94"
        assert one.issuer().read() == []
        registered(one, SIGNED)
        assert one.terminal("iso").ask(sale)["39"] == "00"
