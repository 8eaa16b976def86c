"""How fast payments are posted into the books, on SQLite and PostgreSQL.

``python -m bench.posting`` posts payments of many merchants in batches of one size after the other, as ``books serve``
does when it reads so much between two looks, and prints payments a second of one partition, and the processor time that
a payment costs this process; a server's own comes on top. One payment in twenty is taken back later. PostgreSQL is
durable as its package has it, SQLite by every commit.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from switch.books.business_days import BusinessDays
from switch.books.chart import load_chart
from switch.books.payments import Bookkeeper
from switch.books.posting import Poster
from switch.books.tables import SCHEMA
from switch.store.migrating import upgrade
from switch.store.opening import Store, parse_url
from tests.backoffice.postgresql import Server

BEGINS_US = 1_764_300_000_000_000
EVENT_US = 200
TAKEN_BACK_EVERY = 20


def events(count: int, merchants: int) -> Iterator[Any]:
    """Payments, each at two positions, and some that are taken back a while later."""
    for number in range(1, count + 1):
        position, at_us = 4 * number, BEGINS_US + number * EVENT_US
        merchant = f"8980000{number % merchants:08d}"
        yield (
            position, "approved", position - 1, at_us, "purchase", 12_300, 156, f"bank-{number % 4}", "10000001",
            merchant, "622848******1234", number.to_bytes(16), f"{number:012d}", number % 1_000_000, 0, False,
        )  # fmt: skip
        if number % TAKEN_BACK_EVERY == 0 and number > TAKEN_BACK_EVERY:
            yield (position + 1, "taken back", position - 1 - 4 * (TAKEN_BACK_EVERY - 1), at_us, "terminal")


def measure(url: str, count: int, at_once: int, merchants: int) -> tuple[float, float]:
    """Payments a second, and microseconds of processor time a payment."""
    store = Store.open(parse_url(url), makes_file=True)
    upgrade(store, SCHEMA)
    days = BusinessDays(time_of_day(23), ZoneInfo("Asia/Shanghai"))
    poster = Poster(store, Bookkeeper(load_chart(), days, 0), 0, bytes(16))
    every = list(events(count, merchants))
    begun_s, used_s = time.perf_counter(), time.process_time()
    for at in range(0, len(every), at_once):
        some = every[at : at + at_once]
        poster.post(some, 1, some[-1][0] + 1)
    taken_s, cost_s = time.perf_counter() - begun_s, time.process_time() - used_s
    store.close()
    return count / taken_s, cost_s / count * 1e6


def main() -> None:
    """Measure, and print a line for each database and size of batch."""
    parser = argparse.ArgumentParser(prog="bench.posting", description="Post payments into the books.")
    parser.add_argument("--count", type=int, default=100_000, help="payments of each measurement")
    parser.add_argument("--merchants", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, nargs="+", default=[300, 1_000, 10_000], help="events of a batch")
    parser.add_argument("--databases", nargs="+", choices=("postgresql", "sqlite"), default=["sqlite", "postgresql"])
    options = parser.parse_args()
    for database in options.databases:
        with tempfile.TemporaryDirectory(prefix="authswitch-posting-") as name:
            folder = Path(name)
            folder.chmod(0o755)  # the server runs as somebody else
            server = None
            if database == "postgresql":
                (folder / "server").mkdir()
                server = Server(folder / "server", settings=())
            for at_once in options.at_once:
                url = f"sqlite:{folder}/books-{at_once}.db" if server is None else server.database()
                rate, cost_us = measure(url, options.count, at_once, options.merchants)
                print(f"{database}: {at_once:6,} at once: {rate:8,.0f} payments/s, {cost_us:.0f} µs each")
            if server is not None:
                server.stop()


if __name__ == "__main__":
    main()
