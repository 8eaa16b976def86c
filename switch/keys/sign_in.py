"""The key block of a sign-in answer: field 62 of the China UnionPay POS dialect.

======  =========================================================================================
bytes   what
======  =========================================================================================
16      PIN key, encrypted under the terminal's master key (3DES ECB)
4       its check value: the leftmost bytes of a zero block encrypted under it
16      MAC key likewise; one of 8 bytes is encrypted alone and zero filled
4       its check value
======  =========================================================================================

Where both keys are single DES the block has 8 bytes instead of each 16.
"""

from __future__ import annotations

from typing import NamedTuple

from switch.crypto.des import decrypt_blocks
from switch.crypto.sign_in_keys import build_sign_in_keys
from switch.keys.key import algorithm_of_des_size, check_value

CHECK_VALUE_BYTES = 4
_ROOMS = {2 * (room + CHECK_VALUE_BYTES): room for room in (8, 16)}

__all__ = ["SignInKeys", "build_sign_in_keys", "open_sign_in_keys"]


class SignInKeys(NamedTuple):
    """The working keys of one terminal session. Its ``repr`` shows check values only."""

    pin_key: bytes
    mac_key: bytes

    def __repr__(self) -> str:
        pin, mac = (check_value(algorithm_of_des_size(len(key)), key, CHECK_VALUE_BYTES) for key in self)
        return f"SignInKeys(pin_key kcv={pin!r}, mac_key kcv={mac!r})"


def open_sign_in_keys(master_key: bytes, block: bytes) -> SignInKeys:
    """What a terminal does with the block: decrypt both keys and compare their check values.

    Args:
        master_key: 8, 16 or 24 bytes.
        block: 24 or 40 bytes.

    Raises:
        ValueError: A wrong size, or a check value that does not agree: damaged, or under another master key.
    """
    room = _ROOMS.get(len(block))
    if room is None:
        raise ValueError(f"a sign-in key block has {' or '.join(map(str, _ROOMS))} bytes, not {len(block)}")
    middle = room + CHECK_VALUE_BYTES
    return SignInKeys(
        _opened(master_key, block[:room], block[room:middle], "PIN"),
        _opened(master_key, block[middle:-CHECK_VALUE_BYTES], block[-CHECK_VALUE_BYTES:], "MAC"),
    )


def _opened(master_key: bytes, wrapped: bytes, check: bytes, what: str) -> bytes:
    if what == "MAC" and not any(wrapped[8:]):
        wrapped = wrapped[:8]
    key = decrypt_blocks(master_key, wrapped)
    if check_value(algorithm_of_des_size(len(key)), key, CHECK_VALUE_BYTES) != check.hex().upper():
        raise ValueError(f"the check value of the {what} key does not agree: damaged, or under another master key")
    return key
