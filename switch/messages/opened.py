"""One message opened for a person: its fields with their names, parts and meaning, and nothing shown that must not be.

What is shown of sensitive data:

- a card number first six and last four, whole only when asked for;
- working keys in a sign-in answer (encrypted as they are) and the cardholder's name only when asked for;
- track data, PIN blocks and what else the dialect calls sensitive never, however asked: only how long they are; field
  55 is opened, and the same holds for its data objects;
- what looks like a card number in a field of free content as a card number, and track 1 or 2 as far as its card number;
- in a private field for which the dialect does not vouch (``harmless``) no number of three digits or more, unless asked
  for, since any may be a security code; bytes of which nothing is known not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from switch.base.masking import mask_pan, mask_private, mask_text, mask_track, nested_bitmap
from switch.dialect import Dialect
from switch.dialect.kinds import Kind
from switch.dialect.layout import holds_bytes, is_fixed
from switch.dialect.model import Subfield, Variant
from switch.dialect.references import place
from switch.messages.tlv import NAME_TAGS, PAN_TAGS, SECRET_TAGS, TAG_NAMES, Tlv, TlvError, parse_tlv
from switch.wire.codec import DecodeError, decode
from switch.wire.faults import of_dialect
from switch.wire.scan import ScanError

TYPE = "t"
ICC_DATA = "icc_data"
IDENTIFIERS = frozenset({"terminal", "merchant", "rrn"})
"""Keys of fields that may be long runs of digits and are no card numbers."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a field: a subfield, or a data object of field 55."""

    name: str
    description: str
    value: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenedField:
    """One field. ``position`` counts bytes from the start of the message, to the field's length or data."""

    field: str
    key: str
    description: str
    position: int
    size: int
    value: str
    meaning: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message, as far as it could be read."""

    dialect: str
    mti: str
    kind: str
    headers: str
    fields: tuple[OpenedField, ...]
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def open_message(
    message: bytes, dialect: Dialect, headers: bytes = b"", *, show_sensitive: bool = False
) -> OpenedMessage:
    """Open a message; where the daemon could not read it, ``error`` says why, and what can be shown of it is there.

    Args:
        message: Its bytes, without the frame.
        dialect: How it is written.
        headers: Of the frame that it came in.
        show_sensitive: Show what may be shown of sensitive data when asked for.
    """
    error = ""
    kind = Kind.UNKNOWN.label
    try:
        # What the daemon says: it reads more strictly than the decoder does, which shows what there is all the same.
        kind = Kind(dialect.tables.kind_of(message)).label
    except ScanError as refused:
        error = of_dialect(dialect.name, str(refused))
    try:
        document, wire = decode(message, dialect.spec)
    except DecodeError as refused:
        document, wire = refused.doc_dec, refused.doc_enc
        document.pop(refused.field, None)  # what there is of it
        error = error or of_dialect(dialect.name, refused.safe_message)
    opener = _Opener(dialect, document, show_sensitive=show_sensitive)
    return OpenedMessage(
        dialect=dialect.name,
        mti=document.get(TYPE, ""),
        kind=kind,
        headers=headers.hex().upper(),
        fields=tuple(opener.fields(wire)),
        error=error,
    )


class _Opener:
    """Opens the fields of one message."""

    def __init__(self, dialect: Dialect, document: Mapping[str, str], *, show_sensitive: bool) -> None:
        self.dialect = dialect
        self.document = document
        self.show_sensitive = show_sensitive

    def fields(self, wire: Mapping[str, Mapping[str, bytes]]) -> Iterator[OpenedField]:
        position = 0
        for name in _order(wire):
            size = len(wire[name]["len"]) + len(wire[name]["data"])
            if name.isdecimal() and name != "1" and name in self.document:
                yield self._field(name, position, size)
            position += size

    def _field(self, name: str, position: int, size: int) -> OpenedField:
        number = int(name)
        value = self.document[name]
        meaning = self.dialect.meanings[number]
        parts = tuple(self._parts(name, meaning.key, value))
        return OpenedField(
            field=name,
            key=meaning.key,
            description=meaning.description,
            position=position,
            size=size,
            value=self._shown(name, meaning.key, value, opened=bool(parts)),
            meaning=self._meaning(meaning.key, value),
            parts=parts,
        )

    def _shown(self, name: str, key: str, value: str, *, opened: bool) -> str:
        """A field's value, with that left out which may not be shown."""
        if key == "pan":
            return self._pan(value)
        if int(name) in self.dialect.sensitive:
            return "" if opened else never_shown(len(value))
        if opened and (name in self.dialect.file.variants or self._is_unknown(name)):
            return ""
        if self._holds_keys(name):
            return value if self.show_sensitive else hidden(len(value))
        if name in self.dialect.file.variants or (self._is_unknown(name) and holds_bytes(self.dialect.layout[name])):
            return self._text_or_bytes(name, value)
        return value if self._is_structured(name, key) else self._free(name, value)

    def _is_unknown(self, name: str) -> bool:
        """Whether nobody says what is in a field."""
        return int(name) in self.dialect.unkept

    def _holds_keys(self, name: str) -> bool:
        """Whether keys may be in a field of this message, in whatever form."""
        variants = self.dialect.file.variants.get(name, ())
        return any(
            variant.mti == self.document.get(TYPE) and any(part.secret for part in variant.parts)
            for variant in variants
        )

    def _free(self, name: str | None, text: str) -> str:
        """A text that may hold anything."""
        if self.show_sensitive:
            return mask_track(text)
        return mask_private(text) if name is not None and self._is_unknown(name) else mask_text(text)

    def _is_structured(self, name: str, key: str) -> bool:
        """Whether a field has no room for a card number, however many digits it has."""
        entry = self.dialect.layout[name]
        return key in IDENTIFIERS or (is_fixed(entry) and entry.get("content") == "n")

    def _pan(self, digits: str) -> str:
        return digits if self.show_sensitive else mask_pan(digits)

    def _text_or_bytes(self, name: str, digits: str) -> str:
        text = bytes.fromhex(digits).decode("latin-1")
        if text.isascii() and text.isprintable():
            return self._free(name, text)
        if self.show_sensitive:
            return mask_track(digits)
        bitmap = nested_bitmap(digits)
        return f"{bitmap} {hidden(len(digits) - len(bitmap))}" if bitmap else hidden(len(digits))

    def _meaning(self, key: str, value: str) -> str:
        if key != "response_code":
            return ""
        entry = self.dialect.response_codes.read.get(value)
        return entry[1] if entry is not None else "not listed by the dialect"

    def _parts(self, name: str, key: str, value: str) -> Iterator[Part]:
        if key == ICC_DATA:
            yield from self._data_objects(value)
        elif name in self.dialect.file.subfields:
            yield from self._subfields(name, self.dialect.file.subfields[name], value)
        elif self._is_unknown(name) and int(name) not in self.dialect.sensitive:
            yield from self._hidden_objects(value)
        for variant in self.dialect.file.variants.get(name, ()):
            if self._applies(variant, value):
                yield from self._subfields(
                    None, [part.model_copy(update={"size": 2 * part.size}) for part in variant.parts], value
                )
                return

    def _applies(self, variant: Variant, value: str) -> bool:
        if variant.mti != self.document.get(TYPE) or variant.bytes not in (None, len(value) // 2):
            return False
        for reference, text in variant.where.items():
            at = place(self.dialect.file, reference)
            if not self.document.get(str(at.field), "")[at.start :].startswith(text):
                return False
        return True

    def _subfields(self, name: str | None, subfields: list[Subfield], value: str) -> Iterator[Part]:
        """Parts of a field; ``name`` is None where the dialect says what is in each of them."""
        at = 0
        for subfield in subfields:
            end = at + subfield.size if subfield.size else len(value)
            text = value[at:end]
            at = end
            if not text:
                return
            if subfield.encoding is not None:
                text = text.encode("latin-1", "replace").decode(subfield.encoding, "replace")
            if subfield.secret and not self.show_sensitive:
                text = "*" * len(text)
            yield Part(subfield.name, subfield.desc, self._free(name, text))

    def _hidden_objects(self, value: str) -> Iterator[Part]:
        """Data objects of a private field that turns out to be BER-TLV of known tags alone: their secrets are known."""
        try:
            items = parse_tlv(bytes.fromhex(value))
        except ValueError:
            return
        if items and all(item.tag in TAG_NAMES for item in items):
            yield from map(self._data_object, items)

    def _data_objects(self, digits: str) -> Iterator[Part]:
        try:
            yield from map(self._data_object, parse_tlv(bytes.fromhex(digits)))
        except TlvError as error:
            yield Part("55", "is no BER-TLV", str(error))
        except ValueError:
            yield Part("55", "is no BER-TLV", "it is not made of bytes")

    def _data_object(self, item: Tlv) -> Part:
        description = TAG_NAMES.get(item.tag, "")
        if item.parts:
            return Part(item.tag, description, "", tuple(map(self._data_object, item.parts)))
        shown = item.value.hex().upper()
        if item.tag in SECRET_TAGS:
            shown = never_shown(len(shown))
        elif item.tag in PAN_TAGS:
            shown = self._pan(shown.rstrip("F"))
        elif item.tag in NAME_TAGS and not self.show_sensitive:
            shown = "*" * len(shown)
        return Part(item.tag, description, shown)


def never_shown(characters: int) -> str:
    """What stands in the place of data that are never shown."""
    return f"({characters} characters, never shown)"


def hidden(characters: int) -> str:
    """What stands in the place of data that are shown only when asked for."""
    return f"({characters} characters, shown when asked for)"


def _order(wire: Mapping[str, object]) -> list[str]:
    """Names of the parts of a message as they lie on the wire."""
    numbers = sorted((name for name in wire if name.isdecimal()), key=int)
    return [name for name in ("h", "t", "p") if name in wire] + numbers
