"""What issuers will be sent of stored messages, composed before it is needed.

``authswitch check`` does it for messages of every length, ``trace`` and ``reversals list`` for those of a journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from switch.dialect.composers import LinkComposers, PairComposers
from switch.dialect.kinds import Kind
from switch.dialect.layout import Entry, characters_max, holds_bytes, is_fixed
from switch.dialect.loader import Dialect
from switch.dialect.reasons import Reason
from switch.dialect.tables import repeat_mti_of
from switch.wire.codec import encode
from switch.wire.kept_copy import copy_without, mend
from switch.wire.scan import ScanError, scan
from switch.wire.translate import Composer

SAMPLES = {
    "mti": "0200",
    "processing_code": "000000",
    "stan": "123456",
    "rrn": "632703123456",
    "transmission_time": "1123040000",
    "local_time": "120000",
    "local_date": "1123",
    "local_date_time": "261123120000",
    "authorization_code": "123456",
    "pan": "6225000000000014",
    "settlement_date": "1123",
}
"""Values that the switch gives itself, as they are in messages."""

PANS = ("6225000000014", "622500000000014", "6225000000000014", "6225000000000000017")
"""Of 13, 15, 16 and 19 digits."""

LENGTHS = ("shortest", "odd", "even", "longest")
LONGEST_TRIED = 99
ROOM = 131_072
"""Bytes of a composed message, at most; as in ``ext/machine/state.pxd``."""
NOT_SAMPLED = frozenset({1, 64, 65, 128})


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be composed.

    Attributes:
        what: the message: ``request``, ``reversal``, ``repeated reversal`` and so on.
        policy: table of the dialect in which the fault is to be looked for.
        field: key of the field.
        reason: what is wrong with it.
    """

    what: str
    policy: str
    field: str
    reason: str

    def __str__(self) -> str:
        return f"policy.{self.policy}.{self.field}: {self.reason} ({self.what})"


class TrialComposition:
    """Composes as the state machine does (``ext/saf/delivery``) what one link is owed.

    Args:
        link: The link's dialect.
        reversal_mti: Class and function of its reversals: 400 or 420.
        acquirer_id: Ours, digits.
    """

    def __init__(self, link: Dialect, reversal_mti: int, acquirer_id: str) -> None:
        self.link = link
        self.mti = link.file.mti_version * 1000 + reversal_mti
        self.acquirer_id = acquirer_id
        pin_field = link.layout.get("52")
        # As long as the field is; where its length varies, of the shortest format.
        self._pin_block = "0" * (characters_max(pin_field) if pin_field and is_fixed(pin_field) else 16)
        self._from_kept = LinkComposers(link, signed=False)
        self._pairs: dict[str, PairComposers] = {}

    def _from(self, terminal: Dialect) -> PairComposers:
        """How messages of a terminal are composed: without their MAC, which is a place of its own."""
        if terminal.name not in self._pairs:
            self._pairs[terminal.name] = PairComposers(terminal, self.link, signed=False)
        return self._pairs[terminal.name]

    def _composer(self, policy: str, terminal: Dialect | None) -> Composer:
        """How a policy composes, from a terminal's message or from one that is kept in the link's dialect."""
        if terminal is None:
            return self._from_kept.advice_attempt if policy == "advice" else self._from_kept.reversal
        return self._from(terminal).advice if policy == "advice" else self._from(terminal).request

    def fault_of_stored(self, record: Mapping[str, Any], terminal: Dialect | None) -> Fault | None:
        """What keeps an entry of the journal from being sent; None when nothing does.

        Args:
            record: A REVERSAL or ADVICE, as the journal tells it.
            terminal: The dialect of the listener that its message came from; None for one that the link was sent.
        """
        source = terminal or self.link
        message = record["message"]
        mended = mend(source.spec, message, source.unkept)
        what = "advice" if record["type"] == "ADVICE" else "reversal"
        return next(self._faults(what, message if mended is None else mended, terminal, str(record["pan"])), None)

    def faults_of(self, terminal: Dialect) -> Iterator[Fault]:
        """All that cannot be composed of messages that a terminal may send; each field once."""
        found: dict[tuple[str, str], Fault] = {}
        for pan, length in ((pan, length) for pan in PANS for length in LENGTHS):
            for fault in self._faults_of_samples(terminal, pan, length):
                found.setdefault((fault.policy, fault.field), fault)
        yield from found.values()

    def _faults_of_samples(self, terminal: Dialect, pan: str, length: str) -> Iterator[Fault]:
        request = sample(terminal, "200", pan, length)
        slots = self._slots(pan)
        unkept = self._from(terminal).request_unkept
        for policy in ("request", "advice"):
            composer = self._composer(policy, terminal)
            mti = str(self.link.tables.mti_of(int(Kind.PURCHASE if policy == "request" else Kind.ADVICE)))
            try:
                composed = composer.compose_message(request, None, slots | {"mti": mti.rjust(4, "0")}, ROOM)
            except ScanError as error:
                yield Fault(policy, policy, error.field, str(error))
                continue
            kept = copy_without(self.link.spec, composed, unkept) if policy == "request" else composed
            yield from self._faults("reversal" if policy == "request" else "advice", kept, None, pan)
        unknown = copy_without(terminal.spec, sample(terminal, "400", pan, length), terminal.unkept)
        yield from self._faults("reversal", unknown, terminal, pan)

    def _faults(self, what: str, message: bytes, terminal: Dialect | None, pan: str) -> Iterator[Fault]:
        """Of the first attempt and of its repeat."""
        policy = "advice" if what == "advice" else "reversal" if terminal is None else "request"
        source = terminal or self.link
        try:
            stored = scan(message, source.spec)
            composer = self._composer(policy, terminal)
            slots = self._slots(pan)
            if what == "reversal" and terminal is None and self.link.file.original_data is not None:
                slots["original_data"] = self.link.tables.original_data_of(message)
        except (ScanError, ValueError) as error:
            yield Fault(f"stored {what}", policy, getattr(error, "field", "original_data"), str(error))
            return
        first = int(stored.mti) if what == "advice" else self.mti
        for name, mti in ((what, first), (f"repeated {what}", repeat_mti_of(first))):
            try:
                sent = composer.compose_message(stored, None, slots | {"mti": f"{mti:04d}"}, ROOM)
                scan(sent, self.link.spec)
            except ScanError as error:
                yield Fault(name, policy, error.field, str(error))
                return

    def _slots(self, pan: str) -> dict[str, str]:
        """The values that the switch gives itself, as they are in an attempt."""
        tables = self.link.tables
        return SAMPLES | {
            "pin_block": self._pin_block,
            "pan": pan,
            "acquirer": self.acquirer_id,
            "response_code": tables.code_of(int(Reason.TIMEOUT)),
            "stand_in": self.link.file.stand_in_mark or "",
        }


def sample(dialect: Dialect, function: str, pan: str, length: str) -> bytes:
    """A message with every field that a dialect has, but for MACs and bitmaps; its values are digits where they can be.

    Args:
        dialect: How it is written.
        function: The last three digits of its MTI.
        pan: Its card number.
        length: Of the fields whose length varies: one of ``LENGTHS``.
    """
    document = {"t": f"{dialect.file.mti_version}{function}", "h": ""}
    for number, meaning in dialect.meanings.items():
        entry = dialect.layout.get(str(number))
        if entry is not None and number not in NOT_SAMPLED:
            document[str(number)] = pan if meaning.key == "pan" else _value(entry, pan, length)
    return bytes(encode(document, dialect.spec)[0])


def _value(entry: Entry, pan: str, length: str) -> str:
    """What a field may hold, as pyiso8583 shows it."""
    size = characters_max(entry)
    content = entry.get("content", "any")
    if not is_fixed(entry):
        tried = min(size, LONGEST_TRIED)
        size = {"shortest": 1, "odd": tried - 1 | 1, "even": tried & ~1 or size, "longest": size}[length]
        if holds_bytes(entry):
            size += size % 2
    if content == "a":
        return "A" * size
    if content == "x+n":
        return ("43" if entry["data_enc"] == "b" else "C").ljust(size, "0")
    if content == "z" and size > len(pan) + 1:
        return f"{pan}{'D' if entry['data_enc'] == 'b' else '='}".ljust(size, "1")
    return "1" * size
