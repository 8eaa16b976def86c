"""What becomes of an original, or of what is known of it, between two looks at it."""

from __future__ import annotations

import pytest

from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from switch.saf.owed_entries import close_entry, list_entries
from tests.ext.journal_world import DAYS, KEY, ZONE_SECONDS
from tests.ext.seeking_world import approve, bought, in_flight, original_data_of, sold, stood_in, taking_back, world_of
from tests.ext.test_originals_forgotten import LATER_S, by_number
from tests.ext.test_originals_referred import referring
from tests.ext.world import VISA, change, link

BANKS = [link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")]
BOTH = ["6,,,,,,bank-b:1", "4,,,,,,bank-a:1"]
ONE = {"links": BANKS[:1], "routes": ["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"]}


def looked_up(world, wanted):
    """What the journal knows just now."""
    finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    finder.refresh()
    return finder.find(wanted, ZONE_SECONDS)


def next_wanted(world):
    """The look-up that the state machine asks for next, within minutes."""
    for _ in range(200):
        world.sync()
        if wanted := world.engine.take_wanted():
            return wanted[0]
        world.advance(1, step=1)
    raise AssertionError("nothing is looked up")


def left_behind():
    """A world whose link to bank-b is gone, with a promised reversal of what went there, and another approval."""
    world = world_of("iso87-ascii", "iso87-ascii", links=BANKS, routes=BOTH)
    request = bought(world)
    _, told = approve(world, world.terminal("pos"), world.issuer("bank-b"), request)
    other = bought(world, f2=VISA, f12="160100", f7="0115080100")
    known = approve(world, world.terminal("pos"), world.issuer("bank-a"), other)
    world = world.killed(later_s=LATER_S, **ONE)
    assert world.terminal("pos").ask(by_number(world, request, told))["39"] == "00"
    for _ in range(100):
        world.advance(1, step=1)
    return world, world.issuer("bank-a"), other, known


def test_what_was_found_once_is_not_dropped_by_look_ups_that_fail():
    world, bank, _, _ = left_behind()
    world.is_sought = False
    until = world.now_s + 150
    while world.now_s < until:
        world.engine.settle(next_wanted(world), None, False)
    assert bank.read() == [], "look-ups failed for longer than what was never found is kept back"
    world.is_sought = True
    for _ in range(100):
        world.advance(1, step=1)
    assert bank.read() == []
    world = world.killed(links=BANKS, routes=BOTH)
    taken_back = world.issuer("bank-b")
    world.advance(2, step=1)
    assert taken_back.read_one()["t"] == "0420"


def test_what_waits_for_its_link_holds_up_nobody_else():
    world, bank, other, (asked, told) = left_behind()
    terminal = world.terminal("pos")
    assert terminal.ask(change(by_number(world, other, told), f11="000998"))["39"] == "00"
    world.advance(1, step=1)
    assert bank.read_one()["90"][4:10] == asked["11"]


def test_look_ups_that_fail_after_a_restart_are_tried_again_for_a_minute():
    world, _, bank, request, asked, told = sold()
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    world.sync()
    world = world.killed(later_s=100)
    bank = world.issuer()
    world.is_sought = False
    for _ in range(3):
        world.engine.settle(next_wanted(world), None, False)
    world.tick()
    assert bank.read() == []
    world.is_sought = True
    for _ in range(3):
        world.advance(1, step=1)
    assert bank.read_one()["90"][4:10] == asked["11"]


def test_requests_are_looked_up_before_reversals_and_beside_them():
    world, terminal, _, request, _, told = sold(limits={"duplicate_window_count_max": 4_000})
    world.is_sought = False
    for number in range(20):
        nameless = taking_back(world, request, named=False, f37=f"{number:012d}", f4=f"{5000 + number:012d}")
        assert terminal.ask(nameless)["39"] == "00"
    terminal.send(referring(world, "refund", request, told))
    world.sync()
    wanted = world.engine.take_wanted()
    assert [one.is_of_request for one in wanted].count(True) == 1
    assert wanted[0].is_of_request
    assert len(wanted) > 1


# --- an advice --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sent", [False, True])
def test_loosely_named_approval_by_stand_in_is_taken_back_wherever_it_is_known(is_sent):
    world, terminal, request, _ = stood_in()
    bank = world.issuer() if is_sent else None
    world.tick()
    loose = original_data_of(request, "iso87-ascii", moment="0" * 10)
    assert terminal.ask(taking_back(world, request, f90=loose, f7="0115080500", f12="160500"))["39"] == "00"
    world.tick()
    assert terminal.ask(request)["39"] != "00", "it is taken back"
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    if bank is None:
        bank = world.issuer()
        world.tick()
        assert bank.read() == []
        return
    bank.answer(bank.read_one())
    world.tick()
    bank.answer(bank.read_one())
    assert world.engine.owed == 0


@pytest.mark.parametrize("later_s", [1, LATER_S])
@pytest.mark.parametrize("end", ["taken back", "declined", "given up"])
def test_refund_of_what_its_issuer_will_never_know_is_not_sent(end, later_s):
    """It was looked up before, when all was well."""
    world, _, request, told = stood_in()
    terminal = world.later(later_s)
    if end != "given up":
        bank = world.issuer()
        world.tick()
        advice = bank.read_one()
    world.is_sought = False
    terminal.send(referring(world, "refund", request, told))
    world.sync()
    (wanted,) = world.engine.take_wanted()
    original = looked_up(world, wanted)
    if end == "taken back":
        assert terminal.ask(taking_back(world, request))["39"] == "00"
    elif end == "declined":
        bank.answer(advice, "05")
    else:
        close_entry(world.engine.state, rrn=told["37"], name="Mei", reason="by hand", what="advice")
        bank = world.issuer()
    world.engine.settle(wanted, original)
    world.is_sought = True
    world.tick()
    assert terminal.read_one()["39"] == "25"
    assert [one for one in bank.read() if one["t"] == "0200"] == []


# --- what an issuer has approved --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("cause", ["untold", "late", "late, and taken back"])
def test_issuer_that_does_not_find_what_it_has_approved_is_raised_to_the_operator(cause, is_killed):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, asked = in_flight(world)
    if cause == "untold":
        terminal.close()
    else:
        world.advance(16)
        assert terminal.read_one()["39"] == "68"
        bank.read()
    if cause == "late, and taken back":
        assert terminal.ask(taking_back(world, request))["39"] == "00"
    bank.answer(asked)
    if is_killed:
        world.sync()
        world = world.killed()
        bank = world.issuer()
    for _ in range(4_000):
        world.advance(1, step=1)
        for one in bank.read():
            bank.answer(one, "25")
    assert len(list_entries(world.engine.state)[1]) == 1
    assert [name for name, _ in world.notes].count("reversal_not_found") == 1
