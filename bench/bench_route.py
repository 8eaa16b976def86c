"""Routing among 10 to 1,000,000 ranges, beside a bisection of the same ranges in Python: time, memory, loading.

Two streams of cards. ``everywhere``: each card in a range drawn from all of them, which finds nothing in the caches
where the ranges are many. ``mostly_known``: 95 of 100 cards in 2,000 ranges, by Zipf, as cards come. Beside
them stands what a read costs on this machine that waits for the one before it: in 1 MB, which the second cache holds,
and in 7 MB, as large as the table of a million ranges.
"""

from __future__ import annotations

import ctypes
import itertools
import random
import subprocess
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from switch.tables.routes import COLUMNS, RouteTable

LINKS = ("bank-a", "bank-b", "bank-c")
KINDS = ("unknown", "purchase")
CARDS = 200_000
CARDS_A_ROUND = 5_000
KNOWN_RANGES = 2_000
KNOWN_SHARE = 0.95
SIZES = (10, 1_000, 1_000_000)


def low_ends(count: int) -> list[int]:
    return sorted(random.Random(count).sample(range(10**9), count))


def rows(lows: list[int]) -> list[str]:
    """Ranges of 9 digits with gaps between them, so each costs two intervals: the worst case for disjoint ranges."""
    return [f"{low:09d},,,,,,{LINKS[index % 3]}:1*{index % 7 + 1}" for index, low in enumerate(lows)]


def nested(lows: list[int]) -> list[str]:
    """The same below a range for each leading digit and one narrowed row for each tenth range."""
    return (
        [f"{digit},,,,,,bank-c" for digit in range(10)]
        + rows(lows)
        + [f"{low:09d}5,,purchase,156|840,,100000,bank-b" for low in lows[::10]]
    )


def file_of(lines: list[str]) -> bytes:
    return "\n".join((",".join(COLUMNS), *lines)).encode()


def everywhere(lows: list[int]) -> list[str]:
    chooser = random.Random(1)
    return [f"{chooser.choice(lows):09d}{chooser.randrange(10**7):07d}" for _ in range(CARDS)]


def mostly_known(lows: list[int]) -> list[str]:
    chooser = random.Random(1)
    known = chooser.sample(lows, min(KNOWN_RANGES, len(lows)))
    picks = chooser.choices(known, weights=[1 / rank for rank in range(1, len(known) + 1)], k=CARDS)
    return [
        f"{low if chooser.random() < KNOWN_SHARE else chooser.choice(lows):09d}{chooser.randrange(10**7):07d}"
        for low in picks
    ]


@pytest.fixture(scope="module", params=SIZES)
def lows(request: pytest.FixtureRequest) -> list[int]:
    return low_ends(request.param)


@pytest.mark.benchmark(group="route: 5,000 cards of 200,000 different ones")
class TestFind:
    @pytest.mark.parametrize("stream", [everywhere, mostly_known])
    @pytest.mark.parametrize("shape", [rows, nested], ids=["disjoint", "nested"])
    def test_table(
        self,
        benchmark: Any,
        steps: ModuleType,
        lows: list[int],
        shape: Callable[[list[int]], list[str]],
        stream: Callable[[list[int]], list[str]],
    ) -> None:
        table = RouteTable.build(file_of(shape(lows)), LINKS, KINDS)
        cards = memoryview("".join(stream(lows)).encode())
        assert steps.find_routes(table, cards, 16, 1) == CARDS
        benchmark.extra_info["bytes_a_range"] = round(table.size_bytes / table.range_count, 1)
        # Short rounds, so that some are left alone by whatever else runs; other cards in each, so that none are warm.
        part = 16 * CARDS_A_ROUND
        starts = itertools.cycle(range(0, len(cards), part))
        benchmark.pedantic(
            steps.find_routes,
            setup=lambda: ((table, cards[(start := next(starts)) : start + part], 16, 1), {}),
            rounds=400,
            warmup_rounds=40,
        )
        benchmark.extra_info["ns_a_card"] = round(benchmark.stats.stats.min / CARDS_A_ROUND * 1e9, 1)
        benchmark.extra_info["ns_a_card_median"] = round(benchmark.stats.stats.median / CARDS_A_ROUND * 1e9, 1)

    def test_python_bisection(self, benchmark: Any, lows: list[int]) -> None:
        starts = [f"{low:09d}" for low in lows]
        cards = everywhere(lows)[:CARDS_A_ROUND]

        def find_all() -> int:
            return sum(card.startswith(starts[bisect_right(starts, card[:9]) - 1]) for card in cards)

        assert find_all() == CARDS_A_ROUND
        benchmark.pedantic(find_all, rounds=40)
        benchmark.extra_info["ns_a_card"] = round(benchmark.stats.stats.min / CARDS_A_ROUND * 1e9, 1)


@pytest.mark.benchmark(group="route: a read that waits for the one before it")
@pytest.mark.parametrize("megabytes", [1, 7], ids="{} MB".format)
def test_dependent_reads(benchmark: Any, tmp_path: Path, megabytes: int) -> None:
    library = tmp_path / "reads.so"
    source = Path(__file__).with_name("reads.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    reads = ctypes.CDLL(str(library))
    reads.reads_prepare.restype = reads.reads_walk.restype = ctypes.c_void_p
    reads.reads_prepare.argtypes = [ctypes.c_size_t]
    reads.reads_walk.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    reads.reads_release.argtypes = [ctypes.c_void_p]
    ring = reads.reads_prepare(megabytes * 1_000_000)
    at = [ring]

    def walk() -> None:
        at[0] = reads.reads_walk(at[0], CARDS_A_ROUND)

    benchmark.pedantic(walk, rounds=400, warmup_rounds=40)
    reads.reads_release(ring)
    benchmark.extra_info["ns_a_read"] = round(benchmark.stats.stats.min / CARDS_A_ROUND * 1e9, 1)


@pytest.mark.benchmark(group="route: loading a file")
def test_load(benchmark: Any, lows: list[int]) -> None:
    data = file_of(rows(lows))
    benchmark.pedantic(RouteTable.build, (data, LINKS, KINDS), rounds=3)
