"""DUKPT: a terminal's PIN key for one transaction (ANSI X9.24-1:2009 for DES, ANSI X9.24-3:2017 for AES)."""

from collections.abc import Sequence
from typing import final

from switch.crypto.device_counters import DeviceCounters

def derive_key(base_key: bytes, serial_number: str, *, is_aes: bool) -> bytes:
    """The key under which a terminal enciphers the PIN block of one transaction, for simulators and tests.

    Args:
        base_key: The base derivation key (BDK): 16 bytes of DES, or 16, 24 or 32 of AES.
        serial_number: The key serial number in hex: 20 digits of DES, or 16 without its filler; 24 of AES.
        is_aes: Which of the two it is.

    Raises:
        ValueError: a base key or a serial number that is none.
    """

@final
class BaseKeys:
    """The base derivation keys of a switch, found by what a serial number begins with."""

    count: int
    counters: DeviceCounters

    def __init__(self, rows: Sequence[tuple[str, bytes, bool]] = (), counters: DeviceCounters | None = None) -> None:
        """Take in keys.

        Args:
            rows: The hex digits, in upper case, with which its serial numbers begin; the key; whether it is of AES.
            counters: How far their devices have counted; None: a small table of its own.

        Raises:
            ValueError: there are too many, or a key is of a size that it cannot have.
        """
