"""Registry of 10 to 1,000,000 terminals, beside a Python dictionary: time of a look-up, memory, loading."""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry

LOOKUPS = 200_000
SIZES = (10, 1_000, 1_000_000)
MERCHANTS = 1_000


class OneKey:
    def get(self, name: str) -> bytes | None:
        return b"0123456789abcdef"


def files(count: int) -> tuple[bytes, bytes]:
    merchants = "\n".join((",".join(MERCHANT_COLUMNS), *(f"{n:015d},Shop {n},active,5411," for n in range(MERCHANTS))))
    terminals = "\n".join((
        ",".join(TERMINAL_COLUMNS),
        *(f"{n:08d},{n % MERCHANTS:015d},active,,,aes-cmac,iso-0," for n in range(count)),
    ))  # fmt: skip
    return merchants.encode(), terminals.encode()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def build(count: int) -> Registry:
    merchants, terminals = files(count)
    return Registry.build(merchants, terminals, OneKey(), ("unknown", "purchase"), ("pos",))


def ids(count: int) -> list[str]:
    chooser = random.Random(1)
    return [f"{chooser.randrange(count):08d}" for _ in range(LOOKUPS)]


@pytest.mark.benchmark(group="registry: 200,000 look-ups of different terminals")
@pytest.mark.parametrize("count", SIZES)
class TestFind:
    def test_registry(self, benchmark: Any, steps: ModuleType, count: int) -> None:
        before = resident_bytes()
        registry = build(count)
        benchmark.extra_info["resident_mb"] = round((resident_bytes() - before) / 1e6, 1)
        benchmark.extra_info["bytes_a_terminal"] = round(registry.size_bytes / count, 1)
        names = "".join(ids(count)).encode()
        assert steps.find_terminals(registry, names) == LOOKUPS
        benchmark.pedantic(steps.find_terminals, (registry, names), rounds=20, warmup_rounds=2)
        benchmark.extra_info["ns_a_lookup"] = round(benchmark.stats.stats.min / LOOKUPS * 1e9, 1)

    def test_python_dictionary(self, benchmark: Any, count: int) -> None:
        table = {f"{n:08d}": n for n in range(count)}
        names = ids(count)

        def find_all() -> int:
            return sum(table[name] >= 0 for name in names)

        assert benchmark.pedantic(find_all, rounds=5) == LOOKUPS
        benchmark.extra_info["ns_a_lookup"] = round(benchmark.stats.stats.min / LOOKUPS * 1e9, 1)


@pytest.mark.benchmark(group="registry: loading both files")
@pytest.mark.parametrize("count", SIZES)
def test_load(benchmark: Any, count: int) -> None:
    merchants, terminals = files(count)
    benchmark.pedantic(Registry.build, (merchants, terminals, OneKey(), ("unknown", "purchase"), ("pos",)), rounds=2)
