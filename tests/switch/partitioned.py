"""A switch of several partitions as its journals know it: a state machine for each, on real files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from switch.base.stats import Stats
from switch.journal import replay_into
from switch.journal.boot import since_boot_ns
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk
from switch.journal.opening import open_partitions
from switch.journal.partitions import lay_out, partition_folder, read_layout
from switch.journal.resuming import Replayed
from switch.journal.survey import Survey
from switch.machine.partitioning import partition_of
from tests.ext.world import LINKS_AT_ONCE, START_S, Document, IssuerLine, TerminalLine, World, purchase
from tests.switch.journal_key import make_key_file
from tests.switch.test_journaling import CONFIG

BOTH = CONFIG.replace(
    '[[listener]]\nname = "pos"\nbind = "127.0.0.1:5830"\ndialect = "cup"\n',
    '[[listener]]\nname = "cup"\nbind = "127.0.0.1:5830"\ndialect = "cup"\n'
    '[[listener]]\nname = "iso"\nbind = "127.0.0.1:5831"\ndialect = "iso87-ascii"\n',
)
CUP_FIRST, CUP_SECOND, ISO = "10000001", "10000009", "10000002"
"""Terminals: of two partitions they are in 0, 1 and 1, of four in 2, 1 and 3."""

LISTENERS = {CUP_FIRST: "cup", CUP_SECOND: "cup", ISO: "iso"}
SEGMENT_BYTES = 2 << 20
BUFFER_BYTES = 524_288
WINDOW_SECONDS = 3_600.0
AGO_SECONDS = 100
"""The worlds begin so long ago, by the machine's own time: more than passes in them."""


class Part:
    """One partition's state machine while it runs."""

    def __init__(
        self, folder: Path, key: bytes, numbering: Mapping[str, int], *, now_s: float, wall_ahead_s: int
    ) -> None:
        self.journal = JournalFiles(BUFFER_BYTES, Stats(65_536))
        # The journals' files bear the machine's own time; the world's clock stands where the test puts it.
        self.world = World(
            journal=self.journal,
            switch=numbering,
            links=LINKS_AT_ONCE,
            limits={"duplicate_window_seconds": int(WINDOW_SECONDS)},
        )
        self.world.now_s = now_s
        self.world.wall_ahead_s = wall_ahead_s
        self.world._set_clock()
        self.world.sync = self.journal.commit  # type: ignore[method-assign]
        self.disk = FileDisk(str(folder), exclusive=True)
        self.replayed: Replayed = replay_into(
            self.world.engine.state,
            self.journal,
            self.disk,
            key,
            segment_bytes=SEGMENT_BYTES,
            window_seconds=WINDOW_SECONDS,
        )
        self.terminals: dict[str, TerminalLine] = {name: self.world.terminal(name) for name in ("cup", "iso")}
        self.issuer: IssuerLine = self.world.issuer()

    def settle(self) -> None:
        """Some time passes, in which the journal hears which answers have left."""
        self.journal.end_turn()
        self.world.advance(1.0)
        self.journal.end_turn()
        self.journal.commit()

    def end(self) -> None:
        """The process ends."""
        self.journal.stop()
        self.disk.release()


def partition_count(directory: Path) -> int | None:
    """How many partitions a directory says that it has."""
    layout = read_layout(directory)
    return None if layout is None else layout.count


class Partitioned:
    """All of them, and a folder with their configuration; one of several switches, perhaps."""

    def __init__(self, folder: Path, partitions: int = 1, *, instance: int = 0, instances: int = 1) -> None:
        self.folder = folder
        self._instance, self._instances = instance, instances
        self.config = folder / "switch.toml"
        which = f"[switch]\ninstance = {instance}\ninstances = {instances}\n"
        both = BOTH.replace("[switch]\n", which)
        self.config.write_text(both + f"[limits]\nduplicate_window_seconds = {int(WINDOW_SECONDS)}\n")
        self.directory = folder / "journal"
        self.directory.mkdir()
        self.key = make_key_file(folder)
        lay_out(self.directory, partitions)
        self.parts: list[Part] = []
        self._stan = 0
        self._now_s = 0.0

    def begin(self, ahead_s: Mapping[int, int] | None = None) -> None:
        """All processes start; the wall clocks of some may be ahead."""
        count = partition_count(self.directory)
        assert count is not None
        since_boot_s = since_boot_ns() // 1_000_000_000
        # The same for all, so that their records have an order; and none is of a time that has not come yet.
        now_s = self._now_s = max(since_boot_s - AGO_SECONDS + 0.5, self._now_s)
        wall_ahead_s = int(time.time()) - START_S - since_boot_s
        self.parts = [
            Part(
                partition_folder(self.directory, number),
                self.key,
                {"instance": self._instance * count + number, "instances": self._instances * count},
                now_s=now_s,
                wall_ahead_s=wall_ahead_s + (ahead_s or {}).get(number, 0),
            )
            for number in range(count)
        ]

    @property
    def reserved_to(self) -> int:
        """Behind all numbers that any partition's journal has reserved."""
        surveys = []
        for one in open_partitions(self.directory, self.key):
            surveys.append(Survey())
            one.reader.replay(surveys[-1])
        return max(survey.reserved_to for survey in surveys)

    def end(self) -> None:
        """All of them end."""
        for part in self.parts:
            self._now_s = max(self._now_s, part.world.now_s)
            part.end()
        self.parts = []

    def part_of(self, terminal: str) -> Part:
        """The partition that a terminal belongs to."""
        return self.parts[partition_of(terminal, len(self.parts))]

    def request(self, terminal: str, **changes: str | None) -> Document:
        """A purchase that no terminal has sent yet."""
        self._stan += 1
        world = self.part_of(terminal).world
        return purchase(world, LISTENERS[terminal], f41=terminal, f11=f"{self._stan:06d}", **changes)

    def send(self, request: Document) -> tuple[list[Document], list[Document]]:
        """Send a request: what the issuer is asked, and what the terminal is told."""
        part, line = self.line_of(request)
        line.send(request)
        part.journal.commit()
        return part.issuer.read(), line.read()

    def line_of(self, request: Document) -> tuple[Part, TerminalLine]:
        """Where a request's terminal is connected."""
        part = self.part_of(request["41"])
        return part, part.terminals[LISTENERS[request["41"]]]

    def pay(self, terminal: str, code: str = "00", **changes: str | None) -> tuple[Document, Document]:
        """A payment that the issuer answers; the request, and what the terminal was told."""
        request = self.request(terminal, **changes)
        part, line = self.line_of(request)
        (asked,), told = self.send(request)
        assert told == []
        part.issuer.answer(asked, code)
        answer = line.read_one()
        for each in self.parts:
            each.settle()
        return request, answer
