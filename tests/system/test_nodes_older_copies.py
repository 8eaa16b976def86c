"""A node on an older copy of its journal charges nobody twice: who heard more says so, and it decides nothing."""

import asyncio
import shutil
import signal
from functools import partial

import pytest

from switch.machine.partitioning import partition_of

from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes
from .terminal import Terminal
from .test_workers import SPOKEN
from .unruly import one_bank

PARTITIONS = 2
OF_B = next(one for one in TERMINALS if partition_of(one, PARTITIONS) == 1)
OUTDATED = "the journal is an older copy: nothing is decided by it"
UNANSWERED_SECONDS = 0.4


class Lines:
    """Terminals of node b's partition, at either node."""

    def __init__(self, installation):
        self.installation = installation

    def requests(self, count):
        """Payments, to be asked once or again."""
        return [self.installation.request(SPOKEN, terminal=OF_B) for _ in range(count)]

    async def ask(self, daemon, request, seconds=3):
        """The response code; empty where nothing is said."""
        async with await Terminal.connect(self.installation, daemon.ports["pos"], SPOKEN) as terminal:
            try:
                return (await terminal.ask(request, seconds)).text(39)
            except TimeoutError:
                return ""

    async def are_unanswered(self, daemon, requests):
        """Whether nothing is said to any of them."""
        return not any([await self.ask(daemon, one, UNANSWERED_SECONDS) for one in requests])


async def is_outdated(daemon, reason):
    """Whether a node has been told that its journal is older: it says so wherever it is asked."""
    line = await daemon.event(OUTDATED)
    assert (line["level"], line["partition"]) == ("error", 1)
    assert reason in line["reason"]
    status, why = await daemon.get("/readyz")
    assert status == 503
    assert "older copy" in why
    assert await daemon.metric("authswitch_journal_outdated", partition="1") == 1
    assert (await daemon.status())["partitions"][0]["outdated"]


async def refuses(port):
    """Whether nobody listens there: who calls may call elsewhere, and is not swallowed."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def end(daemon):
    """Kill it, and wait until it is gone."""
    daemon.end_status = -signal.SIGKILL
    daemon.kill()
    await daemon.ended()


def bring_back(nodes, tmp_path):
    """Put the copy in the place of node b's journal."""
    folder = nodes.installations[1].folder / "journal"
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)


async def lose(nodes):
    """Node b ends without a word, and node a knows."""
    a, b = nodes.daemons
    await end(b)
    await a.event("node lost", times=len(a.said("node connected")))


async def copied(nodes, lines, tmp_path, restarts):
    """Copy node b's journal while it runs; what it approves behind that is known to node a."""
    a, b = nodes.daemons
    assert await lines.ask(a, lines.requests(1)[0]) == "00"
    shutil.copytree(nodes.installations[1].folder / "journal", tmp_path / "copy")
    if restarts:
        await b.stop()
        b = await nodes.restart(1)
        await until(nodes.are_joined)
    requests = lines.requests(5)
    assert {await lines.ask(a, one) for one in requests} == {"00"}
    return requests


@pytest.mark.parametrize("restarts", [False, True], ids=["of this life", "of the life before"])
async def test_a_copy_of_a_running_node_decides_nothing(installation, new_installation, tmp_path, restarts):
    lines = Lines(installation)
    async with one_bank(installation) as bank, Nodes(installation, new_installation(), 1, PARTITIONS) as nodes:
        requests = await copied(nodes, lines, tmp_path, restarts)
        asked = bank.counters.requests
        await lose(nodes)
        newer = tmp_path / "newer"
        shutil.copytree(nodes.installations[1].folder / "journal", newer)
        bring_back(nodes, tmp_path)
        for _ in range(3):  # however often it is started, and whatever it has written meanwhile
            b = await nodes.restart(1, ready=False)
            await is_outdated(b, "worker a/0: ")
            await until(partial(refuses, nodes.ports[1]))
            await end(b)
        assert bank.counters.requests == asked, "nobody is charged twice"
        shutil.rmtree(nodes.installations[1].folder / "journal")
        shutil.move(newer, nodes.installations[1].folder / "journal")
        b = await nodes.restart(1)
        await until(nodes.are_joined)
        assert {await lines.ask(b, one) for one in requests} == {"00"}
        assert bank.counters.requests == asked


async def test_a_node_without_its_disk_decides_nothing(installation, new_installation, tmp_path):
    lines = Lines(installation)
    async with one_bank(installation) as bank, Nodes(installation, new_installation(), 1, PARTITIONS) as nodes:
        requests = await copied(nodes, lines, tmp_path, restarts=True)
        asked = bank.counters.requests
        await nodes.daemons[1].stop()
        folder = nodes.installations[1].folder / "journal"
        shutil.move(folder, tmp_path / "not mounted")
        b = await nodes.restart(1, ready=False)
        await is_outdated(b, "worker a/0: epoch 2 was heard of, and this is 1")
        await until(partial(refuses, nodes.ports[1]))
        assert await lines.are_unanswered(nodes.daemons[0], requests[2:4])
        assert bank.counters.requests == asked
        await end(b)
        shutil.rmtree(folder)
        shutil.move(tmp_path / "not mounted", folder)
        await nodes.restart(1)
        await until(nodes.are_joined)
        assert {await lines.ask(nodes.daemons[0], one) for one in requests} == {"00"}
        assert bank.counters.requests == asked


async def test_a_node_that_hears_of_it_only_later_stops(installation, new_installation, tmp_path):
    """When node b comes back on the copy node a is away, too: it decides until they meet."""
    lines = Lines(installation)
    async with one_bank(installation) as bank, Nodes(installation, new_installation(), 1, PARTITIONS) as nodes:
        await copied(nodes, lines, tmp_path, restarts=False)
        asked = bank.counters.requests
        await lose(nodes)
        bring_back(nodes, tmp_path)
        a = nodes.daemons[0]
        a.child.send_signal(signal.SIGSTOP)
        b = await nodes.restart(1)
        a.child.send_signal(signal.SIGCONT)
        await is_outdated(b, "worker a/0: ")
        await until(partial(refuses, nodes.ports[1]))
        assert bank.counters.requests == asked
        await end(b)
