"""What stands because of an approval that its terminal was not told of, or that its issuer has declined in the end."""

from __future__ import annotations

import pytest

from tests.ext.seeking_world import approve, bought, sold, taking_back, world_of, world_of_parts
from tests.ext.test_engine_stand_in import RULE
from tests.ext.test_originals_referred import LATER_S, ask, referring
from tests.ext.test_originals_taken_back import restarted, voiding
from tests.ext.world import link


def untold_sale(world):
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    world.tick()
    asked = bank.read_one()
    bank.answer(asked)
    world.sync()
    world.tick()  # durable, approved; its bytes never leave
    return terminal, bank, request, asked


@pytest.mark.parametrize("kind", ["void", "refund"])
def test_sale_whose_answer_hangs_is_voided_on_another_line_and_then_its_line_breaks(kind):
    world = world_of("iso87-ascii", "iso87-ascii")
    hanging, bank, request, asked = untold_sale(world)
    again = world.terminal("pos")
    ask(world, again, referring(world, kind, request, {"37": asked["37"]}))
    answers = bank.read()
    for one in answers:
        bank.answer(one)
    told = again.read_one()["39"]
    hanging.close()
    world.tick()
    world.advance(2)
    sent = bank.read()
    given_back = (told == "00") + len([one for one in sent if one["t"] in ("0420", "0421")])
    assert given_back <= 1, (told, sent)


@pytest.mark.parametrize("how", ["kill", "power"])
@pytest.mark.parametrize("kind", ["void", "refund"])
def test_after_a_restart_a_repeat_that_cannot_be_told_takes_back_what_was_voided(kind, how):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, asked = untold_sale(world)
    terminal.read_one()  # the terminal has it; the machine dies before it could note that it has left
    world, terminal, bank = restarted(world, terminal, bank, how)
    ask(world, terminal, referring(world, kind, request, {"37": asked["37"]}, f11="000950"))
    bank.answer(bank.read_one())
    told = terminal.read_one()["39"]
    line = world.terminal("pos")
    line.send(request)  # a repeat that somebody (or the line's buffers) plays again, and that is cut
    line.close()
    world.advance(2)
    sent = bank.read()
    assert told == "00"
    assert sent == [], sent


def test_void_that_hangs_while_another_refund_takes_its_place():
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    void = voiding(world, refund, refunded, "refund")
    hanging = world.terminal("pos")
    ask(world, hanging, void)
    bank.answer(bank.read_one())  # approved; its answer hangs
    world.tick()
    second = referring(world, "refund", request, told)
    ask(world, terminal, second)
    for one in bank.read():
        bank.answer(one)
    code = terminal.read_one()["39"]
    hanging.close()  # the void counts as not told, and is reversed: the first refund stands again
    world.advance(2)
    sent = bank.read()
    assert not (code == "00" and any(one["t"] == "0420" for one in sent)), sent


@pytest.mark.parametrize("how", ["", "kill", "later"])
@pytest.mark.parametrize("kind", ["void", "refund"])
def test_sale_whose_advice_was_declined_is_not_given_back(kind, how):
    world = world_of("iso87-ascii", "iso87-ascii", links=[link("bank-a", "iso87-ascii", stand_in=RULE)])
    terminal = world.terminal("pos")
    request = bought(world)
    told = terminal.ask(request)
    assert told["39"] == "00"
    bank = world.issuer()
    world.tick()
    bank.answer(bank.read_one(), "51")  # no money: it declines the advice, nothing is booked
    world.tick()
    if how == "kill":
        world = world.killed()
        terminal, bank = world.terminal("pos"), world.issuer()
    if how == "later":
        terminal = world.later(700)
    ask(world, terminal, referring(world, kind, request, told, f11="000777"))
    assert bank.read() == []
    assert terminal.read_one()["39"] == "25"


def test_void_that_takes_longer_than_a_minute_and_is_declined():
    world = world_of("iso87-ascii", "iso87-ascii", links=[link("bank-a", "iso87-ascii", timeout_ms=120_000)])
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, told = approve(world, terminal, bank, request)
    terminal = world.later(LATER_S)
    ask(world, terminal, referring(world, "void", request, told))
    sent = bank.read_one()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.advance(70)
    world.tick()
    bank.answer(sent, "05")
    for _ in range(5):
        world.advance(1)
    assert any(one["t"] in ("0420", "0421") for one in bank.read()), world.notes


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
