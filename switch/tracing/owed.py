"""What is owed by the journal alone, when no daemon runs to be asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from switch.base.masking import mask_pan
from switch.config import Config
from switch.dialect import Dialect, load_dialect
from switch.dialect.trial_composition import TrialComposition
from switch.journal.boot import boot_identity, since_boot_ns
from switch.journal.guarded_time import believed
from switch.journal.opening import PartitionReader
from switch.journal.replay import JournalReader
from switch.journal.search import SafVisitor
from switch.wire.codec import DecodeError, decode
from switch.wire.faults import place_words
from switch.wire.kept_copy import mend

TICKS_SECONDS = 2.2
"""Two of the ticks in which records bear the journal's own time."""

AMOUNT, TERMINAL, MERCHANT, CURRENCY = "4", "41", "42", "49"


def owed_in(partitions: Sequence[PartitionReader], config: Config) -> list[dict[str, Any]]:
    """The same of several partitions, oldest first; each says of which one it is.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    entries = []
    for one in partitions:
        with one.telling():
            entries += [{**entry, "partition": one.partition} for entry in owed_entries(one.reader, config)]
    return sorted(entries, key=lambda entry: float(entry["age_seconds"]), reverse=True)


def owed_entries(reader: JournalReader, config: Config) -> list[dict[str, Any]]:
    """What no issuer has acknowledged and no operator has given up, oldest first, card numbers masked.

    Requests without an outcome are not among it: they become reversals when the daemon starts.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    segments = reader.segments
    if not segments:
        return []
    found = SafVisitor()
    reader.replay(found, reader.index_of(segments[-1].low_water))
    opener = Opener(config)
    ages = Ages(found)
    return [_entry(record, opener, config, ages.of(record)) for record in found.owed()]


class Ages:
    """How long ago records were written: by the journal's own time where they have it, else by the wall clock.

    While a boot lasts its clock tells how much time has passed since the journal's end. Behind another boot the wall
    clock tells, of which no more is believed than a day.

    Args:
        found: What was read, to the journal's end.
    """

    def __init__(self, found: SafVisitor) -> None:
        self._wall_us = time.time() * 1_000_000
        since_us = self._wall_us - found.wall_us
        ns = found.elapsed_ns + int(believed(since_us / 1_000_000) * 1_000_000_000)
        if found.boot and found.boot == boot_identity():
            ns = max(found.elapsed_ns, since_boot_ns() + found.offset_ns)
        self._elapsed_ns = ns

    def of(self, record: Mapping[str, Any]) -> float:
        """Seconds; to the microsecond where the wall clock agrees with the journal's ticks."""
        by_wall_s: float = max(self._wall_us - record["wall_us"], 0) / 1_000_000
        if record["elapsed_ns"] < 0:
            return by_wall_s
        elapsed_s: float = max(self._elapsed_ns - record["elapsed_ns"], 0) / 1_000_000_000
        return by_wall_s if abs(by_wall_s - elapsed_s) <= TICKS_SECONDS else elapsed_s


class Opener:
    """Reads what stands in the messages that attempts are composed from."""

    def __init__(self, config: Config) -> None:
        self._names = {("link", section.name): section.dialect for section in config.links}
        self._names |= {("listener", section.name): section.dialect for section in config.listeners}
        self._reversal_mtis = {section.name: int(section.reversal.mti) for section in config.links}
        self._acquirer_id = config.switch.acquirer_id
        self._loaded: dict[str, Dialect] = {}

    def _dialect(self, side: str, name: object) -> Dialect | None:
        dialect = self._names.get((side, str(name)))
        if dialect is None:
            return None
        if dialect not in self._loaded:
            self._loaded[dialect] = load_dialect(dialect)
        return self._loaded[dialect]

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why no attempt of a REVERSAL or ADVICE can be composed; None when one can."""
        link = self._dialect("link", record["link"])
        if link is None:
            return f"the configuration has no link {record['link']}"
        terminal = None
        if record["type"] == "REVERSAL" and record.get("listener") is not None:
            terminal = self._dialect("listener", record["listener"])
            if terminal is None:
                return f"the configuration has no listener {record['listener']}"
        trial = TrialComposition(link, self._reversal_mtis[record["link"]], self._acquirer_id)
        fault = trial.fault_of_stored(record, terminal)
        return None if fault is None else place_words(fault.field)

    def fields(self, record: Mapping[str, Any]) -> Mapping[str, str]:
        """What stands in the message of a REVERSAL."""
        key = ("link", record["link"]) if record.get("listener") is None else ("listener", record["listener"])
        dialect = self._dialect(*key)
        if dialect is None:
            return {}
        mended = mend(dialect.spec, record["message"], dialect.unkept)
        try:
            return decode(record["message"] if mended is None else mended, dialect.spec)[0]
        except DecodeError:
            return {}


def _entry(record: Mapping[str, Any], opener: Opener, config: Config, age: float) -> dict[str, Any]:
    section = next((one.reversal for one in config.links if one.name == record["link"]), None)
    # As long as an original that was not found may be booked, asking again is no delay.
    is_bookable = section is not None and record.get("listener") is None and age < section.booking_horizon_seconds
    is_early = bool(record["not_found"]) and is_bookable
    fields = {} if "terminal" in record else opener.fields(record)
    digits = fields.get(AMOUNT, "")
    return {
        "what": "advice" if record["type"] == "ADVICE" else "reversal",
        "rrn": record["rrn"],
        "link": record["link"],
        "state": "no daemon",
        "age_seconds": round(age, 1),
        "attempts": record["attempts"],
        "next_attempt_seconds": None,
        "not_found": record["not_found"],
        "unbooked": record.get("unbooked", False),
        "bookable_seconds": None,
        "fault": opener.fault(record),
        "overdue": section is not None and not is_early and age > section.alert_seconds,
        "cause": record.get("cause"),
        "stand_in": bool(record.get("stand_in")),
        "pan": mask_pan(record["pan"]),
        "position": record["position"],
        "terminal": record.get("terminal", fields.get(TERMINAL, "").strip() or None),
        "merchant": record.get("merchant", fields.get(MERCHANT, "").strip() or None),
        "amount_minor": record.get("amount_minor", int(digits) if digits.isdigit() else None),
        "currency": record.get("currency", int(fields[CURRENCY]) if fields.get(CURRENCY, "").isdigit() else None),
    }
