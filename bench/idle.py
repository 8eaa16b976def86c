"""Memory of idle connections: what the daemon's resident memory grows by, for each terminal that is only connected.

``python -m bench.idle`` opens connections from several loopback addresses, plain and over TLS 1.3, and says nothing on
them. Buffers of the system's sockets are not in these figures.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import ssl
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench.processes import Process, free_port, is_listening
from bench.whole import PEERS_CPU, ROOT, SCENARIOS, SWITCH_CPU, is_ready, issuer_command, switch_command
from bench.workload import Ports, prepare

PLAIN = 19_500
TLS = 5_000
ADDRESSES = 10
"""Source addresses: one has no more than some 28,000 ports."""

FEW = 10
"""Connections that are opened first: they bring in what all share."""


def main() -> int:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(prog="bench.idle", description="Measure the memory of idle connections.")
    parser.add_argument("--plain", type=int, default=PLAIN, help="plain connections")
    parser.add_argument("--tls", type=int, default=TLS, help="connections over TLS")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name, count, tls in (("plain", options.plain, False), ("TLS 1.3", options.tls, True)):
        if count:
            print(f"{name}: {bytes_each(count, tls=tls) / 1024:.1f} KiB each, of {count:,} connections")
    return 0


def bytes_each(count: int, *, tls: bool) -> float:
    """Resident memory that one idle connection adds to the daemon."""
    ports = Ports(free_port(), free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="authswitch-bench-") as name:
        folder = Path(name)
        workload = prepare(folder, ports, count, None, tls=tls)
        issuer = issuer_command("switch", SCENARIOS["plain"], workload, ports)
        with Process(issuer, PEERS_CPU, folder / "issuer.log") as peer:
            peer.wait_until(lambda: is_listening(ports.issuer))
            with Process(
                switch_command("switch", workload, ports), SWITCH_CPU, folder / "switch.base.log", ROOT
            ) as switch:
                switch.wait_until(lambda: is_ready("switch", ports))
                few = connect(ports.terminals, FEW, tls=tls)
                switch.wait_until(lambda: open_connections(ports) == FEW)
                before = switch.resident_bytes()
                many = connect(ports.terminals, count, tls=tls)
                switch.wait_until(lambda: open_connections(ports) == FEW + count)
                grown = switch.resident_bytes() - before
                for connection in [*few, *many]:
                    connection.close()
    return grown / count


def open_connections(ports: Ports) -> int:
    """How many connections of terminals the daemon has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.admin}/status", timeout=5) as answer:
        return int(json.load(answer)["listeners"][0]["connections"])


def connect(port: int, count: int, *, tls: bool) -> list[socket.socket]:
    """Open connections from several addresses."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    opened = []
    for number in range(count):
        source = f"127.0.0.{2 + number % ADDRESSES}"
        connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
        opened.append(context.wrap_socket(connection) if tls else connection)
    return opened


if __name__ == "__main__":
    sys.exit(main())
