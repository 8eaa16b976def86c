"""A log that nobody reads, or nobody can: payments go on, and the daemon ends when it is told to."""

from __future__ import annotations

import contextlib
import os

import pytest_asyncio

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .terminal import Terminal
from .unruly import one_bank

FILLER = b'{"event": "filler", "by": "the test"}\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(new_installation):
    """An issuer that approves, and a configuration that leads to it."""
    installation = new_installation()
    async with one_bank(installation):
        yield installation


def pipe_of(daemon):
    """The reading end of its standard error."""
    return daemon.child._transport.get_pipe_transport(2)


async def fill(daemon):
    """Stop reading, and fill what the kernel keeps: the next line that the daemon writes waits."""
    pipe_of(daemon).pause_reading()
    writing = os.open(f"/proc/{daemon.child.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, FILLER)
    os.close(writing)


async def make_it_say_something(installation, daemon):
    """A message that cannot be read."""
    async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
        terminal.send(b"0999")
        assert await terminal.is_closed()


async def pay(installation, daemon, times=20):
    async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
        for _ in range(times):
            assert await terminal.code(TERMINALS[0]) == "00"


async def test_payments_go_on_while_nobody_reads_the_log(bank):
    async with running(bank) as daemon:
        await pay(bank, daemon)
        await fill(daemon)
        await make_it_say_something(bank, daemon)
        await daemon.counted("authswitch_log_stuck_seconds", 1)
        await pay(bank, daemon)
        await make_it_say_something(bank, daemon)
        await pay(bank, daemon)
        assert await daemon.is_ready()
        await daemon.counted("authswitch_log_lines_waiting", 1)
        assert daemon.said("format error") == []
        pipe_of(daemon).resume_reading()
        await daemon.event("format error", times=2)
        assert await daemon.metric("authswitch_log_lines_dropped_total") == 0

        async def is_flowing():
            return await daemon.metric("authswitch_log_stuck_seconds") == 0

        await until(is_flowing)


async def test_drain_ends_with_a_log_that_is_stuck(bank):
    async with running(bank) as daemon:
        await fill(daemon)
        await make_it_say_something(bank, daemon)
        await daemon.counted("authswitch_log_stuck_seconds", 1)
        await pay(bank, daemon)
        daemon.signal()
        await until(lambda: daemon.child.returncode is not None, 15)
        pipe_of(daemon).resume_reading()


async def test_payments_go_on_when_the_log_is_closed(bank):
    async with running(bank) as daemon:
        pipe_of(daemon).close()
        await make_it_say_something(bank, daemon)
        await daemon.counted("authswitch_log_lines_dropped_total", 1)
        await pay(bank, daemon)
