"""The mesh within a node: a record written to a ring, its reader woken, and read; between two processes and within one.

``python -m bench.mesh`` prints nanoseconds, beside those of a Unix socket that carries the same records, and the
instructions under callgrind, without the kernel's. Both processes sleep until they are woken; each has a processor of
its own.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

from bench.building import load_steps
from bench.instructions import ROOT, TABLE_WIDTH, build_library, read_costs, run_counted
from switch.mesh.hand_over import offer, take

MESSAGE = bytes(range(238))
"""As long as a purchase with its MAC."""

BATCHES = (1, 8, 64)
"""Records in a turn of the loop."""

RING_BYTES = 1 << 20
ROUNDS = 400
"""Batches in one run; the least of all runs counts."""

RUNS = 50
ROUNDS_COUNTED = 200
ASKER_CPU, SERVER_CPU = 0, 1


def main() -> int:
    """Print the report, or take part in it as a child."""
    parser = argparse.ArgumentParser(prog="bench.mesh", description="Measure rings between two processes.")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each measurement; the least counts")
    parser.add_argument("--serve", nargs=3, metavar="X", help=argparse.SUPPRESS)
    parser.add_argument("--count", nargs=2, metavar="X", help=argparse.SUPPRESS)
    options = parser.parse_args()
    steps = load_steps()
    if options.serve:
        serve(steps, options.serve[0], *map(int, options.serve[1:]))
        return 0
    if options.count:
        count(steps, ctypes.CDLL(options.count[0]), int(options.count[1]))
        return 0
    Console(width=None if sys.stdout.isatty() else TABLE_WIDTH).print(report(steps, options.runs))
    return 0


def report(steps: ModuleType, runs: int) -> Table:
    """One row for each size of a batch."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("records a turn", "there and back, ring", "socket", "a record one way, ring", "socket",
                  "write and read, one process", "instructions a record"):  # fmt: skip
        table.add_column(title, justify="right")
    with tempfile.TemporaryDirectory(prefix="authswitch-callgrind-") as name:
        library = build_library(Path(name))
        for batch in BATCHES:
            by_ring = between_processes(steps, "ring", batch, runs)
            by_socket = between_processes(steps, "socket", batch, runs)
            table.add_row(
                str(batch),
                *(f"{nanoseconds / 1000:,.1f} µs" for nanoseconds in (by_ring, by_socket)),
                *(f"{nanoseconds / 2 / batch:,.0f} ns" for nanoseconds in (by_ring, by_socket)),
                f"{within_process(steps, batch, runs) / batch:,.0f} ns",
                f"{instructions(Path(name), library, batch):,.0f}",
            )
    return table


def best(run: Callable[[], None], runs: int) -> float:
    """Nanoseconds of one round, in the quickest run."""
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return min(times) / ROUNDS


def between_processes(steps: ModuleType, how: str, batch: int, runs: int) -> float:
    """Nanoseconds in which a batch goes there, and as many answers come back."""
    requests = batch * ROUNDS * runs
    with on_processor(ASKER_CPU), server(how, requests) as connection:
        if how == "socket":
            with watching(connection.fileno()) as epoll:
                return best(lambda: steps.ask_by_socket(connection.fileno(), epoll, MESSAGE, batch, ROUNDS), runs)
        pair = offer(connection, RING_BYTES)
        with watching(pair.fileno()) as epoll:
            nanoseconds = best(lambda: steps.ask_by_ring(pair, epoll, MESSAGE, batch, ROUNDS), runs)
        pair.close()
        return nanoseconds


@contextmanager
def watching(descriptor: int) -> Iterator[int]:
    """Watch a descriptor by its edges, as the daemon does."""
    os.set_blocking(descriptor, False)
    with select.epoll() as epoll:
        epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)
        yield epoll.fileno()


@contextmanager
def on_processor(number: int) -> Iterator[None]:
    """Keep this process to one processor, where there are two or more."""
    before = os.sched_getaffinity(0)
    chosen = sorted(before)[number % len(before)]
    os.sched_setaffinity(0, {chosen})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(how: str, requests: int) -> Iterator[socket.socket]:
    """The other process, and the socket to it."""
    processors = sorted(os.sched_getaffinity(os.getppid()))
    ours, theirs = socket.socketpair()
    command = ["taskset", "--cpu-list", str(processors[SERVER_CPU % len(processors)]), sys.executable, "-m"]
    command += ["bench.mesh", "--serve", how, str(theirs.fileno()), str(requests)]
    with ours, subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()]) as child:
        theirs.close()
        try:
            yield ours
            if child.wait(10):
                raise RuntimeError(f"the server ended with status {child.returncode}")
        finally:
            child.kill()


def serve(steps: ModuleType, how: str, descriptor: int, requests: int) -> None:
    """The part of the child."""
    with socket.socket(fileno=descriptor) as connection:
        if how == "socket":
            with watching(connection.fileno()) as epoll:
                steps.serve_socket(connection.fileno(), epoll, requests)
        else:
            pair = take(connection)
            with watching(pair.fileno()) as epoll:
                steps.serve_ring(pair, epoll, requests)


def within_process(steps: ModuleType, batch: int, runs: int) -> float:
    """Nanoseconds in which a batch is written, woken for, and read, all by one process: no switch, no waiting."""
    ours, theirs = socket.socketpair()
    with ours, theirs, on_processor(ASKER_CPU):
        first, second = offer(ours, RING_BYTES), take(theirs)
        nanoseconds = best(lambda: steps.pass_records(first, second, MESSAGE, batch, ROUNDS), runs)
        first.close()
        second.close()
    return nanoseconds


def instructions(folder: Path, library: Path, batch: int) -> float:
    """Instructions in which a record is written and read, and its share of the wake-up."""
    out = run_counted(folder, [], "bench.mesh", "--count", str(library), str(batch))
    return read_costs(out).total() / ROUNDS_COUNTED / batch


def count(steps: ModuleType, callgrind: ctypes.CDLL, batch: int) -> None:
    """The part of callgrind's child."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first, second = offer(ours, RING_BYTES), take(theirs)
        steps.pass_records(first, second, MESSAGE, batch, ROUNDS_COUNTED)
        callgrind.callgrind_start()
        steps.pass_records(first, second, MESSAGE, batch, ROUNDS_COUNTED)
        callgrind.callgrind_stop()


if __name__ == "__main__":
    sys.exit(main())
