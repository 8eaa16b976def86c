"""Links held out of service by an operator: while payments flow, over restarts, and while the store is away."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager

import pytest

from switch.rulebooks.copying import copied
from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .terminal import Terminal
from .test_rulebooks import AWAY, Desk, codes
from .test_trace import daemon_at
from .test_workers import SPOKEN
from .unruly import UnrulyIssuer, one_bank

PURCHASES = 10_000
TILLS = 8
TO_BOTH = {"6": "bank-a:1|bank-b:2"}
APPROVED, UNAVAILABLE = "00", "91"


@pytest.fixture
def desk(installation, store_url):  # noqa: F811
    return Desk.of(installation, store_url)


@asynccontextmanager
async def two_banks(installation):
    """The second one is asked where the first cannot be."""
    installation.routes = dict(TO_BOTH)
    async with one_bank(installation) as first:
        second = installation.issuer("bank-b", "iso87-ascii", UnrulyIssuer)
        await second.listen()
        installation.link("bank-b", port=second.port)
        try:
            yield first, second
        finally:
            await second.stop()


def asked(bank):
    """How many payments an issuer was asked for, and how many it has taken back."""
    return len(bank.ledger.entries), sum(entry.state == "reversed" for entry in bank.ledger.entries)


async def held(daemon):
    """What the daemon's status says of each link."""
    return {row["name"]: row["held"] for row in (await daemon.status())["links"]}


class Tills:
    """Terminals that pay one after another, so many times together and until it is enough."""

    def __init__(self, desk, daemon):
        self.codes = []
        self._desk = desk
        self._daemon = daemon
        self._begun = 0
        self._is_enough = False

    def enough(self):
        """What was to be seen was seen."""
        self._is_enough = True

    async def pay(self):
        """All of it."""
        await asyncio.gather(*(self._pay(terminal) for terminal in TERMINALS[:TILLS]))

    async def reached(self, count):
        """So many were paid."""
        await until(lambda: len(self.codes) >= count, seconds=120)

    async def _pay(self, terminal):
        async with await Terminal.connect(self._desk.installation, self._daemon.ports["pos"], SPOKEN) as till:
            while self._begun < PURCHASES or not self._is_enough:
                self._begun += 1
                answer = await till.ask(self._desk.installation.request(SPOKEN, terminal=terminal))
                self.codes.append(answer.text(39))


@pytest.mark.parametrize("workers", [1, 2])
async def test_ten_thousand_payments_pass_while_a_link_is_held_out_and_released(desk, workers):
    desk.installation.workers = workers
    async with two_banks(desk.installation) as (first, second):
        await desk.begins()
        async with running(desk.installation) as daemon:
            await until(lambda: len(daemon.said("link up")) == 2 * workers)
            tills = Tills(desk, daemon)
            paying = asyncio.create_task(tills.pay())
            await tills.reached(PURCHASES // 5)
            assert asked(second) == (0, 0)
            await desk.does("links", "hold", "bank-a", "--why", "works at its host")
            done = time.monotonic()
            await daemon.event("link held out", times=workers, link="bank-a", why="works at its host")
            assert time.monotonic() - done < 1.0
            until_then = len(tills.codes)
            await tills.reached(until_then + TILLS)
            count = asked(first)[0]
            await tills.reached(until_then + PURCHASES // 5)
            assert asked(first)[0] == count
            assert await held(daemon) == {"bank-a": "requests", "bank-b": "nothing"}
            (row,) = (await daemon.status())["held_links"]
            assert (row["link"], row["held"], row["why"]) == ("bank-a", "requests", "works at its host")
            assert abs(row["since"] - time.time()) < 60
            await daemon.counted("authswitch_link_held", 1, link="bank-a")
            assert await daemon.is_ready()
            await desk.does("links", "release", "bank-a", *WHY)
            await daemon.event("link released", times=workers)
            await until(lambda: asked(first)[0] > count)
            tills.enough()
            await paying
            assert "held_links" not in await daemon.status()
    assert len(tills.codes) >= PURCHASES
    assert set(tills.codes) == {APPROVED}
    (of_first, back), (of_second, back_too) = asked(first), asked(second)
    assert of_first + of_second == len(tills.codes)
    assert (back, back_too) == (0, 0)
    assert of_second > PURCHASES // 5


@pytest.mark.parametrize("workers", [1, 2])
async def test_it_stays_held_out_over_restarts_with_and_without_the_store(desk, workers):
    desk.installation.workers = workers
    async with one_bank(desk.installation) as bank:
        await desk.begins()
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 1) == [APPROVED]
            await desk.does("links", "hold", "bank-a", *WHY)
            await daemon.event("link held out", times=workers)
            assert await codes(desk, daemon, 2) == [UNAVAILABLE] * 2
            assert await daemon.is_ready(), "a hold is so everywhere: no balancer needs to know of it"
            await until(lambda: (kept := copied(desk.folder / "in-force", "holds")) and kept.version == 1)
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 1) == [UNAVAILABLE]
        url, desk.installation.store_url = desk.installation.store_url, f"sqlite:{desk.folder}/away.db"
        async with running(desk.installation) as daemon:
            await daemon.event(AWAY, times=workers)
            assert await held(daemon) == {"bank-a": "requests"}
            assert await codes(desk, daemon, 1) == [UNAVAILABLE]
        desk.installation.store_url = url
        desk.installation.write()
        await desk.does("links", "release", "bank-a", *WHY)
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 1) == [APPROVED]
        assert asked(bank) == (2, 0)


async def test_a_worker_that_takes_a_dead_ones_place_holds_it_out_too(desk):
    desk.installation.workers = 2
    async with one_bank(desk.installation):
        await desk.begins()
        async with running(desk.installation) as daemon:
            await desk.does("links", "hold", "bank-a", *WHY)
            await daemon.event("link held out", times=2)
            for row in (await daemon.status())["workers"]:
                os.kill(row["pid"], signal.SIGKILL)
            await daemon.event("link held out", times=4)
            await daemon.event("worker serves", times=4)
            assert await codes(desk, daemon, 2) == [UNAVAILABLE] * 2


async def test_what_an_issuer_is_owed_waits_where_that_is_held_with_it(desk):
    async with one_bank(desk.installation, timeout_ms=4000) as bank:
        await desk.begins()
        async with running(desk.installation) as daemon:
            bank.mangle = lambda _issuer, _exchange, _answer: None
            async with await Terminal.connect(desk.installation, daemon.ports["pos"], SPOKEN) as till:
                till.send(desk.installation.request(SPOKEN))
                await until(lambda: asked(bank)[0] == 1)
                await desk.does("links", "hold", "bank-a", "--owed", *WHY)
                await daemon.event("link held out", held="all")
                assert (await till.answer()).text(39) == "68"
            bank.mangle = None
            assert "link held" in await desk.does("reversals", "list", *daemon_at(daemon))
            assert asked(bank) == (1, 0)
            await desk.does("links", "hold", "bank-a", *WHY)
            await until(lambda: asked(bank) == (1, 1))
