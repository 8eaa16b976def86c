"""A terminal that the switch has served and a successor does not know yet: nothing of what it did is forgotten."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from switch.merchants.copying import Copy
from switch.merchants.tables import TERMINALS as ROWS
from switch.store.changing import changing
from switch.store.opening import Store, parse_url
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import MAC, MERCHANT, TERMINALS
from .terminal import Terminal
from .test_master_key import own_keys  # noqa: F401 - a fixture
from .test_partitions import receipt
from .test_registry_of_store import AWAY, REFUSED, kept, refused
from .test_registry_restarts import are_added, said, shop  # noqa: F401 - a fixture
from .test_workers import SPOKEN
from .unruly import one_bank

MINE, OTHER, NEW = TERMINALS[:3]
AGAIN = "the registry follows the store again"


def moved(store, away):
    """Take a database with its files elsewhere."""
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{store}{suffix}").exists():
            Path(f"{store}{suffix}").rename(f"{away}{suffix}")


def store_of(shop):  # noqa: F811
    """Where its database is, and where it may be taken."""
    store = Path(shop.installation.store_url.removeprefix("sqlite:"))
    return store, store.with_name("away.db")


async def killed(daemon):
    """All workers die, and their successors serve."""
    rows = (await daemon.status())["workers"]
    for row in rows:
        os.kill(row["pid"], signal.SIGKILL)
    await daemon.event("worker serves", times=2 * len(rows))


async def added(shop, terminal):  # noqa: F811
    await shop.does("terminals", "add", terminal, "--merchant", MERCHANT, "--mac", MAC, "--pin", "iso-0", *WHY)


async def is_not_charged_again(shop, daemon, sale):  # noqa: F811
    """Once the store is back, the terminal is told what it was told before."""
    await daemon.event(AWAY)
    moved(*reversed(store_of(shop)))
    await daemon.event(AGAIN)
    await daemon.counted("authswitch_registry_change", await shop.changes())
    assert await said(shop, daemon, sale) == "00"


@pytest.mark.parametrize("how", ["restart", "worker"])
async def test_what_a_terminal_did_that_no_copy_has_is_not_charged_again(shop, how):  # noqa: F811
    shop.installation.workers = 2 if how == "worker" else 1
    async with one_bank(shop.installation) as bank:
        await shop.takes_over([MINE, OTHER])
        sale = shop.installation.request(SPOKEN, terminal=NEW)
        async with running(shop.installation) as daemon:
            base = Copy(shop.folder / "registry").read().head.number
            changes = shop.folder / "registry" / f"changes-{base}"
            changes.unlink(missing_ok=True)
            (changes / "in the way").mkdir(parents=True)
            await added(shop, NEW)
            await daemon.counted("authswitch_registry_change", await shop.changes())
            async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
                approved = await till.ask(sale)
            assert approved.text(39) == "00"
            assert "cannot be written" in (await daemon.get("/readyz"))[1]
            if how == "worker":
                moved(*store_of(shop))
                await killed(daemon)
                await is_not_charged_again(shop, daemon, sale)
        if how == "restart":
            moved(*store_of(shop))
            async with running(shop.installation) as daemon:
                await daemon.event(AWAY)
                async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
                    till.send(sale, shop.installation.request(SPOKEN, terminal=NEW))
                    answer = await till.answer()
                    assert refused(answer.text(39))
                    assert answer.text(11) != approved.text(11), "what was approved is not told as declined"
                await is_not_charged_again(shop, daemon, sale)
        assert bank.counters.requests == 1


async def test_a_copy_that_was_written_anew_is_known_to_a_successor(shop):  # noqa: F811
    shop.installation.workers = 2
    async with one_bank(shop.installation) as bank:
        await shop.takes_over([MINE, OTHER])
        sale = shop.installation.request(SPOKEN, terminal=NEW)
        async with running(shop.installation) as daemon:
            shutil.rmtree(shop.folder / "registry")
            await added(shop, NEW)
            await daemon.counted("authswitch_registry_change", await shop.changes())
            await until((shop.folder / "registry" / "base").exists)
            assert await said(shop, daemon, sale) == "00"
            moved(*store_of(shop))
            await killed(daemon)
            await daemon.event(AWAY)
            assert await said(shop, daemon, sale) == "00"
            assert await said(shop, daemon, shop.installation.request(SPOKEN, terminal=NEW)) == "00"
            moved(*reversed(store_of(shop)))
            await daemon.event(AGAIN)
            await added(shop, TERMINALS[3])
            await until(lambda: TERMINALS[3] in kept(shop).terminals)
        assert bank.counters.requests == 2


@pytest.mark.parametrize("how", ["worker", "restart"])
async def test_who_is_suspended_beside_a_wrong_change_keeps_its_keys(shop, how):  # noqa: F811
    """Else what it was told would be told as declined, and its reversal be refused."""
    shop.installation.workers = 2 if how == "worker" else 1
    async with one_bank(shop.installation) as bank:
        await shop.takes_over([MINE, OTHER])
        sale = shop.installation.request(SPOKEN, terminal=NEW)
        async with running(shop.installation) as daemon:
            await are_added(shop, daemon, NEW)
            async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
                answer = await till.ask(sale)
                assert answer.text(39) == "00"
                back = shop.installation.request(SPOKEN, "reversal", NEW, original=receipt(till, sale, answer))
            opened = Store.open(parse_url(shop.installation.store_url))
            with changing(opened, "nobody", "past all checks") as change:
                change.update(ROWS, OTHER, {"mac_algorithm": "aes-cmac"})
                change.update(ROWS, NEW, {"state": "suspended"})
            opened.close()
            await daemon.event(REFUSED)
            await until(lambda: kept(shop).terminals.get(NEW, {}).get("state") == "suspended")
            if how == "worker":
                await killed(daemon)
                assert [await said(shop, daemon, one) for one in (sale, back)] == ["00", "00"]
                await until(lambda: bank.counters.reversals == 1)
        if how == "restart":
            async with running(shop.installation) as daemon:
                assert [await said(shop, daemon, one) for one in (sale, back)] == ["00", "00"]
                assert refused(await said(shop, daemon, shop.installation.request(SPOKEN, terminal=NEW)))
                await until(lambda: bank.counters.reversals == 1)
