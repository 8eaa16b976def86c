"""A disk that is full: what had begun is finished or waits, and all goes on by itself when there is room again."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable

import pytest

from switch.base.stats import Stats
from switch.journal import replay_into
from switch.journal.commit import JournalFiles
from switch.journal.disk import Disk, FileDisk, ScriptedDisk
from tests.ext.journal_world import KEY, JournalWorld, records_of
from tests.ext.journal_writer import FileWorld
from tests.ext.memory_disk import MemoryDisk
from tests.ext.test_journal_files import fill
from tests.ext.world import IssuerLine, TerminalLine, World, purchase

SMALL_BUFFER_BYTES = 65_536
SMALL_SEGMENT_BYTES = 204_800
"""So small that the outcomes of what had begun fill half of it."""

RECORD_BYTES_MAX = 2_048
FILLED_MAX = 10_000
BEGUN = 640
BEGUN_A_LINE = 40
LIMITS = {"duplicate_window_count_max": 100_000, "transactions_in_flight_max": 2 * BEGUN, "reversals_max": 2 * BEGUN}
DEADLINE_SECONDS = 10


def small_journal() -> JournalFiles:
    return JournalFiles(SMALL_BUFFER_BYTES, Stats(65_536), record_bytes_max=RECORD_BYTES_MAX)


class FullWorld(JournalWorld):
    """A world whose disk has no room for the next segment, and many purchases that had begun before."""

    def __init__(self, error: int = errno.ENOSPC):
        super().__init__(limits=LIMITS, begins=False, journal=small_journal())
        self.begin(SMALL_SEGMENT_BYTES)
        self.bank = self.issuer()
        self.questions = begin_many(self, self.bank)
        self.memory.room, self.memory.full = 1000, error
        for _ in range(FILLED_MAX // 100):
            if self.journal.failed:
                break
            fill(self, 100)
        assert self.journal.failed
        assert not self.journal.broken

    def answer(self):
        self.bank.answer(self.questions.pop())

    def fill_to_the_end(self) -> None:
        """What had begun ends, until the segment has no room for it."""
        while not self.journal.is_held:
            self.answer()
            self.sync()
        for line in self.lines:
            if line is not self.bank:
                line.read()


def begin_many(world: World, bank: IssuerLine) -> list[dict]:
    questions: list[dict] = []
    for number in range(BEGUN):
        if number % BEGUN_A_LINE == 0:
            terminal = world.terminal("iso")
        terminal.send(purchase(world))
        questions += bank.read()
    assert len(questions) == BEGUN
    return questions


def segments(world: JournalWorld) -> int:
    return sum(name.endswith(".journal") for name in world.memory.files)


def told(world: World) -> list[str]:
    """Response codes that terminals have been told just now."""
    return [answer["39"] for line in world.lines if isinstance(line, TerminalLine) for answer in line.read()]


def test_goes_on_by_itself_when_there_is_room():
    world = FullWorld()
    before = segments(world)
    terminal = world.terminal("iso")
    terminal.send(purchase(world))
    assert told(world) == ["96"]
    world.journal.try_again()
    assert world.journal.failed, "there is no room yet"
    world.memory.room = None
    world.journal.try_again()
    assert (world.journal.failed, world.journal.reason) == (False, "")
    while world.questions:
        world.answer()
        world.sync()
    terminal.send(purchase(world))
    world.bank.answer(world.bank.read_one())
    assert told(world) == ["00"] * (BEGUN + 1)
    assert segments(world) > before
    records, tail = records_of(world.memory)
    assert tail.records == len(records) == world.journal.durable
    assert sum(record.get("approved", False) for record in records) == BEGUN + 1


def test_a_batch_without_room_waits_and_nobody_is_told():
    world = FullWorld()
    world.fill_to_the_end()
    durable = world.journal.durable
    for _ in range(50):
        world.answer()
    world.journal.try_again()
    assert not world.journal.commit()
    assert (world.journal.durable, world.journal.broken) == (durable, False)
    assert told(world) == []
    known = sum(record.get("approved", False) for record in records_of(world.memory.copy())[0])
    waiting = BEGUN - len(world.questions) - known
    assert waiting > 50
    world.memory.room = None
    world.journal.try_again()
    assert not world.journal.failed
    while world.journal.durable < world.journal.next_position - 1:
        assert world.journal.commit()
    assert told(world) == ["00"] * waiting
    records, tail = records_of(world.memory)
    assert tail.records == len(records) == world.journal.durable > durable
    after = world.killed(limits=LIMITS)
    assert after.replayed.ended == len(world.questions)


def test_killed_while_a_batch_waits():
    """What waited for room was not told: the charge is taken back."""
    world = FullWorld()
    world.fill_to_the_end()
    known = sum(record.get("approved", False) for record in records_of(world.memory.copy())[0])
    world.memory.room = None
    after = world.killed(limits=LIMITS)
    assert after.replayed.ended == after.replayed.reversed == BEGUN - known


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS])
def test_other_failures_are_not_tried_again(error):
    world = FullWorld(error)
    world.memory.room = None
    calls = len(world.memory.calls)
    world.journal.try_again()
    assert world.journal.failed
    assert len(world.memory.calls) == calls, "a failed disk was asked again"


def test_a_failed_synchronization_stays_fatal_when_there_is_room_again():
    world = FullWorld()
    world.memory.fail_at = len(world.memory.calls) + 1
    world.answer()
    world.sync()
    assert world.journal.broken
    durable, world.memory.fail_at, world.memory.room = world.journal.durable, None, None
    calls = len(world.memory.calls)
    world.journal.try_again()
    assert (world.journal.failed, world.journal.broken, world.journal.durable) == (True, True, durable)
    assert len(world.memory.calls) == calls, "a failed disk was asked again"


class Threaded:
    """A world whose journal's thread runs."""

    def __init__(self, disk: Disk):
        self.journal = small_journal()
        self.world = FileWorld(journal=self.journal, limits=LIMITS)
        replay_into(
            self.world.engine.state, self.journal, disk, KEY, segment_bytes=SMALL_SEGMENT_BYTES, window_seconds=60
        )
        self.journal.start()
        self.terminal = self.world.terminal("iso")

    def ask(self, count: int = 1) -> None:
        """Requests that are refused, written down in one turn, and durable."""
        for _ in range(count):
            self.terminal.send(purchase(self.world, f2="5" * 16))
        self.journal.end_turn()

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline
            if select.select([self.journal.wake], [], [], 0.01)[0]:
                os.eventfd_read(self.journal.wake)

    def is_durable(self) -> bool:
        return self.journal.durable == self.journal.next_position - 1


@pytest.fixture
def full():
    """A journal whose thread waits with a batch for which there is no room."""
    memory = MemoryDisk()
    threaded = Threaded(ScriptedDisk(memory))
    threaded.memory = memory
    bank = threaded.world.issuer()
    questions: list[dict] = []
    for number in range(BEGUN):
        if number % BEGUN_A_LINE == 0:
            threaded.until(threaded.is_durable)
            terminal = threaded.world.terminal("iso")
        terminal.send(purchase(threaded.world))
        threaded.journal.end_turn()
    threaded.until(threaded.is_durable)
    questions = bank.read()
    assert len(questions) == BEGUN
    memory.room = 1000
    journal = threaded.journal
    while not journal.failed:
        threaded.ask(20)
        threaded.until(threaded.is_durable)
    while not journal.is_held:
        bank.answer(questions.pop())
        journal.end_turn()
        threaded.until(lambda: threaded.is_durable() or journal.is_held)
    yield threaded
    journal.stop()
    assert records_of(memory)[1].records == journal.durable == journal.next_position - 1


def test_thread_waits_for_room_and_goes_on(full):
    full.journal.try_again()
    full.until(lambda: full.journal.failed)
    assert not full.is_durable()
    full.memory.room = None
    full.journal.try_again()
    full.until(lambda: full.is_durable() and not full.journal.failed)
    full.ask()
    full.until(full.is_durable)


def test_what_waits_for_room_is_written_at_the_end_if_there_is_some(full):
    full.memory.room = None


@pytest.fixture
def on_files(tmp_path):
    threaded = Threaded(FileDisk(str(tmp_path), exclusive=True))
    yield threaded
    threaded.journal.stop()


def test_a_segment_without_a_name_is_noticed_by_the_next_batch(on_files, tmp_path):
    on_files.ask()
    on_files.until(on_files.is_durable)
    (tmp_path / f"{1:020d}.journal").unlink()
    on_files.ask()
    on_files.until(lambda: on_files.journal.failed)
    assert on_files.journal.broken
    assert on_files.journal.durable == 1, "what nobody finds is not durable"
    assert "removed" in on_files.journal.lost


def test_condemned_journals_take_nothing(on_files):
    on_files.ask()
    on_files.until(on_files.is_durable)
    journal = on_files.journal
    journal.condemn("the folder is gone")
    on_files.ask()
    assert (journal.broken, journal.failed, journal.durable) == (True, True, 1)
    assert journal.lost == journal.reason == "the folder is gone"
    journal.try_again()
    assert journal.failed
