"""A journal that is condemned while a batch is being made durable tells nobody that it is."""

from __future__ import annotations

from tests.ext.journal_world import JournalWorld
from tests.ext.memory_disk import MemoryDisk
from tests.ext.world import purchase


class CondemningDisk(MemoryDisk):
    """Lets the journal be condemned while it synchronizes: somebody has removed its folder."""

    def __init__(self):
        super().__init__()
        self.journal = None

    def sync(self, file):
        super().sync(file)
        if self.journal is not None:
            self.journal.condemn("the folder is gone")


def test_what_nobody_finds_is_not_durable():
    disk = CondemningDisk()
    world = JournalWorld(disk)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    before = world.journal.durable
    issuer.answer(asked)
    disk.journal = world.journal
    assert terminal.read() == []
    assert (world.journal.durable, world.journal.broken) == (before, True)
