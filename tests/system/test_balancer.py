"""Terminals behind HAProxy as it is shipped: one switch is active, one in reserve, and stand-in reaches them."""

import asyncio
import contextlib
import csv
import re
import shutil
import signal
import socket
import tempfile
from pathlib import Path

import pytest

from .conftest import never_said, running
from .daemon import Daemon, until
from .terminal import Terminal
from .unruly import hold, one_bank

SHIPPED = Path(__file__).parents[2] / "configs/haproxy"
RESERVE = SHIPPED / "reserve.cfg"
SERVERS = re.compile(r"(?m)^    server (\S+) (127\.0\.0\.1:58[34]0) port (958[34]) send-proxy-v2( backup)?$")
CHECKS = 5
"""Answered health checks after which HAProxy has made up its mind: more than ``fall`` and ``rise``."""

TRUSTED = ["127.0.0.1/32"]
STAND_IN = {
    "limits": [{"currency": "156", "amount_max": 20_000, "card_count_max": 9, "outstanding_max": 100_000}],
}

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")


class Gate:
    """A port of its own for something that may come, go, and come back elsewhere: passes bytes on, counts callers."""

    def __init__(self):
        self.target = None
        self.connections = 0
        self.port = None
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        writers = [writer]
        try:
            if self.target is not None:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
                writers.append(far_writer)
                await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except OSError:
            pass  # One of the two is gone, and so is the other then.
        finally:
            self._tasks.discard(task)
            for one in writers:
                one.close()
            await asyncio.gather(*(one.wait_closed() for one in writers), return_exceptions=True)

    async def _pass(self, reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Balancer:
    """A shipped configuration on free ports, with quick checks."""

    def __init__(self, folder, shipped=RESERVE, connections=100):
        self._shipped = shipped
        self._connections = connections
        self._file = folder / "haproxy.cfg"
        self._socket = Path(tempfile.mkdtemp(dir="/tmp"), "stats")
        # Bound here and handed over: no other program can take these ports in between.
        self._listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port = self._listening[0].getsockname()[1]
        self.checks = [Gate(), Gate()]
        self.terminals = [Gate(), Gate()]

    async def __aenter__(self):
        for gate in (*self.checks, *self.terminals):
            await gate.__aenter__()
        text = self._shipped.read_text()
        self.servers = [match[0] for match in SERVERS.findall(text)]
        ports = {
            "bind :5930": f"bind fd@{self._listening[0].fileno()}",
            "bind :5931": f"bind fd@{self._listening[1].fileno()}",
            "inter 1s": "inter 50ms",
            "maxconn 40000": f"maxconn {self._connections + 100}\n    stats socket {self._socket}",
            "maxconn 30000": f"maxconn {self._connections}",
        }
        for number, (check, terminal) in enumerate(zip(self.checks, self.terminals, strict=True)):
            ports[f"127.0.0.1:58{3 + number}0 port 958{3 + number}"] = f"127.0.0.1:{terminal.port} port {check.port}"
        for old, new in ports.items():
            assert old in text, old
            text = text.replace(old, new)
        self._file.write_text(text)
        self._child = await asyncio.create_subprocess_exec(
            *("haproxy", "-db", "-f", str(self._file)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=[one.fileno() for one in self._listening],
        )
        for one in self._listening:
            one.close()
        await until(self._socket.exists)
        return self

    async def __aexit__(self, *_):
        self._child.kill()
        await self._child.wait()
        for gate in (*self.checks, *self.terminals):
            await gate.__aexit__()
        shutil.rmtree(self._socket.parent)

    def lead(self, number, daemon):
        """Place ``number`` is taken by this daemon, or by nobody."""
        self.checks[number].target = None if daemon is None else daemon.admin_port
        self.terminals[number].target = None if daemon is None else daemon.ports["pos"]

    async def believes(self, number, state):
        """Wait until HAProxy takes a switch for ``UP`` or ``DOWN``."""

        async def is_so():
            reader, writer = await asyncio.open_unix_connection(self._socket)
            writer.write(b"show stat\n")
            rows = list(csv.DictReader((await reader.read()).decode().lstrip("# ").splitlines()))
            writer.close()
            row = next(row for row in rows if (row["pxname"], row["svname"]) == ("switches_pos", self.servers[number]))
            return row["status"] == state

        await until(is_so)

    async def has_looked(self, number=0):
        """Wait until HAProxy has asked a switch often enough to believe what it says."""
        gate = self.checks[number]
        enough = gate.connections + CHECKS
        await until(lambda: gate.connections >= enough)


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
