"""HAProxy as it is shipped, before two switches or nodes, on ports of its own."""

from __future__ import annotations

import asyncio
import csv
import re
import shutil
import socket
import tempfile
from pathlib import Path

from .daemon import until

SHIPPED = Path(__file__).parents[2] / "configs/haproxy"
RESERVE = SHIPPED / "reserve.cfg"
NODES = SHIPPED / "haproxy.cfg"
SERVERS = re.compile(r"(?m)^    server (\S+) (127\.0\.0\.1:58[34]0) port (958[34]) send-proxy-v2( backup)?$")
ENDED = re.compile(r"(127\.[0-9.]+):([0-9]+) \[[^]]*\] pos switches_pos/(\S+) ")
BACKLOG = 1_024
CHECKS = 5
"""Answered health checks after which HAProxy has made up its mind: more than ``fall`` and ``rise``."""


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
    """A shipped configuration on free ports, with quick checks.

    Args:
        folder: Of its configuration and its log.
        shipped: The configuration.
        connections: Of terminals, at most.
        ports: Where the switches listen for terminals, when that is known beforehand: nothing stands in between then.
    """

    def __init__(self, folder, shipped=RESERVE, connections=100, ports=()):
        self._shipped = shipped
        self._connections = connections
        self._file = folder / "haproxy.cfg"
        self._log = folder / "haproxy.log"
        self._socket = Path(tempfile.mkdtemp(dir="/tmp"), "stats")
        # Bound here and handed over: no other program can take these ports in between.
        self._listening = [socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) for _ in range(2)]
        self.port = self._listening[0].getsockname()[1]
        self.checks = [Gate(), Gate()]
        self.terminals = [] if ports else [Gate(), Gate()]
        self._ports = ports
        self._child = None

    async def __aenter__(self):
        for gate in (*self.checks, *self.terminals):
            await gate.__aenter__()
        text = self._shipped.read_text()
        self.servers = [match[0] for match in SERVERS.findall(text)]
        changes = {
            "bind :5930": f"bind fd@{self._listening[0].fileno()}",
            "bind :5931": f"bind fd@{self._listening[1].fileno()}",
            "inter 1s": "inter 50ms",
            "local0 notice": "local0 info",
            "maxconn 40000": f"maxconn {self._connections + 100}\n    stats socket {self._socket} level admin",
            "maxconn 30000": f"maxconn {self._connections}",
        }
        places = self._ports or [gate.port for gate in self.terminals]
        for number, (check, port) in enumerate(zip(self.checks, places, strict=True)):
            changes[f"127.0.0.1:58{3 + number}0 port 958{3 + number}"] = f"127.0.0.1:{port} port {check.port}"
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new)
        self._file.write_text(text)
        await self._start()
        return self

    async def __aexit__(self, *_):
        await self._kill()
        for one in self._listening:
            one.close()
        for gate in (*self.checks, *self.terminals):
            await gate.__aexit__()
        shutil.rmtree(self._socket.parent)

    async def _start(self):
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *("haproxy", "-db", "-f", str(self._file)),
                stdout=log,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[one.fileno() for one in self._listening],
            )
        await until(self._socket.exists)

    async def _kill(self):
        self._child.kill()
        await self._child.wait()

    async def restart(self):
        """Kill HAProxy with all that it holds, and start it again."""
        await self._kill()
        self._socket.unlink()
        await self._start()

    def lead(self, number, daemon):
        """Place ``number`` is taken by this daemon, or by nobody."""
        self.checks[number].target = None if daemon is None else daemon.admin_port
        if self.terminals:
            self.terminals[number].target = None if daemon is None else daemon.ports["pos"]

    async def command(self, text):
        """What HAProxy answers to a command."""
        reader, writer = await asyncio.open_unix_connection(self._socket)
        writer.write(text.encode() + b"\n")
        said = (await reader.read()).decode()
        writer.close()
        return said

    async def cut(self, address, port):
        """Cut off one terminal, by the place from which it calls; whether it was known."""
        for line in (await self.command("show sess")).splitlines():
            session, _, rest = line.partition(":")
            if f" src={address}:{port} " in rest:
                await self.command(f"shutdown session {session}")
                return True
        return False

    def served_by(self):
        """By the place (address, port) from which a terminal called: the switch that got it, once that has ended."""
        return {(found[1], int(found[2])): found[3] for found in map(ENDED.search, self._lines()) if found}

    def _lines(self):
        return self._log.read_text().splitlines()

    async def believes(self, number, state):
        """Wait until HAProxy takes a switch for ``UP`` or ``DOWN``."""

        async def is_so():
            rows = list(csv.DictReader((await self.command("show stat")).lstrip("# ").splitlines()))
            row = next(row for row in rows if (row["pxname"], row["svname"]) == ("switches_pos", self.servers[number]))
            return row["status"] == state

        await until(is_so)

    async def has_looked(self, number=0):
        """Wait until HAProxy has asked a switch often enough to believe what it says."""
        gate = self.checks[number]
        enough = gate.connections + CHECKS
        await until(lambda: gate.connections >= enough)
