"""Risk rules and BIN tables in the store: put in force while payments flow, and kept for a start without it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import pytest

from switch.rulebooks.copying import copied
from switch.rulebooks.rulebooks import hash_of
from switch.rulebooks.tables import RULEBOOK_BODIES, RULEBOOKS, RULEBOOKS_IN_FORCE
from switch.store.changing import changing, find_row
from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes
from .store_desk import StoreDesk
from .terminal import Terminal
from .test_workers import SPOKEN
from .unruly import one_bank

MINE, OTHER = TERMINALS[:2]
LIMIT = """
[[limits]]
name = "card-hour"
version = {}
per = "card"
currency = "156"
window_seconds = 3600
count_max = {}
"""
APPROVED, TOO_OFTEN, NO_ROUTE = "00", "65", "15"
REFUSED = "what is in force in the store is refused, and the former version kept"
WELL = "what is in force follows the store again"
AWAY = "the store is away: what was in force of it stays in force"


class Desk(StoreDesk):
    """Where an operator puts rulebooks in force, who is alone: nobody was registered."""

    @classmethod
    def of(cls, installation, url):
        """That of an installation which keeps its rulebooks in this store, and a journal."""
        installation.store_url = url
        installation.has_rulebooks_in_store = True
        installation.journal = {"mode": "files", "directory": "journal"}
        return cls(installation)

    async def begins(self):
        """The store has its tables, and the BIN table of the installation's file."""
        self.installation.write()
        await self.does("store", "upgrade")
        await self.puts("routes", (self.folder / "routes.csv").read_text())

    async def puts(self, kind, text, name="rulebook"):
        """Keep a text as a version and put it in force; when that was done."""
        file = self.folder / f"{name}.{kind}"
        file.write_text(text)
        said = await self.does(kind, "put", file, *WHY)
        version = said.split("version ")[1].split(":")[0]
        await self.does(kind, "propose", version, *WHY)
        return time.monotonic()

    def spoils(self, key, text, *, is_whole=False):
        """What a version says is not what was put there any more, whether or not that is told by its hash."""
        body = json.dumps({"text": text, "tables": {}})
        with self.opened() as store, store.writing() as connection:
            connection.execute(RULEBOOK_BODIES.update().where(RULEBOOK_BODIES.c.id == key).values(body=body))
            if is_whole:
                changed = RULEBOOKS.update().where(RULEBOOKS.c.id == key)
                connection.execute(changed.values(hash=hash_of(body)))

    def enforces_past_all_checks(self, key):
        """Put a version in force as no command would."""
        with self.opened() as store, changing(store, "nobody", "past all checks") as change:
            turn = find_row(change.connection, RULEBOOKS_IN_FORCE, "risk")["turn"] + 1
            change.update(RULEBOOKS_IN_FORCE, "risk", {"rulebook": key, "turn": turn})


@pytest.fixture
def desk(installation, store_url):  # noqa: F811
    return Desk.of(installation, store_url)


async def codes(desk, daemon, count):
    """The response codes that a terminal is told to its payments."""
    async with await Terminal.connect(desk.installation, daemon.ports["pos"], SPOKEN) as till:
        return [await till.code() for _ in range(count)]


async def troubles(daemon):
    """What is told where one asks whether it is ready."""
    status, text = await daemon.get("/readyz")
    assert status == 200
    return text


class Traffic:
    """Terminals that pay one after another all the time: what they were told."""

    def __init__(self, desk, daemon):
        self.codes = []
        self._desk = desk
        self._daemon = daemon
        self._ends = asyncio.Event()

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._pay(terminal)) for terminal in (MINE, OTHER)]
        await self.told(APPROVED, TOO_OFTEN, NO_ROUTE)
        return self

    async def __aexit__(self, *error):
        self._ends.set()
        await asyncio.gather(*self._tasks)

    async def told(self, *wanted):
        """Somebody is told one of these codes from now on."""
        begin = len(self.codes)
        await until(lambda: any(one in wanted for one in self.codes[begin:]))

    async def next(self, count):
        """What the next ones are told."""
        begin = len(self.codes)
        await until(lambda: len(self.codes) >= begin + count)
        return self.codes[begin:]

    async def _pay(self, terminal):
        async with await Terminal.connect(self._desk.installation, self._daemon.ports["pos"], SPOKEN) as till:
            while not self._ends.is_set():
                answer = await till.ask(self._desk.installation.request(SPOKEN, terminal=terminal))
                self.codes.append(answer.text(39))


@pytest.mark.parametrize("workers", [1, 2])
async def test_rules_are_in_force_within_a_second_and_no_payment_is_lost(desk, workers):
    desk.installation.workers = workers
    async with one_bank(desk.installation):
        await desk.begins()
        async with running(desk.installation) as daemon, Traffic(desk, daemon) as traffic:
            assert set(traffic.codes) == {APPROVED}
            for version, limit, wanted in ((1, 1, TOO_OFTEN), (2, 1_000_000, APPROVED), (3, 1, TOO_OFTEN)):
                done = await desk.puts("risk", LIMIT.format(version, limit))
                await daemon.event("rulebook in force", times=version * workers)
                assert time.monotonic() - done < 1.0
                await traffic.told(wanted)
                # What was decided before may be told behind what was decided after it.
                assert set((await traffic.next(30))[-20:]) == {wanted}
                assert await daemon.metric("authswitch_rulebook_version", rulebook="risk") == version
        assert set(traffic.codes) == {APPROVED, TOO_OFTEN}


async def test_another_bin_table_is_in_force_under_payments(desk):
    async with one_bank(desk.installation):
        await desk.begins()
        table = (desk.folder / "routes.csv").read_text()
        async with running(desk.installation) as daemon, Traffic(desk, daemon) as traffic:
            await desk.puts("routes", table.splitlines()[0] + "\n")
            await daemon.event("rulebook in force", rulebook="routes")
            await traffic.told(NO_ROUTE)
            assert set((await traffic.next(30))[-20:]) == {NO_ROUTE}
            await desk.puts("routes", table)
            await daemon.event("rulebook in force", times=2)
            await traffic.told(APPROVED)
            assert set((await traffic.next(30))[-20:]) == {APPROVED}
        assert set(traffic.codes) == {APPROVED, NO_ROUTE}


async def test_counts_go_on_under_other_rules_and_over_a_restart(desk):
    async with one_bank(desk.installation):
        await desk.begins()
        await desk.puts("risk", LIMIT.format(1, 2))
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 3) == [APPROVED, APPROVED, TOO_OFTEN]
            await daemon.counted("authswitch_risk_refused_total", 1, rule="card-hour@1")
            await desk.puts("risk", LIMIT.format(2, 3))
            await daemon.event("rulebook in force")
            assert await codes(desk, daemon, 2) == [APPROVED, TOO_OFTEN]
            await daemon.counted("authswitch_risk_refused_total", 1, rule="card-hour@2")
            assert await daemon.metric("authswitch_risk_refused_total", rule="card-hour@1") == 1
        await desk.puts("risk", LIMIT.format(3, 4))
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 2) == [APPROVED, TOO_OFTEN]


async def test_what_the_switch_cannot_take_is_refused_and_the_former_version_kept(desk):
    async with one_bank(desk.installation):
        await desk.begins()
        await desk.puts("risk", LIMIT.format(1, 2))
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 3) == [APPROVED, APPROVED, TOO_OFTEN]
            await desk.puts("risk", LIMIT.format(2, 100))
            await daemon.event("rulebook in force", version=2)
            (desk.folder / "spoiled.risk").write_text(LIMIT.format(3, 100))
            await desk.does("risk", "put", desk.folder / "spoiled.risk", *WHY)
            desk.spoils("risk@3", "not what was put")
            desk.enforces_past_all_checks("risk@3")
            said = await daemon.event(REFUSED)
            assert "what it says is not what was put there" in said["reason"]
            desk.spoils("risk@3", "windows_max = 0", is_whole=True)
            said = await daemon.event(REFUSED, times=2)
            assert "windows_max" in said["reason"]
            assert REFUSED in await troubles(daemon)
            await daemon.counted("authswitch_rulebook_refused", 1, rulebook="risk")
            assert await codes(desk, daemon, 2) == [APPROVED, APPROVED]
            await desk.puts("routes", (desk.folder / "routes.csv").read_text() + "\n")
            await daemon.event("rulebook in force", rulebook="routes")
            await desk.puts("risk", LIMIT.format(4, 1))
            await daemon.event(WELL)
            assert await codes(desk, daemon, 1) == [TOO_OFTEN]
            assert REFUSED not in await troubles(daemon)
            assert await daemon.metric("authswitch_rulebook_refused") == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_switch_starts_by_its_copy_while_the_store_is_away(desk, workers):
    desk.installation.workers = workers
    async with one_bank(desk.installation):
        await desk.begins()
        async with running(desk.installation) as daemon:
            await desk.puts("risk", LIMIT.format(1, 2))
            await daemon.event("rulebook in force", times=workers)
            await until(lambda: copied(desk.folder / "in-force", "risk"))
        url, desk.installation.store_url = desk.installation.store_url, f"sqlite:{desk.folder}/away.db"
        async with running(desk.installation) as daemon:
            await daemon.event(AWAY, times=workers)
            assert AWAY in await troubles(daemon)
            assert await daemon.metric("authswitch_rulebook_version", rulebook="risk") == 1
            assert await codes(desk, daemon, 3) == [APPROVED, APPROVED, TOO_OFTEN]
        desk.installation.store_url = url
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 1) == [TOO_OFTEN]
            assert AWAY not in await troubles(daemon)


async def test_a_worker_that_takes_a_dead_ones_place_has_the_rules_of_the_others(desk):
    desk.installation.workers = 2
    async with one_bank(desk.installation):
        await desk.begins()
        async with running(desk.installation) as daemon:
            await desk.puts("risk", LIMIT.format(1, 3))
            await daemon.event("rulebook in force", times=2)
            assert await codes(desk, daemon, 2) == [APPROVED, APPROVED]
            path = desk.installation.secrets.key_file
            path.rename(path.with_suffix(".away"))
            for row in (await daemon.status())["workers"]:
                os.kill(row["pid"], signal.SIGKILL)
            await daemon.event("rulebook in force", times=4)
            await daemon.event("worker serves", times=4)
            path.with_suffix(".away").rename(path)
            assert await codes(desk, daemon, 2) == [APPROVED, TOO_OFTEN]


async def test_a_store_that_was_put_back_is_not_followed(desk):
    async with one_bank(desk.installation):
        await desk.begins()
        await desk.puts("risk", LIMIT.format(1, 1))
        async with running(desk.installation) as daemon:
            assert await codes(desk, daemon, 2) == [APPROVED, TOO_OFTEN]
            with desk.opened() as store, store.writing() as connection:
                connection.execute(RULEBOOKS_IN_FORCE.delete().where(RULEBOOKS_IN_FORCE.c.id == "risk"))
            said = await daemon.event(REFUSED)
            assert "it is another database, or was put back" in said["reason"]
            assert await codes(desk, daemon, 1) == [TOO_OFTEN]


async def in_force(daemon):
    """The versions that a daemon says are in force, the lowest and the newest of its workers."""
    return {row["rulebook"]: (row["version"], row["newest"]) for row in (await daemon.status())["rulebooks"]}


async def test_each_node_takes_other_rules_and_one_that_was_away_takes_them_later(desk, new_installation):
    async with one_bank(desk.installation):
        await desk.begins()
        await desk.puts("risk", LIMIT.format(1, 1_000))
        async with Nodes(desk.installation, new_installation(), 2, 4) as nodes:

            async def have(version, *daemons):
                return [(await in_force(daemon))["risk"] for daemon in daemons] == [(version, version)] * len(daemons)

            await until(lambda: have(1, *nodes.daemons))
            await desk.puts("risk", LIMIT.format(2, 1_000))
            await until(lambda: have(2, *nodes.daemons))
            nodes.daemons[1].end_status = -signal.SIGKILL
            nodes.daemons[1].kill()
            await desk.puts("risk", LIMIT.format(3, 1))
            await until(lambda: have(3, nodes.daemons[0]))
            await nodes.restart(1)
            assert await have(3, nodes.daemons[1]), "before it takes terminals"
            await until(nodes.are_joined)
            told = []
            for daemon in nodes.daemons:
                async with await Terminal.connect(desk.installation, daemon.ports["pos"], SPOKEN) as till:
                    told += [await till.code(terminal=name) for name in TERMINALS[:8]]
            assert told.count(APPROVED) <= len(nodes.daemons), "each node refuses by them"
            assert set(told) == {APPROVED, TOO_OFTEN}


@pytest.mark.parametrize("workers", [1, 2])
async def test_another_number_of_windows_waits_for_a_restart_and_is_said(desk, workers):
    desk.installation.workers = workers
    waits = "risk rules are in force, and their windows_max waits for a restart"
    async with one_bank(desk.installation):
        await desk.begins()
        await desk.puts("risk", LIMIT.format(1, 1))
        async with running(desk.installation) as daemon:
            assert waits not in await troubles(daemon)
            await desk.puts("risk", "windows_max = 5_000\n" + LIMIT.format(2, 1))
            said = await daemon.event(waits, times=workers)
            assert (said["windows_max"], said["windows"]) == (5_000, 200_000)
            assert waits in await troubles(daemon)
            assert (await in_force(daemon))["risk"] == (2, 2)
            assert await codes(desk, daemon, 2) == [APPROVED, TOO_OFTEN]
            await until(lambda: copied(desk.folder / "in-force", "risk").version == 2)
        async with running(desk.installation) as daemon:
            assert waits not in await troubles(daemon)
            assert (await in_force(daemon))["risk"] == (2, 2)
