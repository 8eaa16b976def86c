"""A reversal whose original was found is settled by one other, though the journal has room for one record alone."""

from __future__ import annotations

from switch.base.stats import Stats
from switch.journal.commit import JournalFiles
from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from tests.ext.journal_world import BUFFER_BYTES, DAYS, KEY, records_of
from tests.ext.seeking_world import approve, bought, taking_back, world_of
from tests.ext.world import purchase

LATER_S = 700
CROWD = 120
LIMITS = {"duplicate_window_seconds": 600, "transactions_in_flight_max": 1000}


def sought(buffer_bytes: int):
    """A world whose disk stands still, in which a reversal is sought whose original the window has forgotten: world,
    the look-up, and the original. Its buffer holds what terminals that left have to get back."""
    world = world_of("iso87-ascii", "iso87-ascii", limits=LIMITS).killed(
        journal=JournalFiles(buffer_bytes, Stats(65_536), record_bytes_max=16_384)
    )
    terminal, issuer = world.terminal("pos"), world.issuer()
    request = bought(world)
    approve(world, terminal, issuer, request)
    terminal = world.later(LATER_S)
    lines = [world.terminal("pos") for _ in range(CROWD)]
    questions = []
    for line in lines:
        line.send(purchase(world, "pos"))
        questions += issuer.read()
    world.is_sought = False
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    (wanted,) = world.engine.take_wanted()
    finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    original = finder.find(wanted)
    assert original is not None
    world.syncs = False
    for question in questions:
        issuer.answer(question)
    for line in [*lines, issuer]:
        line.close()
    return world, wanted, original


def test_settled_once():
    world, wanted, original = sought(BUFFER_BYTES)
    before = world.journal.waiting_bytes
    world.engine.settle(wanted, original)
    needed = world.journal.waiting_bytes
    assert needed > before
    world, wanted, original = sought(needed - 1)
    assert world.journal.waiting_bytes == before
    owed = world.engine.owed
    world.engine.settle(wanted, original)
    world.sync()
    world.advance(1.1)
    (wanted,) = world.engine.take_wanted()
    world.engine.settle(wanted, original)
    world.sync()
    assert world.engine.owed == owed
    records = records_of(world.memory)[0]
    assert [one["original"] for one in records if one["type"] == "REVERSAL"].count(original.position) == 1
    assert [one["original"] for one in records if one["type"] == "CANCELLED"] == [original.position]
