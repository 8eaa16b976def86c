"""Messages and documents as people give them: hex, base64, JSON; from the command line, a file or standard input."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from enum import StrEnum
from pathlib import Path

from switch.dialects import Dialect
from switch.framing import Deframer, FrameError

STANDARD_INPUT = "-"


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
        InputError: Two of them were given, or the file cannot be read.
    """
    if path is not None:
        if text is not None:
            raise InputError("give either a message or a file, not both")
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
    if text is None or text == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    return text.encode("utf-8")


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
        raise InputError(f"the frame is not complete: {deframer.partial_size} bytes of it are there")
    return [(b"", data)]


def to_document(given: bytes) -> dict[str, str]:
    """The fields of a message, from JSON such as ``{"t": "0800", "11": "000001"}``.

    Raises:
        InputError: It is something else.
    """
    try:
        document = json.loads(given)
    except ValueError as error:
        raise InputError(f"needed JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError("needed a JSON object of fields")
    for name, value in document.items():
        if not isinstance(value, str):
            raise InputError(f"field {name}: needed a string")
    return document
