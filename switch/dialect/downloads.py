"""What terminals load from the switch, as a dialect file has it: parameters, keys of card schemes, chips' applications.

A terminal asks for a list, page by page, then for each entry, and says when it has all. Everything is made into bytes
once, when the dialect is loaded.
"""

from __future__ import annotations

from typing import NamedTuple

from switch.dialect.model import CaKey, DialectFile, DownloadGroup, Downloads
from switch.dialect.references import Place, place

NONE, ALL, MORE, LAST = b"0", b"1", b"2", b"3"
"""How an answer begins: there is nothing; all in one; more comes; the last of several."""


class Group(NamedTuple):
    """One kind of entries.

    Attributes:
        codes: How a terminal asks.
        heads: What the list says of each.
        entries: Each whole, by the data objects with which it is asked for.
    """

    codes: DownloadGroup
    heads: tuple[bytes, ...]
    entries: dict[bytes, bytes]


class DownloadAnswers:
    """Answers of one dialect.

    Args:
        file: The dialect.
        room: Bytes that the field of the answer has.
    """

    def __init__(self, file: DialectFile, room: int) -> None:
        rules = file.downloads
        self._room = room
        self.code_place = Place(0, 0, 0) if rules.code is None else place(file, rules.code)
        self.field = rules.field
        self._plain = dict.fromkeys(rules.acknowledged, b"") | dict.fromkeys(rules.empty, NONE)
        if rules.parameters and rules.parameter_list is not None:
            texts = (f"{code}{value}" for code, value in sorted(rules.parameters.items()))
            self._plain[rules.parameter_list] = "".join(texts).encode("ascii")
        self._groups = tuple(_groups(rules))

    def answer(self, field: str, asked: bytes) -> bytes | None:
        """What a terminal is answered.

        Args:
            field: The field that says what it wants.
            asked: What it says of that, such as how many entries it has.

        Returns:
            The data; empty when there is nothing to say but yes; None when nothing of that is offered.
        """
        _, start, size = self.code_place
        code = field[start : start + size]
        for group in self._groups:
            if code == group.codes.heads:
                return self._page(group.heads, asked)
            if code == group.codes.entry:
                entry = group.entries.get(asked)
                return NONE if entry is None else ALL + entry
            if code == group.codes.end:
                return b""
        return self._plain.get(code)

    def _page(self, heads: tuple[bytes, ...], asked: bytes) -> bytes:
        """As many as there is room for, from the one on up to which the terminal has them."""
        first = int(asked[1:3]) if asked[1:3].isdigit() else 0
        room = self._room - 1
        page: list[bytes] = []
        for head in heads[first:]:
            room -= len(head)
            if room < 0:
                break
            page.append(head)
        if not page:
            return NONE
        has_more = first + len(page) < len(heads)
        return (MORE if has_more else LAST if first else ALL) + b"".join(page)


def _groups(rules: Downloads) -> list[Group]:
    groups = []
    if rules.ca_key_codes is not None:
        entries = {ca_key_name(key): ca_key_entry(key) for key in rules.ca_keys}
        heads = tuple(ca_key_name(key) + tlv("DF05", key.expires.encode("ascii")) for key in rules.ca_keys)
        groups.append(Group(rules.ca_key_codes, heads, entries))
    if rules.application_codes is not None:
        names = [tlv("9F06", bytes.fromhex(one.aid)) for one in rules.applications]
        whole = [name + bytes.fromhex(one.data) for name, one in zip(names, rules.applications, strict=True)]
        groups.append(Group(rules.application_codes, tuple(names), dict(zip(names, whole, strict=True))))
    return groups


def tlv(tag: str, value: bytes) -> bytes:
    """One data object (ISO 8825-1, definite length)."""
    size = bytes((len(value),)) if len(value) < 0x80 else bytes((0x81, len(value)))
    return bytes.fromhex(tag) + size + value


def ca_key_name(key: CaKey) -> bytes:
    """By which a terminal asks for a key of a card scheme."""
    return tlv("9F06", bytes.fromhex(key.rid)) + tlv("9F22", bytes.fromhex(key.index))


def ca_key_entry(key: CaKey) -> bytes:
    """The key of a card scheme with all that belongs to it."""
    return ca_key_name(key) + b"".join(
        (
            tlv("DF05", key.expires.encode("ascii")),
            tlv("DF06", b"\x01"),  # the check value is of SHA-1
            tlv("DF07", b"\x01"),  # the key is of RSA
            tlv("DF02", bytes.fromhex(key.modulus)),
            tlv("DF04", bytes.fromhex(key.exponent)),
            tlv("DF03", bytes.fromhex(key.check_value)),
        )
    )
