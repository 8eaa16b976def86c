"""A million BINs: compiling them, looking cards up, what workers hold, and how long payments wait while they change.

``python -m bench.bins`` prints processor times, which other work on the machine does not lengthen, and memory as the
kernel shares it out (PSS, of all processes together): workers are forked with the tables, as a daemon's are, and each
looks every range up before it is measured. Look-ups are the least of many rounds. What a payment waits is the longest
time between two look-ups of a loop beside which a thread reads a new table, as a worker does: from a file, and from a
version of the store, whose body is parsed and hashed first. ``--count`` takes another number than a million.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

from bench.bench_route import CARDS, KINDS, LINKS, everywhere, file_of, low_ends, mostly_known, nested, rows
from bench.building import load_steps
from bench.scale import WORKERS, measure_a_million, of_workers, pss_mb
from switch.rulebooks.rulebooks import Rulebook, hash_of
from switch.tables.risk import Risk
from switch.tables.risk_files import load_risk
from switch.tables.routes import RouteTable

DIGITS = 16
ROUNDS = 200
CARDS_A_ROUND = 5_000
RISK = '[countries]\ntable = "countries.csv"\nblocked = ["408"]\n'


def measure(count: int, folder: Path) -> None:
    """All figures for so many ranges."""
    lows = low_ends(count)
    for name, lines in (("disjoint", rows(lows)), ("nested", nested(lows))):
        data = file_of(lines)
        begun_s = time.process_time()
        table = compiled(data)
        took_s = time.process_time() - begun_s
        print(f"BIN table, {name}: {len(data) / 1e6:.0f} MB of file compiled in {took_s:.2f} s, ", end="")
        print(f"{table.size_bytes / 1e6:.1f} MB, {table.size_bytes / table.range_count:.1f} bytes a range")
        for stream in (everywhere, mostly_known):
            print(f"  a card, {stream.__name__.replace('_', ' ')}: {look_up_ns(table, stream(lows)):.0f} ns")
    data = file_of(rows(lows))
    (folder / "risk.toml").write_text(RISK)
    (folder / "countries.csv").write_text("low,high,country\n" + "".join(f"{low:09d},,156\n" for low in lows))
    begun_s = time.process_time()
    risk = load_risk(folder / "risk.toml", {}, None)
    print(f"issuers' countries compiled in {time.process_time() - begun_s:.2f} s")
    hold(compiled(data), risk, array("q", lows))
    table = compiled(data)
    longest(table, "nothing", lambda: time.sleep(1.0))
    longest(table, "a BIN table of a file", lambda: compiled(data))
    longest(table, "issuers' countries of a file", lambda: load_risk(folder / "risk.toml", {}, None))
    body = Rulebook("", data.decode()).body
    longest(table, f"a BIN table of the store, {len(body) / 1e6:.0f} MB", lambda: of_store(body))


def compiled(data: bytes) -> RouteTable:
    """A BIN table."""
    return RouteTable.build(data, LINKS, KINDS)


def of_store(body: str) -> RouteTable:
    """A BIN table as a worker reads a version of the store."""
    hash_of(body)
    return compiled(Rulebook.of_body("", body).main())


def look_up_ns(table: RouteTable, cards: list[str]) -> float:
    """Nanoseconds that one card takes, of the quickest round."""
    steps = load_steps()
    digits = memoryview("".join(cards).encode())
    part = DIGITS * CARDS_A_ROUND
    best_s = float("inf")
    for number in range(ROUNDS):
        start = number * part % (DIGITS * CARDS)
        begun_s = time.perf_counter()
        steps.find_routes(table, digits[start : start + part], DIGITS, 1)
        best_s = min(best_s, time.perf_counter() - begun_s)
    return best_s / CARDS_A_ROUND * 1e9


def hold(table: RouteTable, risk: Risk, lows: array[int]) -> None:
    """Print what this process and some workers hold together, when each has looked every range up."""
    before_mb = pss_mb([os.getpid()])

    def look_up() -> None:
        for low in lows:
            table.find_route(f"{low:09d}0000000", 1)
            risk.check_request(1, pan=f"{low:09d}0000000", amount_minor=1)

    for workers in WORKERS:
        held = of_workers(workers, look_up) - before_mb
        print(
            f"{workers} worker(s) that have looked up every range in both tables: {held:.0f} MB more than before them"
        )


def longest(table: RouteTable, what: str, change: Callable[[], object]) -> None:
    """Print for how long a loop of look-ups stood still while a thread did this."""
    thread = threading.Thread(target=change)
    begun_s = last_s = time.perf_counter()
    worst_s = 0.0
    thread.start()
    while thread.is_alive():
        table.find_route("4000000000000000", 1)
        now_s = time.perf_counter()
        worst_s, last_s = max(worst_s, now_s - last_s), now_s
    print(f"while {what} is read, {last_s - begun_s:.1f} s: a payment waits up to {worst_s * 1000:.0f} ms")


if __name__ == "__main__":
    measure_a_million(measure, __doc__)
