"""One of two nodes is drained while the other one serves: what its terminals wait for comes home before it ends."""

import asyncio
import signal

import pytest

from switch.machine.partitioning import partition_of

from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes
from .terminal import Terminal
from .test_partitions import receipt
from .test_workers import SPOKEN
from .unruly import hold, one_bank

PARTITIONS = 2
UNREACHABLE = "91"
OF = [[one for one in TERMINALS if partition_of(one, PARTITIONS) == number] for number in range(PARTITIONS)]


async def begin_drain(daemon):
    """Let a node end, and wait until it has begun to."""
    daemon.signal()

    async def is_draining():
        return not await daemon.is_ready()

    await until(is_draining)


@pytest.mark.parametrize("own", [0, 1], ids=["who is called", "who calls"])
async def test_a_drained_node_waits_for_what_the_other_one_decides(installation, new_installation, own):
    async with one_bank(installation) as bank, Nodes(installation, new_installation()) as nodes:
        bank.mangle = hold
        here = nodes.daemons[own]
        async with await Terminal.connect(installation, nodes.ports[own], SPOKEN) as terminal:
            terminal.send(installation.request(SPOKEN, terminal=OF[1 - own][0]))
            await until(lambda: bank.held)
            await begin_drain(here)
            await asyncio.sleep(0.5)  # longer than one that did not wait would take
            bank.deliver(*bank.held[0])
            assert (await terminal.answer()).text(39) == "00"
            assert await terminal.is_closed()
        assert await here.ended() == 0
        assert not here.said("drained with work left")
        await until(nodes.daemons[1 - own].is_ready)
        assert (await nodes.daemons[1 - own].status())["reversals_waiting"] == 0
        assert [entry.state for entry in bank.ledger.entries] == ["approved"]
    assert await nodes.open_reversals() == 0


async def test_a_drained_node_answers_what_waits_for_one_that_is_away(installation, new_installation):
    installation.limits["partition_wait_ms"] = 2_000
    async with one_bank(installation), Nodes(installation, new_installation()) as nodes:
        here, there = nodes.daemons
        async with await Terminal.connect(installation, nodes.ports[0], SPOKEN) as terminal:
            paid = installation.request(SPOKEN, terminal=OF[1][0])
            told = await terminal.ask(paid)
            there.end_status = -signal.SIGKILL
            there.kill()
            await here.event("node lost", worker="b/0")
            original = receipt(terminal, paid, told)
            terminal.send(installation.request(SPOKEN, "reversal", OF[1][0], original=original))
            await here.counted("authswitch_mesh_waiting_frames", 1, worker="b/0")
            here.signal()
            assert (await terminal.answer()).text(39) == UNREACHABLE
        assert await here.ended() == 0


async def test_what_the_other_node_decides_after_the_drain_is_over_is_taken_back(installation, new_installation):
    installation.limits["drain_seconds"] = 1
    async with one_bank(installation) as bank, Nodes(installation, new_installation()) as nodes:
        here, there = nodes.daemons
        bank.mangle = hold
        async with await Terminal.connect(installation, nodes.ports[0], SPOKEN) as terminal:
            terminal.send(installation.request(SPOKEN, terminal=OF[1][0]))
            await until(lambda: bank.held)
            here.end_status = 1
            here.signal()
            assert await terminal.is_closed()
            assert await here.ended() == 1
        assert here.said("drained with work left", in_flight=0, at_other_workers=1)
        bank.mangle = None
        bank.deliver(*bank.held[0])
        await until(lambda: [entry.state for entry in bank.ledger.entries] == ["reversed"])

        async def is_settled():
            return not (await there.status())["reversals_waiting"]

        await until(is_settled)
    assert await nodes.open_reversals() == 0


async def test_a_drained_node_keeps_the_only_connection_of_a_link_for_what_others_sent_on_it(
    installation, new_installation
):
    async with (
        one_bank(installation, connections_total=1) as bank,
        Nodes(installation, new_installation()) as nodes,
    ):
        here, there = nodes.daemons
        assert [(await daemon.status())["links"][0]["connections"] for daemon in nodes.daemons] == [1, 0]
        bank.mangle = hold
        async with await Terminal.connect(installation, nodes.ports[1], SPOKEN) as terminal:
            terminal.send(installation.request(SPOKEN, terminal=OF[1][0]))
            await until(lambda: bank.held)
            here.signal()
            await there.event("link down", link="bank-a")
            bank.mangle = None
            bank.deliver(*bank.held[0])
            assert (await terminal.answer()).text(39) == "00"
        assert await here.ended() == 0
