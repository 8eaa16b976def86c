"""A listener that the configuration has no more after a restart, or by another name: what came in there stays known."""

from __future__ import annotations

import pytest

from tests.ext.seeking_world import approve, bought, in_flight, names, sold, standing_in, taking_back, world_of
from tests.ext.world import change, link, listener

PART = "000000000600"


def renamed(world, **changes):
    """The world after its listener has got another name."""
    world.sync()
    return world.killed(listeners=[listener("shops", "iso87-ascii", **changes)])


def repeated(world, request):
    """What a repeat is told, and what the issuer hears of it."""
    terminal, bank = world.terminal("shops"), world.issuer()
    told = terminal.ask(request)
    world.tick()
    return told, [one["t"] for one in bank.read()]


def test_an_approval_is_told_again():
    world, _, _, request, _, first = sold()
    told, heard = repeated(renamed(world), request)
    assert [told[field] for field in ("t", "39", "37", "38", "4", "11")] == [
        first[field] for field in ("t", "39", "37", "38", "4", "11")
    ]
    assert heard == []


@pytest.mark.parametrize("code", ["05", "51", "Z3"])
def test_a_decline_is_told_again(code):
    world = world_of("iso87-ascii", "iso87-ascii")
    request = bought(world)
    _, first = approve(world, world.terminal("pos"), world.issuer(), request, code=code)
    told, heard = repeated(renamed(world), request)
    assert (told["39"], told["37"], heard) == (first["39"], first["37"], [])


def test_a_refusal_is_told_again():
    world = world_of("iso87-ascii", "iso87-ascii")
    request = bought(world, f2="4111111111111111")
    assert world.terminal("pos").ask(request)["39"] == "15"
    told, heard = repeated(renamed(world), request)
    assert (told["39"], heard) == ("15", [])


def test_an_approval_by_stand_in_is_told_again():
    world = standing_in()
    request = bought(world)
    first = world.terminal("pos").ask(request)
    told, heard = repeated(renamed(world), request)
    assert [told[field] for field in ("39", "37", "38")] == [first[field] for field in ("39", "37", "38")]
    assert [one[:3] for one in heard] == ["022"]


def test_a_request_without_answer_is_told_its_time_out():
    world = world_of("iso87-ascii", "iso87-ascii")
    request = bought(world)
    terminal, bank = world.terminal("pos"), world.issuer()
    terminal.send(request)
    world.tick()
    assert bank.read_one()["t"] == "0200"
    told, heard = repeated(renamed(world), request)
    assert told["39"] == "68"
    assert [one[:3] for one in heard] == ["042"]


def test_the_approval_of_a_part_is_refused_as_a_repeat():
    world = world_of(
        "iso87-ascii",
        "iso87-ascii",
        listeners=[listener("pos", "iso87-ascii", partial_approval="always")],
        links=[link("bank-a", "iso87-ascii", partial_approval=True)],
    )
    request = bought(world, f4="000000001000")
    _, first = approve(world, world.terminal("pos"), world.issuer(), request, code="10", f4=PART)
    assert first["4"] == PART
    told, heard = repeated(renamed(world, partial_approval="always"), request)
    assert (told["39"], heard) == ("94", [])


def test_its_terminal_takes_it_back():
    world, _, _, request, asked, _ = sold()
    world = renamed(world)
    terminal, bank = world.terminal("shops"), world.issuer()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")
    assert terminal.ask(request)["39"] == "68"


def test_a_repeat_that_cannot_be_told_is_taken_back():
    world = world_of("iso87-ascii", "iso87-ascii")
    _, bank, request, asked = in_flight(world)
    bank.answer(asked)
    world = renamed(world)
    terminal, bank = world.terminal("shops"), world.issuer()
    terminal.send(request)
    terminal.close()
    world.advance(2)
    assert names(bank.read_one(), asked, "iso87-ascii")


def test_a_payment_that_its_reversal_has_overtaken_is_not_charged():
    world = world_of("iso87-ascii", "iso87-ascii")
    request = bought(world)
    terminal, bank = world.terminal("pos"), world.issuer()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    for one in bank.read():
        bank.answer(one)
    world = renamed(world)
    told, heard = repeated(world, request)
    assert told["39"] == "68"
    assert "0200" not in heard


def test_it_is_known_again_by_its_name_when_that_is_back():
    world, _, _, request, _, first = sold()
    world = renamed(world)
    world.sync()
    world = world.killed(listeners=[listener("pos", "iso87-ascii")])
    assert world.terminal("pos").ask(change(request)) == first
