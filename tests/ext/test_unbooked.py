"""What was approved here and is taken back, and of which its issuer has not taken note: it is right not to find it."""

from __future__ import annotations

import pytest

from switch.journal.carry_forward import keep_up
from switch.saf.owed_entries import close_entry, list_entries
from tests.ext.journal_world import records_of
from tests.ext.seeking_world import standing_in, taking_back, tell_issuer
from tests.ext.test_booking_horizon import HORIZON_S, PAUSE_MAX_S, let_pass
from tests.ext.test_engine_stand_in_recovery import owed_by_the_journal
from tests.ext.test_originals_referred import referring
from tests.ext.world import purchase

FORGOTTEN_S = 1_000  # by the duplicate window
WHEN = ("waits", "waits over a restart", "carried", "window", "restart", "journal")


def stood_in(world):
    return purchase(world, "pos")


def advised(world):
    return purchase(world, "pos", t="0220", f38="654321", f37=None)


def taken_back(make, code, when):
    """A world in which a terminal took back what was approved here, to whose advice the issuer says ``code``."""
    world = standing_in()
    terminal = world.terminal("pos")
    request = make(world)
    assert terminal.ask(request)["39"] == "00"
    if when.startswith("waits") or when == "carried":
        bank = world.issuer()
        world.tick()
        told = bank.read_one()
        assert terminal.ask(taking_back(world, request))["39"] == "00"
        bank.answer(told, code)
        world.sync()
        if when == "carried":
            keep_up(world.engine.state, world.journal, 0)
            world.sync()
        return world if when == "waits" else world.killed()
    tell_issuer(world, code)
    world.sync()
    if when == "restart":
        world = world.killed()
    terminal = world.later(FORGOTTEN_S) if when == "journal" else world.terminal("pos")
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    return world


def not_found(world):
    """The issuer does not find it, as long as it is asked."""
    bank = world.issuer()
    let_pass(world, bank, HORIZON_S + 2 * PAUSE_MAX_S, "25")
    world.sync()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("make", [stood_in, advised])
def test_what_its_issuer_has_declined_ends_when_it_is_not_found(make, when):
    world = taken_back(make, "51", when)
    not_found(world)
    assert world.engine.owed == 0
    assert world.count("promised_reversals_not_found_total") == 0
    ended = [one for one in records_of(world.memory)[0] if one["type"] == "REVERSED"][-1]
    assert ended["reason"] == 23


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("make", [stood_in, advised])
def test_what_its_issuer_has_booked_is_owed_until_it_is_found(make, when):
    world = taken_back(make, "00", when)
    not_found(world)
    assert world.engine.owed == 1
    assert world.count("promised_reversals_not_found_total") == 1
    (entry,) = list_entries(world.engine.state)[1]
    assert (entry["cause"], entry["unbooked"]) == ("terminal", False)


@pytest.mark.parametrize("when", ["window", "restart", "journal"])
def test_what_an_operator_told_no_issuer_of_ends_when_it_is_not_found(when):
    world = standing_in()
    terminal = world.terminal("pos")
    request = stood_in(world)
    rrn = terminal.ask(request)["37"]
    world.tick()
    close_entry(world.engine.state, rrn=rrn, what="advice", name="Mei Lin", reason="cleared by hand")
    world.sync()
    if when == "restart":
        world = world.killed()
    terminal = world.later(FORGOTTEN_S) if when == "journal" else world.terminal("pos")
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    not_found(world)
    assert world.engine.owed == 0


def test_what_an_operator_told_no_issuer_of_is_not_refunded():
    world = standing_in()
    request = stood_in(world)
    told = world.terminal("pos").ask(request)
    close_entry(world.engine.state, rrn=told["37"], what="advice", name="Mei Lin", reason="cleared by hand")
    terminal = world.later(FORGOTTEN_S)
    terminal.send(referring(world, "refund", request, told))
    world.tick()
    assert terminal.read_one()["39"] == "25"


@pytest.mark.parametrize(("code", "unbooked"), [("51", True), ("00", False)])
@pytest.mark.parametrize("when", WHEN)
def test_the_journal_knows_it(when, code, unbooked):
    world = taken_back(stood_in, code, when)
    world.sync()
    assert [(one["type"], one["unbooked"]) for one in owed_by_the_journal(world)] == [("REVERSAL", unbooked)]


@pytest.mark.parametrize(("code", "unbooked"), [("51", True), ("00", False)])
def test_found_by_a_look_up_while_its_advice_is_at_the_issuer(code, unbooked):
    """The reversal that came ends with that, behind the one that takes the payment back."""
    world = standing_in()
    request = stood_in(world)
    told = world.terminal("pos").ask(request)
    terminal = world.later(FORGOTTEN_S)
    bank = world.issuer()
    world.tick()
    advised = bank.read_one()
    assert terminal.ask(taking_back(world, request, named=False, f37=told["37"]))["39"] == "00"
    world.tick()
    bank.answer(advised, code)
    world.sync()
    world = world.killed()
    (entry,) = list_entries(world.engine.state)[1]
    assert (entry["cause"], entry["unbooked"]) == ("terminal", unbooked)
    assert [one["unbooked"] for one in owed_by_the_journal(world)] == [unbooked]
    not_found(world)
    assert world.engine.owed == (not unbooked)


def test_times_that_it_was_not_found_are_kept_when_it_is_written_down_once_more():
    world = taken_back(stood_in, "00", "window")
    let_pass(world, world.issuer(), 200, "25")
    world.sync()
    (before,) = list_entries(world.engine.state)[1]
    assert before["not_found"] > 1
    world = world.killed(later_s=FORGOTTEN_S)
    keep_up(world.engine.state, world.journal, 0)
    world.sync()
    world = world.killed()
    assert owed_by_the_journal(world)[0]["not_found"] == before["not_found"]
    (after,) = list_entries(world.engine.state)[1]
    assert after["not_found"] == before["not_found"]
