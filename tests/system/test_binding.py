"""Terminals that are bound to what their merchant is, in a switch that runs: another machine, and altered rows."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import MERCHANT, TERMINALS, profile_of
from .terminal import Terminal
from .test_registry_of_store import Shop, refused
from .test_workers import SPOKEN
from .unruly import one_bank

MINE, OTHER = TERMINALS[:2]
DIALECT = """
description = "as iso87-ascii, with what a terminal says of itself in field 48"
extends = "iso87-ascii"

[terminal_says]
source = "a test"
kinds = ["sign_on", "purchase"]
serial_number = { field = "48", tags = ["A2", "02"] }
position = { field = "48", tags = ["A2", "06"] }
"""
SERIAL = "00000302A1B2C3"
HERE = "+31.230400+121.473700/"
SEEN = ("--verified", "on site", "--verified-by", "lin", "--verified-on", "2026-11-28", "--reference", "V-17")
WITHIN_SECONDS = 15


@pytest.fixture
def shop(installation, store_url):  # noqa: F811
    installation.store_url = store_url
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.registry = {"binding": "demanded", "proof_seconds": 1}
    installation.workers = 2
    return Shop(installation)


async def bound(shop):
    """The store has two terminals, both bound."""
    await shop.takes_over([MINE, OTHER])
    await shop.says_account("6222020000000001")
    for number, terminal in enumerate((MINE, OTHER)):
        where = ("--place", "Harbour Road 12", "--position", HERE, "--serial-number", SERIAL + "BC"[number])
        await shop.does("terminals", "bind", terminal, *where, *WHY)


class BoundShop(Shop):
    """A store whose merchant has an account."""

    async def says_account(self, number, *options):
        (self.folder / "account").write_text(f"{number}\n")
        (self.folder / "identity").write_text("91310000MA1FL0000X\n")
        files = ("--identity-file", self.folder / "identity", "--account-file", self.folder / "account")
        await self.does("merchants", "change", MERCHANT, *files, *options, *WHY)

    def alters(self, statement):
        """Somebody changes a row behind the audit."""
        with self.opened() as store, store.writing() as connection:
            assert connection.execute(text(statement)).rowcount == 1

    async def cases(self, state="open"):
        lines = await self.does("cases", "list", "--state", state, "--json")
        return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture
def bound_shop(shop):
    return BoundShop(shop.installation)


@asynccontextmanager
async def calling(shop):
    """An issuer; terminals call in a dialect that has words for what they are."""
    async with one_bank(shop.installation) as bank:
        (shop.folder / "saying.toml").write_text(DIALECT)
        shop.installation.listeners[0]["dialect"] = shop.folder / "saying.toml"
        yield bank


def says(serial, position=HERE):
    """A request with field 48."""
    inner = "".join(f"{tag}{len(value):03}{value}" for tag, value in (("02", serial), ("06", position)))

    def change(pieces):
        pieces[48] = profile_of(SPOKEN).writer.piece(48, f"A2{len(inner):03}{inner}")

    return change


async def code(shop, daemon, terminal=MINE, serial=SERIAL + "B", kind="purchase"):
    """The response code that a terminal is told."""
    async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
        request = shop.installation.request(SPOKEN, terminal=terminal, kind=kind, change=says(serial))
        return (await till.ask(request)).text(39)


async def becomes(shop, daemon, is_wanted, **request):
    async def is_so():
        return is_wanted(await code(shop, daemon, **request))

    await until(is_so, WITHIN_SECONDS)


async def test_another_machine_is_suspended_at_once(bound_shop):
    shop = bound_shop
    async with calling(shop):
        await bound(shop)
        async with running(shop.installation) as daemon:
            bought = shop.installation.request(SPOKEN, terminal=MINE, change=says(SERIAL + "B"))
            async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
                told = await till.ask(bought)
            assert told.text(39) == "00"
            assert refused(await code(shop, daemon, serial="another", kind="sign_on"))
            assert {refused(await code(shop, daemon)) for _ in range(8)} == {True}
            assert await code(shop, daemon, OTHER, SERIAL + "C") == "00"
            async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
                assert (await till.ask(bought)).text(38) == told.text(38)

            async def is_known():
                return [(case["kind"], case["row"]) for case in await shop.cases()] == [("another serial number", MINE)]

            await until(is_known, WITHIN_SECONDS)
            case = (await shop.cases())[0]["id"]
            await daemon.counted("authswitch_registry_change", await shop.changes())
            await shop.does("cases", "close", case, "--why", "seen on site")
            await shop.does("terminals", "release", MINE, *WHY)
            await becomes(shop, daemon, lambda code: code == "00")


async def test_what_was_altered_behind_the_audit_is_refused(bound_shop):
    shop = bound_shop
    async with calling(shop):
        await bound(shop)
        async with running(shop.installation) as daemon:
            assert await code(shop, daemon) == "00"
            shop.alters(f"UPDATE merchant_elements SET account = '{'0' * 64}' WHERE id = '{MERCHANT}'")
            await becomes(shop, daemon, refused)
            await shop.says_account("6222020000000002", *SEEN)
            await becomes(shop, daemon, lambda code: code == "00")
            shop.alters(f"UPDATE terminals SET place = 'elsewhere' WHERE id = '{MINE}'")
            await becomes(shop, daemon, refused)
            assert await code(shop, daemon, OTHER, SERIAL + "C") == "00"
            kinds = {(case["kind"], case["row"]) for case in await shop.cases()}
            assert kinds == {("other elements", MERCHANT), ("altered row", MINE)}


async def test_suspended_over_a_restart_without_the_store(bound_shop):
    shop = bound_shop
    async with calling(shop):
        await bound(shop)
        async with running(shop.installation) as daemon:
            assert await code(shop, daemon) == "00"
        shop.installation.store_url = "postgresql://nobody@127.0.0.1:1/nothing"
        async with running(shop.installation) as daemon:
            assert refused(await code(shop, daemon, serial="another"))
            await until(lambda: any((shop.folder / "registry" / "suspended").glob("*.json")), WITHIN_SECONDS)
            await daemon.counted("authswitch_registry_suspects_total", 1)
            assert await daemon.metric("authswitch_registry_suspects_total") == 1
        async with running(shop.installation) as daemon:
            assert refused(await code(shop, daemon))
            assert await code(shop, daemon, OTHER, SERIAL + "C") == "00"
