"""Whether a key fits what it is used for: MACs by their algorithm, PIN blocks, and the answers to sign-ins."""

from __future__ import annotations

from collections.abc import Mapping

from switch.crypto.mac import KEY_SIZES
from switch.keys.names import ALGORITHMS, Family

MAC_FAMILIES: Mapping[str, Family] = {"aes-cmac": "aes", "cup-sm4": "sm4"}
"""Families of keys by MAC algorithm; all others are made with DES."""

PIN_KEY_BYTES = (8, 16, 24)


def fits_mac(key_algorithm: str, mac_algorithm: str) -> bool:
    """Whether MACs of an algorithm can be made with a key."""
    size, family = ALGORITHMS[key_algorithm]
    return family == MAC_FAMILIES.get(mac_algorithm, "des") and size in KEY_SIZES[mac_algorithm]


def fits_pin(key_algorithm: str) -> bool:
    """Whether PIN blocks can be enciphered with a key."""
    size, family = ALGORITHMS[key_algorithm]
    return family == "des" and size in PIN_KEY_BYTES


def fits_sign_in(key_algorithm: str) -> bool:
    """Whether the answer to a sign-in can be enciphered with a master key."""
    return ALGORITHMS[key_algorithm].family == "des"
