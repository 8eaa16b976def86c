"""What a journal holds, counted on one reading: for ``authswitch journal verify``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from switch.journal.replay import JournalReader, Listing, Tail


class Findings:
    """Counts records and keeps track of what is open.

    Attributes:
        records: How many of each type.
    """

    def __init__(self) -> None:
        self.records: Counter[str] = Counter()
        self._intents: set[int] = set()
        self._reversals: set[int] = set()
        self._advices: set[int] = set()

    def read(self, reader: JournalReader) -> Tail:
        """Read the whole journal; where it ends.

        Raises:
            OSError: A file cannot be read.
            JournalDamaged: A place cannot be read.
        """
        return reader.replay(Listing(self._take))

    @property
    def open_requests(self) -> int:
        """Requests without an outcome: at an issuer, or to be reversed at the next start."""
        return len(self._intents)

    @property
    def open_reversals(self) -> int:
        """Reversals that no issuer has acknowledged and no operator has closed."""
        return len(self._reversals)

    @property
    def open_advices(self) -> int:
        """Advices that no issuer has acknowledged, and that were not cancelled."""
        return len(self._advices)

    def _take(self, record: dict[str, Any]) -> None:
        sort, position = record["type"], record["position"]
        self.records[sort] += 1
        if sort == "INTENT":
            self._intents.add(position)
        elif sort == "OUTCOME":
            self._intents.discard(record["intent"])
        elif sort == "REVERSAL":
            self._reversals.discard(record["replaces"])
            self._reversals.add(position)
        elif sort in ("REVERSED", "CLOSED"):
            self._reversals.discard(record["reversal"])
            self._advices.discard(record["reversal"])
        elif sort == "ADVICE":
            self._advices.discard(record["replaces"])
            self._advices.add(position)
        elif sort == "CANCELLED":
            self._advices.discard(record["advice"])
            self._reversals.discard(record["advice"])
