"""What is wrong with a message, in words: the one place that words it, for log, ``decode``, ``check`` and ``trace``.

Compiled modules import this, so it imports nothing of the package. The words name the field, what was needed, what was
there and the byte, and hold nothing of the message: of a character outside its class only the sort is told, and the
value where it is a control character or beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

FAULT_NAMES = (
    "none",
    "truncated",
    "length_digits",
    "length_limit",
    "content",
    "bitmap_digits",
    "type_digits",
    "no_spec",
    "trailing",
    "room",
    "value",
    "missing",
    "mac_wrong",
    "mac_absent",
    "mac_key",
    "pin",
    "pin_key",
    "kind",
    "amount",
    "conflict",
    "unwritable",
    "kind_abroad",
    "serial_number",
    "serial_repeated",
    "serial_elsewhere",
    "track",
    "track_key",
)
"""Faults by their number, which is that of ``FaultCode`` in ``ext/wire/scan.pxd``; they stand in errors, metrics and
the journal, so their order never changes."""

CONTENTS = (
    "anything",
    "digits",
    "letters and blanks",
    "letters, digits and blanks",
    "printable characters",
    "digits and the separators of track 2",
    "C or D and then digits",
    "hex digits",
)
"""What a field's content class allows, by the number of ``Content`` in ``ext/wire/spec.pxd``."""

CHARACTERS = (
    "something else",
    "a digit",
    "a letter",
    "a blank",
    "a punctuation mark",
    "a control character",
    "a character beyond ASCII",
    "a nibble above 9",
    "another pad nibble",
)
"""Sorts of a character, by the number of ``Character`` in ``ext/wire/character_classes.pxd``."""

VALUE_SHIFT = 8
"""Of a character outside its class ``available`` holds the sort, and above these bits its value where that is told."""


def count_of(number: int, unit: str) -> str:
    """A number with its unit, which ends in s unless there is one: ``1 byte``, ``2 bytes``."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _content(needed: int, available: int) -> str:
    sort, value = available & ((1 << VALUE_SHIFT) - 1), available >> VALUE_SHIFT
    there = CHARACTERS[sort] if sort < len(CHARACTERS) else CHARACTERS[0]
    if sort in (5, 6):
        there += f" (0x{value:02X})"
    return f"needs {CONTENTS[needed] if needed < len(CONTENTS) else CONTENTS[0]}, has {there}"


def _value(needed: int, available: int) -> str:
    counted = f": needs {count_of(needed, 'character')}, has {available}" if needed else ""
    return f"a value that the field cannot hold{counted}"


_TEXTS: Mapping[str, Callable[[int, int], str]] = {
    "none": lambda *_: "nothing is wrong with it, and all the same the message cannot be made",
    "truncated": lambda needed, there: f"needs {count_of(needed, 'byte')}, has {there}",
    "length_digits": lambda *_: "the length is not a number",
    "length_limit": lambda needed, there: f"the length is {there}, above the maximum of {needed}",
    "content": _content,
    "bitmap_digits": lambda *_: "the bitmap is not made of hex digits",
    "type_digits": lambda *_: "the message type is not four digits",
    "no_spec": lambda *_: "the bit is set, but the specification has no such field",
    "trailing": lambda _, there: f"{count_of(there, 'byte')} after the last field",
    "room": lambda needed, there: f"needs room for {count_of(needed, 'byte')}, has {there}",
    "value": _value,
    "missing": lambda *_: "is needed, and is not there",
    "mac_wrong": lambda *_: "the MAC is wrong",
    "mac_absent": lambda *_: "a MAC is needed, and is not there",
    "mac_key": lambda *_: "there is no key that the MAC could be verified with",
    "pin": lambda *_: "the PIN block does not open under the terminal's key as its format says",
    "pin_key": lambda *_: "the PIN block cannot go on: the terminal or the link has no PIN key",
    "kind": lambda *_: "the dialect has no kind of transaction with this and the message type",
    "amount": lambda *_: "needs an amount above zero",
    "conflict": lambda *_: "another request of this terminal has the same number at the same time",
    "unwritable": lambda *_: "cannot be written",
    "kind_abroad": lambda *_: "no link to which it could go has a message for this kind of transaction in its dialect",
    "serial_number": lambda *_: "the key serial number is none that a terminal sends, or belongs to no base key",
    "serial_repeated": lambda *_: "the key serial number does not count on from its device's last one",
    "serial_elsewhere": lambda *_: "the key serial number is that of a device which is at another terminal",
    "track": lambda *_: "the enciphered track does not open under the terminal's track key",
    "track_key": lambda *_: "the track is enciphered, and the terminal has no track key of DES",
}


PARTS: Mapping[str, str] = {"h": "header", "t": "MTI", "p": "bitmap", "1": "second bitmap"}
"""What has a key of its own in a message and is no field."""


def place_words(field: object) -> str:
    """What a key or number names: a field, or a part of the message that is none."""
    return PARTS.get(str(field), f"field {field}")


def fault_words(fault: str, field: object, byte: int | None, needed: int = 0, available: int = 0) -> str:
    """One fault in one line.

    Args:
        fault: One of ``FAULT_NAMES``.
        field: Number or key of the field, or the path of a part of it, such as ``60.3``.
        byte: Offset from the start of the message; None where there is none.
        needed: How much was needed, or the most that is allowed; of ``content`` the number of the class.
        available: How much was there; of ``content`` the sort of the character.
    """
    return f"{place_words(field)}: {_TEXTS[fault](needed, available)}{at_byte(byte)}"


def at_byte(byte: int | None) -> str:
    """The end of the words for what stands at a byte."""
    return "" if byte is None else f", at byte {byte}"


def of_dialect(dialect: str, words: str) -> str:
    """Words for a fault, with the dialect in which the message is written."""
    return f"{dialect}: {words}" if dialect else words


def with_reason(details: Mapping[str, Any]) -> dict[str, Any]:
    """What a log line says of a fault: the numbers that the hot path tells, as a ``reason`` in words."""
    told = dict(details)
    needed, available = told.pop("needed", 0), told.pop("available", 0)
    told["reason"] = fault_words(told["fault"], told["field"], told.get("byte"), needed, available)
    return told
