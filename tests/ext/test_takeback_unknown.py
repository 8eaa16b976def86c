"""A terminal's reversal that overtakes its original, which still waits on another connection."""

from __future__ import annotations

import pytest

from tests.ext.world import World, link, purchase, reversal


@pytest.fixture
def world():
    built = World()
    yield built
    built.settle()


def test_original_that_comes_after_its_reversal_is_refused(world):
    early, late = world.terminal("iso"), world.terminal("iso")
    paid = purchase(world)
    early.send(reversal(world, paid))
    assert early.read_one()["39"] == "00"
    issuer = world.issuer("bank-a")
    assert issuer.read_one()["t"] == "0420"
    late.send(paid)
    assert late.read_one()["39"] == "68"
    assert issuer.read() == []
    late.send(paid)
    assert late.read_one()["39"] == "68"


def test_another_amount_under_the_same_stan_is_another_payment(world):
    terminal = world.terminal("iso")
    paid = purchase(world)
    terminal.send(reversal(world, paid))
    assert terminal.read_one()["39"] == "00"
    issuer = world.issuer("bank-a")
    issuer.read()
    terminal.send({**paid, "4": "000000099999"})
    asked = issuer.read_one()
    assert asked["t"] == "0200"
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"


def test_forwarded_reversal_is_acknowledged_where_answers_are_matched_by_rrn():
    world = World(links=[link("bank-a", "iso87-ascii", match={"by": "rrn"})], routes=["62,,,,,,bank-a:1"])
    terminal = world.terminal("iso")
    terminal.send(reversal(world, purchase(world)))
    assert terminal.read_one()["39"] == "00"
    issuer = world.issuer("bank-a")
    asked = issuer.read_one()
    assert 1 + int(asked["37"][4:], 36) % 999_999 == int(asked["11"])
    issuer.answer(asked)
    world.advance(1)
    assert world.engine.owed == 0
    world.settle()
