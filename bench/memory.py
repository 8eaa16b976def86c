"""Memory of one worker with a million terminals: what more partitions cost, once every terminal has spoken.

``python -m bench.memory`` starts a process for each number of partitions. It loads the registry, takes a purchase of
every terminal to the issuer and back, without MACs, and says what it has resident. Terminals take turns on a hundred
connections, so what is measured is what the worker keeps of terminals and transactions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.engine_load import EngineLoad
from bench.instructions import ROOT
from bench.workload import purchase

TERMINALS = 1_000_000
CONNECTIONS = 100
PAUSE_NS = 1_000_000
"""Between two purchases of one connection: together they are 100,000 a second, in a duplicate window of 5 seconds."""

PARTITIONS = (1, 8)
KIB = 1024


def main() -> int:
    """Print a line for each number of partitions, beside the first one."""
    parser = argparse.ArgumentParser(prog="bench.memory", description="Measure what partitions cost in memory.")
    parser.add_argument("--terminals", type=int, default=TERMINALS, help="that are registered, and speak")
    parser.add_argument(
        "--partitions", type=int, nargs="+", default=PARTITIONS, help="of one worker, one after another"
    )
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(*resident_bytes(options.terminals, options.child))
        return 0
    reference = 0
    for partitions in options.partitions:
        command = [sys.executable, "-m", "bench.memory", "--terminals", str(options.terminals)]
        child = subprocess.run(
            [*command, "--child", str(partitions)], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        idle, spoken = map(int, child.stdout.split())
        reference = reference or spoken
        print(
            f"{partitions} partitions, {options.terminals:,} terminals: {idle / 1e6:,.0f} MB before they speak, "
            f"{spoken / 1e6:,.0f} MB when all have, {spoken / reference:.2f} times {options.partitions[0]}"
        )
    return 0


def resident_bytes(terminals: int, partitions: int) -> tuple[int, int]:
    """What the process has in memory: before the terminals speak, and when each has spoken."""
    with tempfile.TemporaryDirectory(prefix="authswitch-memory-") as name:
        load = EngineLoad(Path(name), CONNECTIONS, terminals=terminals, mac=None, partitions=partitions)
        idle = resident()
        for start in range(0, terminals, CONNECTIONS):
            messages = [purchase(terminal, with_mac=False) for terminal in range(start, start + CONNECTIONS)]
            frames = [len(message).to_bytes(2, "big") + message for message in messages]
            load.exchange(list(zip(load.terminals, frames, strict=True)), PAUSE_NS)
        return idle, resident()


def resident() -> int:
    """Resident memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * KIB


if __name__ == "__main__":
    sys.exit(main())
