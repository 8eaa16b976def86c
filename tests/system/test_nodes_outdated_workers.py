"""A worker on an older copy turns terminals away: they reach the others of its node, which serve as before."""

import asyncio
import os
import shutil
import signal

import pytest

from switch.machine.partitioning import partition_of

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes
from .terminal import Terminal
from .test_nodes_older_copies import OUTDATED, end
from .test_workers import SPOKEN
from .unruly import one_bank

PARTITIONS = 4
OLDER = 3
"""Owned by worker 1 of node b, and by nobody else of it."""

TILLS = [next(one for one in TERMINALS if partition_of(one, PARTITIONS) == number) for number in range(PARTITIONS)]
HEALTHY = [number for number in range(PARTITIONS) if number != OLDER]
CALLS = 16
"""Connections that the kernel deals out to two workers: that all fall to one of them is one chance in 32,768."""

ANSWER_SECONDS = 5


async def answer(installation, port, partition):
    """The response code to a payment over a connection of its own."""
    async with await Terminal.connect(installation, port, SPOKEN) as terminal:
        request = installation.request(SPOKEN, terminal=TILLS[partition])
        return (await terminal.ask(request, ANSWER_SECONDS)).text(39)


async def are_served(installation, port):
    """See that whoever calls is answered, but for the partition on the older copy."""
    codes = [await answer(installation, port, HEALTHY[number % len(HEALTHY)]) for number in range(CALLS)]
    assert codes == ["00"] * CALLS


async def is_ready_without_it(daemon):
    """See that the node is ready, and says what it lacks."""
    status, why = await daemon.get("/readyz")
    assert status == 200
    assert f"worker 1 (partition {OLDER}): the journal of partition {OLDER} is an older copy" in why


def pid_of(status, worker):
    """The process of a worker."""
    return status["workers"][worker]["pid"]


async def copied(installation, nodes, folder):
    """Copy the journal of the partition; what is approved behind that is known to others."""
    await answer(installation, nodes.ports[0], OLDER)
    shutil.copytree(nodes.installations[1].folder / "journal" / f"partition-{OLDER}", folder)
    for _ in range(3):
        assert await answer(installation, nodes.ports[0], OLDER) == "00"


async def lose(nodes):
    """Node b ends without a word, and both workers of node a know of both of it."""
    a, b = nodes.daemons
    await end(b)
    await a.event("node lost", times=4)


async def brought_back(nodes, tmp_path, how):
    """Node b is lost, and has an older journal of the partition."""
    await lose(nodes)
    folder = nodes.installations[1].folder / "journal" / f"partition-{OLDER}"
    if how == "lives":
        (folder / "lives").unlink()
        return
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)


@pytest.mark.parametrize("how", ["copy", "lives"])
async def test_its_terminals_reach_the_other_worker(installation, new_installation, tmp_path, how):
    async with one_bank(installation), Nodes(installation, new_installation(), 2, PARTITIONS) as nodes:
        await copied(installation, nodes, tmp_path / "copy")
        await brought_back(nodes, tmp_path, how)
        b = await nodes.restart(1)  # it becomes ready: the other worker serves
        await b.event(OUTDATED)
        await b.event("worker serves", times=2)
        assert len(b.said("listening")) == 1
        await is_ready_without_it(b)
        await are_served(installation, nodes.ports[1])
        os.kill(pid_of(await b.status(), 1), signal.SIGKILL)
        await b.event(OUTDATED, times=2)
        await b.event("worker serves", times=3)
        await until(b.is_ready)
        await is_ready_without_it(b)
        await are_served(installation, nodes.ports[1])
        assert len(b.said("listening")) == 1
        await end(b)


async def test_who_hears_of_it_only_later_hangs_up(installation, new_installation, tmp_path):
    """Node a is away when node b comes back on the copy: both workers take terminals until they meet."""
    async with one_bank(installation), Nodes(installation, new_installation(), 2, PARTITIONS) as nodes:
        await copied(installation, nodes, tmp_path / "copy")
        await brought_back(nodes, tmp_path, "copy")
        a = nodes.daemons[0]
        processes = [a.child.pid, *(row["pid"] for row in (await a.status())["workers"])]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        b = await nodes.restart(1)
        assert len(b.said("listening")) == 2
        terminals = [await Terminal.connect(installation, nodes.ports[1], SPOKEN) for _ in range(CALLS)]
        for process in processes:
            os.kill(process, signal.SIGCONT)
        await b.event(OUTDATED)
        codes = [await said(installation, terminal) for terminal in terminals]
        assert set(codes) == {"00", "hung up"}, "worker 0 keeps its terminals, and worker 1 hangs up"
        await is_ready_without_it(b)
        await are_served(installation, nodes.ports[1])
        await end(b)


async def said(installation, terminal):
    """What a terminal hears on the connection that it has."""
    async with terminal:
        request = installation.request(SPOKEN, terminal=TILLS[HEALTHY[0]])
        try:
            return (await terminal.ask(request, ANSWER_SECONDS)).text(39)
        except (EOFError, ConnectionError):
            return "hung up"


async def test_it_is_not_ready_where_no_worker_can_serve(installation, new_installation, tmp_path):
    async with one_bank(installation), Nodes(installation, new_installation(), 2, PARTITIONS) as nodes:
        await copied(installation, nodes, tmp_path / "copy")
        await lose(nodes)
        for folder in (nodes.installations[1].folder / "journal").glob("partition-*"):
            (folder / "lives").unlink()
        b = await nodes.restart(1, ready=False)
        await b.event(OUTDATED, times=2)
        await b.event("worker serves", times=2)
        assert (await b.get("/readyz"))[0] == 503
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", nodes.ports[1])
        await end(b)


async def has_heard_of_it(installation, daemon):
    """Worker 0 knows of the journal of partition 1: it has brought answers home that came behind word of that."""
    theirs = next(one for one in TERMINALS if partition_of(one, 2) == 1)
    for _ in range(CALLS):
        async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal:
            request = installation.request(SPOKEN, terminal=theirs)
            assert (await terminal.ask(request, ANSWER_SECONDS)).text(39) == "00"
    await daemon.counted("authswitch_mesh_answers_total", 1)


async def test_an_issuer_that_calls_reaches_the_other_worker(installation):
    several = {"mode": "files", "directory": "journal", "partitions": 2}
    installation.journal, installation.workers = several, 2
    issuer = installation.issuer()
    installation.listener("pos", SPOKEN)
    installation.link(mode="accept", bind="127.0.0.1:0", peers=["127.0.0.1/32"], connections=CALLS)
    async with running(installation, ready=False) as daemon:
        await daemon.event("worker serves", times=2)
        daemon.note_ports()
        for _ in range(CALLS):
            issuer.call("127.0.0.1", daemon.links["bank-a"])
        await daemon.event("link up", times=2)
        await until(daemon.is_ready)
        await has_heard_of_it(installation, daemon)
        (installation.folder / "journal" / "partition-1" / "lives").unlink()
        os.kill(pid_of(await daemon.status(), 1), signal.SIGKILL)
        await daemon.event(OUTDATED)
        await daemon.event("worker serves", times=3)
        assert len(daemon.said("waiting for the issuer")) == 2, "before"
        rows = (await daemon.status())["partitions"]
        assert [bool(row["outdated"]) for row in rows] == [False, True]

        async def are_with_the_other():
            return await daemon.metric("authswitch_link_connections", link="bank-a") == CALLS

        await until(are_with_the_other)
        await issuer.stop()
