"""A sale is found and refunded once at whichever till, of whichever worker or node; whoever of them dies in between."""

import asyncio
import json
import signal

import pytest

from switch.machine.partitioning import partition_of

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes
from .terminal import Terminal
from .test_partitions import receipt
from .test_trace import authswitch
from .test_workers import SPOKEN, several
from .unruly import one_bank

EXCESS, UNDONE, NOT_KNOWN_NOW = "13", "12", "96"


def tills(partitions, count=3):
    """Terminals of different partitions."""
    found = {partition_of(name, partitions): name for name in reversed(TERMINALS[:8])}
    return [found[number] for number in range(count)]


async def sell(installation, port, till, amount_minor=50_00):
    """What the terminal keeps of a sale."""
    request = installation.request(SPOKEN, terminal=till, amount_minor=amount_minor)
    async with await Terminal.connect(installation, port, SPOKEN) as terminal:
        answer = await terminal.ask(request)
        assert answer.text(39) == "00"
        return receipt(terminal, request, answer)


async def refund(installation, port, till, sale, amount_minor=50_00, kind="refund"):
    """The code that a till is told, which has nothing but the number on the slip."""
    change = {"change": lambda pieces: pieces.pop(90, None)}
    request = installation.request(SPOKEN, kind, terminal=till, amount_minor=amount_minor, original=sale, **change)
    async with await Terminal.connect(installation, port, SPOKEN) as terminal:
        return (await terminal.ask(request, 20)).text(39)


async def is_told(daemons):
    """Whether each keeper knows what became of what was claimed."""
    open_claims = [await daemon.metric("authswitch_claims_undecided") for daemon in daemons]
    return not any(open_claims)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_sale_is_refunded_once_at_whichever_till(installation, workers):
    several(installation, partitions=4)
    installation.workers = workers
    async with one_bank(installation), running(installation) as daemon:
        port = daemon.ports["pos"]
        first, second, third = tills(4)
        sale = await sell(installation, port, first)
        codes = await asyncio.gather(
            *(refund(installation, port, till, sale) for till in (second, third, first, second))
        )
        assert sorted(codes) == ["00", EXCESS, EXCESS, EXCESS]
        await until(lambda: is_told([daemon]))
        assert await refund(installation, port, third, sale, kind="void") == UNDONE


async def traced(config, rrn):
    """What is told of a transaction."""
    status, output, errors = await authswitch("trace", config, rrn, "--json")
    assert status == 0, errors
    (found,) = json.loads(output)["transactions"]
    return found


async def test_what_was_refunded_is_known_after_a_restart(installation):
    several(installation, partitions=4)
    first, second, third = tills(4)
    async with one_bank(installation):
        async with running(installation) as daemon:
            sale = await sell(installation, daemon.ports["pos"], first)
            assert await refund(installation, daemon.ports["pos"], second, sale, 30_00) == "00"
        async with running(installation) as daemon:
            assert await refund(installation, daemon.ports["pos"], third, sale, 30_00) == EXCESS
            assert await refund(installation, daemon.ports["pos"], third, sale, 20_00) == "00"
            assert await refund(installation, daemon.ports["pos"], first, sale, 1) == EXCESS
            config = daemon.config
    found = await traced(config, sale.rrn)
    assert found["verdict"]["code"] == "refunded"
    assert found["referred_to_by"].count("refund of") == 2
    status, output, errors = await authswitch("journal", "dump", config)
    assert status == 0, errors
    assert output.count(" CLAIM ") == 2
    assert "claim=0:" in output


async def test_a_sale_of_another_node_is_refunded_once(installation, new_installation):
    installation.originals = {"not_found": "refuse", "timeout_ms": 1_000}
    second_installation = new_installation()
    second_installation.originals = installation.originals
    async with one_bank(installation), Nodes(installation, second_installation, 2, 4) as nodes:
        first, second, third = tills(4)
        ports = [daemon.ports["pos"] for daemon in nodes.daemons]
        sale = await sell(installation, ports[0], first)
        assert await refund(installation, ports[1], second, sale, 30_00) == "00"
        nodes.daemons[0].end_status = -signal.SIGKILL
        nodes.daemons[0].kill()
        await nodes.daemons[1].event("node lost", worker="a/0")
        assert await refund(installation, ports[1], second, sale, 20_00) == NOT_KNOWN_NOW
        await nodes.restart(0)
        await until(nodes.are_joined)
        assert await refund(installation, ports[1], second, sale, 30_00) == EXCESS
        assert await refund(installation, ports[0], third, sale, 20_00) == "00"
        await until(lambda: is_told(nodes.daemons))
        assert await refund(installation, ports[1], second, sale, 1) == EXCESS
