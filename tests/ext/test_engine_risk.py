"""Risk control of requests that the state machine handles: what it refuses, what it counts and what it takes back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from switch.dialect.kinds import Kind
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable
from tests.ext.world import CARD, VISA, purchase, reversal

COUNTRIES = b"low,high,country\n622500,622599,408\n411111,411111,840\n"


@dataclass
class Limit(RuleTerms):
    """Three purchases of a card an hour."""

    name: str = "card-hour"
    scope: str = "card"
    kinds: int = 1 << Kind.PURCHASE
    currency: int = 156
    window_ms: int = 3_600_000
    sliding: bool = True
    amount_max: int | None = 3_000
    count_max: int | None = None
    single_max: int | None = None


def test_cards_of_a_blocked_country_are_refused(make_world):
    risk = Risk.build(None, WindowTable(16), countries=COUNTRIES, blocked_countries=(408,))
    world = make_world(risk=risk)
    terminal, issuer, other = world.terminal(), world.issuer(), world.issuer("bank-b")
    for _ in range(20):
        assert terminal.ask(purchase(world, f2=CARD))["39"] == "62"
        terminal.send(purchase(world, f2=VISA))
        other.answer(other.read_one())
        assert terminal.read_one()["39"] == "00"
    assert issuer.read() == []


@pytest.fixture
def limited(make_world):
    world = make_world(risk=Risk.build(None, WindowTable(16), rules=[Limit()]))
    world.engine.state.risk.use_registry(world.engine.state.registry)
    return world


def approve(world, terminal, issuer):
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    return request


def test_approvals_count(limited):
    terminal, issuer = limited.terminal(), limited.issuer()
    for _ in range(3):
        approve(limited, terminal, issuer)
    assert terminal.ask(purchase(limited))["39"] == "61"


@pytest.mark.parametrize("end", ["declined", "timed out", "not sent"])
def test_requests_without_approval_do_not_count(limited, end):
    terminal, issuer = limited.terminal(), limited.issuer()
    for _ in range(4):
        if end == "not sent":
            issuer.close()
        terminal.send(purchase(limited))
        if end == "declined":
            issuer.answer(issuer.read_one(), "51")
        elif end == "timed out":
            issuer.read()
            limited.advance(16)
        assert terminal.read_one()["39"] in ("51", "68", "91")
        for taken_back in issuer.read() if issuer.channel.is_open else ():
            issuer.answer(taken_back)
    if end == "not sent":
        issuer = limited.issuer()
    for _ in range(3):
        approve(limited, terminal, issuer)
    assert terminal.ask(purchase(limited))["39"] == "61"


@pytest.mark.parametrize("by", ["terminal", "switch"])
def test_reversed_approvals_do_not_count(limited, by):
    terminal, issuer = limited.terminal(), limited.issuer()
    for _ in range(2):
        approve(limited, terminal, issuer)
    if by == "terminal":
        taken_back = reversal(limited, approve(limited, terminal, issuer))
        assert terminal.ask(taken_back)["39"] == "00"
        assert terminal.ask(reversal(limited, taken_back | {"t": "0200"}, f90=taken_back["90"]))["39"] == "00"
    else:
        gone = limited.terminal()
        gone.send(purchase(limited))
        gone.close()
        issuer.answer(issuer.read_one())
    limited.tick()
    issuer.answer(issuer.read_one())
    approve(limited, terminal, issuer)
    assert terminal.ask(purchase(limited))["39"] == "61"


@pytest.mark.parametrize(("changes", "code"), [({"f4": "000000000000"}, "13"), ({}, "61")])
def test_what_is_refused_gives_nothing_back(limited, changes, code):
    """Neither what was counted for the request before it, nor what was not counted for itself."""
    terminal, issuer = limited.terminal(), limited.issuer()
    for _ in range(3):
        approve(limited, terminal, issuer)
    assert terminal.ask(purchase(limited, **changes))["39"] == code
    assert terminal.ask(purchase(limited))["39"] == "61"
