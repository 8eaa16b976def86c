"""Terminals behind HAProxy as it is shipped: one switch is active, one in reserve, and stand-in reaches them."""

import contextlib
import re
import shutil
import signal

import pytest

from .balancer import RESERVE, Balancer
from .conftest import never_said, running
from .daemon import Daemon, until
from .terminal import Terminal
from .unruly import hold, one_bank

TRUSTED = ["127.0.0.1/32"]
STAND_IN = {
    "limits": [{"currency": "156", "amount_max": 20_000, "card_count_max": 9, "outstanding_max": 100_000}],
}

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")


async def connected(installation, balancer, **keys):
    return await Terminal.connect(installation, balancer.port, "iso87-ascii", **keys)


async def is_answered(installation, balancer):
    """Whether a terminal gets through, and is approved."""
    with contextlib.suppress(OSError, EOFError):
        async with await connected(installation, balancer) as terminal:
            return await terminal.code() == "00"
    return False


async def test_terminals_get_stand_in_approvals_while_the_issuer_is_down(installation, tmp_path):
    installation.journal = {"mode": "files", "directory": "journal"}
    async with (
        one_bank(installation, TRUSTED, stand_in=STAND_IN) as bank,
        running(installation) as daemon,
        Balancer(tmp_path) as balancer,
    ):
        balancer.lead(0, daemon)
        await balancer.believes(0, "UP")
        async with await connected(installation, balancer) as terminal:
            assert await terminal.code() == "00"
            await bank.stop()
            await daemon.event("link down", link="bank-a")
            await balancer.has_looked()
            await balancer.believes(0, "UP")
            assert await terminal.code() == "00"
        async with await connected(installation, balancer) as terminal:
            answer = await terminal.ask(installation.request("iso87-ascii"))
            assert (answer.text(39), answer.text(38)[:2]) == ("00", "SI")
        assert bank.counters.requests == 1
        await bank.restart()
        await until(lambda: is_told(daemon))


async def test_terminals_are_known_by_their_own_addresses(installation, tmp_path):
    """Through HAProxy the switch sees who called; who calls the switch itself is refused."""
    async with one_bank(installation, TRUSTED), running(installation) as daemon, Balancer(tmp_path) as balancer:
        balancer.lead(0, daemon)
        await balancer.believes(0, "UP")
        for address in ("127.0.0.7", "127.0.0.8"):
            async with await connected(installation, balancer, local=address) as terminal:
                assert await terminal.code() == "00"
                terminal.send(b"nonsense")
                await daemon.event("format error", listener="pos", peer=address)
            await daemon.event("terminal connection closed", listener="pos", peer=address, via="127.0.0.1")
        async with await Terminal.connect(installation, daemon.ports["pos"], local="127.0.0.7") as stranger:
            assert await stranger.is_closed()
        await daemon.event("terminal connection refused", peer="127.0.0.7")
        await daemon.counted("authswitch_connections_refused_total", 1, listener="pos", why="untrusted")


async def is_told(daemon):
    return await daemon.metric("authswitch_advices_waiting") == 0


async def test_without_stand_in_readyz_says_what_fails(installation):
    async with one_bank(installation) as bank, running(installation) as daemon:
        await bank.stop()
        await daemon.event("link down", link="bank-a")
        status, reasons = await daemon.get("/readyz")
        assert (status, reasons) == (503, "no link is up, and none has stand-in: bank-a is down\n")


async def test_one_switch_is_active_and_the_reserve_gets_nobody(installation, new_installation, tmp_path):
    async with one_bank(installation, TRUSTED) as bank:
        other = new_installation()
        other.listeners, other.links = installation.listeners, installation.links
        async with running(installation) as active, running(other) as reserve, Balancer(tmp_path) as balancer:
            balancer.lead(0, active)
            balancer.lead(1, reserve)
            for number in (0, 1):
                await balancer.believes(number, "UP")
                await balancer.has_looked(number)
                await balancer.believes(number, "UP")
            for _ in range(20):
                assert await is_answered(installation, balancer)
            assert bank.counters.requests == 20
            assert await active.metric("authswitch_connections_total") >= 20
            assert await reserve.metric("authswitch_connections_total") == 0


async def test_failing_over_with_the_journal_charges_nobody_twice(installation, tmp_path):
    """The active switch dies with one payment approved and one at the issuer; the reserve starts on its journal."""
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation, TRUSTED) as bank, Balancer(tmp_path) as balancer:
        active = await Daemon(installation.write(), never_said(installation.secrets)).start()
        balancer.lead(0, active)
        await balancer.believes(0, "UP")
        approved, open_ = (installation.request("iso87-ascii") for _ in range(2))
        async with await connected(installation, balancer) as terminal:
            answer = await terminal.ask(approved)
            assert answer.text(39) == "00"
            bank.mangle = hold
            terminal.send(open_)
            await until(lambda: bank.held)
            active.end_status = -signal.SIGKILL
            active.kill()
            await active.ended()
            balancer.lead(0, None)
            assert await terminal.is_closed()
        bank.mangle = None
        for number in (0, 1):
            await balancer.believes(number, "DOWN")
        assert not await is_answered(installation, balancer), "nobody serves: the reserve does not run yet"
        async with running(installation) as reserve:
            balancer.lead(1, reserve)
            await until(lambda: is_answered(installation, balancer))
            async with await connected(installation, balancer) as terminal:
                again = await terminal.ask(approved)
                assert (again.text(39), again.text(38), again.text(37)) == ("00", answer.text(38), answer.text(37))
                assert (await terminal.ask(open_)).text(39) == "68"
            await until(lambda: is_settled(reserve))
    amounts = [(entry.kind, entry.state) for entry in bank.ledger.entries][:2]
    assert amounts == [("purchase", "approved"), ("purchase", "reversed")]
    purchases = bank.counters.requests - bank.counters.reversals
    assert sum(entry.state == "approved" for entry in bank.ledger.entries) == purchases - 1


async def is_settled(daemon):
    return (await daemon.status())["reversals_waiting"] == 0


def test_the_reserve_is_never_given_terminals_beside_the_active_one():
    servers = re.findall(r"(?m)^    server (\S+) .* send-proxy-v2( backup)?$", RESERVE.read_text())
    assert servers == [("switch-1", ""), ("switch-2", " backup")] * 2
