"""How a data element lies on the wire: from the standard's notation and an encoding profile to pyiso8583's form.

A catalogue says what ISO 8583 says of a field, such as ``n..19``; a dialect's ``encoding`` says how that dialect writes
digits, text, bytes and lengths. Both together make the field's dictionary of ``switch.wire.spec.compile_spec``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from switch.dialect.model import Encoding, Pad

FORMAT = re.compile(r"(?P<content>n|a|an|ans|z|x\+n|b)(?P<dots>\.{0,4})(?P<size>[1-9]\d{0,3})")
"""Content class, a dot for each digit of the length, size: in characters, of ``b`` in bits or, if variable, bytes."""

Entry = dict[str, Any]
"""One field in pyiso8583's form, with ``content``."""


class Format(NamedTuple):
    """A format of the standard, taken apart."""

    content: str
    length_digits: int
    size: int


def parse_format(text: str) -> Format:
    """Take a format apart.

    Raises:
        ValueError: It is none.
    """
    match = FORMAT.fullmatch(text)
    if match is None:
        raise ValueError(f"needed a format such as n6, ans..25 or b64, got {text!r}")
    content, length_digits, size = match["content"], len(match["dots"]), int(match["size"])
    if length_digits and size >= 10**length_digits:
        raise ValueError(f"{size} does not fit a length of {length_digits} digits")
    if content == "b" and not length_digits:
        if size % 8:
            raise ValueError(f"needed whole bytes, got {size} bits")
        size //= 8
    return Format(content, length_digits, size)


def lay_out(data_format: Format, encoding: Encoding) -> Entry:
    """Write one data element as the dialect does."""
    content, length_digits, size = data_format
    entry: Entry = {"len_enc": _length_encoding(encoding), "len_type": _length_width(length_digits, encoding)}
    if content == "b":
        if encoding.binary == "binary":
            return entry | {"data_enc": "b", "max_len": size}
        return entry | {"data_enc": encoding.text, "max_len": 2 * size, "content": "hex"}
    if content == "x+n":
        return entry | {"content": content} | _signed(size, encoding)
    entry |= {"max_len": size, "content": content}
    if content not in ("n", "z"):
        return entry | {"data_enc": encoding.text}
    if encoding.numeric != "bcd":
        return entry | {"data_enc": encoding.numeric}
    return entry | {"data_enc": "b", "len_count": "nibbles"} | _padding(data_format, encoding)


def _signed(digits: int, encoding: Encoding) -> Entry:
    """A sign and digits: the sign is a character, in BCD a byte of its own."""
    if encoding.numeric == "bcd":
        return {"data_enc": "b", "max_len": 1 + (digits + 1) // 2}
    return {"data_enc": encoding.text, "max_len": 1 + digits}


def fixed_parts(encoding: Encoding) -> dict[str, Entry]:
    """The entries of no header, the MTI and the primary and secondary bitmap."""
    bitmap = (
        {"data_enc": "b", "max_len": 8} if encoding.bitmap == "binary" else {"data_enc": encoding.text, "max_len": 16}
    )
    fixed: Entry = {"len_enc": "ascii", "len_type": 0}
    mti = {"data_enc": "b", "max_len": 2} if encoding.mti == "bcd" else {"data_enc": encoding.mti, "max_len": 4}
    return {
        "h": fixed | {"data_enc": "b", "max_len": 0, "desc": "Message header"},
        "t": fixed | mti | {"desc": "Message type identifier"},
        "p": fixed | bitmap | {"desc": "Bitmap, primary"},
        "1": fixed | bitmap | {"desc": "Bitmap, secondary"},
    }


def characters_max(entry: Entry) -> int:
    """The most characters that the field's canonical value has: digits, text, or two hex digits a byte."""
    size: int = entry["max_len"]
    return 2 * size if entry["data_enc"] == "b" and entry.get("len_count") != "nibbles" else size


def is_fixed(entry: Entry) -> bool:
    """Whether the field always has its maximal length."""
    return not entry["len_type"]


def holds_bytes(entry: Entry) -> bool:
    """Whether the value means bytes (PIN block, chip data, MAC) rather than digits or text: digits count nibbles."""
    content = entry.get("content", "any")
    is_packed = entry.get("len_count") == "nibbles"
    return bool(content == "hex" or (entry["data_enc"] == "b" and content == "any" and not is_packed))


def _length_encoding(encoding: Encoding) -> str:
    return "b" if encoding.length == "binary" else encoding.length


def _length_width(digits: int, encoding: Encoding) -> int:
    """Bytes of a length: of two digits one byte in BCD, of three digits two bytes in BCD and binary."""
    if encoding.length == "bcd":
        return (digits + 1) // 2
    if encoding.length == "binary":
        return 0 if not digits else 1 if digits <= 2 else 2
    return digits


def _padding(data_format: Format, encoding: Encoding) -> Entry:
    """What fills the last byte of an odd number of digits."""
    if data_format.length_digits:
        return _pad_key(encoding.variable_pad)
    return _pad_key(encoding.fixed_pad) if data_format.size % 2 else {}


def _pad_key(pad: Pad) -> Entry:
    return {f"{pad.side}_pad": pad.nibble}
