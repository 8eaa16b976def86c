"""PIN blocks of ISO 9564-1.

Formats: "iso-0" (ANSI X9.8; filled with F, mixed with the PAN), "iso-1" (random fill, without the PAN), "iso-3" (random
fill A to F, mixed with the PAN) and "iso-4" (filled with A, random bytes behind it, mixed with the PAN between two
encryptions). Their blocks have 8 bytes, of "iso-4" 16. Keys are 8 (DES), 16 or 24 bytes (3DES), of "iso-4" 16, 24 or 32
(AES). The part of the PAN that counts is its rightmost 12 digits without the check digit, with "iso-4" all of it. No
error message holds a PIN, a PAN or a key.
"""

from typing import Final

PIN_FORMATS: Final[tuple[str, ...]]
PIN_KEY_SIZES: Final[dict[str, tuple[int, ...]]]
"""Bytes of keys, by format."""

def encrypt_pin_block(pin: str, pan: str, key: bytes, format: str = "iso-0") -> bytes:  # noqa: A002
    """The encrypted block of a PIN of 4 to 12 digits, for simulators and tools.

    Raises:
        ValueError: a PIN, PAN, key or format that is not one.
    """

def decrypt_pin_block(block: bytes, pan: str, key: bytes, format: str = "iso-0") -> str:  # noqa: A002
    """The clear PIN, for simulated issuers; the switch itself never has it.

    Raises:
        ValueError: the block is malformed under this key and PAN, or an argument is not what it should be.
    """

def translate_pin_block(
    block: bytes, source_key: bytes, source_format: str, target_key: bytes, target_format: str, pan: str
) -> bytes:
    """Re-encrypt a block from one key and format to another.

    Raises:
        ValueError: the block is malformed under this key and PAN, an argument is not what it should be, or ISO 9564-1
            forbids it: no format but "iso-1" becomes "iso-1".
    """
