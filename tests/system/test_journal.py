"""The journal of a real daemon: a drain that leaves to the next start what is written down, and a disk that is full."""

import asyncio
import os
import shutil
import subprocess
import sys

import pytest

from .conftest import running
from .daemon import Daemon, until
from .installation import TERMINALS
from .terminal import Terminal
from .unruly import hold, one_bank

DISK_BYTES = 3 << 20
SEGMENT_BYTES = 2 << 20
REQUESTS_A_ROUND = 20
FILLING_ROUNDS = 1_500


async def is_settled(daemon):
    return (await daemon.status())["reversals_waiting"] == 0


async def test_drain_leaves_written_reversals_to_the_next_start(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation, timeout_ms=200, reversal={"interval_ms": 60_000}) as bank:
        bank.mangle = hold
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
        ):
            assert await terminal.code() == "68"
            await until(lambda: len(bank.held) == 2)  # the purchase and its reversal
            daemon.signal()
            assert await daemon.ended(5) == 0
            assert daemon.said("reversals go on after the next start", reversals=1)
            assert not daemon.said("drained with work left")
        bank.mangle = None
        bank.held.clear()
        assert bank.counters.reversals == 1
        async with running(installation) as daemon:
            assert daemon.said("journal replayed")[0]["resumed"] == 1
            await until(lambda: is_settled(daemon))
        assert bank.counters.reversals == 2


async def test_admin_side_answers_while_the_journal_is_read(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation):
        daemon = Daemon(installation.write(), under=(sys.executable, "-m", "tests.system.held_up"))
        start = asyncio.create_task(daemon.start())
        try:
            await until(lambda: daemon.said("replaying the journal"))
            daemon.admin_port = int(daemon.said("replaying the journal")[0]["admin"].rpartition(":")[2])
            assert await daemon.get("/livez") == (200, "live\n")
            status, reasons = await daemon.get("/readyz")
            assert status == 503
            assert "starting: the journal is replayed: file 2 of 3, 1,234 records read" in reasons
            assert not daemon.said("listening")
            (installation.folder / "go-on").touch()
            await start
        finally:
            start.cancel()
            await daemon.stop()


async def test_a_drain_does_not_wait_for_the_journal_to_be_read(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation):
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
        ):
            assert await terminal.code() == "00"
        daemon = Daemon(installation.write(), under=(sys.executable, "-m", "tests.system.held_up"))
        start = asyncio.create_task(daemon.start())
        try:
            await until(lambda: daemon.said("replaying the journal"))
            daemon.signal()
            await until(lambda: daemon.said("draining"))
            (installation.folder / "go-on").touch()
            assert await daemon.ended() == 0
            assert daemon.said("ended before the journal was replayed: nothing was accepted, and nothing written")
            assert not daemon.said("journal replayed")
            assert not daemon.said("serving")
        finally:
            start.cancel()
            await daemon.stop()
        async with running(installation) as daemon:
            assert daemon.said("journal replayed")[0]["remembered"] == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for one file of the journal and a half."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def fill_the_disk(installation, terminal):
    """Purchases until one is refused: the codes that were told."""
    codes = []
    for _ in range(FILLING_ROUNDS):
        terminal.send(
            *(installation.request("iso87-ascii", terminal=TERMINALS[number]) for number in range(REQUESTS_A_ROUND))
        )
        codes += [(await terminal.answer()).text(39) for _ in range(REQUESTS_A_ROUND)]
        if codes[-1] == "96":
            break
    return codes


def small_journal(folder):
    return {
        "mode": "files",
        "directory": folder / "journal",
        "segment_bytes": SEGMENT_BYTES,
        "buffer_bytes": SEGMENT_BYTES // 4,
    }


async def test_full_disk_with_room_again_needs_no_restart(installation, small_disk):
    installation.journal = small_journal(small_disk)
    installation.limits = {"duplicate_window_count_max": 100_000}
    async with (
        one_bank(installation) as bank,
        running(installation) as daemon,
        await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
    ):
        approved = (await fill_the_disk(installation, terminal)).count("00")
        assert await terminal.code() == "96"
        assert not await daemon.is_ready()
        grow = ["mount", "-o", f"remount,size={4 * DISK_BYTES}", str(small_disk)]
        await asyncio.to_thread(subprocess.run, grow, check=True)
        await daemon.event("the journal can be written again: payments are accepted")
        await until(daemon.is_ready)
        assert await terminal.code() == "00"
        assert await daemon.metric("authswitch_journal_failed") == 0
        assert bank.counters.requests == approved + 1


async def test_full_disk_takes_nothing_new_and_loses_nothing(installation, small_disk):
    installation.journal = small_journal(small_disk)
    installation.limits = {"duplicate_window_count_max": 100_000}
    async with one_bank(installation) as bank:
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
        ):
            codes = await fill_the_disk(installation, terminal)
            approved = codes.count("00")
            assert set(codes) == {"00", "96"}, "the disk was never full"
            assert codes == ["00"] * approved + ["96"] * (len(codes) - approved)
            status, reasons = await daemon.get("/readyz")
            assert status == 503
            assert "the next segment cannot be allocated: No space left on device" in reasons
            assert await terminal.code() == "96"
            assert bank.counters.requests == approved
            assert bank.counters.reversals == 0
        # What is left has no room for another file: it does not even start there, and goes on where there is some.
        with pytest.raises(AssertionError, match="No space left on device"):
            async with running(installation):
                pass
        installation.journal["directory"] = installation.folder / "moved"
        shutil.copytree(small_disk / "journal", installation.folder / "moved")
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
        ):
            replayed = daemon.said("journal replayed")[0]
            assert (replayed["ended"], replayed["torn_bytes"]) == (0, 0)
            assert replayed["remembered"] >= approved
            assert await terminal.code() == "00"
