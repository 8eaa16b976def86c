"""Slots: values that the switch computes for a message it composes.

Field policies of dialect files name them (``compute:stan``). The order is ``Slot``'s in ``ext/wire/translate.pxd``.
"""

from __future__ import annotations

from switch.base.named_numbers import DescribedEnum


class Slot(DescribedEnum):
    """One slot; the value is its number in the hot path. Values are ASCII characters."""

    MTI = 0, "four digits"
    PROCESSING_CODE = 1, "six digits"
    STAN = 2, "six digits"
    RRN = 3, "twelve characters"
    TRANSMISSION_TIME = 4, "MMDDhhmmss, UTC"
    LOCAL_TIME = 5, "hhmmss"
    LOCAL_DATE = 6, "MMDD"
    LOCAL_DATE_TIME = 7, "YYMMDDhhmmss"
    RESPONSE_CODE = 8, "as the destination's dialect writes it"
    AUTHORIZATION_CODE = 9, "six characters"
    ACQUIRER = 10, "the acquiring institution's identification code, digits"
    PIN_BLOCK = 11, "hex digits, under the destination's key"
    ORIGINAL_DATA = 12, "what names the original, as the destination's dialect writes it"
    NETWORK_CODE = 13, "three digits"
    KEYS = 14, "hex digits: working keys under the receiver's master key"
    PAN = 15, "digits"
    SETTLEMENT_DATE = 16, "MMDD"
    MAC = 17, "a zero filled place for the MAC, which is put there when all else stands"
    KIND_CODE = 18, "what tells a kind beside the processing code: condition code, function code, 60.1"
    ENTRY_MODE = 19, "how the card was read, as the destination's dialect writes it in field 22"
    FORWARDER = 20, "the forwarding institution's identification code on the link, digits"
    STAND_IN = 21, "in the advice of an approval by stand-in, what the dialect marks it with"
    ORIGINAL_RRN = 22, "twelve characters: the original's reference number, as its issuer knows it"
    ORIGINAL_AUTHORIZATION_CODE = 23, "the original's authorization code, six characters"
    SAID_RRN = 24, "twelve characters: the reference number by which a terminal names an original that is not known"
    PARTIAL_APPROVAL = 25, "the field with the mark of partial approval, set to what terminal and configuration allow"
    BATCH = 26, "in the answer to a sign-in, the field with the batch number, set to the terminal's"
    DOWNLOAD = 27, "hex digits: what a terminal loads from the switch"
    KEY_CHOICE = 28, "which key an issuer is asked for, as the dialect says it"


SLOTS: tuple[str, ...] = tuple(slot.label for slot in Slot)
"""Names by number."""
