"""Routing among 10 to 1,000,000 ranges, beside a bisection of the same ranges in Python: time, memory, loading."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import pytest

from switch.route import COLUMNS, RouteTable, bench_find

LINKS = ("bank-a", "bank-b", "bank-c")
KINDS = ("unknown", "purchase")
CARDS = 200_000
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


def cards_in(lows: list[int]) -> list[str]:
    chooser = random.Random(1)
    return [f"{chooser.choice(lows):09d}{chooser.randrange(10**7):07d}" for _ in range(CARDS)]


@pytest.fixture(scope="module", params=SIZES)
def lows(request: pytest.FixtureRequest) -> list[int]:
    return low_ends(request.param)


@pytest.mark.benchmark(group="route: 200,000 different cards")
class TestFind:
    @pytest.mark.parametrize("shape", [rows, nested], ids=["disjoint", "nested"])
    def test_table(self, benchmark: Any, lows: list[int], shape: Callable[[list[int]], list[str]]) -> None:
        table = RouteTable.build(file_of(shape(lows)), LINKS, KINDS)
        cards = "".join(cards_in(lows)).encode()
        assert bench_find(table, cards, 16, 1) == CARDS
        benchmark.extra_info["bytes_a_range"] = round(table.size_bytes / table.range_count, 1)
        benchmark.pedantic(bench_find, (table, cards, 16, 1), rounds=20, warmup_rounds=2)
        benchmark.extra_info["ns_a_card"] = round(benchmark.stats.stats.min / CARDS * 1e9, 1)

    def test_python_bisection(self, benchmark: Any, lows: list[int]) -> None:
        starts = [f"{low:09d}" for low in lows]
        cards = cards_in(lows)

        def find_all() -> int:
            return sum(card.startswith(starts[bisect_right(starts, card[:9]) - 1]) for card in cards)

        assert find_all() == CARDS
        benchmark.pedantic(find_all, rounds=5)
        benchmark.extra_info["ns_a_card"] = round(benchmark.stats.stats.min / CARDS * 1e9, 1)


@pytest.mark.benchmark(group="route: loading a file")
def test_load(benchmark: Any, lows: list[int]) -> None:
    data = file_of(rows(lows))
    benchmark.pedantic(RouteTable.build, (data, LINKS, KINDS), rounds=3)
