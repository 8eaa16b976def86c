"""A process that keeps a journal on a real directory at full speed, and says on its output what is durable.

``python -m tests.ext.journal_writer DIRECTORY``: each line is the position that a purchase's answer waited for.
"""

from __future__ import annotations

import sys

from switch.base.stats import Stats
from switch.journal import replay_into
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk
from tests.ext.journal_world import BUFFER_BYTES, KEY, WINDOW_SECONDS
from tests.ext.world import World, purchase

ROUNDS = 100_000
REQUESTS_A_ROUND = 20


class FileWorld(World):
    """A world whose journal is committed by its thread."""

    def sync(self) -> None:
        """Nothing: the thread does it."""


def main() -> None:
    """Write until killed."""
    journal = JournalFiles(BUFFER_BYTES, Stats(65_536))
    world = FileWorld(journal=journal, limits={"duplicate_window_count_max": 100_000})
    replayed = replay_into(
        world.engine.state,
        journal,
        FileDisk(sys.argv[1], exclusive=True),
        KEY,
        segment_bytes=4 << 20,
        window_seconds=WINDOW_SECONDS,
    )
    journal.start()
    print(replayed.position, flush=True)
    terminal = world.terminal("iso")
    first = replayed.position
    for _ in range(ROUNDS):
        for _ in range(REQUESTS_A_ROUND):
            first += 1
            terminal.send(purchase(world, f2="5" * 16, f11=f"{first % 1_000_000:06d}"))
        journal.end_turn()
        if terminal.carry():
            print(journal.durable, flush=True)


if __name__ == "__main__":
    main()
