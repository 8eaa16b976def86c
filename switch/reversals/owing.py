"""What is owed by the journal alone, when no daemon runs to be asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from switch.codec import DecodeError, decode
from switch.config import Config
from switch.dialects import Dialect, load_dialect
from switch.dialects.attempts import Attempts
from switch.kept import mend
from switch.masking import mask_pan
from switch.replay import JournalReader
from switch.search import Owing

AMOUNT, TERMINAL, MERCHANT, CURRENCY = "4", "41", "42", "49"


def owing(reader: JournalReader, config: Config) -> list[dict[str, Any]]:
    """What no issuer has acknowledged and no operator has given up, oldest first, card numbers masked.

    Requests without an outcome are not among it: they become reversals when the daemon starts.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    segments = reader.segments
    if not segments:
        return []
    found = Owing()
    reader.replay(found, reader.index_of(segments[-1].low_water))
    opener = Opener(config)
    now_us = time.time() * 1_000_000
    return [_entry(record, opener, config, now_us) for record in found.owed()]


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
        attempts = Attempts(link, self._reversal_mtis[record["link"]], self._acquirer_id)
        fault = attempts.fault_of_stored(record, terminal)
        return None if fault is None else f"field {fault.field}"

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


def _entry(record: Mapping[str, Any], opener: Opener, config: Config, now_us: float) -> dict[str, Any]:
    age = max(now_us - record["wall_us"], 0) / 1_000_000
    alert = next((one.reversal.alert_seconds for one in config.links if one.name == record["link"]), None)
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
        "bookable_seconds": None,
        "fault": opener.fault(record),
        "overdue": alert is not None and age > alert,
        "cause": record.get("cause"),
        "stand_in": bool(record.get("stand_in")),
        "pan": mask_pan(record["pan"]),
        "position": record["position"],
        "terminal": record.get("terminal", fields.get(TERMINAL, "").strip() or None),
        "merchant": record.get("merchant", fields.get(MERCHANT, "").strip() or None),
        "amount_minor": record.get("amount_minor", int(digits) if digits.isdigit() else None),
        "currency": record.get("currency", int(fields[CURRENCY]) if fields.get(CURRENCY, "").isdigit() else None),
    }
