"""BER-TLV as chip cards use it (EMV 4.3 book 3, annex B): tag, length, value; constructed tags hold others."""

from __future__ import annotations

from typing import NamedTuple

TAG_SIZE_MAX = 4
LENGTH_SIZE_MAX = 4
DEPTH_MAX = 8


class TlvError(ValueError):
    """Bytes that are no BER-TLV; the text holds none of them."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at byte {position}")
        self.position = position


class Tlv(NamedTuple):
    """One data object."""

    tag: str
    """Upper-case hex digits."""
    value: bytes
    position: int
    """Of the tag, in bytes from the start of the outermost data."""
    parts: tuple[Tlv, ...]
    """What a constructed object holds."""


def parse_tlv(data: bytes) -> list[Tlv]:
    """Take data objects apart; zero bytes between them are filler.

    Raises:
        TlvError: A tag, a length or a value is cut off, a length is indefinite, or objects are nested too deep.
    """
    return _parse(data, 0, DEPTH_MAX)


def _parse(data: bytes, base: int, depth: int) -> list[Tlv]:
    if not depth:
        raise TlvError("data objects nested too deep", base)
    found = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        start = at
        at = _end_of_tag(data, start, base)
        tag = data[start:at]
        size, at = _length(data, at, base)
        value = data[at : at + size]
        if len(value) < size:
            raise TlvError(f"tag {tag.hex().upper()}: {size} bytes needed, {len(value)} there", base + at)
        parts = _parse(value, base + at, depth - 1) if tag[0] & 0x20 else []
        found.append(Tlv(tag.hex().upper(), value, base + start, tuple(parts)))
        at += size
    return found


def _end_of_tag(data: bytes, at: int, base: int) -> int:
    """Where the tag that begins at ``at`` ends: low bits all set go on, as long as the high bit is set."""
    end = at + 1
    if data[at] & 0x1F == 0x1F:
        while end < len(data) and data[end] & 0x80:
            end += 1
        end += 1
    if end > len(data):
        raise TlvError("tag cut off", base + at)
    if end - at > TAG_SIZE_MAX:
        raise TlvError(f"tag of more than {TAG_SIZE_MAX} bytes", base + at)
    return end


def _length(data: bytes, at: int, base: int) -> tuple[int, int]:
    """The length at ``at``, and where the value begins."""
    if at >= len(data):
        raise TlvError("length missing", base + at)
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= LENGTH_SIZE_MAX:
        raise TlvError(f"a length of 1 to {LENGTH_SIZE_MAX} bytes needed", base + at)
    if at + 1 + count > len(data):
        raise TlvError("length cut off", base + at)
    return int.from_bytes(data[at + 1 : at + 1 + count]), at + 1 + count


TAG_NAMES = {
    "42": "Issuer identification number",
    "4F": "Application identifier, card",
    "50": "Application label",
    "56": "Track 1 data",
    "57": "Track 2 equivalent data",
    "5A": "Application primary account number",
    "5F20": "Cardholder name",
    "5F24": "Application expiration date",
    "5F25": "Application effective date",
    "5F28": "Issuer country code",
    "5F2A": "Transaction currency code",
    "5F2D": "Language preference",
    "5F30": "Service code",
    "5F34": "Application PAN sequence number",
    "5F36": "Transaction currency exponent",
    "71": "Issuer script template 1",
    "72": "Issuer script template 2",
    "77": "Response message template format 2",
    "81": "Amount, authorised (binary)",
    "82": "Application interchange profile",
    "84": "Dedicated file name",
    "86": "Issuer script command",
    "87": "Application priority indicator",
    "89": "Authorisation code",
    "8A": "Authorisation response code",
    "8C": "Card risk management data object list 1",
    "8D": "Card risk management data object list 2",
    "8E": "Cardholder verification method list",
    "8F": "Certification authority public key index",
    "90": "Issuer public key certificate",
    "91": "Issuer authentication data",
    "94": "Application file locator",
    "95": "Terminal verification results",
    "98": "Transaction certificate hash value",
    "99": "Transaction PIN data",
    "9A": "Transaction date",
    "9B": "Transaction status information",
    "9C": "Transaction type",
    "9F01": "Acquirer identifier",
    "9F02": "Amount, authorised",
    "9F03": "Amount, other",
    "9F04": "Amount, other (binary)",
    "9F06": "Application identifier, terminal",
    "9F07": "Application usage control",
    "9F08": "Application version number, card",
    "9F09": "Application version number, terminal",
    "9F0B": "Cardholder name, extended",
    "9F0D": "Issuer action code, default",
    "9F0E": "Issuer action code, denial",
    "9F0F": "Issuer action code, online",
    "9F10": "Issuer application data",
    "9F12": "Application preferred name",
    "9F15": "Merchant category code",
    "9F16": "Merchant identifier",
    "9F1A": "Terminal country code",
    "9F1B": "Terminal floor limit",
    "9F1C": "Terminal identification",
    "9F1E": "Interface device serial number",
    "9F1F": "Track 1 discretionary data",
    "9F20": "Track 2 discretionary data",
    "9F21": "Transaction time",
    "9F26": "Application cryptogram",
    "9F27": "Cryptogram information data",
    "9F33": "Terminal capabilities",
    "9F34": "Cardholder verification method results",
    "9F35": "Terminal type",
    "9F36": "Application transaction counter",
    "9F37": "Unpredictable number",
    "9F39": "Point of service entry mode",
    "9F40": "Additional terminal capabilities",
    "9F41": "Transaction sequence counter",
    "9F42": "Application currency code",
    "9F45": "Data authentication code",
    "9F4C": "ICC dynamic number",
    "9F53": "Transaction category code",
    "9F5B": "Issuer script results",
    "9F63": "Card product identification",
    "9F66": "Terminal transaction qualifiers",
    "9F6B": "Track 2 data, contactless",
    "9F6C": "Card transaction qualifiers",
    "9F6E": "Form factor indicator",
    "9F74": "Electronic cash issuer authorisation code",
    "9F7C": "Customer exclusive data",
    "DF31": "Issuer script results",
    "DF32": "Chip serial number",
    "DF33": "Session key data",
    "DF34": "Terminal reading time",
}
"""Names of the tags that travel in field 55 (EMV 4.3 book 3, annex A, and what the schemes add)."""

PAN_TAGS = frozenset({"5A"})
"""Hold a card number in packed digits."""

SECRET_TAGS = frozenset({"56", "57", "99", "9F1F", "9F20", "9F6B"})
"""Track data and PIN: never shown."""

NAME_TAGS = frozenset({"5F20", "9F0B"})
"""The cardholder's name: shown only when asked for."""
