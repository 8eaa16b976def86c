"""What stands because of an approval that its terminal was not told of, or that its issuer has declined in the end."""

from __future__ import annotations

import pytest

from tests.ext.seeking_world import (
    approve,
    bought,
    in_flight,
    names,
    sold,
    stood_in,
    taking_back,
    tell_issuer,
    world_of,
    world_of_parts,
)
from tests.ext.test_originals_referred import LATER_S, ask, referring
from tests.ext.test_originals_taken_back import restarted, voiding
from tests.ext.world import link


def untold_sale(world):
    """A sale whose approval is durable, and does not leave."""
    terminal, bank, request, asked = in_flight(world)
    bank.answer(asked)
    world.sync()
    world.tick()
    return terminal, bank, request, asked


@pytest.mark.parametrize("kind", ["void", "refund"])
def test_sale_whose_answer_hangs_is_voided_on_another_line_and_then_its_line_breaks(kind):
    world = world_of("iso87-ascii", "iso87-ascii")
    hanging, bank, request, asked = untold_sale(world)
    terminal = world.terminal("pos")
    assert approve(world, terminal, bank, referring(world, kind, request, {"37": asked["37"]}))[1]["39"] == "00"
    hanging.close()
    world.advance(2)
    assert bank.read() == []


def test_sale_whose_answer_hangs_is_taken_back_when_its_void_was_declined():
    """The void is still at the issuer when the line breaks: until it has ended nobody knows what is left to be done."""
    world = world_of("iso87-ascii", "iso87-ascii")
    hanging, bank, request, asked = untold_sale(world)
    terminal = world.terminal("pos")
    ask(world, terminal, referring(world, "void", request, {"37": asked["37"]}))
    void = bank.read_one()
    hanging.close()
    world.advance(2)
    assert bank.read() == []
    bank.answer(void, "05")
    assert terminal.read_one()["39"] == "05"
    world.advance(2)
    assert names(bank.read_one(), asked, "iso87-ascii")


@pytest.mark.parametrize("how", ["kill", "power"])
@pytest.mark.parametrize("kind", ["void", "refund"])
def test_after_a_restart_a_repeat_that_cannot_be_told_takes_back_what_was_voided(kind, how):
    """Its terminal had it, but the machine went down before it could be written down that it had left."""
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, asked = untold_sale(world)
    assert terminal.read_one()["39"] == "00"
    world, terminal, bank = restarted(world, terminal, bank, how)
    undoing = referring(world, kind, request, {"37": asked["37"]}, f11="000950")
    assert approve(world, terminal, bank, undoing)[1]["39"] == "00"
    line = world.terminal("pos")
    line.send(request)  # somebody plays it again
    line.close()
    world.advance(2)
    assert bank.read() == []


def test_void_that_hangs_while_another_refund_takes_its_place():
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    hanging = world.terminal("pos")
    ask(world, hanging, voiding(world, refund, refunded, "refund"))
    bank.answer(bank.read_one())  # approved; its answer hangs
    world.tick()
    assert approve(world, terminal, bank, referring(world, "refund", request, told))[1]["39"] == "00"
    hanging.close()
    world.advance(2)
    assert bank.read() == []


@pytest.mark.parametrize("how", ["", "kill", "later"])
@pytest.mark.parametrize("kind", ["void", "refund"])
def test_sale_whose_advice_was_declined_is_not_given_back(kind, how):
    world, terminal, request, told = stood_in()
    bank = tell_issuer(world, "51")
    if how == "later":
        terminal = world.later(LATER_S)
    world, terminal, bank = restarted(world, terminal, bank, how if how == "kill" else "")
    ask(world, terminal, referring(world, kind, request, told, f11="000777"))
    assert bank.read() == []
    assert terminal.read_one()["39"] == "25"


def test_void_that_takes_longer_than_a_minute_and_is_declined():
    world, terminal, bank, request, asked, told = sold(links=[link("bank-a", "iso87-ascii", timeout_ms=120_000)])
    terminal = world.later(LATER_S)
    ask(world, terminal, referring(world, "void", request, told))
    void = bank.read_one()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.advance(70)
    world.tick()
    assert bank.read() == []
    bank.answer(void, "05")
    for _ in range(5):
        world.advance(1)
    assert names(bank.read_one(), asked, "iso87-ascii")


def test_void_of_which_a_part_is_approved_is_taken_back():
    """Nobody could tell what is left of what it undoes."""
    world = world_of_parts()
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, told = approve(world, terminal, bank, request)
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    terminal.send(voiding(world, refund, refunded, "refund"))
    world.tick()
    bank.answer(bank.read_one(), "10", f4="000000000400")
    assert terminal.read_one()["39"] == "05"
    world.tick()
    assert bank.read_one()["t"] == "0420"
    ask(world, terminal, referring(world, "refund", request, told))
    assert bank.read() == []
    assert terminal.read_one()["39"] == "13"
