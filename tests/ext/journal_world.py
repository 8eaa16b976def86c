"""A world whose switch keeps its journal on a disk in memory, and can be killed and started again."""

from __future__ import annotations

from typing import Any

from switch.base.stats import Stats
from switch.journal import Replayed, replay_into
from switch.journal.claim_search import look_up
from switch.journal.commit import JournalFiles
from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from switch.journal.replay import JournalReader, Listing, Tail
from tests.ext.memory_disk import MemoryDisk
from tests.ext.world import Document, IssuerLine, TerminalLine, World, purchase

KEY = bytes(range(32))
SEGMENT_BYTES = 2 << 20
BUFFER_BYTES = 512 << 10
WINDOW_SECONDS = 3600
DAYS = 30
ZONE_SECONDS = 8 * 3600


class JournalWorld(World):
    """A world that begins with what a disk holds.

    Args:
        disk: What an earlier world has left; by default an empty one.
        begins: Start the journal at once; a test that looks at the start says False.
        boot: Which start of which machine its clock counts from.
        wall_ahead_s: How far its wall clock is ahead of the truth.
        files: Keep the indexes of sealed segments in files.
    """

    journal: JournalFiles

    def __init__(
        self,
        disk: MemoryDisk | None = None,
        *,
        now_s: float = 100.0,
        begins: bool = True,
        boot: str = "first start",
        wall_ahead_s: int = 0,
        files: bool = True,
        **changes: Any,
    ):
        self.files = files
        self.finder: Finder | None = None
        self.is_sought = True  # a test that looks at what waits for a look-up says False
        self.memory = MemoryDisk() if disk is None else disk
        self.disk = ScriptedDisk(self.memory)
        changes.setdefault("journal", JournalFiles(BUFFER_BYTES, Stats(65_536)))
        super().__init__(**changes)
        self.now_s = now_s
        self.boot = boot
        self.wall_ahead_s = wall_ahead_s
        self._set_clock()
        self.replayed: Replayed | None = self.begin() if begins else None

    def begin(self, segment_bytes: int = SEGMENT_BYTES) -> Replayed:
        """Recover, and begin to write."""
        return replay_into(
            self.engine.state,
            self.journal,
            self.disk,
            KEY,
            segment_bytes=segment_bytes,
            window_seconds=WINDOW_SECONDS,
            boot=self.boot,
        )

    def sync(self) -> None:
        """What was written becomes durable, if the disk does it."""
        self.journal.commit()

    def seek(self) -> int:
        """Look originals up as the daemon's thread does; how many were wanted."""
        if self.syncs:
            self.sync()
        wanted = self.engine.take_wanted()
        if wanted:
            if self.finder is None:
                self.finder = Finder(ScriptedDisk(self.memory), KEY, days=DAYS, files=self.files)
            self.finder.refresh()
        for one in wanted:
            assert self.finder is not None
            self.engine.settle(one, *look_up(self.finder, one, ZONE_SECONDS))
        return len(wanted)

    def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, after originals that are wanted were looked up."""
        while self.is_sought and not self.journal.broken and self.seek():
            pass
        super().advance(seconds, step)

    def killed(self, *, later_s: float = 1.0, power: bool = False, **changes: Any) -> JournalWorld:
        """The world after the process was killed, or after the loss of power, started again on the same disk."""
        disk = self.memory.after_power_loss() if power else self.memory.copy()
        return JournalWorld(disk, **{"now_s": self.now_s + later_s, "boot": self.boot} | changes)


def records_of(memory: MemoryDisk) -> tuple[list[dict[str, Any]], Tail]:
    """All that a journal holds, and its end."""
    records: list[dict[str, Any]] = []
    tail = JournalReader(ScriptedDisk(memory), KEY).replay(Listing(records.append))
    return records, tail


def ask_in_crowds(world: World, issuer: IssuerLine, terminals: list[TerminalLine], count: int) -> list[Document]:
    """Have terminals send purchases in turn, which stay unanswered: what the issuer is asked."""
    questions: list[Document] = []
    for number in range(count):
        terminals[number % len(terminals)].send(purchase(world))
        questions += issuer.read()
    assert len(questions) == count
    return questions
