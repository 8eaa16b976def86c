"""Nodes that do not hear each other for a while: nobody waits for ever, and nobody pays twice."""

import asyncio
import signal

import pytest

from switch.machine.partitioning import partition_of

from .balancer import Gate
from .daemon import until
from .installation import TERMINALS, profile_of
from .nodes import Nodes, is_left_unanswered
from .terminal import Terminal
from .test_workers import SPOKEN, say
from .unruly import hold, one_bank

PARTITIONS = 2
OF = [[one for one in TERMINALS if partition_of(one, PARTITIONS) == number][:4] for number in range(PARTITIONS)]
LOST = {"it says nothing", "it has ended"}


class Valve(Gate):
    """What two nodes speak through: each way can be closed by itself, and what is said then waits."""

    def __init__(self):
        super().__init__()
        self.ways = {is_there: asyncio.Event() for is_there in (True, False)}
        for way in self.ways.values():
            way.set()

    async def _pass(self, reader, writer):
        way = self.ways[writer.get_extra_info("peername")[1] == self.target]
        while data := await reader.read(65_536):
            await way.wait()
            writer.write(data)
            await writer.drain()


class Shoppers:
    """Terminals that pay at both nodes in turn, and ask until they are told."""

    def __init__(self, installation, nodes):
        self._installation = installation
        self._nodes = nodes
        self._stop = asyncio.Event()
        self.told = {}
        self._tasks = [asyncio.create_task(self._shop(name)) for names in OF for name in names]

    def _code(self, answer):
        return profile_of(SPOKEN).scan(answer).text(39)

    async def _shop(self, name):
        while not self._stop.is_set():
            await self.tell(self._installation.request(SPOKEN, terminal=name))
            await asyncio.sleep(0.02)

    async def tell(self, request):
        """Send a request until it is decided."""
        self.told[request] = await say(self._installation, self._nodes.ports[len(self.told) % 2], request)

    async def pay_at(self, port, terminal):
        """Pay once at one node; whether that was approved."""
        request = self._installation.request(SPOKEN, terminal=terminal)
        self.told[request] = await say(self._installation, port, request)
        return self._code(self.told[request]) == "00"

    async def go_on(self):
        """Wait until more has been paid."""
        count = len(self.told) + 30
        await until(lambda: len(self.told) > count, 30)

    async def close(self, bank):
        """End, and compare what they were told with what was booked."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        for shift in (0, 1):
            for number, (request, answer) in enumerate(self.told.items()):
                assert await say(self._installation, self._nodes.ports[(number + shift) % 2], request) == answer
        await until(self._nodes.settled, 60)
        standing = [entry for entry in bank.ledger.entries if entry.state == "approved"]
        assert len(standing) == [self._code(answer) for answer in self.told.values()].count("00")


async def is_unanswered_at(installation, daemon, terminal):
    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
        await is_left_unanswered(daemon, line, installation.request(SPOKEN, terminal=terminal))


AT_ONCE = {"booking_horizon_seconds": 0}


async def test_a_node_that_stands_still_is_noticed_and_joins_again(installation, new_installation):
    async with one_bank(installation, reversal=AT_ONCE) as bank:
        nodes = Nodes(installation, new_installation(), partitions=PARTITIONS)
        async with nodes:
            here, there = nodes.daemons
            shoppers = Shoppers(installation, nodes)
            await shoppers.go_on()
            bank.mangle = hold
            await until(lambda: len(bank.held) >= 4)
            there.signal(signal.SIGSTOP)
            try:
                assert (await here.event("node lost", worker="b/0"))["reason"] == "it says nothing"
                bank.mangle = None
                for exchange, answer in bank.held:
                    bank.deliver(exchange, answer)
                assert await shoppers.pay_at(nodes.ports[0], OF[0][0])
                await is_unanswered_at(installation, here, OF[1][0])
            finally:
                there.signal(signal.SIGCONT)
            await there.event("node lost", worker="a/0")
            await until(nodes.are_joined, 20)
            await shoppers.go_on()
            await shoppers.close(bank)
        assert await nodes.open_reversals() == 0


@pytest.mark.parametrize("is_there", [True, False], ids=["from the one who calls", "to the one who calls"])
async def test_a_line_that_passes_one_way_only_is_no_line(installation, new_installation, is_there):
    async with one_bank(installation, reversal=AT_ONCE) as bank, Valve() as valve:
        nodes = Nodes(installation, new_installation(), partitions=PARTITIONS)
        first, second = nodes.installations
        valve.target = int(first.nodes[0]["address"].rpartition(":")[2])
        second.nodes = [{**first.nodes[0], "address": f"127.0.0.1:{valve.port}"}, first.nodes[1]]
        second.write()
        async with nodes:
            shoppers = Shoppers(installation, nodes)
            await shoppers.go_on()
            for _ in range(2):
                seen = [len(daemon.said("node lost")) for daemon in nodes.daemons]
                valve.ways[is_there].clear()
                for daemon, count in zip(nodes.daemons, seen, strict=True):
                    assert (await daemon.event("node lost", times=count + 1))["reason"] in LOST
                for own, port in enumerate(nodes.ports):
                    assert await shoppers.pay_at(port, OF[own][0])
                    await is_unanswered_at(installation, nodes.daemons[own], OF[1 - own][0])
                valve.ways[is_there].set()
                await until(nodes.are_joined, 30)
                await shoppers.go_on()
            await shoppers.close(bank)
        assert await nodes.open_reversals() == 0
