"""What a registry that changes while payments are made must not do: have them charged twice, or swallow one."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from switch.keys import KeyFile
from switch.keys.master import load_master_key
from switch.merchants.copying import Copy
from switch.merchants.tables import TERMINALS as ROWS
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import MAC, MERCHANT, TERMINALS
from .terminal import Terminal
from .test_master_key import own_keys  # noqa: F401 - a fixture
from .test_partitions import receipt
from .test_registry_of_store import AWAY, REFUSED, Shop, code, kept, refused
from .test_workers import SPOKEN
from .unruly import one_bank

MINE, OTHER, NEW, FIRST = TERMINALS[:4]
LEFT_OUT = "terminals are not served since their rows cannot be taken"
LEFT_OUT_COUNT = "authswitch_registry_terminals_left_out"
WAITING = "the copy of the registry cannot be taken: nobody is served until it can be"
NO_STORE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def shop(own_keys, tmp_path):  # noqa: F811
    own_keys.store_url = f"sqlite:{tmp_path}/store.db"
    own_keys.journal = {"mode": "files", "directory": "journal"}
    return Shop(own_keys)


async def said(shop, daemon, request):
    """The response code to a request, over a connection of its own."""
    async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
        return (await till.ask(request)).text(39)


async def are_added(shop, daemon, *terminals):
    """Register terminals while the switch runs; they are in force in all workers, and in the copy."""
    for one in terminals:
        options = ("--merchant", MERCHANT, "--mac", MAC, "--pin", "iso-0")
        await shop.does("terminals", "add", one, *options, *WHY)
    changes = await shop.changes()
    await daemon.counted("authswitch_registry_change", changes)
    await until(lambda: kept(shop).head.number == changes)


def key_file(shop):
    secrets = shop.installation.secrets
    return KeyFile.open(secrets.key_file, load_master_key(secrets.master_key_file, None))


def take_key_away(shop, terminal):
    """Take a terminal's key out of the key file; gives it, to be put back."""
    with key_file(shop) as file:
        key = file.get(f"terminal/{terminal}/tak")
        file.remove(key.name)
        file.save()
    return key


def put_key_back(shop, key):
    with key_file(shop) as file:
        file.put(key)
        file.save()


async def test_who_is_suspended_is_told_what_became_of_its_payment_and_may_take_it_back(shop):
    async with one_bank(shop.installation) as bank:
        await shop.takes_over([MINE, OTHER])
        sale, later = (shop.installation.request(SPOKEN, terminal=MINE) for _ in range(2))
        async with running(shop.installation) as daemon:
            async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
                answer = await till.ask(sale)
                assert answer.text(39) == "00"
                await shop.does("terminals", "suspend", MINE, *WHY)
                await daemon.event("registry changed")
                assert (await till.ask(sale)).text(39) == "00", "the answer may have been lost on its way"
                assert refused((await till.ask(later)).text(39))
                back = shop.installation.request(SPOKEN, "reversal", MINE, original=receipt(till, sale, answer))
                assert (await till.ask(back)).text(39) == "00"
                assert refused((await till.ask(shop.installation.request(SPOKEN, terminal=MINE))).text(39))
            await until(lambda: bank.counters.reversals == 1)
            assert bank.counters.requests == 2, "the sale and its reversal"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_terminal_without_its_key_stops_no_start(shop, workers):
    """It alone is not served, until its key is there; what it had paid for is not charged again."""
    shop.installation.workers = workers
    async with one_bank(shop.installation) as bank:
        await shop.takes_over([MINE, FIRST])
        sales = [shop.installation.request(SPOKEN, terminal=one) for one in (NEW, OTHER, FIRST)]
        async with running(shop.installation) as daemon:
            await are_added(shop, daemon, NEW, OTHER)
            assert [await said(shop, daemon, one) for one in sales] == ["00"] * 3
        lost = [take_key_away(shop, one) for one in (OTHER, FIRST)]
        for _ in range(2):
            async with running(shop.installation) as daemon:
                await daemon.counted(LEFT_OUT_COUNT, 2)
                named = {terminal for line in daemon.said(LEFT_OUT) for terminal in line["terminals"]}
                assert named == {OTHER, FIRST}
                assert "no key terminal/" in daemon.said(LEFT_OUT)[0]["reason"]
                assert LEFT_OUT in (await daemon.get("/readyz"))[1]
                assert [await said(shop, daemon, sales[0]), await code(shop, daemon, MINE)] == ["00", "00"]
                charged = bank.counters.requests
                for one in (*sales[1:], *(shop.installation.request(SPOKEN, terminal=one) for one in (OTHER, FIRST))):
                    assert await is_turned_away(shop, daemon, one)
                assert bank.counters.requests == charged
        await shop.does("terminals", "suspend", FIRST, *WHY)
        async with running(shop.installation) as daemon:
            await daemon.counted(LEFT_OUT_COUNT, 1)
            for key in lost:
                put_key_back(shop, key)
            await until(lambda: len(daemon.said("the rows of all terminals are taken again")) == workers)
            charged = bank.counters.requests
            assert [await said(shop, daemon, one) for one in sales[:2]] == ["00"] * 2, "as it was told before"
            assert bank.counters.requests == charged
            assert await daemon.metric(LEFT_OUT_COUNT) == 0
            assert await code(shop, daemon, OTHER) == "00"
            assert refused(await code(shop, daemon, FIRST)), "suspended meanwhile"
            assert LEFT_OUT not in (await daemon.get("/readyz"))[1]
        async with running(shop.installation) as daemon:
            assert await code(shop, daemon, OTHER) == "00"
            assert not daemon.said(LEFT_OUT)


async def is_turned_away(shop, daemon, request):
    """Whether a request is refused, or not answered at all: nobody can tell whose it is."""
    async with await Terminal.connect(shop.installation, daemon.ports["pos"], SPOKEN) as till:
        till.send(request)
        try:
            return refused((await asyncio.wait_for(till.receive(), 0.5))[2].text(39))
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return True


async def test_a_start_that_waits_ends_when_it_is_told_to(shop):
    async with one_bank(shop.installation):
        await shop.takes_over([MINE])
        async with running(shop.installation) as daemon:
            await are_added(shop, daemon, NEW)
        copy, changes = Copy(shop.folder / "registry"), kept(shop)
        changes.merchants[MERCHANT] = {**changes.merchants[MERCHANT], "kinds": "nonsense"}
        copy.keep(copy.read().head, changes, changes)
        async with running(shop.installation, first=WAITING) as daemon:
            assert "nonsense" in daemon.said(WAITING)[0]["reason"]
            assert daemon.said("replaying the journal") == daemon.said("listening") == []


async def test_workers_that_die_while_the_key_file_is_away_charge_nobody_twice(shop):
    shop.installation.workers = 2
    async with one_bank(shop.installation) as bank:
        await shop.takes_over([MINE])
        sales = [shop.installation.request(SPOKEN, terminal=one) for one in (NEW, OTHER)]
        async with running(shop.installation) as daemon:
            await are_added(shop, daemon, NEW, OTHER)
            assert [await said(shop, daemon, one) for one in sales] == ["00", "00"]
            path = shop.installation.secrets.key_file
            path.rename(path.with_suffix(".away"))
            for row in (await daemon.status())["workers"]:
                os.kill(row["pid"], signal.SIGKILL)
            await daemon.event("worker serves", times=4)
            assert daemon.said(WAITING) == [], "what their predecessors had opened is known"
            assert "cannot be read: No such file" in (await daemon.get("/readyz"))[1]
            assert [await said(shop, daemon, one) for one in sales] == ["00", "00"]
            assert bank.counters.requests == 2


async def test_who_was_closed_beside_a_wrong_change_stays_so(shop):
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER, NEW])
        async with running(shop.installation) as daemon:
            with shop.past_all_checks() as change:
                change.update(ROWS, OTHER, {"mac_algorithm": "aes-cmac"})
                change.update(ROWS, NEW, {"state": "closed"})
            await daemon.event(REFUSED)
            await until(lambda: kept(shop).terminals)
            assert refused(await code(shop, daemon, NEW))
        shop.installation.store_url = NO_STORE
        async with running(shop.installation) as daemon:
            await daemon.event(AWAY)
            assert refused(await code(shop, daemon, NEW))
            assert await code(shop, daemon, OTHER) == "00"


async def test_several_workers_become_ready_without_the_store(shop):
    shop.installation.workers = 2
    async with one_bank(shop.installation):
        await shop.takes_over([MINE, OTHER])
        async with running(shop.installation):
            pass
        shop.installation.store_url = NO_STORE
        async with running(shop.installation) as daemon:
            status, why = await daemon.get("/readyz")
            assert status == 200
            assert "the store is away" in why
            assert await code(shop, daemon, MINE) == "00"
