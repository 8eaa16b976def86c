"""What an operator asks of a real daemon and its journal: the life of a payment, and what issuers are owed."""

import asyncio
import json
import sys

import pytest

from .conftest import running
from .daemon import Daemon, until
from .installation import TERMINALS
from .terminal import Terminal
from .unruly import hold, one_bank


@pytest.fixture(autouse=True)
def journal(installation):
    """Every daemon here has one."""
    installation.journal = {"mode": "files", "directory": "journal"}


async def authswitch(*arguments, stdin=None):
    """The command's exit status, and what it said; ``stdin`` is what it is told."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switch",
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await child.communicate(None if stdin is None else stdin.encode())
    return child.returncode, output.decode(), errors.decode()


async def verdict_on(daemon, stan):
    """What the trace says of a terminal's request, beside the running daemon or without one."""
    status, output, errors = await authswitch("trace", daemon.config, f"{TERMINALS[0]}/{stan}", "--json")
    assert status in (0, 1), errors
    found = json.loads(output)["transactions"]
    return found[0]["verdict"]["code"] if found else None


async def becomes(daemon, stan, code):
    """Wait until the trace says so."""

    async def is_so():
        return await verdict_on(daemon, stan) == code

    await until(is_so, 20)


async def owed(daemon, *options):
    """What is owed, by the command."""
    status, output, errors = await authswitch(
        "reversals", "list", daemon.config, *daemon_at(daemon), "--json", *options
    )
    assert status == 0, errors
    return json.loads(output)


async def is_paused(daemon):
    """Whether all that is owed, one entry, waits for its next attempt."""
    return [entry["state"] for entry in (await owed(daemon))["owed"]] == ["paused"]


def operator_of(daemon):
    """The token of somebody who may close and retry."""
    return ("--token-file", daemon.config.parent / "operator.token")


def daemon_at(daemon):
    """Where its admin side is."""
    return ("--admin", f"127.0.0.1:{daemon.admin_port}")


async def test_a_payment_is_told_from_asking_to_its_delivery(installation):
    async with (
        one_bank(installation) as bank,
        running(installation) as daemon,
        await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
    ):
        assert await terminal.code(stan="000101") == "00"
        await becomes(daemon, "000101", "approved_and_delivered")
        bank.mangle = hold
        terminal.send(installation.request("iso87-ascii", stan="000102"))
        await until(lambda: bank.held)
        await becomes(daemon, "000102", "under_way")
        bank.deliver(*bank.held.pop())
        await becomes(daemon, "000102", "approved_and_delivered")
        status, output, _ = await authswitch("trace", daemon.config, f"{TERMINALS[0]}/999999")
        assert (status, output) == (1, "")


async def test_a_crash_in_between_and_an_operator_who_gives_up(installation):
    async with one_bank(installation, timeout_ms=2_000, reversal={"interval_ms": 60_000}) as bank:
        bank.mangle = hold
        daemon = await Daemon(installation.write()).start()
        try:
            async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
                terminal.send(installation.request("iso87-ascii", stan="000201"))
                await until(lambda: bank.held)
                daemon.kill()
                await daemon.child.wait()
        except BaseException:
            daemon.kill()
            raise
        await becomes(daemon, "000201", "under_way")
        assert (await owed(daemon))["source"] == "journal"
        async with running(installation) as daemon:
            await until(lambda: len(bank.held) > 1)  # its reversal
            await becomes(daemon, "000201", "reversal_under_way")
            listed = await owed(daemon)
            assert (listed["source"], listed["count"]) == ("daemon", 1)
            (entry,) = listed["owed"]
            assert (entry["what"], entry["link"], entry["cause"], entry["terminal"]) == (
                "reversal",
                "bank-a",
                "restart",
                TERMINALS[0],
            )
            assert "*" in entry["pan"]
            close = (
                "reversals",
                "close",
                entry["rrn"],
                "--config",
                daemon.config,
                *daemon_at(daemon),
                *operator_of(daemon),
                "--yes",
            )
            status, _, errors = await authswitch(*close)
            assert status == 2
            assert "a reason is required" in errors
            await until(lambda: is_paused(daemon), 20)
            status, output, errors = await authswitch(
                *close, "--operator", "Mei Lin", "--reason", "by phone, case 4711"
            )
            assert (status, errors) == (0, "")
            assert "closed by mei.lin (Mei Lin)" in output
            assert (await owed(daemon))["count"] == 0
            assert await daemon.metric("authswitch_reversals_closed_total", link="bank-a") == 1
            await becomes(daemon, "000201", "reversal_closed")
        async with running(installation) as daemon:
            assert daemon.said("journal replayed")[0]["resumed"] == 0


async def test_retry_of_a_link(installation):
    async with one_bank(installation, timeout_ms=200, reversal={"interval_ms": 60_000}) as bank:
        bank.mangle = hold
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
        ):
            assert await terminal.code(stan="000301") == "68"
            await until(lambda: is_paused(daemon), 20)
            bank.mangle = None
            retry = ("reversals", "retry", *daemon_at(daemon), *operator_of(daemon), "--link")
            status, _, errors = await authswitch(*retry, "bank-z")
            assert status == 1
            assert "there is no link bank-z; there are bank-a" in errors
            (entry,) = (await owed(daemon))["owed"]
            said = ("--operator", "Mei Lin", "--reason", "by phone")
            why = ("--yes", *said, "--link", "bank-z", *operator_of(daemon))
            status, _, errors = await authswitch(
                "reversals", "close", entry["rrn"], *daemon_at(daemon), *operator_of(daemon), *why
            )
            assert (status, errors.endswith("there is no link bank-z; there are bank-a\n")) == (1, True)
            status, output, _ = await authswitch(*retry, "bank-a")
            assert (status, output) == (0, "1 will be sent as soon as the link's window allows\n")
            await becomes(daemon, "000301", "reversed")
            assert (await owed(daemon))["count"] == 0
