"""Connections of a link in whose place others have come: they get nothing new, finish what they have, and sign off."""

from __future__ import annotations

from tests.ext.test_engine_network import SIGN_OFF, SIGN_ON, one_link, says_goodbye, signed_on
from tests.ext.world import purchase


def test_what_was_sent_is_answered_and_then_it_is_signed_off(make_world):
    world = make_world(**one_link())
    former, fresh, terminal = signed_on(world), signed_on(world), world.terminal()
    for _ in range(2):
        terminal.send(purchase(world))
    asked = former.read_one()
    fresh.answer(fresh.read_one())
    terminal.read_one()
    world.engine.retire(former.channel)
    assert len(world.link("bank-a").connections.channels) == 1
    for _ in range(4):
        terminal.send(purchase(world))
    assert former.read() == []
    for one in fresh.read():
        fresh.answer(one)
    assert len(terminal.read()) == 4
    world.advance(10)
    former.answer(asked)
    assert terminal.read_one()["39"] == "00"
    world.advance(5.5)
    goodbye = former.read_one()
    assert (goodbye["t"], goodbye["70"]) == ("0800", SIGN_OFF)
    says_goodbye(former, goodbye)
    assert world.link("bank-a").connections.state_name == "up"
    assert world.link("bank-a").connections.retiring == []


def test_an_answer_that_never_comes_ends_as_ever(make_world):
    world = make_world(**one_link())
    former, terminal = signed_on(world), world.terminal()
    terminal.send(purchase(world))
    former.read_one()
    fresh = signed_on(world)
    world.engine.retire(former.channel)
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    told = [one for one in fresh.read() if one["t"] == "0420"]
    assert len(told) == 1
    assert [one["70"] for one in former.read()] == [SIGN_OFF]


def test_where_nobody_signs_off_it_is_hung_up(make_world):
    world = make_world(**one_link(sign_on=False))
    former, fresh, terminal = world.issuer(), world.issuer(), world.terminal()
    world.engine.retire(former.channel)
    terminal.send(purchase(world))
    fresh.answer(fresh.read_one())
    world.advance(15.5)
    assert former.read() == []
    assert former.hung_up == "other endpoints"


def test_no_sign_on_or_echo_brings_it_back(make_world):
    world = make_world(**one_link())
    former, fresh = signed_on(world), signed_on(world)
    world.engine.retire(former.channel)
    former.send({"t": "0800", "7": "1128083000", "11": "000001", "70": SIGN_ON}, mac=False)
    assert former.read_one()["t"] == "0810"
    assert world.link("bank-a").connections.channels == [fresh.channel]
    former.close()
    assert world.link("bank-a").connections.retiring == []


def test_the_last_one_that_retires_leaves_the_link_down(make_world):
    world = make_world(**one_link())
    only, terminal = signed_on(world), world.terminal()
    world.engine.retire(only.channel)
    world.engine.retire(only.channel)
    assert world.link("bank-a").connections.state_name == "down"
    assert terminal.ask(purchase(world))["39"] == "91"
    world.advance(15.5)
    says_goodbye(only, only.read_one())
    assert world.engine.in_flight == 0


def test_one_that_was_not_signed_on_yet_is_never_used(make_world):
    world = make_world(**one_link())
    issuer = world.issuer()
    asked = issuer.read_one()
    world.engine.retire(issuer.channel)
    issuer.answer(asked, mac=False)
    assert world.link("bank-a").connections.state_name == "down"
    world.advance(15.5)
    says_goodbye(issuer, issuer.read_one())
