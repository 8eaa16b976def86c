"""Several workers on one port: whichever a terminal reaches, its partition decides; who dies takes nobody along."""

import asyncio
import json
import os
import random
import signal

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .terminal import Terminal
from .test_trace import authswitch
from .unruly import one_bank

SPOKEN = "iso87-ascii"
WORKERS = 2
KILLS = 6


def several(installation, **journal):
    installation.journal = {"mode": "files", "directory": "journal", **journal}
    installation.workers = WORKERS


async def say(installation, port, request, seconds=30.0):
    """Send a request until it is answered, over a new connection each time; the bytes of its answer."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                async with await Terminal.connect(installation, port, SPOKEN) as terminal:
                    terminal.send(request)
                    _, data, _ = await asyncio.wait_for(terminal.receive(), 2.0)
                    return data
            except (OSError, EOFError, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(0.05)


async def workers(daemon):
    return (await daemon.status())["workers"]


async def test_repeats_on_whichever_worker_are_repeats(installation):
    several(installation)
    async with one_bank(installation) as bank, running(installation) as daemon:
        port = daemon.ports["pos"]
        requests = [installation.request(SPOKEN, terminal=name) for name in TERMINALS[:8] for _ in range(4)]
        told = await asyncio.gather(*(say(installation, port, request) for request in requests))
        for _ in range(3):
            again = await asyncio.gather(*(say(installation, port, request) for request in requests))
            assert again == told
        assert bank.counters.requests == len(requests)
        rows = await workers(daemon)
        assert [row["partitions"] for row in rows] == [[0], [1]]
        taken = await daemon.metric("authswitch_requests_total", listener="pos")
        assert taken == 4 * len(requests), "each request is counted where it is decided, and once"
        handed_over = await daemon.metric("authswitch_mesh_frames_total")
        assert handed_over == await daemon.metric("authswitch_mesh_answers_total") > 0


async def test_a_worker_that_dies_takes_nobody_along(installation):
    several(installation)
    draw = random.Random(7)
    # What had not left when its worker died is not known to the issuer, and that is believed at once.
    at_once = {"booking_horizon_seconds": 0}
    async with one_bank(installation, reversal=at_once) as bank, running(installation) as daemon:
        port = daemon.ports["pos"]
        told, handed_over = {}, 0
        stop = asyncio.Event()

        async def shop(name):
            while not stop.is_set():
                request = installation.request(SPOKEN, terminal=name)
                told[request] = await say(installation, port, request)

        shoppers = [asyncio.create_task(shop(name)) for name in TERMINALS[:8]]
        for _ in range(KILLS):
            rows = await workers(daemon)
            victim = draw.choice([row for row in rows if row["state"] == "runs"])
            count = len(told)
            os.kill(victim["pid"], signal.SIGKILL)
            await until(lambda count=count: len(told) > count + 20, 30)
            await until(daemon.is_whole, 30)
            await daemon.counted("authswitch_mesh_frames_total", handed_over)
            handed_over = await daemon.metric("authswitch_mesh_frames_total")
        assert handed_over > 0
        stop.set()
        await asyncio.gather(*shoppers)
        assert sum(row["restarts"] for row in await workers(daemon)) == KILLS
        again = {request: await say(installation, port, request) for request in told}
        async with await Terminal.connect(installation, port, SPOKEN) as terminal:

            def code(answer):
                return terminal.profile.scan(answer).text(39)

            assert again == told
            codes = [code(answer) for answer in told.values()]
        await until(lambda: daemon_is_settled(daemon), 60)
        standing = [entry for entry in bank.ledger.entries if entry.state == "approved"]
        assert len(standing) == codes.count("00"), "each receipt is booked once, and nothing else is"
    status, output, errors = await authswitch("journal", "verify", daemon.config, "--json")
    assert status == 0, errors
    assert [one["open_reversals"] for one in json.loads(output)["partitions"]] == [0] * WORKERS


async def test_a_worker_that_hangs_is_killed_and_started_again(installation):
    several(installation)
    installation.limits["worker_silence_seconds"] = 3  # a loop that a loaded machine does not run has more
    async with one_bank(installation) as bank, running(installation) as daemon:
        port = daemon.ports["pos"]
        requests = [installation.request(SPOKEN, terminal=name) for name in TERMINALS[:8]]
        told = [await say(installation, port, request) for request in requests]
        hangs = (await workers(daemon))[1]["pid"]
        doubts = daemon.said("doubtful configuration")
        os.kill(hangs, signal.SIGSTOP)
        assert (await daemon.event("hangs: killed, to be forked again", worker="1"))["pid"] == hangs
        await until(daemon.is_whole)
        assert [await say(installation, port, request) for request in requests] == told
        assert bank.counters.requests == len(requests)
        assert (await workers(daemon))[1]["restarts"] == 1
        assert await daemon.metric("authswitch_worker_silences_total", worker="1") == 1
        desk = daemon.said("forked", worker="desk")[0]["pid"]
        os.kill(desk, signal.SIGSTOP)
        await daemon.event("hangs: killed, to be forked again", worker="desk")
        assert await say(installation, port, requests[0]) == told[0]
        again = await daemon.event("serving", times=2)
        daemon.admin, daemon.admin_port = again["admin"], int(again["admin"].rpartition(":")[2])
        await until(daemon.is_whole)
        assert daemon.said("doubtful configuration") == doubts, "told once"
        assert len({line["key"] for line in doubts}) == len(doubts) > 0


async def daemon_is_settled(daemon):
    return (await daemon.status())["reversals_waiting"] == 0
