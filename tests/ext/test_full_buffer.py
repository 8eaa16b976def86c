"""While the disk stands still the journal's buffer fills up: what finds no room in it is not forgotten."""

from __future__ import annotations

import pytest

from switch.journal.carry_forward import keep_up
from tests.ext.journal_world import BUFFER_BYTES, JournalWorld, ask_in_crowds, records_of
from tests.ext.world import AT_ONCE, LINKS, link, purchase

LIMITS = {"transactions_in_flight_max": 6000, "duplicate_window_count_max": 6000, "reversals_max": 12000}

FREE_BYTES = 5000


def still_world(limits=LIMITS, **changes):
    """A world with room for many, whose disk can stand still."""
    return JournalWorld(
        links=[link("bank-a", "iso87-ascii", in_flight_max=3000, **changes), LINKS[1]],
        limits=limits,
    )


def fill(world, issuer, terminals):
    """Answer requests while the disk stands still, until the buffer is all but full."""
    questions = ask_in_crowds(world, issuer, terminals, 2800)
    world.syncs = False
    approved = set()
    for question in questions:
        if BUFFER_BYTES - world.journal.waiting_bytes <= FREE_BYTES:
            break
        issuer.answer(question)
        approved.add(question["37"])
    assert BUFFER_BYTES - world.journal.waiting_bytes <= FREE_BYTES
    return approved, [question for question in questions if question["37"] not in approved]


def undone_when_the_disk_is_back(world, issuer):
    """RRNs of all that is taken back."""
    world.syncs = True
    undone = set()
    for _ in range(200):
        for sent in issuer.read():
            issuer.answer(sent)
            if sent["t"] in ("0420", "0421"):
                undone.add(sent["37"])
        world.advance(1, step=1)
    return undone


def test_terminals_that_leave_with_approvals_untold_get_them_reversed():
    world = still_world()
    issuer = world.issuer()
    terminals = [world.terminal("iso") for _ in range(60)]
    approved, rest = fill(world, issuer, terminals)
    assert len(approved) > 500
    for line in terminals:
        line.close()
    refused = world.journal.refused_full
    assert refused > 100
    world.advance(2, step=1)
    undone = undone_when_the_disk_is_back(world, issuer)
    assert approved <= undone
    assert undone <= approved | {question["37"] for question in rest}
    world.settle()


def test_an_approval_that_a_repeat_has_told_is_not_reversed_when_there_is_room_again():
    world = still_world()
    issuer = world.issuer()
    terminals = [world.terminal("iso") for _ in range(60)]
    told = purchase(world)
    terminals[0].send(told)
    paid = issuer.read_one()
    issuer.answer(paid)
    approved, _ = fill(world, issuer, terminals)
    for line in reversed(terminals):
        line.close()
    world.syncs = True
    line = world.terminal("iso")
    assert line.ask(told)["39"] == "00"
    undone = undone_when_the_disk_is_back(world, issuer)
    assert approved <= undone
    assert paid["37"] not in undone
    assert world.engine.state.duplicates.untold == 0
    world.settle()


@pytest.mark.parametrize("said_again", [None, "00", "05"])
def test_late_approvals_without_room_for_their_reversal_get_it_later(said_again):
    world = still_world(timeouts_to_unhealthy=10000, reversal=AT_ONCE)
    issuer = world.issuer()
    terminals = [world.terminal("iso") for _ in range(60)]
    for number in range(40):
        terminals[number].send(purchase(world))
    late = issuer.read()
    world.advance(16, step=1)
    while world.engine.owed:
        for sent in issuer.read():
            issuer.answer(sent, "25")
    for line in terminals:
        line.read()
    approved, _ = fill(world, issuer, terminals)
    refused = world.journal.refused_full
    for question in late:
        issuer.answer(question)
    for question in late if said_again else ():
        issuer.answer(question, said_again)
    assert world.journal.refused_full - refused > 10
    undone = undone_when_the_disk_is_back(world, issuer)
    assert {question["37"] for question in late} <= undone
    assert not approved & undone
    world.settle()


def test_a_recovery_goes_back_to_the_oldest_request_that_could_not_end():
    """It waits behind younger ones from then on, and after a crash nobody else would take it back."""
    world = still_world()
    issuer = world.issuer()
    terminals = [world.terminal("iso") for _ in range(60)]
    for number in range(5):
        terminals[number].send(purchase(world))
    asked = issuer.read()
    oldest = {question["37"] for question in asked}
    world.advance(10, step=1)
    fill(world, issuer, terminals)
    world.advance(6, step=1)
    for question in asked:
        issuer.answer(question, "51")  # what has ended is not waited for any more; the others find no room to end
    keep_up(world.engine.state, world.journal)
    world.syncs = True
    world.sync()
    world.terminal().send(purchase(world))
    world.sync()
    records, _ = records_of(world.memory)
    ended = {record["intent"] for record in records if record["type"] == "OUTCOME"}
    waiting = [record["position"] for record in records if record.get("rrn") in oldest and record["type"] == "INTENT"]
    assert world.journal.low_water == min(set(waiting) - ended)
    undone_when_the_disk_is_back(world, issuer)
    world.settle()
