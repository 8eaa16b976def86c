"""The journal on a real file system, with its thread: killed at full speed, on a full disk, held by another."""

from __future__ import annotations

import errno
import os
import random
import resource
import select
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from switch.base.stats import Stats
from switch.journal import replay_into
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk
from switch.journal.replay import JournalReader, Listing
from switch.journal.resuming import Progress
from tests.ext.journal_world import BUFFER_BYTES, KEY
from tests.ext.journal_writer import FileWorld
from tests.ext.world import purchase

DEADLINE_SECONDS = 20
REPLAYED = 50_000
PATIENCE_SECONDS = 60

PLACES_LEAST = 20
"""More than there are files: at the beginning of each a replay lets others work in any case."""


def written(directory):
    records = []
    reader = JournalReader(FileDisk(str(directory), exclusive=False), KEY)
    tail = reader.replay(Listing(records.append))
    return records, tail


def test_killed_at_full_speed(tmp_path):
    """Three times: what was durable is there, in order, and the next run goes on behind it."""
    durable = 0
    for round_number in range(3):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.ext.journal_writer", str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        try:
            began = int(child.stdout.readline())
            assert began >= durable
            wanted = began + random.randrange(200, 4000)
            for line in child.stdout:
                durable = int(line)
                if durable >= wanted:
                    break
            child.kill()
            for line in child.stdout:
                durable = int(line)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        records, tail = written(tmp_path)
        assert tail.next_position - 1 >= durable >= wanted, round_number
        assert [record["position"] for record in records] == list(range(1, tail.next_position))
        stans = [record["stan"] for record in records if record["type"] == "OUTCOME"]
        jumps = sum(later != earlier + 1 for earlier, later in pairwise(stans))
        assert jumps <= round_number, "only where a run began"


@pytest.fixture
def started(tmp_path):
    """A world whose journal's thread runs on a directory."""
    journal = JournalFiles(BUFFER_BYTES, Stats(65_536))
    world = FileWorld(journal=journal, limits={"duplicate_window_count_max": 100_000})
    disk = FileDisk(str(tmp_path), exclusive=True)
    replay_into(world.engine.state, journal, disk, KEY, segment_bytes=2 << 20, window_seconds=60)
    journal.start()
    yield world
    journal.stop()


def wait_for(journal, position):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while journal.durable < position and not journal.failed and time.monotonic() < deadline:
        select.select([journal.wake], [], [], 1)
        try:
            os.eventfd_read(journal.wake)
        except BlockingIOError:
            continue


def test_thread_commits_and_tells(started, tmp_path):
    terminal = started.terminal("iso")
    assert select.select([started.journal.wake], [], [], 0)[0] == []
    for _ in range(50):
        terminal.send(purchase(started, f2="5" * 16))
    assert terminal.carry() == []
    started.journal.end_turn()
    wait_for(started.journal, 50)
    assert started.journal.durable == 50
    assert len(terminal.carry()) == 50
    records, _ = written(tmp_path)
    assert len(records) == 50
    threads = [path.parent.name for path in Path("/proc/self/task").glob("*/comm") if "journal" in path.read_text()]
    assert len(threads) == 1, "top -H does not tell which thread it is"
    assert os.sched_getscheduler(int(threads[0])) == os.SCHED_BATCH


def test_place_of_the_next_batches_was_written(started, tmp_path):
    """What is only allocated makes each synchronization a matter of the file system's own journal."""
    with (tmp_path / f"{1:020d}.journal").open("rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) >= 1 << 20
        assert file.seek(0, os.SEEK_END) == 2 << 20


def places_seen_in_a_replay(directory):
    """How many different counts of records another thread has seen while a journal was replayed."""
    journal = JournalFiles(BUFFER_BYTES, Stats(65_536))
    world = FileWorld(journal=journal, limits={"duplicate_window_count_max": 100_000})
    progress = Progress()
    replay = threading.Thread(
        target=replay_into,
        args=(world.engine.state, journal, FileDisk(str(directory), exclusive=False), KEY),
        kwargs={"segment_bytes": 2 << 20, "window_seconds": 60, "progress": progress},
    )
    seen = set()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        replay.start()
        while replay.is_alive():
            if progress.visitor is not None:
                seen.add(progress.visitor.records)
            time.sleep(0)
    finally:
        sys.setswitchinterval(interval)
        replay.join()
    assert journal.durable >= REPLAYED
    journal.stop()
    return len(seen)


def test_replay_lets_other_threads_work(started, tmp_path):
    """Whether another thread gets its turn is the machine's to say: so it has as many chances as it needs."""
    terminal = started.terminal("iso")
    for number in range(REPLAYED):
        terminal.send(purchase(started, f2="5" * 16, f11=f"{number:06d}"))
        if number % 100 == 0:
            started.journal.end_turn()
            wait_for(started.journal, number)
    started.journal.stop()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while places_seen_in_a_replay(tmp_path) <= PLACES_LEAST:
        assert time.monotonic() < deadline, "somebody who wants to know how far it has come waits until it is over"


def test_stop_commits_what_is_there(started, tmp_path):
    started.terminal("iso").send(purchase(started, f2="5" * 16))
    started.journal.stop()
    assert len(written(tmp_path)[0]) == 1
    assert all(path.stat().st_size < 10_000 for path in tmp_path.iterdir())


def test_directory_is_of_one_alone(started, tmp_path):
    with pytest.raises(BlockingIOError):
        FileDisk(str(tmp_path), exclusive=True)
    assert (tmp_path / f"{1:020d}.journal").stat().st_mode & 0o777 == 0o600


def test_files_may_not_grow(started):
    """A limit on the size of files stands for a full disk: the next segment cannot be had, and that is said."""
    terminal = started.terminal("iso")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        for _ in range(100):
            for _ in range(100):
                terminal.send(purchase(started, f2="5" * 16))
            started.journal.end_turn()
            wait_for(started.journal, started.journal.next_position - 1)
            if started.journal.failed:
                break
        assert started.journal.failed
        assert started.journal.writer.error == errno.EFBIG
        assert "cannot be" in started.journal.reason
        other = started.terminal("iso")
        other.send(purchase(started, f11="999999"))
        assert other.read_one()["39"] == "96"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
