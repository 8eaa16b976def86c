"""A switch whose merchants and terminals are in the store: what is changed there is in force at once."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from switch.merchants.copying import Copy
from switch.merchants.tables import TERMINALS as ROWS
from switch.store.changing import changing
from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import MAC, MERCHANT, TERMINALS
from .store_desk import StoreDesk
from .terminal import Terminal
from .test_workers import SPOKEN
from .unruly import one_bank

MINE, OTHER, NEW = TERMINALS[:3]
UNKNOWN = "58"
WITHIN_SECONDS = 10
AWAY = "the store is away: merchants and terminals stay as they were"
REFUSED = "a change of the registry is refused: nothing but suspensions and closings is taken"
WELL = "the registry follows the store again"


class Shop(StoreDesk):
    """The installation's store, changed by an operator while the switch runs."""

    async def takes_over(self, terminals):
        """The store has the merchant of the installation's files, and so many of its terminals."""
        self.installation.write()
        lines = (self.folder / "terminals.csv").read_text().splitlines()
        (self.folder / "some.csv").write_text(
            "\n".join([lines[0], *(one for one in lines[1:] if one[:8] in terminals), ""])
        )
        await self.does("store", "upgrade")
        await self.does("merchants", "import", self.folder / "merchants.csv", *WHY)
        await self.does("terminals", "import", self.folder / "some.csv", *WHY)

    async def changes(self):
        """How many changes the store has seen."""
        return json.loads(await self.does("store", "show", "--json"))["rows"]["audit"]

    @contextmanager
    def past_all_checks(self):
        """A change that no command would make."""
        with self.opened() as store, changing(store, "nobody", "past all checks") as change:
            yield change


@pytest.fixture
def shop(installation, store_url):  # noqa: F811
    installation.store_url = store_url
    installation.journal = {"mode": "files", "directory": "journal"}
    return Shop(installation)


def kept(shop):
    """What was changed behind the base, by the copy."""
    copy = Copy(shop.folder / "registry")
    return copy.read_changes(copy.read().head)


async def code(shop, daemon, terminal):
    """The response code that a terminal is told to a payment."""
    async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
        return (await till.ask(shop.installation.request(SPOKEN, terminal=terminal))).text(39)


async def becomes(shop, daemon, terminal, is_wanted):
    """A terminal is told another code, soon."""

    async def is_so():
        return is_wanted(await code(shop, daemon, terminal))

    await until(is_so, WITHIN_SECONDS)


async def is_suspended(shop, daemon, terminal):
    """Suspend a terminal; that is in force, and in the copy."""
    await shop.does("terminals", "suspend", terminal, *WHY)
    await daemon.counted("authswitch_registry_change", await shop.changes())
    await until(lambda: kept(shop).terminals)


def refused(response):
    return response != "00"


@pytest.mark.parametrize("workers", [1, 2])
async def test_changes_are_in_force_without_a_restart(shop, workers):
    shop.installation.workers = workers
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER])
        async with running(shop.installation) as daemon:
            assert await code(shop, daemon, MINE) == "00"
            await shop.does("terminals", "suspend", MINE, *WHY)
            await daemon.event("registry changed", times=workers)
            assert {await code(shop, daemon, MINE) for _ in range(4 * workers)} == {UNKNOWN}
            assert await code(shop, daemon, OTHER) == "00"
            await shop.does("terminals", "release", MINE, *WHY)
            await daemon.event("registry changed", times=2 * workers)
            assert {await code(shop, daemon, MINE) for _ in range(4 * workers)} == {"00"}
            options = ("--merchant", MERCHANT, "--mac", MAC, "--pin", "iso-0")
            assert refused(await code(shop, daemon, NEW))
            await shop.does("terminals", "add", NEW, *options, *WHY)
            await daemon.event("registry changed", times=3 * workers)
            assert {await code(shop, daemon, NEW) for _ in range(4 * workers)} == {"00"}
            await shop.does("merchants", "suspend", MERCHANT, *WHY)
            await becomes(shop, daemon, OTHER, refused)
            await daemon.counted("authswitch_registry_change", await shop.changes())
            assert await daemon.metric("authswitch_terminals") == 3


async def test_what_was_changed_outlives_the_store(shop):
    """A suspension is in force after a start without the store, too, and what came meanwhile behind its return."""
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER, NEW])
        async with running(shop.installation) as daemon:
            await is_suspended(shop, daemon, MINE)
        url = shop.installation.store_url
        shop.installation.store_url = "postgresql://nobody@127.0.0.1:1/nothing"
        async with running(shop.installation) as daemon:
            await daemon.event(AWAY)
            assert refused(await code(shop, daemon, MINE))
            assert await code(shop, daemon, OTHER) == "00"
            assert await daemon.metric("authswitch_registry_store_away") == 1
            status, why = await daemon.get("/readyz")
            assert status == 200
            assert "the store is away" in why
        shop.installation.store_url = url
        shop.installation.write()
        await shop.does("terminals", "suspend", OTHER, *WHY)
        await shop.does("terminals", "release", MINE, *WHY)
        async with running(shop.installation) as daemon:
            assert await code(shop, daemon, MINE) == "00"
            assert refused(await code(shop, daemon, OTHER))


async def test_a_store_that_hangs_is_told_and_payments_go_on(installation, server):  # noqa: F811
    installation.store_url = server.database()
    shop = Shop(installation)
    async with one_bank(installation):
        await shop.takes_over([MINE, OTHER])
        async with running(installation) as daemon:
            with server.hanging():
                await daemon.event(AWAY, seconds=30)
                assert await daemon.metric("authswitch_registry_store_away") == 1
                assert await daemon.metric("authswitch_registry_silent_seconds") >= 4
                _, why = await daemon.get("/readyz")
                assert "the store is away" in why
                assert await code(shop, daemon, MINE) == "00"
            await daemon.event(WELL)
            await shop.does("terminals", "suspend", MINE, *WHY)
            await becomes(shop, daemon, MINE, refused)


async def test_what_the_switch_cannot_take_is_refused_as_a_whole(shop):
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER, NEW])
        async with running(shop.installation) as daemon:
            with shop.past_all_checks() as change:
                change.update(ROWS, OTHER, {"mac_algorithm": "aes-cmac"})
                change.update(ROWS, MINE, {"kinds": "refund"})
                change.update(ROWS, NEW, {"state": "suspended"})
            line = await daemon.event(REFUSED)
            assert f"{OTHER}" in line["reason"]
            assert await daemon.metric("authswitch_registry_refused") == 1
            await becomes(shop, daemon, NEW, refused)
            assert {await code(shop, daemon, one) for one in (MINE, OTHER)} == {"00"}
            with shop.past_all_checks() as change:
                change.update(ROWS, OTHER, {"mac_algorithm": MAC})
            await daemon.event(WELL)
            await becomes(shop, daemon, MINE, refused)
            assert await code(shop, daemon, OTHER) == "00"
            assert refused(await code(shop, daemon, NEW))
            assert await daemon.metric("authswitch_registry_refused") == 0


async def test_a_suspension_outlives_a_start_at_which_a_key_is_gone(shop):
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER, NEW])
        async with running(shop.installation) as daemon:
            await is_suspended(shop, daemon, MINE)
        with shop.past_all_checks() as change:
            change.update(ROWS, OTHER, {"mac_algorithm": "aes-cmac"})
            change.update(ROWS, NEW, {"state": "closed", "mac_algorithm": "aes-cmac"})
        async with running(shop.installation) as daemon:
            await daemon.event(REFUSED)
            assert {refused(await code(shop, daemon, one)) for one in (MINE, NEW)} == {True}
            assert await code(shop, daemon, OTHER) == "00"


async def test_a_file_in_the_place_of_the_open_one_is_noticed(installation, tmp_path):
    installation.store_url = f"sqlite:{tmp_path}/store.db"
    installation.journal = {"mode": "files", "directory": "journal"}
    shop = Shop(installation)
    async with one_bank(installation):
        await shop.takes_over([MINE, OTHER])
        await shop.does("store", "backup", tmp_path / "backup.db")
        async with running(installation) as daemon:
            await shop.does("terminals", "suspend", MINE, *WHY)
            await daemon.counted("authswitch_registry_change", await shop.changes())
            for suffix in ("-wal", "-shm"):
                (tmp_path / f"store.db{suffix}").unlink(missing_ok=True)
            (tmp_path / "backup.db").rename(tmp_path / "store.db")
            assert "another database" in (await daemon.event(REFUSED))["reason"]
            assert refused(await code(shop, daemon, MINE))


async def test_another_database_is_not_taken_for_the_same(shop, tmp_path):
    """A database that was put back from a backup lacks changes that are in force: nothing is taken from it."""
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER])
        await shop.does("store", "backup", tmp_path / "backup.db")
        await shop.does("terminals", "suspend", MINE, *WHY)
        async with running(shop.installation):
            pass
        shop.installation.store_url = f"sqlite:{tmp_path}/backup.db"
        async with running(shop.installation) as daemon:
            line = await daemon.event(REFUSED)
            assert "another database" in line["reason"]
            assert refused(await code(shop, daemon, MINE))
            assert await code(shop, daemon, OTHER) == "00"
