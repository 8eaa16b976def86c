"""A terminal's reversal of what was approved here, when the duplicate window has forgotten it and its advice is still
owed: memory and journal agree on whether that payment is meant."""

from __future__ import annotations

import pytest

from switch.saf.owed_entries import list_entries
from tests.ext.seeking_world import bought, taking_back, tell_issuer, world_of
from tests.ext.test_engine_stand_in import RULE
from tests.ext.world import World, change, link, listener

LATER_S = 700  # than the duplicate window reaches
DAY_S = 86_400
OTHER_AMOUNT = "000000002000"


def approved_here(spoken, *, is_told=False):
    """A payment that was approved in its issuer's stead; the issuer may have been told of it since."""
    world = world_of(spoken, spoken, links=[link("bank-a", spoken, stand_in=RULE)])
    request = bought(world)
    assert world.terminal("pos").ask(request)["39"] == "00"
    if is_told:
        tell_issuer(world, "00")
    return world, request


def of_next_batch(request, **changes):
    return change(request, f60="22" + "000002" + request["60"][8:], **changes)


def owed(world):
    return sorted(entry["what"] for entry in list_entries(world.engine.state)[1])


@pytest.mark.parametrize("is_told", [False, True])
def test_payment_of_the_next_batch_for_another_amount_is_another_one(is_told):
    world, request = approved_here("cup", is_told=is_told)
    terminal = world.later(LATER_S)
    other = of_next_batch(request, f4=OTHER_AMOUNT)
    assert terminal.ask(taking_back(world, other))["39"] == "00"
    world.tick()
    assert owed(world) == ["reversal"] if is_told else ["advice", "reversal"]


def test_payment_of_that_batch_for_another_amount_is_refused():
    world, request = approved_here("cup")
    terminal = world.later(LATER_S)
    assert terminal.ask(taking_back(world, change(request, f4=OTHER_AMOUNT)))["39"] == "13"
    assert owed(world) == ["advice"]


@pytest.mark.parametrize(("later_s", "left"), [(LATER_S, []), (2 * DAY_S, ["advice", "reversal"])])
def test_named_without_batch_it_is_meant_as_long_as_it_was_a_short_while_ago(later_s, left):
    """Batches and STANs begin anew: what was done days ago is not what a terminal takes back without a name for it."""
    world, request = approved_here("cup")
    terminal = world.later(later_s)
    assert terminal.ask(taking_back(world, of_next_batch(request)))["39"] == "00"
    world.tick()
    assert owed(world) == left


@pytest.mark.parametrize(("payments", "left"), [(1, []), (2, ["advice", "advice", "reversal"])])
def test_without_a_journal_the_only_one_that_is_alike_is_meant(payments, left):
    world = World(
        listeners=[listener("pos", "cup")],
        links=[link("bank-a", "cup", stand_in=RULE)],
        routes=["6,,,,,,bank-a:1"],
        limits={"duplicate_window_seconds": 20},
    )
    terminal = world.terminal("pos")
    request = bought(world)
    for batch in range(payments):
        assert terminal.ask(change(request, f60=f"22{batch:06d}{request['60'][8:]}"))["39"] == "00"
    world.advance(60, step=1)
    terminal = world.terminal("pos")
    assert terminal.ask(taking_back(world, change(request, f60=f"22{payments:06d}{request['60'][8:]}")))["39"] == "00"
    assert owed(world) == left


def test_without_a_journal_what_was_taken_back_before_is_not_meant():
    """What is only alike may be another payment: its issuer is asked in the terminal's words."""
    world = World(
        listeners=[listener("pos", "cup")],
        links=[link("bank-a", "cup", stand_in=RULE)],
        routes=["6,,,,,,bank-a:1"],
        limits={"duplicate_window_seconds": 20},
    )
    request = bought(world)
    assert world.terminal("pos").ask(request)["39"] == "00"
    bank = world.issuer()
    bank.read_one()
    bank.close()
    world.advance(60, step=1)
    terminal = world.terminal("pos")
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    assert owed(world) == ["advice", "reversal"]
    assert terminal.ask(taking_back(world, of_next_batch(request)))["39"] == "00"
    assert owed(world) == ["advice", "reversal", "reversal"]
