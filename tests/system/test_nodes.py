"""Two nodes are one switch: whichever a terminal reaches, its partition decides; who is away takes nobody along."""

import asyncio
import contextlib
import os
import signal

import pytest

from switch.machine.partitioning import partition_of
from switch.simulators.scenario import PaymentCard

from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes, is_left_unanswered, node_rows
from .terminal import Terminal
from .test_trace import authswitch
from .test_workers import SPOKEN, say, workers
from .unruly import one_bank

COUNT_LIMIT = "65"


def names_of(node, nodes=2):
    """Some terminals of a node's partitions."""
    return [name for name in TERMINALS[:8] if partition_of(name, nodes) == node]


@pytest.mark.parametrize(("workers", "partitions"), [(1, 2), (2, 4), ((2, 1), 3)])
async def test_repeats_on_whichever_node_are_repeats(installation, new_installation, workers, partitions):
    async with one_bank(installation) as bank, Nodes(installation, new_installation(), workers, partitions) as nodes:
        for table in installation.nodes:
            host, _, first = table["address"].rpartition(":")
            for number in range(table["workers"]):
                _, writer = await asyncio.open_connection(host, int(first) + number)  # as others would call
                writer.close()
        ports = [daemon.ports["pos"] for daemon in nodes.daemons]
        requests = [installation.request(SPOKEN, terminal=name) for name in TERMINALS[:8] for _ in range(4)]
        told = await asyncio.gather(
            *(say(installation, ports[number % 2], request) for number, request in enumerate(requests))
        )
        for shift in (1, 0, 1):
            again = await asyncio.gather(
                *(say(installation, ports[(number + shift) % 2], request) for number, request in enumerate(requests))
            )
            assert again == told
        assert bank.counters.requests == len(requests)
        taken = [await daemon.metric("authswitch_requests_total", listener="pos") for daemon in nodes.daemons]
        assert sum(taken) == 4 * len(requests), "each request is counted where it is decided, and once"
        assert min(taken) > 0


async def test_a_limit_holds_over_all_nodes(installation, new_installation):
    """What the other node has not heard of yet may slip through, and no more than its own limit."""
    installation.risk = '[[limits]]\nname = "card"\nper = "card"\nwindow_seconds = 3600\ncount_max = 5\n'
    async with one_bank(installation), Nodes(installation, new_installation(), 2, 4) as nodes:
        approved = [0, 0]
        for at in range(20):
            number = at % 2
            async with await Terminal.connect(installation, nodes.daemons[number].ports["pos"], SPOKEN) as terminal:
                approved[number] += await terminal.code(terminal=TERMINALS[at % 8]) == "00"
        assert 5 <= sum(approved) <= 10
        for daemon in nodes.daemons:
            async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal:
                codes = {await terminal.code(terminal=name) for name in TERMINALS[:8]}
                assert codes == {COUNT_LIMIT}, "and everybody has heard of it"


async def test_nodes_that_are_configured_differently_say_so_on_both_sides(installation, new_installation):
    async with one_bank(installation):
        nodes = Nodes(installation, new_installation(), workers=2, partitions=4)
        nodes.installations[1].listeners[0]["requests_in_flight_max"] = 65
        nodes.installations[1].write()
        try:
            await asyncio.gather(*(daemon.start() for daemon in nodes.daemons))
            differs = "it has other listeners"
            for daemon, is_told in zip(
                nodes.daemons, (f"its call was refused: {differs}", f"cannot be called: {differs}"), strict=True
            ):

                async def are_told(daemon=daemon, is_told=is_told):
                    rows = node_rows(await daemon.status())
                    return all(row["reason"] == is_told for row in rows) and len(rows) == 4

                await until(are_told)
                assert len((await daemon.status())["partitions"]) == 2
                status, shown, errors = await authswitch("status", "--admin", f"127.0.0.1:{daemon.admin_port}")
                assert status == 0, errors + shown
                assert max(map(len, shown.splitlines())) <= 80
                assert "refused" in shown or "cannot be called" in shown
        finally:
            await asyncio.gather(*(daemon.stop() for daemon in nodes.daemons))


AMOUNT_MAX = 100_000
OUR_CARD, *MARKS = (PaymentCard(pan=f"62250000000000{end}") for end in (14, 22, 30))
AMOUNT_LIMIT = "61"


async def pay(installation, daemon, terminal, amount_minor, card=OUR_CARD):
    """The response code of a payment."""
    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
        return await line.code(terminal=terminal, amount_minor=amount_minor, card=card)


@contextlib.asynccontextmanager
async def standing_still(daemon):
    """All its processes hear nothing and say nothing."""
    own = [daemon.child.pid, *(row["pid"] for row in await workers(daemon))]
    for process in own:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in own:
            os.kill(process, signal.SIGCONT)


async def test_what_a_worker_counted_that_died_alone_the_other_node_hears_of_its_successor(
    installation, new_installation
):
    """And that one has not forgotten what the other node told, which is not counted twice."""
    installation.risk = (
        f'[[limits]]\nname = "card"\nper = "card"\nwindow_seconds = 3600\ncurrency = "156"\namount_max = {AMOUNT_MAX}\n'
    )
    async with one_bank(installation), Nodes(installation, new_installation(), 2, 4) as nodes:
        here, there = nodes.daemons
        # Of the first worker of each node.
        own, far = (next(one for one in TERMINALS if partition_of(one, 4) == partition) for partition in (0, 1))

        async def is_told(counting, hearing, terminals, card):
            """Whatever was counted before this is known at the other node."""
            assert await pay(installation, counting, terminals[0], AMOUNT_MAX, card) == "00"

            async def is_known():
                return await pay(installation, hearing, terminals[1], 1, card) == AMOUNT_LIMIT

            await until(is_known)

        assert await pay(installation, there, far, 10_000) == "00"
        await is_told(there, here, (far, own), MARKS[0])
        async with standing_still(there):
            for number in range(2):
                await here.event("node lost", worker=f"b/{number}")
            assert await pay(installation, here, own, 50_000) == "00"
            os.kill((await workers(here))[0]["pid"], signal.SIGKILL)
            await until(here.is_whole)
        await until(nodes.are_joined, 20)
        await is_told(here, there, (own, far), MARKS[1])
        assert await pay(installation, there, far, 40_001) == AMOUNT_LIMIT
        assert await pay(installation, here, own, 40_000) == "00"


async def test_a_node_that_is_away_takes_its_partitions_and_nothing_else(installation, new_installation):
    async with one_bank(installation), Nodes(installation, new_installation()) as nodes:
        port = nodes.daemons[0].ports["pos"]
        nodes.daemons[1].end_status = -signal.SIGKILL
        nodes.daemons[1].kill()
        await nodes.daemons[0].event("node lost", worker="b/0")
        async with await Terminal.connect(installation, port, SPOKEN) as terminal:
            own, others = names_of(0), names_of(1)
            assert {await terminal.code(terminal=name) for name in own} == {"00"}
            for name in others:
                request = installation.request(SPOKEN, terminal=name)
                await is_left_unanswered(nodes.daemons[0], terminal, request)
            assert {await terminal.code(terminal=name) for name in own} == {"00"}
            assert await nodes.daemons[0].is_ready(), "it serves whom it can"
            await nodes.restart(1)
            await until(nodes.are_joined)
            assert {await terminal.code(terminal=name) for name in (*own, *others)} == {"00"}
