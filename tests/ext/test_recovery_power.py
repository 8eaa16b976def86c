"""Two ends in a row: the process dies before its batch is durable, then the machine loses power."""

from __future__ import annotations

from random import Random

import pytest

from switch.base.stats import Stats
from switch.journal.commit import JournalFiles
from switch.journal.disk import ScriptedDisk
from switch.journal.recovery import Recovery
from switch.journal.replay import JournalReader
from switch.journal.segment import SegmentWriter
from tests.ext.world import World, purchase
from tests.simulation.disk import SimulatedDisk

WRAPPING_KEY = bytes(range(32))
BUFFER_BYTES = 2 << 18


def started(disk):
    """A world whose journal has been recovered from what the disk holds, and the recovery."""
    journal = JournalFiles(BUFFER_BYTES, Stats(65_536))
    world = World(journal=journal)
    recovery = Recovery(world.engine.state)
    reader = JournalReader(ScriptedDisk(disk), WRAPPING_KEY)
    tail = reader.replay(recovery)
    reader.repair(tail)
    writer = SegmentWriter(
        ScriptedDisk(disk), WRAPPING_KEY, bytes(16), segment_bytes=4 * BUFFER_BYTES, batch_room=BUFFER_BYTES
    )
    recovery.begin(writer, tail.next_position, "first start")
    recovery.finish()
    return world, recovery


@pytest.mark.parametrize("seed", range(20))
def test_what_was_recovered_from_the_cache_is_durable_before_anything_follows(seed):
    disk = SimulatedDisk(Random(seed), lambda _: False)
    world, _ = started(disk)
    world.issuer("bank-a")
    world.terminal("iso").send(purchase(world))
    assert world.journal.write()
    disk.restart()
    world, recovery = started(disk)
    assert (recovery.ended, recovery.reversed) == (1, 1)
    disk.lose_power()
    disk.restart()
    world, recovery = started(disk)
    assert (recovery.ended, recovery.resumed) == (0, 1)
