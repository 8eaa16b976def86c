"""Two machines that are one switch: a daemon each, and an installation each that says the same of everything else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket

from .conftest import never_said
from .daemon import Daemon, until
from .installation import NODES
from .test_trace import authswitch

SILENCE_MS = 1_000
FIRST_PORT, LAST_PORT = 20_000, 32_000


def free_ports(count):
    """Ports that nobody has just now, one above the other, and none of those that callers are given."""
    while True:
        with contextlib.ExitStack() as stack:
            port = random.randrange(FIRST_PORT, LAST_PORT - count)
            try:
                for number in range(count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port + number)))
            except OSError:
                continue
            return port


class Nodes:
    """Nodes ``a`` and ``b`` of one switch.

    Args:
        first: The installation of node a, which has listeners and links already; the other one gets the same.
        second: An empty one.
        workers: Of each node; or of one and of the other.
        partitions: Of the switch.
        apart: Let them know nothing of each other, as must never be.

    Attributes:
        ports: Where each node listens for terminals.
    """

    def __init__(self, first, second, workers=1, partitions=2, apart=False):
        listeners = first.listeners
        second.links, second.routes = first.links, first.routes
        second.limits, second.risk = first.limits, first.risk
        second.store_url, second.has_rulebooks_in_store = first.store_url, first.has_rulebooks_in_store
        self.installations = (first, second)
        secrets = first.secrets
        crews = (workers,) * len(NODES) if isinstance(workers, int) else workers
        port = free_ports(len(NODES) + sum(crews))
        self.ports = [port + number for number in range(len(NODES))]
        tables = [
            {"name": name, "address": f"127.0.0.1:{port + len(NODES) + sum(crews[:number])}", "workers": crews[number]}
            for number, name in enumerate(NODES)
        ]
        for name, installation, port, crew in zip(NODES, self.installations, self.ports, crews, strict=True):
            installation.listeners = [{**listener, "bind": f"127.0.0.1:{port}"} for listener in listeners]
            pair = secrets.nodes[name]
            installation.workers = crew
            if not apart:
                installation.nodes = tables
                installation.mesh = {
                    "node": name,
                    "certificate": pair.certificate,
                    "private_key": pair.private_key,
                    "ca": secrets.authority.certificate,
                    "silence_ms": SILENCE_MS,
                }
            installation.journal = {"mode": "files", "directory": "journal", "partitions": partitions}
        self._apart = apart
        self.daemons = [self._daemon(installation) for installation in self.installations]

    def _daemon(self, installation):
        return Daemon(installation.write(), never_said(installation.secrets))

    async def __aenter__(self):
        try:
            await asyncio.gather(*(daemon.start() for daemon in self.daemons))
            await until(self.are_joined)
        except BaseException:
            self.kill()
            print(*(daemon.tail for daemon in self.daemons), sep="\n")
            raise
        return self

    async def __aexit__(self, kind, *_):
        if kind is not None:
            self.kill()
        else:
            await asyncio.gather(*(daemon.stop() for daemon in self.daemons))

    def kill(self):
        """End both without further ado."""
        for daemon in self.daemons:
            daemon.kill()

    async def are_joined(self):
        """Whether each worker of each node is connected with each of the other one."""
        statuses = [await daemon.status() for daemon in self.daemons]
        rows = [row for status in statuses for row in node_rows(status)]
        return bool(rows) != self._apart and all(row["connected"] for row in rows)

    async def restart(self, number, *, ready=True):
        """Start a node again that was killed, and wait until it is ready, unless told otherwise."""
        self.daemons[number] = await self._daemon(self.installations[number]).start(ready=ready)
        return self.daemons[number]

    async def settled(self):
        """Whether nothing is owed or under way."""
        statuses = [await daemon.status() for daemon in self.daemons]
        return not any(status["reversals_waiting"] or status["in_flight"] for status in statuses)

    async def open_reversals(self):
        """By the journals, once both have ended: how many reversals have not."""
        found = 0
        for daemon in self.daemons:
            status, output, errors = await authswitch("journal", "verify", daemon.config, "--json")
            assert status == 0, errors
            found += sum(one["open_reversals"] for one in json.loads(output)["partitions"])
        return found


async def is_left_unanswered(daemon, line, request):
    """A payment of a partition that is away is given up, and its terminal hears nothing that may not be true."""
    before = await daemon.metric("authswitch_mesh_refused_total")
    line.send(request)
    await daemon.counted("authswitch_mesh_refused_total", before + 1)
    with contextlib.suppress(TimeoutError):
        raise AssertionError(await line.receive(0.05))


def node_rows(status):
    """What a daemon says of the workers of other nodes: each of its workers by itself."""
    return status.get("nodes", [])
