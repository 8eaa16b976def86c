"""Whether a key fits what it is used for: MACs by their algorithm, PIN blocks, and the answers to sign-ins."""

from __future__ import annotations

from collections.abc import Mapping

from switch.crypto.mac import KEY_SIZES
from switch.crypto.pin_block import PIN_KEY_SIZES
from switch.keys.names import ALGORITHMS, Family

MAC_FAMILIES: Mapping[str, Family] = {"aes-cmac": "aes", "cup-sm4": "sm4"}
"""Families of keys by MAC algorithm; all others are made with DES."""

PIN_FAMILIES: Mapping[str, Family] = {"iso-4": "aes", "sm4": "sm4"}
"""Families of keys by format of PIN blocks; all others are enciphered with DES."""


def fits_mac(key_algorithm: str, mac_algorithm: str) -> bool:
    """Whether MACs of an algorithm can be made with a key."""
    size, family = ALGORITHMS[key_algorithm]
    return family == MAC_FAMILIES.get(mac_algorithm, "des") and size in KEY_SIZES[mac_algorithm]


def fits_pin(key_algorithm: str, pin_format: str) -> bool:
    """Whether PIN blocks of a format can be enciphered with a key."""
    size, family = ALGORITHMS[key_algorithm]
    return family == PIN_FAMILIES.get(pin_format, "des") and size in PIN_KEY_SIZES[pin_format]


def fits_derivation(key_algorithm: str, cipher: str) -> bool:
    """Whether PIN keys can be derived from a key: of DES with two parts alone, of AES with all sizes."""
    return key_algorithm == "3des-2key" if cipher == "des" else ALGORITHMS[key_algorithm].family == "aes"


def fits_sign_in(key_algorithm: str, pin_format: str) -> bool:
    """Whether a key can be in the answer to the sign-in of a terminal, or that be enciphered with it."""
    return ALGORITHMS[key_algorithm].family == ("sm4" if pin_format == "sm4" else "des")
