"""What the books count for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

US_A_SECOND = 1_000_000


class Meters:
    """The metrics of one process that keeps the books."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["partition"]
        self._entries = Counter(
            "authswitch_books_entries_total", "Entries that were posted.", labels, registry=self.registry
        )
        self._failures = Counter(
            "authswitch_books_failures_total",
            "Times that a partition's books could not be kept.",
            labels,
            registry=self.registry,
        )
        self._newest = Gauge(
            "authswitch_books_newest_seconds",
            "When the newest posted event happened, since 1970.",
            labels,
            registry=self.registry,
        )
        self._behind = Gauge(
            "authswitch_books_behind_seconds",
            "Since when the end of the journal was not reached; 0 where it is.",
            labels,
            registry=self.registry,
        )
        self._steps = Histogram(
            "authswitch_books_step_seconds",
            "One look at a partition's journal, with what was posted of it.",
            labels,
            registry=self.registry,
            buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self._caught_up: dict[int, float] = {}

    @contextmanager
    def timed(self, partition: int) -> Iterator[None]:
        """How long a step takes."""
        with self._steps.labels(partition).time():
            yield

    def stepped(self, partition: int, entries: int, at_us: int, *, caught_up: bool) -> None:
        """A step was done; ``at_us`` is the moment of the newest event, in microseconds since 1970, or 0."""
        self._entries.labels(partition).inc(entries)
        if at_us:
            self._newest.labels(partition).set(at_us / US_A_SECOND)
        if caught_up:
            self._caught_up[partition] = time.monotonic()
        self._look(partition)

    def failed(self, partition: int) -> None:
        """A step could not be done."""
        self._failures.labels(partition).inc()
        self._look(partition)

    def _look(self, partition: int) -> None:
        now = time.monotonic()
        behind = now - self._caught_up.setdefault(partition, now)
        self._behind.labels(partition).set(behind)
