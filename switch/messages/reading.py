"""Messages and documents as people give them: hex, base64, JSON; from the command line, a file or standard input."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from switch.dialect import Dialect
from switch.wire.faults import count_of
from switch.wire.framing import Deframer, FrameError

STANDARD_INPUT = "-"
GIVEN_BYTES_MAX = 64 << 20


class Notation(StrEnum):
    """How bytes are written down."""

    HEX = "hex"
    BASE64 = "base64"
    TEXT = "text"
    """The characters themselves, on one line; of dialects in ASCII."""
    RAW = "raw"


class Frame(StrEnum):
    """Whether a message stands in its frame."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"


class InputError(ValueError):
    """What was given is not what it was said to be; the text holds nothing of it."""


def read_given(text: str | None, path: Path | None) -> bytes:
    """What was given on the command line, in a file, or on standard input when that is ``-`` or nothing was.

    Raises:
        InputError: Two of them were given, or the file cannot be read, or has too much in it.
    """
    if path is not None:
        if text is not None:
            raise InputError("give either a message or a file, not both")
        try:
            with path.open("rb") as stream:
                return _read_all(stream)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}") from error
    if text is None or text == STANDARD_INPUT:
        return _read_all(sys.stdin.buffer)
    return as_given(text)


def _read_all(stream: BinaryIO) -> bytes:
    """What a file, a pipe or a device gives, if it comes to an end in time."""
    given = stream.read(GIVEN_BYTES_MAX + 1)
    if len(given) > GIVEN_BYTES_MAX:
        raise InputError(f"has more than {GIVEN_BYTES_MAX:,} bytes")
    return given


def as_given(text: str) -> bytes:
    """The bytes of an argument of the command line, which need not be text."""
    return text.encode("utf-8", "surrogateescape")


def to_bytes(given: bytes, notation: Notation) -> bytes:
    """Bytes that were written down in a notation; blanks and line ends in it do not count.

    Raises:
        InputError: There are none, or they are not in that notation.
    """
    if notation is Notation.RAW:
        data = given
    elif notation is Notation.TEXT:
        data = given.rstrip(b"\r\n")
    else:
        packed = b"".join(given.split())
        try:
            data = (
                bytes.fromhex(packed.decode("ascii"))
                if notation is Notation.HEX
                else base64.b64decode(packed, validate=True)
            )
        except (UnicodeDecodeError, ValueError) as error:
            raise InputError(_not_in_notation(packed, notation)) from error
    if not data:
        raise InputError("there is no message")
    return data


def _not_in_notation(packed: bytes, notation: Notation) -> str:
    if notation is Notation.BASE64:
        return "needed base64"
    for position, byte in enumerate(packed):
        if byte not in b"0123456789abcdefABCDEF":
            return f"needed hex digits, character {position + 1} is none"
    return f"needed two hex digits for each byte, got {len(packed)} digits"


def from_bytes(data: bytes, notation: Notation) -> bytes:
    """Bytes written down in a notation; a line of text, except for raw."""
    if notation is Notation.RAW:
        return data
    if notation is Notation.TEXT:
        return data + b"\n"
    written = (
        data.hex().upper().encode("ascii") if notation is Notation.HEX else binascii.b2a_base64(data, newline=False)
    )
    return written + b"\n"


def messages_in(data: bytes, dialect: Dialect, frame: Frame) -> list[tuple[bytes, bytes]]:
    """Headers and messages in what was given: the frames of it, or all of it as one message.

    With ``auto`` it is taken as frames when it consists of whole ones and nothing else.

    Raises:
        InputError: Frames were asked for, and it does not consist of whole ones.
    """
    if frame is Frame.NO:
        return [(b"", data)]
    deframer = Deframer(dialect.framing)
    try:
        found = deframer.feed(data)
    except FrameError as error:
        if frame is Frame.YES:
            raise InputError(str(error)) from error
        found = []
    if found and not deframer.partial_size:
        return found
    if frame is Frame.YES:
        raise InputError(f"the frame is not complete: {count_of(deframer.partial_size, 'byte')} of it came")
    return [(b"", data)]


def to_document(given: bytes, dialect: Dialect) -> dict[str, str]:
    """The fields of a message, from JSON such as ``{"t": "0800", "11": "000001"}``.

    Raises:
        InputError: It is something else, or has keys that are no fields of the dialect; all of them are told.
    """
    try:
        pairs = json.loads(given, object_pairs_hook=_Pairs)
    except RecursionError as error:
        raise InputError("needed a JSON object of fields, not one that is nested so deep") from error
    except ValueError as error:
        raise InputError(f"needed JSON: {error}") from error
    if not isinstance(pairs, _Pairs):
        raise InputError("needed a JSON object of fields")
    names = Counter(name for name, _ in pairs)
    wrong = [f"key {json.dumps(name)} stands there {count} times" for name, count in names.items() if count > 1]
    wrong += filter(None, (_wrong_key(name, dialect) for name in names))
    wrong += [f"field {name}: needed a string" for name, value in pairs if not isinstance(value, str)]
    if wrong:
        raise InputError("; ".join(wrong))
    return dict(pairs)


class _Pairs(list[tuple[str, str]]):
    """A JSON object as it was written, keys that come twice among them."""


def _wrong_key(name: str, dialect: Dialect) -> str:
    """Why a key is no field of the dialect; empty when it is one."""
    if name in _keys(dialect):
        return ""
    return f"key {json.dumps(name)}{_why_not(name, dialect)}"


def _keys(dialect: Dialect) -> set[str]:
    has_header = bool(dialect.layout.get("h", {}).get("max_len"))
    return (
        {name for name in dialect.layout if name.isdecimal() and name != "1"} | {"t"} | ({"h"} if has_header else set())
    )


def _why_not(name: str, dialect: Dialect) -> str:
    number = next((str(number) for number, meaning in dialect.meanings.items() if meaning.key == name), "")
    number = number or name.lstrip("Ff").lstrip("0")
    whole, dot, _ = name.partition(".")
    if name in ("p", "1"):
        return ": the bitmap makes itself"
    if number != name and number in dialect.layout:
        return f': fields are given by number, this one as "{number}"'
    if dot and whole in dialect.layout:
        return f': a part of a field cannot be given alone, give field "{whole}" whole'
    if name.isdecimal():
        return f": dialect {dialect.name} has no such field"
    return ': unknown; keys are "t" and the numbers of fields'
