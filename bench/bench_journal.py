"""The journal on a real disk: what a purchase costs the state machine with and without it, and how many bytes it takes.

The time of the disk itself is apart: in the daemon another thread waits for it.
"""

from __future__ import annotations

import pytest

from bench.engine_load import EngineLoad
from switch.base.stats import Stats
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk

PURCHASES_A_ROUND = 4_000
ROUNDS = 5
CONNECTIONS = 200
BUFFER_BYTES = 8 << 20
BYTES_A_PURCHASE_MAX = 500


@pytest.mark.benchmark(group="journal: 4,000 purchases, request in to answer out, batches of so many")
@pytest.mark.parametrize("batch", [200, 64])
class TestPurchases:
    def test_on(self, benchmark, tmp_path, batch):
        (tmp_path / "journal").mkdir()
        journal = JournalFiles(BUFFER_BYTES, Stats(1 << 16))
        disk = FileDisk(str(tmp_path / "journal"), exclusive=True)
        load = EngineLoad(tmp_path, CONNECTIONS, journal=journal, disk=disk)
        load.run(CONNECTIONS, batch)
        written, position, committed_ns = journal.writer.written, journal.next_position, load.commit_ns
        spent = []
        benchmark.pedantic(lambda: spent.append(load.run(PURCHASES_A_ROUND, batch)), rounds=ROUNDS, warmup_rounds=1)
        purchases = (journal.next_position - position) / 2
        size = (journal.writer.written - written) / purchases
        benchmark.extra_info["ns_a_purchase"] = round(min(spent))
        benchmark.extra_info["bytes_a_purchase"] = round(size)
        benchmark.extra_info["commit_ns_a_purchase"] = round((load.commit_ns - committed_ns) / purchases)
        journal.stop()
        assert size <= BYTES_A_PURCHASE_MAX

    def test_off(self, benchmark, tmp_path, batch):
        load = EngineLoad(tmp_path, CONNECTIONS)
        load.run(CONNECTIONS, batch)
        spent = []
        benchmark.pedantic(lambda: spent.append(load.run(PURCHASES_A_ROUND, batch)), rounds=ROUNDS, warmup_rounds=1)
        benchmark.extra_info["ns_a_purchase"] = round(min(spent))
