"""Links that move to other endpoints by the store: while payments flow, and over a restart."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from switch.rulebooks.copying import copied
from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.backoffice.registry import WHY, call

from .conftest import running
from .daemon import until
from .test_held_links import APPROVED, PURCHASES, TILLS, Tills, asked
from .test_rulebooks import AWAY, Desk, codes
from .unruly import UnrulyIssuer, one_bank

LINK = '[[link]]\nname = "bank-a"\n'


@pytest.fixture
def desk(installation, store_url):  # noqa: F811
    return Desk.of(installation, store_url)


@asynccontextmanager
async def two_hosts(installation, **link):
    """Two hosts of one issuer; the configuration names the first."""
    async with one_bank(installation, **link) as first:
        second = installation.issuer("bank-a", "iso87-ascii", UnrulyIssuer)
        await second.listen()
        try:
            yield first, second
        finally:
            await second.stop()


def at(host, more=""):
    return f'{LINK}endpoints = ["127.0.0.1:{host.port}"]\n{more}'


@pytest.mark.parametrize("workers", [1, 2])
async def test_ten_thousand_payments_pass_while_a_link_moves_to_another_host(desk, workers):
    desk.installation.workers = workers
    async with two_hosts(desk.installation, timeout_ms=3_000) as (first, second):
        await desk.begins()
        async with running(desk.installation) as daemon:
            tills = Tills(desk, daemon)
            paying = asyncio.create_task(tills.pay())
            await tills.reached(PURCHASES // 5)
            assert asked(second) == (0, 0)
            await desk.puts("endpoints", at(second, "connections = 2\n"))
            await daemon.event("a link has moved to other endpoints", times=workers, link="bank-a")
            await daemon.event("link connection lost", times=workers, reason="signed off")
            count = asked(first)[0]
            before = len(tills.codes)
            await tills.reached(before + 10 * TILLS)
            assert asked(first)[0] == count
            await daemon.counted("authswitch_link_connections", 2 * workers, link="bank-a")
            tills.enough()
            await paying
    assert len(tills.codes) >= PURCHASES
    assert set(tills.codes) == {APPROVED}
    (of_first, back), (of_second, back_too) = asked(first), asked(second)
    assert of_first + of_second == len(tills.codes)
    assert (back, back_too) == (0, 0)
    assert of_second > 0


async def test_former_connections_stay_until_a_new_one_is_signed_on(desk):
    async with two_hosts(desk.installation, timeout_ms=1_000) as (first, second):
        await desk.begins()
        await second.stop()
        async with running(desk.installation) as daemon:
            await desk.puts("endpoints", at(second))
            await daemon.event("link connection lost", endpoint=f"127.0.0.1:{second.port}")
            assert await codes(desk, daemon, 2) == [APPROVED] * 2
            assert asked(first) == (2, 0)
            await second.restart()
            await daemon.event("a link has moved to other endpoints")
            assert await codes(desk, daemon, 2) == [APPROVED] * 2
            assert asked(second) == (2, 0)


async def test_a_move_that_is_taken_back_before_it_is_made_changes_nothing(desk):
    async with two_hosts(desk.installation) as (first, second):
        await desk.begins()
        await second.stop()
        async with running(desk.installation) as daemon:
            await desk.puts("endpoints", at(second))
            await daemon.event("link connection lost", endpoint=f"127.0.0.1:{second.port}")
            await desk.puts("endpoints", at(first))
            await daemon.event("a link has moved to other endpoints")
            assert await codes(desk, daemon, 2) == [APPROVED] * 2
            await daemon.counted("authswitch_link_connections", 1, link="bank-a")
            assert not daemon.said("link connection lost", endpoint=f"127.0.0.1:{first.port}")


async def test_it_is_called_there_after_a_restart_without_the_store(desk):
    async with two_hosts(desk.installation, timeout_ms=1_000) as (first, second):
        await desk.begins()
        async with running(desk.installation) as daemon:
            await desk.puts("endpoints", at(second, "in_flight_max = 1000\n"))
            await daemon.event("a link has moved to other endpoints")
            await until(lambda: (kept := copied(desk.folder / "in-force", "endpoints")) and kept.version == 1)
        desk.installation.store_url = f"sqlite:{desk.folder}/away.db"
        async with running(desk.installation) as daemon:
            await daemon.event(AWAY)
            assert await daemon.metric("authswitch_rulebook_version", rulebook="endpoints") == 1
            assert await codes(desk, daemon, 2) == [APPROVED] * 2
        assert asked(first) == (0, 0)
        assert asked(second) == (2, 0)


async def test_fewer_requests_at_once_are_given_to_an_issuer(desk):
    async with one_bank(desk.installation, reversal={"window": 1}) as bank:
        await desk.begins()
        async with running(desk.installation) as daemon:
            await desk.puts("endpoints", f"{LINK}in_flight_max = 1\n")
            await daemon.event("rulebook in force", rulebook="endpoints")
            bank.mangle = lambda issuer, exchange, answer: issuer.held.append((exchange, answer))
            waiting = asyncio.create_task(codes(desk, daemon, 1))
            await until(lambda: bank.held)
            assert await codes(desk, daemon, 1) == ["91"]
            bank.mangle = None
            bank.deliver(*bank.held.pop())
            assert await waiting == [APPROVED]
        said = await asyncio.to_thread(refused, desk, f"{LINK}timeout_ms = 100\n", *WHY)
        assert "stays in the configuration: another one needs a drain and a start" in said


def refused(desk, text, *why):
    file = desk.folder / "refused.toml"
    file.write_text(text)
    status, output = call("endpoints", "put", desk.config, file, *why)
    assert status != 0
    return " ".join(output.split())
