"""Processor instructions of one transaction, by function: what shows a regression that noise would hide.

``python -m bench.instructions`` carries purchases through the state machine under callgrind, AES-CMAC on both legs,
and prints how many instructions each function took for one of them. What makes the requests and the issuer's answers
is left out. ``--scale`` counts again with many connections, terminals and ranges, which should cost the same.
``--ways`` counts where a request may be decided: by a worker of one partition, by one of four, and by another worker,
to which the mesh hands it over. ``--pins`` counts what it costs to translate a PIN block.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.engine_load import EngineLoad
from switch.crypto import dukpt, pin_block
from switch.crypto.dukpt import derive_key
from switch.crypto.pin_block import encrypt_pin_block, translate_pin_block
from switch.path import engine

ROOT = Path(__file__).resolve().parent.parent
TRANSACTIONS = 2_000
CONNECTIONS = 200
ROWS = 40
TABLE_WIDTH = 120


@dataclass(frozen=True)
class Shape:
    """What an ``EngineLoad`` is made of.

    Attributes:
        connections: Of terminals.
        terminals: That are registered; 0: as many as connections.
        ranges: Of BINs.
        partitions: Of the switch.
        handed_over: 1: all are another worker's than the connections; 0: there is one worker.
    """

    connections: int = CONNECTIONS
    terminals: int = 0
    ranges: int = 1
    partitions: int = 1
    handed_over: int = 0


SCALES = {
    f"{CONNECTIONS} connections": Shape(),
    "10 connections": Shape(connections=10),
    "20,000 connections": Shape(connections=20_000),
    "10 ranges": Shape(ranges=10),
    "1,000,000 ranges": Shape(ranges=1_000_000),
    "1,000,000 terminals": Shape(terminals=1_000_000),
}
WAYS = {
    "one worker, one partition": Shape(),
    "one worker, four partitions": Shape(partitions=4),
    "handed over to another worker": Shape(partitions=2, handed_over=1),
}
"""Of the last the instructions of both workers count: their engines, and what these write for each other and read. How
the bytes come from one to the other does not: the ring has its own measurement in ``bench.mesh``."""

PINS = {
    "iso-0 to iso-0, 3DES": ("iso-0", "iso-0"),
    "iso-3 to iso-0, 3DES": ("iso-3", "iso-0"),
    "iso-4 to iso-4, AES-128": ("iso-4", "iso-4"),
    "iso-4 to iso-0": ("iso-4", "iso-0"),
    "iso-0 under DUKPT to iso-0": ("iso-0+dukpt", "iso-0"),
    "iso-4 under DUKPT to iso-4": ("iso-4+dukpt", "iso-4"),
}
"""Formats of a PIN block before and after its translation."""
PIN_KEYS = bytes(range(16)), bytes(range(16, 32))
SERIAL_NUMBERS = {"iso-0": "FFFF9876543210FFC007", "iso-4": "12345678901234560000FFFF"}
"""With counters of as many ones as a terminal sends: the costliest."""
PAN = "6225000000000014"

ENTRANCES = ("feed", "take", "tick", "woken", "hear")
"""Methods of the engine whose instructions count, with all that they call."""


def main() -> int:
    """Print the report, or, as the child of callgrind, carry purchases."""
    parser = argparse.ArgumentParser(prog="bench.instructions", description="Count instructions of one transaction.")
    parser.add_argument("--scale", action="store_true", help="compare with many connections, terminals and ranges")
    parser.add_argument("--ways", action="store_true", help="compare one partition, several, and another worker's")
    parser.add_argument("--pins", action="store_true", help="count translations of PIN blocks instead")
    parser.add_argument("--partitions", type=int, default=1, help="of the switch")
    parser.add_argument("--handed-over", action="store_true", help="another worker decides; at least 2 partitions")
    parser.add_argument("--mac", default="aes-cmac", help="aes-cmac, x9.19 or none")
    parser.add_argument("--rows", type=int, default=ROWS, help="functions in the table")
    parser.add_argument("--transactions", type=int, default=TRANSACTIONS, help="how many are counted")
    parser.add_argument("--carry", nargs=6, metavar="X", help=argparse.SUPPRESS)
    parser.add_argument("--translate", metavar="X", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.carry:
        library, *shape = options.carry
        carry(ctypes.CDLL(library), options, Shape(*map(int, shape)))
        return 0
    if options.translate:
        translate(ctypes.CDLL(options.translate), options.transactions)
        return 0
    if options.handed_over and options.partitions == 1:
        parser.error("--handed-over needs --partitions 2 or more")
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    with tempfile.TemporaryDirectory(prefix="authswitch-callgrind-") as name:
        folder = Path(name)
        library = build_library(folder)
        if options.scale or options.ways:
            console.print(comparison(folder, library, options, SCALES if options.scale else WAYS))
        if options.pins:
            console.print(pin_table(folder, library, options))
        if not (options.scale or options.ways or options.pins):
            shape = Shape(partitions=options.partitions, handed_over=int(options.handed_over))
            console.print(function_table(count(folder, library, options, shape), options))
            if shape == Shape():
                console.print(comparison(folder, library, options, WAYS))
                console.print(pin_table(folder, library, options))
    return 0


def build_library(folder: Path) -> Path:
    """Compile what speaks to callgrind."""
    library = folder / "callgrind.so"
    source = Path(__file__).with_name("callgrind.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def carry(callgrind: ctypes.CDLL, options: argparse.Namespace, shape: Shape) -> None:
    """Carry purchases: first one of each connection, uncounted, then those that count."""
    with tempfile.TemporaryDirectory(prefix="authswitch-callgrind-") as name:
        load = EngineLoad(
            Path(name),
            shape.connections,
            terminals=shape.terminals,
            ranges=shape.ranges,
            mac=None if options.mac == "none" else options.mac,
            partitions=shape.partitions,
            handed_over=bool(shape.handed_over),
        )
        load.run(max(shape.connections, CONNECTIONS))
        callgrind.callgrind_start()
        load.run(options.transactions)
        callgrind.callgrind_stop()


def translate(callgrind: ctypes.CDLL, times: int) -> None:
    """Translate PIN blocks of each pair of formats: one uncounted, then those that count, with a dump of their own."""
    for source, target in PINS.values():
        name = source.partition("+")[0]
        block = encrypt_pin_block("1234", PAN, pin_key(source), name)
        translate_pin_block(block, pin_key(source), name, PIN_KEYS[1], target, PAN)
        callgrind.callgrind_start()
        for _ in range(times):
            translate_pin_block(block, pin_key(source), name, PIN_KEYS[1], target, PAN)
        callgrind.callgrind_stop()
        callgrind.callgrind_dump()


def pin_key(source: str) -> bytes:
    """The key of a PIN block; under DUKPT it is derived each time."""
    name, _, derived = source.partition("+")
    return derive_key(PIN_KEYS[0], SERIAL_NUMBERS[name], is_aes=name == "iso-4") if derived else PIN_KEYS[0]


def count(folder: Path, library: Path, options: argparse.Namespace, shape: Shape) -> Counter[tuple[str, str]]:
    """Instructions by library and function, for all transactions together."""
    functions = symbols(engine.__file__, rf"__pyx_pw_6switch_4path_6engine_6Engine_\d+(?:{'|'.join(ENTRANCES)})")
    if len(functions) != len(ENTRANCES):
        raise RuntimeError(f"needed the functions of {ENTRANCES}, found {functions}")
    arguments = ["--mac", options.mac, "--transactions", str(options.transactions)]
    arguments += ["--carry", str(library), *map(str, astuple(shape))]
    return read_costs(run_counted(folder, functions, "bench.instructions", *arguments))


def run_counted(folder: Path, functions: list[str], module: str, *arguments: str) -> Path:
    """Run a module under callgrind; the file of what some C functions cost with all that they call, or whatever it did.

    They are given by their whole names: of several patterns callgrind would follow one. Each time that the module asks
    for a dump, it has a file of its own, with a number behind that name.
    """
    out = folder / "callgrind.out"
    for former in folder.glob(f"{out.name}*"):
        former.unlink()
    command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    command += [f"--toggle-collect={function}" for function in functions]
    subprocess.run([*command, sys.executable, "-m", module, *arguments], check=True, cwd=ROOT)
    return out


def symbols(library: str, pattern: str) -> list[str]:
    """The C functions of a module whose names match a pattern."""
    found = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout
    return re.findall(rf"{pattern}$", found, re.MULTILINE)


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


def comparison(folder: Path, library: Path, options: argparse.Namespace, shapes: dict[str, Shape]) -> Table:
    """One row for each shape, beside the first one."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("instructions", justify="right")
    table.add_column(f"against {next(iter(shapes))}", justify="right")
    reference = 0
    for name, shape in shapes.items():
        total = count(folder, library, options, shape).total()
        reference = reference or total
        table.add_row(name, f"{total / options.transactions:,.0f}", f"{total / reference - 1:+.1%}")
    return table


def pin_table(folder: Path, library: Path, options: argparse.Namespace) -> Table:
    """One row for each translation of a PIN block: what the state machine calls for it."""
    functions = symbols(pin_block.__file__, "__pyx_f_6switch_6crypto_9pin_block_translate_pin")
    functions += symbols(dukpt.__file__, "__pyx_f_6switch_6crypto_5dukpt_derive_pin_key")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("PIN block")
    table.add_column("instructions", justify="right")
    arguments = ["--transactions", str(options.transactions), "--translate", str(library)]
    out = run_counted(folder, functions, "bench.instructions", *arguments)
    for number, name in enumerate(PINS, 1):
        total = read_costs(out.with_name(f"{out.name}.{number}")).total()
        table.add_row(name, f"{total / options.transactions:,.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
