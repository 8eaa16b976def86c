"""Which fields a copy of a message may not have that is kept: in memory behind its transaction, or in the journal.

What a field of private use holds, only its owner knows: card verification codes, track data and PINs have been found in
all of them, in tags, in texts and without any mark. So none of them is kept unless the dialect vouches for it
(``harmless``), and neither is a field to which the dialect gives another meaning than the standard's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from switch.dialect.model import DialectFile

CARD_SECRETS = {35: "track 2", 36: "track 3", 45: "track 1", 52: "the PIN block"}
"""What every version of ISO 8583 has in these fields."""

SECRET_KEYS = {
    "track_1": "track 1",
    "track_2": "track 2",
    "track_3": "track 3",
    "pin_block": "the PIN block",
    "icc_data": "chip data, which may hold track 2",
}
"""The same by what a field means, wherever a dialect has it."""

PRIVATE_KEYS = frozenset(
    {
        "additional_response_data",
        "additional_data_iso",
        "additional_data_national",
        "data_record",
        "iso93_security_control",
        "key_management_data",
        "transaction_description",
        "transport_data",
    }
)
"""Fields of the catalogues whose content is free, beside those that they call private or reserved."""

PRIVATE_PARTS = ("additional_data_private", "reserved_")

Catalogue = Mapping[str, tuple[str, str, str]]


def secret_fields(keys: Mapping[int, str]) -> dict[int, str]:
    """Fields of a dialect that must be sensitive, and what is in them; ``keys`` are those of all its fields."""
    by_meaning = {number: SECRET_KEYS[key] for number, key in keys.items() if key in SECRET_KEYS}
    return {number: what for number, what in CARD_SECRETS.items() if number in keys} | by_meaning


def private_fields(file: DialectFile, numbers: Iterable[int], catalogue: Catalogue) -> frozenset[int]:
    """Those of a dialect's fields of which the standard does not say what is in them."""
    return frozenset(number for number in numbers if _is_private(file, str(number), catalogue))


def _is_private(file: DialectFile, number: str, catalogue: Catalogue) -> bool:
    if number not in catalogue:
        return True
    key = catalogue[number][1]
    override = file.fields.get(number)
    if override is not None and override.key not in (None, key):
        return True
    return key in PRIVATE_KEYS or any(part in key for part in PRIVATE_PARTS)


def unkept_fields(file: DialectFile, numbers: Iterable[int], catalogue: Catalogue) -> frozenset[int]:
    """Fields that no copy has which is kept: sensitive ones, and private ones that nobody vouches for."""
    return frozenset(file.sensitive) | (private_fields(file, numbers, catalogue) - frozenset(file.harmless))
