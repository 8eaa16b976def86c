"""A terminal's reversal that overtakes its original, which still waits on another connection."""

from __future__ import annotations

import pytest

from tests.ext.seeking_world import bought, taking_back, world_of
from tests.ext.world import World, link, listener, purchase, reversal


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


@pytest.mark.parametrize("left_out", [{"f4": None}, {"f2": None}, {"f4": None, "f2": None}, {"f90": None}])
def test_what_its_reversal_does_not_say_does_not_make_it_another_payment(world, left_out):
    terminal = world.terminal("iso")
    paid = purchase(world)
    changes = {"f11": paid["11"], **left_out} if "f90" in left_out else left_out
    terminal.send(reversal(world, paid, **changes))
    assert terminal.read_one()["39"] in ("00", "25")  # 25: without a card there is no issuer to ask
    issuer = world.issuer("bank-a")
    issuer.read()
    accepted = "f2" not in left_out
    terminal.send(paid)
    if accepted:
        assert terminal.read_one()["39"] == "68"
        assert issuer.read() == []


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("other", [{"f2": "6225880000000017"}, {"f4": "000000077777"}])
def test_each_payment_under_one_stan_is_taken_back_by_its_own_reversal(other, is_killed):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal = world.terminal("pos")
    paid = bought(world)
    for changes in (other, {}):
        assert terminal.ask(taking_back(world, paid, **changes))["39"] == "00"
    if is_killed:
        world = world.killed()
        terminal = world.terminal("pos")
    issuer = world.issuer()
    world.tick()
    assert [message["t"] for message in issuer.read()] == ["0420", "0420"]
    for one in (paid, {**paid, **{name[1:]: value for name, value in other.items()}}):
        assert terminal.ask(one)["39"] == "68"
    assert issuer.read() == []


def test_memory_is_not_gone_through_for_each_reversal_that_comes():
    limits = {"refusals_kept_max": 2_000, "terminal_share_percent": 100}
    world = World(routes=["62,,,,,,bank-a:1"], limits=limits, listeners=[listener("iso", "iso87-ascii")])
    terminals = [world.terminal("iso") for _ in range(40)]
    for number in range(1_000):
        assert terminals[number % 40].ask(purchase(world, f2="5" * 16))["39"] == "15"
    waiting = world.engine.state.inquiries.waiting
    answered = 0
    for number in range(2_000):
        terminals[number % 40].send(reversal(world, purchase(world), f2=None))
        answered += len(terminals[number % 40].read())
        if waiting.count:
            break
    assert answered > 500
    assert waiting.count == 1
    world.advance(2)
    assert [answer["39"] for line in terminals for answer in line.read()] == ["25"]
    world.settle()


def test_what_was_overtaken_is_told_when_that_it_was_given_up_is_durable(world):
    early, late = world.terminal("iso"), world.terminal("iso")
    paid = purchase(world)
    world.syncs = False
    early.send(reversal(world, paid))
    late.send(paid)
    assert world.journal.records[0][0] == "outcome"
    assert late.read() == []
    world.journal.sync(1)
    assert late.read_one()["39"] == "68"
    assert early.read() == [], "its own OUTCOME comes later"
    world.syncs = True
    assert early.read_one()["39"] == "00"
