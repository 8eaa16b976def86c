"""``authswitch reversals`` asks a switch over its admin side for one entry of several that share a reference number."""

from __future__ import annotations

import asyncio
import weakref
from types import SimpleNamespace

import aiohttp
import pytest
from typer.testing import CliRunner

from switch.admin.saf import saf_routes
from switch.admin.server import AdminServer
from switch.cli.reversals import app
from switch.config import Address
from switch.journal.disk import ScriptedDisk
from switch.journal.replay import JournalReader
from switch.server.saf import SafDesk
from switch.tracing import owed
from tests.ext.journal_world import KEY, JournalWorld
from tests.ext.test_owed import listed, owed_twice
from tests.ext.world import START_S, purchase
from tests.switch.test_admin import Daemon


class Desk:
    """A switch that owes two reversals of one number, with a real admin side while it is asked."""

    def __init__(self, gate):
        self.gate = gate
        self.world, self.rrn, self.issuer, self.other = owed_twice(1)

    def asked(self, question):
        """What a coroutine function learns that is given the admin side's address."""

        async def ask():
            desk = SafDesk(self.world.engine, self.world.stats, lambda: True)
            routes = saf_routes(weakref.proxy(desk))  # aiohttp keeps routes in a cache that is never emptied
            server = AdminServer(self.world.stats, Daemon(), Address("127.0.0.1", 0), routes=routes, gate=self.gate)
            await server.start()
            asking = asyncio.create_task(question(server.address))
            while not asking.done():
                self.world.sync()  # the answer waits for the record of what is closed
                await asyncio.sleep(0)
            await server.stop()
            return asking.result()

        return asyncio.run(ask())

    def run(self, *arguments, answers=""):
        """The command's exit status, and what it said in one line."""

        def command(address):
            return asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--admin", str(address)], input=answers)

        result = self.asked(command)
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    def links(self):
        """To which links something is owed."""
        return [entry["link"] for entry in listed(self.world)]


@pytest.fixture
def desk(gate):
    one = Desk(gate)
    yield one
    one.world.settle()


WHY = ("--operator", "Mei Lin", "--reason", "by phone, case 4711")


@pytest.mark.parametrize("options", [(), ("--yes",)])
def test_nothing_is_closed_while_two_may_be_meant(desk, options):
    status, output = desk.run("close", desk.rrn, *WHY, *options)
    assert status == 1
    assert f"2 reversals with RRN {desk.rrn} are owed, to bank-a and bank-b: say which with --link" in output
    assert "622500******0014" in output, "they are shown"
    assert "411111******1111" in output
    assert "Close it" not in output
    assert desk.links() == ["bank-a", "bank-b"]


def test_the_one_of_a_link_is_closed(desk):
    status, output = desk.run("close", desk.rrn, "--link", "bank-b", *WHY, answers="y\n")
    assert status == 0, output
    assert "411111******1111" in output
    assert "622500******0014" not in output
    assert "closed by mei.lin (Mei Lin)" in output
    assert desk.links() == ["bank-a"]
    status, output = desk.run("close", desk.rrn, "--link", "bank-b", *WHY)
    assert (status, output) == (1, f"authswitch: no reversal with RRN {desk.rrn} is owed to bank-b")
    status, output = desk.run("close", desk.rrn, *WHY, "--yes")
    assert status == 0, "one alone needs no --link"
    assert desk.links() == []


def test_retry_sends_neither_until_a_link_is_named(desk):
    status, output = desk.run("retry", desk.rrn)
    assert status == 1
    assert f"2 reversals with RRN {desk.rrn} are owed, to bank-a and bank-b: say which with --link" in output
    status, output = desk.run("retry", desk.rrn, "--link", "bank-z")
    assert status == 1
    assert "there is no link bank-z; there are bank-a, bank-b" in output
    status, output = desk.run("retry", desk.rrn, "--link", "bank-b")
    assert (status, output) == (0, "1 will be sent as soon as the link's window allows")
    desk.world.tick()
    assert desk.issuer.read() == []
    assert desk.other.read_one()["t"] == "0421"


@pytest.mark.parametrize(
    "command", [("list",), ("retry",), ("retry", "632804000123"), ("close", "632804000123", *WHY, "--yes")]
)
def test_a_link_that_there_is_not(desk, command):
    """In the same words as without a daemon."""
    status, output = desk.run(*command, "--link", "bank_a")
    assert (status, output) == (1, "authswitch: there is no link bank_a; there are bank-a, bank-b")


def test_retry_of_what_waits_for_its_link_says_so(desk):
    desk.issuer.close()
    desk.world.tick()
    waits = "1 already waiting for the link to come up, and then sent without being asked for"
    assert desk.run("retry", desk.rrn, "--link", "bank-a") == (0, waits)
    assert desk.run("retry", "--link", "bank-a") == (0, waits)


def test_retry_of_a_link_that_is_owed_nothing(desk):
    assert desk.run("close", desk.rrn, "--link", "bank-b", *WHY, "--yes")[0] == 0
    assert desk.run("retry", "--link", "bank-b") == (0, "nothing is owed to bank-b")


def test_retry_needs_to_know_what(desk):
    status, output = desk.run("retry")
    assert status == 2
    assert "needed an RRN, or --link, or both" in output
    status, output = desk.run("retry", "", "--link", "bank-a")
    assert status == 1, "an empty number is none, and does not stand for all of the link"
    assert "is owed to bank-a" in output


def test_daemon_refuses_by_itself(desk):
    """Whoever asks it without the command, or while another entry of that number comes to be."""
    status, output = desk.run("list", "--rrn", desk.rrn)
    assert (status, output.endswith("2 owed")) == (0, True)

    async def post(address):
        body = {"rrn": desk.rrn, "operator": "Mei", "reason": "by phone"}
        proof = {"Authorization": f"Bearer {desk.gate.token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{address}/reversals/close", json=body, headers=proof) as answer,
        ):
            return answer.status, await answer.text()

    status, text = desk.asked(post)
    assert status == 409
    assert text == f"2 reversals with RRN {desk.rrn} are owed, to bank-a and bank-b: say which with --link\n"
    assert desk.links() == ["bank-a", "bank-b"]


@pytest.mark.parametrize(("later_s", "overdue"), [(3_590, False), (3_610, True)])
def test_age_without_a_daemon_goes_by_the_clock_of_this_start(monkeypatch, later_s, overdue):
    """The machine was started again, and its wall clock set back a year: what has elapsed is known all the same."""
    world = JournalWorld()
    now_s = world.now_s
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    world.advance(16)
    world.sync()
    world = world.killed(boot="second start", now_s=now_s + 5_000)
    world.sync()
    monkeypatch.setattr(owed, "boot_identity", lambda: "second start")
    monkeypatch.setattr(owed, "since_boot_ns", lambda: round((world.now_s + later_s) * 1e9))
    monkeypatch.setattr(owed, "time", SimpleNamespace(time=lambda: START_S - 365 * 86_400))
    (entry,) = owed.owed_entries(JournalReader(ScriptedDisk(world.memory), KEY), world.config)
    assert entry["overdue"] is overdue
