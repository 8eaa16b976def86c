"""A band of a risk rule raises a case about a merchant, which is in the store once, also after a restart."""

from __future__ import annotations

import json

import pytest

from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures

from .conftest import running
from .daemon import until
from .installation import MERCHANT, TERMINALS
from .test_registry_of_store import Shop, code
from .unruly import one_bank

MINE, OTHER = TERMINALS[:2]
LOOK = """
[[rules]]
name = "often"
version = 3
per = "card"
window_seconds = 3600
measure = "count"
[[rules.bands]]
name = "look"
from = 2
then = "case"
text = "two payments an hour"
"""


@pytest.fixture
def shop(installation, store_url):  # noqa: F811
    installation.store_url = store_url
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.workers = 2
    installation.risk = LOOK
    return Shop(installation)


async def cases(shop):
    lines = await shop.does("cases", "list", "--json")
    return [json.loads(line) for line in lines.splitlines()]


async def test_a_case_is_in_the_store_once_and_waits_in_a_file_while_that_is_away(shop):
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER])

        async def has_one():
            return len(await cases(shop)) == 1

        async with running(shop.installation) as daemon:
            assert [await code(shop, daemon, MINE) for _ in range(4)] == ["00"] * 4
            await until(has_one)
            (case,) = await cases(shop)
            assert (case["kind"], case["subject"], case["row"]) == ("rule often@3/look", "merchants", MERCHANT)
            facts = json.loads(case["facts"]) if isinstance(case["facts"], str) else case["facts"]
            assert (facts["rule"], facts["reason"], facts["terminal"]) == ("often@3/look", "two payments an hour", MINE)
        await shop.does("cases", "close", case["id"], "--why", "the shop's own card")
        url, shop.installation.store_url = shop.installation.store_url, f"sqlite:{shop.folder}/away.db"
        folder = shop.folder / "registry" / "cases"
        async with running(shop.installation) as daemon:
            assert [await code(shop, daemon, one) for one in (MINE, OTHER, OTHER)] == ["00"] * 3
            await until(lambda: len(list(folder.glob("*.json"))) == 1)
        shop.installation.store_url = url
        async with running(shop.installation) as daemon:
            await until(lambda: not list(folder.glob("*.json")))
            assert [one["state"] for one in await cases(shop)] == ["closed", "open"]
