"""Two machines that are one switch: a daemon each, and an installation each that says the same of everything else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

from .conftest import never_said
from .daemon import Daemon, until
from .installation import NODES
from .test_trace import authswitch

SILENCE_MS = 1_000


def free_ports(count):
    """Ports that nobody has just now, one above the other."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = first.getsockname()[1]
            try:
                for number in range(1, count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port + number)))
            except OSError:
                continue
            return port


class Nodes:
    """Nodes ``a`` and ``b`` of one switch.

    Args:
        first: The installation of node a, which has listeners and links already; the other one gets the same.
        second: An empty one.
        workers: Of each node.
        partitions: Of the switch.
    """

    def __init__(self, first, second, workers=1, partitions=2):
        second.listeners, second.links, second.routes = first.listeners, first.links, first.routes
        second.limits, second.risk = first.limits, first.risk
        self.installations = (first, second)
        secrets = first.secrets
        tables = [{"name": name, "address": f"127.0.0.1:{free_ports(workers)}", "workers": workers} for name in NODES]
        for name, installation in zip(NODES, self.installations, strict=True):
            pair = secrets.nodes[name]
            installation.workers = workers
            installation.nodes = tables
            installation.mesh = {
                "node": name,
                "certificate": pair.certificate,
                "private_key": pair.private_key,
                "ca": secrets.authority.certificate,
                "silence_ms": SILENCE_MS,
            }
            installation.journal = {"mode": "files", "directory": "journal", "partitions": partitions}
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
        return bool(rows) and all(row["connected"] for row in rows)

    async def restart(self, number):
        """Start a node again that was killed."""
        self.daemons[number] = await self._daemon(self.installations[number]).start()
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


def node_rows(status):
    """What a daemon says of the workers of other nodes: each of its workers by itself, where it has several."""
    rows = status.get("nodes", [])
    return [*rows, *(row for worker in status.get("workers", []) for row in worker.get("nodes", []))]
