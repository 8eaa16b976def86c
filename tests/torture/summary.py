"""What happened in a run, in words."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from switch.simulators.receipts import merge_counters

if TYPE_CHECKING:
    from .course import Torture


def summary(run: Torture) -> list[str]:
    """What happened, for people."""
    counters = merge_counters(fleet.counters for fleet in run.fleets)
    issuers = Counter[str]()
    for issuer in run.issuers:
        issuers.update({fault.value: count for fault, count in issuer.faults.struck.items()})
    own = counters.by_kind["reversal"]
    lines = [
        f"partitions: {run.partitions}, workers: {run.workers}",
        f"kills: {run.kills.total()} ({_words(run.kills)})",
        f"losses of power with them: {run.power_losses}, {run.bytes_lost:,} unsynchronized bytes lost",
        f"disk: {_words(Counter(run.disk.counted()))}",
        f"lines and restarts: {_words(run.happened)}",
        f"issuers: {_words(issuers)}",
        f"terminals: {counters.answered:,} answers on {counters.connections:,} connections",
        f"  {counters.repeats:,} repeats, {counters.given_up:,} payments given up, {own:,} reversals of their own",
    ]
    if run.comparison is not None:
        found = run.comparison
        lines.append(
            f"books: {found.receipts:,} receipts, {found.entries:,} entries of ledgers, "
            f"{found.records.total():,} records of the journal; {found.purchases:,} payments over "
            f"{_amount(found.charged_minor)} and refunds of {_amount(found.refunded_minor)} stand"
        )
    lines.append(f"{len(run.differences)} differences, {time.monotonic() - run.begun:.0f} s")
    return lines


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common() if count) or "none"


def _amount(minor: int) -> str:
    return f"{minor // 100:,}.{minor % 100:02d}"
