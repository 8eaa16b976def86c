"""One side's view of a dialect: how it reads, classifies, writes and authenticates messages.

All of it follows from the dialect's data, so that a user's own dialect can be simulated like a built-in one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from time import gmtime, strftime, time
from typing import TYPE_CHECKING

from switch.crypto.mac import Mac
from switch.keys.sign_in import open_sign_in_keys
from switch.simulators.ledger import Identity, Original
from switch.simulators.messages import MessageWriter
from switch.wire.scan import Message, scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from switch.dialect import Dialect
    from switch.dialect.model import NetworkMessage
    from switch.simulators.receipts import Receipt
    from switch.simulators.scenario import PaymentCard

ECHOED = frozenset({2, 3, 4, 7, 11, 12, 13, 14, 18, 23, 24, 25, 32, 33, 37, 41, 42, 49, 56, 60, 70, 90, 93, 94, 100})
"""Fields that an answer repeats from its request."""

NETWORK_ECHOED = frozenset({7, 11, 12, 13, 24, 32, 33, 37, 41, 42, 60, 70, 93, 94, 100})

POINT_OF_SALE = {
    "merchant_category": "5411",
    "entry_mode": "022",
    "pos_data_code": "210101213140",
    "condition_code": "00",
}
"""What our terminals say of themselves, by the catalogue's keys: a grocery shop, magnetic stripe read, no PIN."""

_MTI_DIGITS = 4

PREAUTHORIZED = "06"
"""Condition code of pre-authorizations and of what follows from them."""


@dataclass(frozen=True)
class MacSetting:
    """With what one side signs."""

    algorithm: str
    key: bytes = field(repr=False)
    padding: int = 1

    @cached_property
    def mac(self) -> Mac:
        """The algorithm with its key, ready for use."""
        return Mac(self.algorithm, self.key, self.padding)

    def with_key(self, key: bytes) -> MacSetting:
        """The same with another key."""
        return replace(self, key=key)


class Profile:
    """What a simulator asks of a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.spec = dialect.spec
        self.framing = dialect.framing
        self.writer = MessageWriter(dialect.spec)
        self._file = dialect.file
        self._numbers = dialect.numbers
        self._networks: Mapping[str, NetworkMessage] = {
            str(name): entry for name, entry in dialect.file.network.items()
        }
        self._rows = sorted(
            (
                (row.mti[1:3], row.processing_code or "", tuple(sorted(row.where.items())), kind)
                for kind, rows in dialect.kinds.items()
                for row in rows
            ),
            key=lambda row: -(len(row[2]) + bool(row[1])),
        )
        self._code_pieces: dict[tuple[str, str], bytes] = {}
        self._echo_fields: dict[tuple[bool, tuple[int, ...]], tuple[int, ...]] = {}
        self._static: dict[tuple[str, str, str, str, str, bool], dict[int, bytes]] = {}
        self._cards: dict[tuple[str, str], dict[int, bytes]] = {}
        self._codes: dict[frozenset[str], frozenset[str]] = {}
        self._mac_places = {
            number: self.writer.piece(number, self._zero_text(number)) for number in (64, 128) if self._has(number)
        }

    # Reading

    def scan(self, data: bytes) -> Message:
        """Index a message.

        Raises:
            ScanError: It cannot be read.
        """
        return scan(data, self.spec)

    @staticmethod
    def text(message: Message, number: int) -> str:
        """A field's canonical characters; empty when it is absent."""
        return message.text(number) if number in message else ""

    def part(self, message: Message, name: str) -> str:
        """A field or subfield (``60.1``) by name; empty when it is absent."""
        number, start, size = self._place(name)
        text = self.text(message, number)
        return text[start : start + size] if size else text[start:]

    def kind(self, message: Message) -> str:
        """What a request asks for; ``unknown`` when no row of the dialect fits."""
        mti = message.mti[1:3]
        code = self.text(message, 3)
        for row_mti, row_code, conditions, kind in self._rows:
            if (
                row_mti == mti
                and code.startswith(row_code)
                and all(self.part(message, name) == wanted for name, wanted in conditions)
            ):
                return kind
        return "unknown"

    def pan(self, message: Message) -> str:
        """The card number, from field 2 or from track 2."""
        if 2 in message:
            return message.text(2)
        return self.text(message, 35).replace("D", "=").partition("=")[0]

    def occasion(self, message: Message) -> str:
        """Date and time, or batch, that tells one use of a STAN from the next."""
        stamp = self.text(message, 7)
        if stamp:
            return stamp
        return "".join(self.part(message, name) for name in self._file.natural_key.fields)

    def identity(self, message: Message) -> Identity:
        """What makes a request one and the same when it comes again."""
        return Identity(
            message.mti[1],
            self.text(message, 11),
            self.occasion(message),
            self.text(message, 37),
            self.text(message, 41).rstrip(),
        )

    def original(self, message: Message) -> Original:
        """What a reversal or void says of its original."""
        terminal = self.text(message, 41).rstrip()
        rrn = self.text(message, 37)
        code = self.text(message, 38).rstrip()
        rules = self._file.original_data
        named: dict[str, str] = {}
        if rules is not None and rules.field in message:
            rest = message.text(rules.field)
            for part in rules.parts:
                size = _MTI_DIGITS if part.field == "mti" else part.size or len(rest)
                if part.length_digits:
                    size = int(rest[: part.length_digits] or "0")
                    rest = rest[part.length_digits :]
                named[part.field], rest = rest[:size], rest[size:]
            return Original(named.get("11", ""), named.get("7", "") or named.get("12", ""), rrn, terminal, code)
        if message.mti[1] == "4":
            # Without data of the original the reversal carries its identifiers.
            return Original(self.text(message, 11), self.occasion(message), rrn, terminal, code)
        return Original("", "", rrn, terminal, code)

    # Response codes

    def code(self, reason: str, category: str = "2") -> str:
        """The response code for a reason, in answers of a message class (second digit of the MTI)."""
        codes = self.dialect.response_codes
        if reason == "approved":
            return codes.accepted.get(category, codes.written(reason))
        return codes.written(reason)

    def code_piece(self, reason: str, category: str = "2") -> bytes:
        """Field 39 for a reason."""
        piece = self._code_pieces.get((reason, category))
        if piece is None:
            piece = self._code_pieces[reason, category] = self.writer.piece(39, self.code(reason, category))
        return piece

    def codes(self, reasons: frozenset[str]) -> frozenset[str]:
        """The response codes for several reasons."""
        found = self._codes.get(reasons)
        if found is None:
            found = self._codes[reasons] = frozenset(
                self.code(reason, category) for reason in reasons for category in "124"
            )
        return found

    def reason(self, code: str) -> str:
        """The reason behind a response code."""
        entry = self.dialect.response_codes.read.get(code)
        return "other_decline" if entry is None else entry[0]

    # MAC

    def mac_field(self, message: Message) -> int:
        """128 or 64, whichever holds the MAC; 0 when there is none."""
        return 128 if 128 in message else 64 if 64 in message else 0

    def mac_is_right(self, message: Message, data: bytes, setting: MacSetting) -> bool:
        """Whether a message carries the right MAC."""
        number = self.mac_field(message)
        if not number:
            return False
        value = bytes.fromhex(message.text(number))
        return setting.mac.verify(value, *self._authenticated(message, data, number))

    def signed(self, mti: str, pieces: dict[int, bytes], setting: MacSetting) -> bytes:
        """A whole message with its MAC, in field 128 when there are fields above 64."""
        number = 128 if 128 in self._mac_places and max(pieces) > 64 else 64
        place = self._mac_places[number]
        pieces[number] = place
        data = self.writer.message(mti, pieces)
        if self.dialect.mac.coverage == "up-to-mac":
            value = setting.mac.compute(data[: -len(place)])
        else:
            value = setting.mac.compute(*self._authenticated(self.scan(data), data, number))
        size = len(place) // 2 if self.dialect.mac.form == "hex" else len(place)
        return data[: -len(place)] + self.writer.piece(number, value[:size].hex().upper())

    def _authenticated(self, message: Message, data: bytes, number: int) -> list[bytes]:
        coverage = self.dialect.mac.coverage
        if coverage == "up-to-mac":
            return [data[: -len(self._mac_places[number])]]
        return [message.mti.encode() if name == "mti" else message.raw(int(name)) for name in coverage]

    def _zero_text(self, number: int) -> str:
        table = self.spec.source[str(number)]
        characters: int = table["max_len"] * (2 if table["data_enc"] == "b" else 1)
        return "0" * characters

    # Writing

    def echo(self, message: Message, *, network: bool = False) -> dict[int, bytes]:
        """Pieces of the fields that an answer repeats."""
        fields = tuple(message.fields)
        repeated = self._echo_fields.get((network, fields))
        if repeated is None:
            wanted = NETWORK_ECHOED if network else ECHOED
            repeated = self._echo_fields[network, fields] = tuple(number for number in fields if number in wanted)
        piece = self.writer.piece
        text = message.text
        return {number: piece(number, text(number)) for number in repeated}

    def takes_part(self, message: Message) -> bool:
        """Whether a request leaves it to the issuer to approve a part: it says so, or its dialect cannot say it."""
        mark = self._file.partial_approval
        return mark.field is None or self.part(message, mark.field) == mark.value

    def stamp(self, pieces: dict[int, bytes], offset_seconds: int | None = None) -> None:
        """Add local time and date to an answer, where the dialect has them and the request had none.

        Args:
            pieces: Of the answer.
            offset_seconds: Put the sender's own clock in place of what the request said, so far from this machine's.
        """
        now = moment(None if offset_seconds is None else time() + offset_seconds)
        numbers = self._numbers
        local_time, local_date = numbers.get("local_time"), numbers.get("local_date")
        if local_time is not None and local_date is not None and local_time not in pieces:
            pieces[local_time] = self.writer.piece(local_time, now[6:])
            pieces[local_date] = self.writer.piece(local_date, now[2:6])
        if offset_seconds is not None:
            for name, part in _CLOCK_PARTS.items():
                number = numbers.get(name)
                if number in pieces:
                    pieces[number] = self.writer.piece(number, now[part])

    def request_mti(self, kind: str) -> str:
        """MTI with which this dialect asks for a kind.

        Raises:
            KeyError: It cannot.
        """
        if kind in self._networks:
            return self._networks[kind].mti
        return self.dialect.kinds[kind][0].mti

    def processing_code(self, kind: str) -> str:
        """Field 3 of a request."""
        return (self.dialect.kinds[kind][0].processing_code or "").ljust(6, "0")

    def request(
        self,
        kind: str,
        *,
        terminal: str,
        merchant: str,
        batch: str,
        stan: str,
        card: PaymentCard,
        amount_minor: int,
        currency: str,
        at: str,
        original: Receipt | None = None,
        takes_parts: bool = False,
    ) -> dict[int, bytes]:
        """Pieces of a terminal's request, without its MAC.

        Args:
            kind: What is asked for.
            terminal: Field 41.
            merchant: Field 42.
            batch: Six digits.
            stan: Six digits.
            card: With what is paid.
            amount_minor: In minor units; 0: no amount.
            currency: Three digits.
            at: The moment, as ``moment`` gives it.
            original: What the request refers to.
            takes_parts: Say that the terminal can take the approval of a part, where there is a place for that.
        """
        piece = self.writer.piece
        numbers = self._numbers
        pieces = dict(self._static_pieces(kind, terminal, merchant, batch, currency, takes_parts=takes_parts))
        pieces.update(self._card_pieces(card))
        pieces[11] = piece(11, stan)
        if amount_minor:
            pieces[4] = piece(4, f"{amount_minor:012d}")
        if "transmission_time" in numbers:
            pieces[7] = piece(7, at[2:])
        for name in self._file.natural_key.fields:
            # Only dialects that tell transactions apart by date and time have terminals that send them.
            number, _, _ = self._place(name)
            key = self.dialect.meanings[number].key
            if key in _MOMENT_PARTS:
                pieces[number] = piece(number, at[_MOMENT_PARTS[key]])
        if original is not None:
            self._refer(pieces, kind, original)
        return pieces

    def network_request(
        self,
        kind: str,
        stan: str,
        *,
        terminal: str = "",
        merchant: str = "",
        batch: str = "000000",
        pieces: Mapping[int, bytes] | None = None,
        mac: MacSetting | None = None,
    ) -> bytes:
        """A network management message: sign-on, sign-off, echo test; with further fields where ``pieces`` has them.

        It is signed where there is a ``mac``.

        Raises:
            KeyError: The dialect has none of that kind.
        """
        network = self._networks[kind]
        at = moment()
        computed = {
            "stan": stan,
            "transmission_time": at[2:],
            "local_time": at[6:],
            "local_date": at[2:6],
            "local_date_time": at,
            "settlement_date": at[2:6],
        }
        texts: dict[int, str] = {}
        for name, source in network.fields.items():
            origin, _, value = (source if isinstance(source, str) else source[0]).partition(":")
            text = value if origin == "constant" else computed.get(value, "")
            if text:
                texts[int(name)] = text
        if terminal:
            texts[41] = f"{terminal:<8}"
            texts[42] = f"{merchant:<15}"
        if "60.2" in self._subfields and 60 in texts:
            texts[60] = self._with_part(texts[60], "60.2", batch)
        written = {number: self.writer.piece(number, texts[number]) for number in texts}
        written |= pieces or {}
        return self.writer.message(network.mti, written) if mac is None else self.signed(network.mti, written, mac)

    def working_mac(self, message: Message, master_key: bytes, current: MacSetting | None) -> MacSetting | None:
        """The MAC key that a sign-in answer brings, or None when it brings none.

        Raises:
            ValueError: The keys do not agree with their check values.
        """
        if 62 not in message or current is None:
            return None
        rules = self._file.sign_in
        form = None if rules.form is None else rules.forms.get(self.part(message, rules.form))
        keys = open_sign_in_keys(
            master_key,
            message.raw(62),
            has_track_key=form is not None and form.track_key,
            mac_key_form=rules.mac_key,
            is_sm4=form is not None and form.algorithm == "sm4",
        )
        return current.with_key(keys.mac_key)

    def _static_pieces(
        self, kind: str, terminal: str, merchant: str, batch: str, currency: str, *, takes_parts: bool
    ) -> Mapping[int, bytes]:
        """Pieces that a terminal repeats in every request of a kind."""
        key = (kind, terminal, merchant, batch, currency, takes_parts)
        pieces = self._static.get(key)
        if pieces is None:
            numbers = self._numbers
            row = self.dialect.kinds[kind][0]
            texts = {numbers[name]: text for name, text in POINT_OF_SALE.items() if name in numbers}
            if "condition_code" in numbers and ("preauthorization" in kind or "completion" in kind):
                texts[numbers["condition_code"]] = PREAUTHORIZED
            texts |= {3: self.processing_code(kind), 41: f"{terminal:<8}", 42: f"{merchant:<15}", 49: currency}
            if "60.2" in self._subfields:
                texts[60] = self._with_part("0" * 11, "60.2", batch)
                default = self._file.kind_code
                if default is not None and default.field in self._subfields:
                    texts[60] = self._with_part(texts[60], default.field, default.default)
            for name, wanted in row.where.items():
                number, _, _ = self._place(name)
                texts[number] = self._with_part(texts.get(number, ""), name, wanted)
            mark = self._file.partial_approval
            if takes_parts and mark.field is not None:
                number, _, _ = self._place(mark.field)
                texts[number] = self._with_part(texts.get(number, ""), mark.field, mark.value)
            pieces = self._static[key] = {number: self.writer.piece(number, text) for number, text in texts.items()}
        return pieces

    def _card_pieces(self, card: PaymentCard) -> Mapping[int, bytes]:
        key = (card.pan, card.expiry)
        pieces = self._cards.get(key)
        if pieces is None:
            piece = self.writer.piece
            # In BCD the separator is the nibble D.
            packed = self.spec.source["35"]["data_enc"] == "b"
            pieces = self._cards[key] = {
                2: piece(2, card.pan),
                14: piece(14, card.expiry),
                35: piece(35, card.track2.replace("=", "D") if packed else card.track2),
            }
        return pieces

    def _refer(self, pieces: dict[int, bytes], kind: str, original: Receipt) -> None:
        """Add what names the original."""
        piece = self.writer.piece
        if original.rrn:
            pieces[37] = piece(37, f"{original.rrn:<12}")
        if original.authorization_code:
            pieces[38] = piece(38, f"{original.authorization_code:<6}")
        number = self._numbers.get("cup_original")
        if number is not None:
            pieces[number] = piece(number, original.batch + original.stan + original.at[2:6])
        rules = self._file.original_data
        if kind == "reversal" and rules is not None:
            values = {
                "mti": self.request_mti(original.kind),
                "13": original.at[2:6],
                "11": original.stan,
                "7": original.at[2:],
                "12": original.at if "local_date_time" in self._numbers else original.at[6:],
                "32": "",
                "33": "",
            }
            text = ""
            for part in rules.parts:
                value = values.get(part.field, "")
                if part.length_digits:
                    text += f"{len(value):0{part.length_digits}d}"
                text += value.rjust(part.size, "0")
            pieces[rules.field] = piece(rules.field, text)

    @property
    def reversal_keeps_stan(self) -> bool:
        """Whether a reversal goes under the STAN of its original."""
        return self._file.policy.reversal.get("11") == "original"

    # Names of fields and subfields

    def _has(self, number: int) -> bool:
        return str(number) in self.spec.source

    @cached_property
    def _subfields(self) -> Mapping[str, tuple[int, int, int]]:
        """Number of the field, start and size (0: to the end) of each subfield."""
        places: dict[str, tuple[int, int, int]] = {}
        for number, parts in self._file.subfields.items():
            start = 0
            for part in parts:
                places[part.name] = (int(number), start, part.size)
                start += part.size
        return places

    def _place(self, name: str) -> tuple[int, int, int]:
        if name in self._subfields:
            return self._subfields[name]
        return int(name), 0, 0

    def _with_part(self, text: str, name: str, value: str) -> str:
        """A field's text with one of its parts replaced."""
        _, start, size = self._place(name)
        if not size:
            return text[:start] + value
        return text[:start].ljust(start, "0") + value + text[start + size :]


_MOMENT_PARTS = {"local_time": slice(6, 12), "local_date": slice(2, 6), "local_date_time": slice(0, 12)}
_CLOCK_PARTS = {"transmission_time": slice(2, 12), **_MOMENT_PARTS}


@lru_cache(maxsize=4)
def _moment(second: int) -> str:
    return strftime("%y%m%d%H%M%S", gmtime(second))


def moment(second: float | None = None) -> str:
    """Now, or another Unix time, as YYMMDDhhmmss in UTC."""
    return _moment(int(time() if second is None else second))
