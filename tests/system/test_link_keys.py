"""Another key of a link while a real daemon runs: nothing is drained, and no payment gets lost."""

import asyncio
import dataclasses
import os
import signal

import pytest

from .conftest import running
from .daemon import Daemon, until
from .installation import TERMINALS
from .terminal import Terminal
from .test_master_key import ZAK, keys, own_keys, replaced
from .unruly import hold, one_bank

__all__ = ["own_keys"]

SPOKEN = "iso87-ascii"


async def taken_up(daemon, workers=1):
    """Tell the daemon, and wait until all its workers have them."""
    count = len(daemon.said("keys taken up"))
    daemon.signal(signal.SIGHUP)
    await until(lambda: len(daemon.said("keys taken up")) == count + workers)


async def pays(installation, daemon, terminal):
    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
        return await line.code(terminal)


@pytest.mark.parametrize("workers", [1, 2])
async def test_another_key_while_payments_are_under_way(own_keys, workers):
    installation = own_keys
    installation.workers = workers
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation) as bank, running(installation) as daemon:
        bank.mangle = hold
        under_way = [asyncio.create_task(pays(installation, daemon, terminal)) for terminal in TERMINALS[:6]]
        await until(lambda: len(bank.held) == len(under_way))
        await replaced(installation, bank, "--keep-old")
        await taken_up(daemon, workers)
        bank.mangle = None
        for exchange, answer in bank.held:
            bank.deliver(exchange, answer)
        assert await asyncio.gather(*under_way) == ["00"] * len(under_way), "answered under the former key"
        former = "authswitch_link_former_key_answers_total"
        assert await daemon.metric(former, link="bank-a") == len(under_way)
        for terminal in TERMINALS[:6]:
            assert await pays(installation, daemon, terminal) == "00", "both sides sign with the new key"
        assert await daemon.metric(former, link="bank-a") == len(under_way), "which tells that the issuer has changed"
        assert await daemon.metric("authswitch_link_mac_failures_total", link="bank-a") == 0
        assert bank.counters.mac_failures == 0
        assert bank.counters.reversals == 0
        if workers > 1:
            # Who is forked later has the keys that the others have.
            for row in (await daemon.status())["workers"]:
                os.kill(row["pid"], signal.SIGKILL)
                await until(daemon.is_whole)
            for terminal in TERMINALS[:6]:
                assert await pays(installation, daemon, terminal) == "00"
            assert bank.counters.mac_failures == 0


async def test_without_the_former_key_its_answers_end_nothing(own_keys):
    installation = own_keys
    async with one_bank(installation, timeout_ms=6_000) as bank, running(installation) as daemon:
        bank.mangle = hold
        under_way = asyncio.create_task(pays(installation, daemon, TERMINALS[0]))
        await until(lambda: bank.held)
        await replaced(installation, bank)
        await taken_up(daemon)
        bank.mangle = None
        bank.deliver(*bank.held[0])
        assert await under_way == "68"
        await daemon.counted("authswitch_link_mac_failures_total", 1, link="bank-a")


async def test_keys_that_cannot_be_used_change_nothing(own_keys):
    installation = own_keys
    async with one_bank(installation) as bank, running(installation) as daemon:
        await keys(installation, "generate", ZAK, "--algorithm", "aes-128", "--replace")
        daemon.signal(signal.SIGHUP)
        line = await daemon.event("keys not taken up: those of before stay in use")
        assert "is a key for aes-128, which x9.19 cannot use" in line["reason"]
        assert await pays(installation, daemon, TERMINALS[0]) == "00"
        installation.secrets.key_file.unlink()
        daemon.signal(signal.SIGHUP)
        await daemon.event("keys not taken up: those of before stay in use", times=2)
        assert await pays(installation, daemon, TERMINALS[1]) == "00"
        assert bank.counters.mac_failures == 0


async def test_a_start_goes_on_with_the_former_key(own_keys):
    """The daemon was ended after the keys were replaced, and an issuer is late with the change."""
    installation = own_keys
    async with one_bank(installation) as bank:
        installation.write()
        old = dataclasses.replace(bank._mac)
        await replaced(installation, bank, "--keep-old")
        new = bank._mac
        daemon = await Daemon(installation.write()).start()
        try:
            bank.mangle = lambda issuer, exchange, _: issuer.deliver(
                exchange, issuer._compose(exchange.message, exchange.decision, mac=old)
            )
            assert await pays(installation, daemon, TERMINALS[0]) == "00"
            assert await daemon.metric("authswitch_link_former_key_answers_total", link="bank-a") == 1
            assert bank._mac is new
        finally:
            await daemon.stop()
