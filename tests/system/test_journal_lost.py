"""A journal that is taken away from a running daemon: it approves nothing more, and ends with a failure."""

import asyncio
import os
import shutil
import signal
import subprocess

import pytest

from .conftest import running
from .daemon import until
from .terminal import Terminal
from .unruly import hold, one_bank

NOTICED_SECONDS = 3


def rename(folder):
    folder.rename(folder.with_name("elsewhere"))


def remove(folder):
    shutil.rmtree(folder)


def replace(folder):
    rename(folder)
    shutil.copytree(folder.with_name("elsewhere"), folder)


def remove_segment(folder):
    min(folder.glob("partition-0/*.journal")).unlink()


def mount_over(folder):
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts nothing")


@pytest.mark.parametrize("done", [rename, remove, replace, remove_segment, mount_over])
async def test_a_journal_that_is_gone_is_fatal(installation, done):
    installation.journal = {"mode": "files", "directory": "journal"}
    folder = installation.folder / "journal"
    try:
        async with (
            one_bank(installation) as bank,
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
        ):
            assert await terminal.code() == "00"
            bank.mangle = hold
            terminal.send(installation.request("iso87-ascii"))
            await until(lambda: bank.held)
            daemon.end_status = 1
            await asyncio.to_thread(done, folder)
            for exchange, answer in bank.held:
                bank.deliver(exchange, answer)
            line = await daemon.event(
                "the journal is lost: ending, and no answer that waits for it is told", seconds=NOTICED_SECONDS
            )
            assert line["level"] == "error"
            assert await daemon.ended(NOTICED_SECONDS) == 1
            if done in (remove, remove_segment):
                assert await terminal.is_closed(), "an approval of which nothing is left was told"
    finally:
        if done is mount_over and folder.is_mount():
            subprocess.run(["umount", str(folder)], check=True)  # noqa: ASYNC221


async def test_a_new_journal_is_told(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    event = "a new journal begins: nothing is known of any earlier payment"
    async with one_bank(installation):
        async with running(installation) as daemon:
            assert daemon.said(event)
            async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
                assert await terminal.code() == "00"
        async with running(installation) as daemon:
            assert not daemon.said(event)


async def test_hanging_up_does_not_end_it(installation):
    async with (
        one_bank(installation) as bank,
        running(installation) as daemon,
        await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
    ):
        bank.mangle = hold
        terminal.send(installation.request("iso87-ascii"))
        await until(lambda: bank.held)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            daemon.signal(number)
        await daemon.event("keys taken up")
        await daemon.event("signal ignored", signal="SIGUSR2")
        assert await daemon.is_ready()
        for exchange, answer in bank.held:
            bank.deliver(exchange, answer)
        assert (await terminal.answer()).text(39) == "00"
