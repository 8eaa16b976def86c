"""Connections at their edges: half-closed, silent, too many for the file descriptors; and what the process hides."""

import asyncio
import contextlib
import io
import resource
import socket

import pytest_asyncio

from switch.base.log_writer import LogWriter, StreamOut
from switch.check.parts import load_parts
from switch.config import load_config
from switch.server.daemon import Daemon

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .terminal import Terminal
from .unruly import UnrulyIssuer, hold


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(new_installation):
    installation = new_installation()
    bank = installation.issuer(kind=UnrulyIssuer)
    installation.listener()
    installation.listener("hasty", first_message_timeout_ms=500, idle_timeout_ms=60_000)
    own = {"certificate": installation.secrets.switch[0], "private_key": installation.secrets.switch[1]}
    installation.listener("tls", tls=own)
    installation.link(port=await bank.listen())
    try:
        async with running(installation) as daemon:
            yield installation, daemon, bank
    finally:
        await bank.stop()


def release(bank):
    """Give the answers that were held back."""
    bank.mangle = None
    for exchange, answer in bank.held:
        bank.deliver(exchange, answer)
    bank.held.clear()


async def test_client_that_sends_and_shuts_its_side_gets_its_answers(world):
    installation, daemon, bank = world
    bank.mangle = hold
    reversals = bank.counters.reversals
    async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
        asked = [installation.request(terminal=name) for name in TERMINALS[:3]]
        terminal.send(*asked)
        terminal.writer.write_eof()
        await until(lambda: len(bank.held) == 3)
        release(bank)
        answers = [await terminal.answer() for _ in asked]
        assert {answer.text(39) for answer in answers} == {"00"}
        assert {answer.text(41).rstrip() for answer in answers} == set(TERMINALS[:3])
        assert await terminal.is_closed()
    await until(lambda: no_reversals(daemon))
    assert bank.counters.reversals == reversals


async def no_reversals(daemon):
    return (await daemon.status())["reversals_waiting"] == 0


async def test_client_that_shuts_its_side_is_answered_at_once_or_later(world):
    """One that asks nothing is closed at once, one whose answers come apart gets each of them."""
    installation, daemon, bank = world
    async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
        terminal.writer.write_eof()
        assert await terminal.is_closed()
    bank.mangle = hold
    async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
        terminal.send(installation.request(), installation.request(terminal=TERMINALS[1]))
        terminal.writer.write_eof()
        await until(lambda: len(bank.held) == 2)
        for exchange, answer in bank.held:
            bank.deliver(exchange, answer)
            assert (await terminal.answer()).text(39) == "00"
        bank.mangle = None
        bank.held.clear()
        assert await terminal.is_closed()


async def test_approval_for_a_client_that_is_gone_is_reversed(world):
    """Its close looks like a half-close until the answer is sent: what counts is that nobody acknowledged it."""
    installation, daemon, bank = world
    bank.mangle = hold
    before = await daemon.metric("authswitch_reversals_total")
    delivered = bank.counters.reversals
    terminal = await Terminal.connect(installation, daemon.ports["pos"])
    terminal.send(installation.request())
    await until(lambda: len(bank.held) == 1)
    terminal.writer.close()
    await daemon.metric("authswitch_connections")
    release(bank)
    await until(lambda: bank.counters.reversals > delivered)
    await daemon.event("terminal connection closed", reason="peer was gone before its answer")
    assert await daemon.metric("authswitch_reversals_total") >= before


async def test_end_of_a_tls_stream_ends_both_sides(world):
    installation, daemon, bank = world
    bank.mangle = hold
    delivered = bank.counters.reversals
    context = installation.secrets.authority.client_context()
    terminal = await Terminal.connect(installation, daemon.ports["tls"], tls=context)
    terminal.send(installation.request())
    await until(lambda: len(bank.held) == 1)
    terminal.writer.close()
    await terminal.writer.wait_closed()
    await daemon.event("terminal connection closed", listener="tls")
    release(bank)
    await until(lambda: bank.counters.reversals > delivered)


async def test_new_connection_that_says_nothing_is_closed(world):
    installation, daemon, _ = world
    async with await Terminal.connect(installation, daemon.ports["hasty"]) as spoken:
        assert await spoken.code() == "00"
        async with await Terminal.connect(installation, daemon.ports["hasty"]) as silent:
            assert await silent.is_closed(5)
        await daemon.event("terminal connection closed", listener="hasty", reason="no message in time")
        assert await spoken.code() == "00"


async def test_no_core_file_is_left(world):
    assert resource.prlimit(world[1].child.pid, resource.RLIMIT_CORE) == (0, 0)


async def test_descriptors_are_raised_to_what_the_limits_need(installation):
    bank = installation.issuer()
    installation.listener()
    installation.limits["connections_max"] = 12_000
    installation.link(port=await bank.listen())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    try:
        async with running(installation) as daemon:
            assert resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE)[0] == 12_000 + 256 + 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await bank.stop()


async def test_few_descriptors_leave_links_and_admin_side_theirs(installation):
    """More connections than descriptors: the others are refused, and all that stands goes on."""
    bank = installation.issuer()
    installation.listener()
    installation.link(port=await bank.listen())
    few = ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh"]
    with contextlib.ExitStack() as stack:
        async with running(installation, under=few) as daemon:
            await daemon.event("too few file descriptors", terminals_served=43)
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                for _ in range(100):
                    stack.enter_context(socket.create_connection(("127.0.0.1", daemon.ports["pos"])))
                await daemon.counted("authswitch_connections_refused_total", 58, listener="pos", why="limit")
                assert await terminal.code() == "00"
                assert await daemon.metric("authswitch_connections") == 43
    await bank.stop()


async def test_switch_lives_on_without_descriptors(installation):
    """As when the whole machine runs out of them: what stands goes on, and what waited is taken when there are more."""
    bank = installation.issuer()
    installation.listener()
    installation.link(port=await bank.listen())
    async with running(installation) as daemon, contextlib.AsyncExitStack() as stack:
        standing = await stack.enter_async_context(await Terminal.connect(installation, daemon.ports["pos"]))
        limits = resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE, (40, limits[1]))
        waiting = [
            await stack.enter_async_context(await Terminal.connect(installation, daemon.ports["pos"]))
            for _ in range(60)
        ]
        await daemon.event("cannot accept")
        assert await standing.code() == "00"
        resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE, limits)
        for terminal in waiting:
            assert await terminal.code() == "00"
        assert await daemon.metric("authswitch_accept_shortages_total", listener="pos") >= 1
        assert len(daemon.said("cannot accept")) < 30
    await bank.stop()


async def test_housekeeping_outlives_its_mistakes(installation, monkeypatch):
    installation.listener()
    installation.link(port=7001)
    config = load_config(installation.write())
    daemon = Daemon(config, load_parts(config), LogWriter(StreamOut(io.StringIO())))
    rounds = []

    class Gauges:
        def refresh(self):
            rounds.append(len(rounds))
            raise ValueError("no gauge")

    monkeypatch.setattr(daemon, "_gauges", Gauges())
    monkeypatch.setattr("switch.server.daemon.HOUSEKEEPING_SECONDS", 0)
    task = asyncio.create_task(daemon._keep_house())
    await until(lambda: len(rounds) >= 3)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
