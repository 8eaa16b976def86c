"""Processor instructions of one transaction, by function: what shows a regression that noise would hide.

``python -m bench.instructions`` carries purchases through the state machine under callgrind, AES-CMAC on both legs,
and prints how many instructions each function took for one of them. What makes the requests and the issuer's answers
is left out. ``--scale`` counts again with many connections, terminals and ranges, which should cost the same.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.engine_load import EngineLoad

ROOT = Path(__file__).resolve().parent.parent
TRANSACTIONS = 2_000
CONNECTIONS = 200
ROWS = 40
TABLE_WIDTH = 120
SHAPES = {
    "10 connections": (10, 0, 1),
    "200 connections": (200, 0, 1),
    "20,000 connections": (20_000, 0, 1),
    "10 ranges": (200, 0, 10),
    "1,000,000 ranges": (200, 0, 1_000_000),
    "1,000,000 terminals": (200, 1_000_000, 1),
}
"""Connections, registered terminals (0: as many as connections) and ranges."""

ENTRANCES = ("feed", "take", "tick")
"""Methods of the engine whose instructions count, with all that they call."""


def main() -> int:
    """Print the report, or, as the child of callgrind, carry purchases."""
    parser = argparse.ArgumentParser(prog="bench.instructions", description="Count instructions of one transaction.")
    parser.add_argument("--scale", action="store_true", help="compare with many connections, terminals and ranges")
    parser.add_argument("--mac", default="aes-cmac", help="aes-cmac, x9.19 or none")
    parser.add_argument("--rows", type=int, default=ROWS, help="functions in the table")
    parser.add_argument("--transactions", type=int, default=TRANSACTIONS, help="how many are counted")
    parser.add_argument("--carry", nargs=4, metavar="X", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.carry:
        library, *shape = options.carry
        carry(ctypes.CDLL(library), options, *map(int, shape))
        return 0
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    with tempfile.TemporaryDirectory(prefix="authswitch-callgrind-") as name:
        folder = Path(name)
        library = build_library(folder)
        if options.scale:
            console.print(scale_table(folder, library, options))
        else:
            console.print(function_table(count(folder, library, options, (CONNECTIONS, 0, 1)), options))
    return 0


def build_library(folder: Path) -> Path:
    """Compile what speaks to callgrind."""
    library = folder / "callgrind.so"
    source = Path(__file__).with_name("callgrind.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def carry(callgrind: ctypes.CDLL, options: argparse.Namespace, connections: int, terminals: int, ranges: int) -> None:
    """Carry purchases: first one of each connection, uncounted, then those that count."""
    with tempfile.TemporaryDirectory(prefix="authswitch-callgrind-") as name:
        mac = None if options.mac == "none" else options.mac
        load = EngineLoad(Path(name), connections, terminals=terminals, ranges=ranges, mac=mac)
        load.run(max(connections, CONNECTIONS))
        callgrind.callgrind_start()
        load.run(options.transactions)
        callgrind.callgrind_stop()


def count(
    folder: Path, library: Path, options: argparse.Namespace, shape: tuple[int, int, int]
) -> Counter[tuple[str, str]]:
    """Run under callgrind; instructions by library and function, for all transactions together."""
    out = folder / "callgrind.out"
    out.unlink(missing_ok=True)
    toggles = [f"--toggle-collect=__pyx_pw_6switch_4path_6engine_6Engine_*{name}" for name in ENTRANCES]
    command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", *toggles]
    command += [sys.executable, "-m", "bench.instructions", "--mac", options.mac]
    command += ["--transactions", str(options.transactions)]
    command += ["--carry", str(library), *map(str, shape)]
    subprocess.run(command, check=True, cwd=ROOT)
    return read_costs(out)


def read_costs(path: Path) -> Counter[tuple[str, str]]:
    """Each function's own instructions from callgrind's file (see "Callgrind Format Specification")."""
    costs: Counter[tuple[str, str]] = Counter()
    names: dict[str, str] = {}
    objects: dict[str, str] = {}
    library = function = ""
    is_call = False
    for line in path.read_text().splitlines():
        if line.startswith("ob="):
            library = named(line[3:], objects)
        elif line.startswith("fn="):
            function = named(line[3:], names)
        elif line.startswith(("cfn=", "cfni=")):
            named(line.partition("=")[2], names)
        elif line.startswith("cob="):
            named(line[4:], objects)
        elif line.startswith("calls="):
            is_call = True  # the next line's cost is the called function's
        elif line[:1].isdigit() or line[:1] in "+-*":
            if not is_call:
                costs[Path(library).name, function] += sum(map(int, line.split()[1:2]))  # none is a cost of 0
            is_call = False
    return costs


def named(text: str, known: dict[str, str]) -> str:
    """A name that the file gives once, with a number, and then by its number."""
    number, _, name = text.partition(" ")
    if name:
        known[number] = name
    return known.get(number, text)


def function_table(costs: Counter[tuple[str, str]], options: argparse.Namespace) -> Table:
    """One row for each of the costliest functions."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("instructions", justify="right")
    table.add_column("share", justify="right")
    table.add_column("function")
    table.add_column("library")
    total = costs.total()
    for (library, function), cost in costs.most_common(options.rows):
        table.add_row(
            f"{cost / options.transactions:,.0f}", f"{cost / total:.1%}", plain(function), library.partition(".")[0]
        )
    table.add_row(f"{total / options.transactions:,.0f}", "100%", "one transaction", "", style="bold")
    return table


def plain(function: str) -> str:
    """A function's name without what Cython adds: ``__pyx_f_6switch_4path_7request__send``: ``path.request._send``."""
    if not function.startswith("__pyx_"):
        return function
    parts = []
    rest = function.partition("_6switch_")[2]
    while rest[:1].isdigit():
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        parts.append(rest[len(digits) : len(digits) + int(digits)])
        rest = rest[len(digits) + int(digits) + 1 :]
    return ".".join([*parts, rest])


def scale_table(folder: Path, library: Path, options: argparse.Namespace) -> Table:
    """One row for each shape."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("instructions", justify="right")
    table.add_column(f"against {CONNECTIONS} connections", justify="right")
    reference = count(folder, library, options, (CONNECTIONS, 0, 1)).total()
    for name, shape in SHAPES.items():
        total = count(folder, library, options, shape).total()
        table.add_row(name, f"{total / options.transactions:,.0f}", f"{total / reference - 1:+.1%}")
    return table


if __name__ == "__main__":
    sys.exit(main())
