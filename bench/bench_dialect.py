"""Which kind of transaction a message is, by the tables of its dialect. The time of one is in ``extra_info``."""

from __future__ import annotations

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from switch.dialect import load_dialect
from switch.dialect.kinds import Kind
from switch.wire.codec import encode

MESSAGES_A_ROUND = 100_000
PURCHASES = {
    "cup": {"t": "0200", "3": "000000", "25": "00", "60": "2200000100060"},
    "iso87-ascii": {"t": "0200", "3": "000000", "25": "00"},
    "iso87-ebcdic": {"t": "0200", "3": "000000"},
    "iso93-ascii": {"t": "1200", "3": "000000", "24": "200"},
}


@pytest.mark.parametrize("name", PURCHASES)
def test_classify(benchmark: BenchmarkFixture, steps: ModuleType, name: str) -> None:
    dialect = load_dialect(name)
    message = bytes(encode({"h": "", **PURCHASES[name]}, dialect.spec)[0])
    kind = benchmark(steps.classify, dialect.tables, message, MESSAGES_A_ROUND)
    assert kind == Kind.PURCHASE
    assert benchmark.stats is not None
    benchmark.extra_info["nanoseconds"] = benchmark.stats.stats.min / MESSAGES_A_ROUND * 1e9
