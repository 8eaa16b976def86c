"""The key block of a sign-in answer: field 62 of the China UnionPay POS dialect.

======  =========================================================================================
bytes   what
======  =========================================================================================
16      PIN key, encrypted under the terminal's master key (3DES ECB)
4       its check value: the leftmost bytes of a zero block encrypted under it
16      MAC key likewise; one of 8 bytes is encrypted alone and zero filled
4       its check value
16      track key likewise, where the form has one
4       its check value
======  =========================================================================================

Each 16 is 8 where the keys are single DES, and 24 where they are of triple length. Keys of SM4 have 16 bytes each, and
are under a master key of SM4. In the form ``short`` the MAC key has 8 bytes and no zeros.
"""

from __future__ import annotations

from typing import NamedTuple

from switch.crypto.des import decrypt_blocks
from switch.crypto.sign_in_keys import MAC_KEY_FORMS, ROOMS, build_sign_in_keys
from switch.keys.key import Key, algorithm_of_des_size, check_value
from switch.keys.wrapping import unwrap_key

CHECK_VALUE_BYTES = 4
SHORT_BYTES = 8

__all__ = ["MAC_KEY_FORMS", "SignInKeys", "build_sign_in_keys", "open_sign_in_keys"]


class SignInKeys(NamedTuple):
    """The working keys of one terminal session. Its ``repr`` shows check values only, as of keys of DES."""

    pin_key: bytes
    mac_key: bytes
    track_key: bytes = b""
    """Empty: none came."""

    def __repr__(self) -> str:
        shown = (
            check_value(algorithm_of_des_size(len(key)), key, CHECK_VALUE_BYTES) if key else "none" for key in self
        )
        return "SignInKeys(pin_key kcv={!r}, mac_key kcv={!r}, track_key kcv={!r})".format(*shown)


def open_sign_in_keys(
    master_key: bytes, block: bytes, *, has_track_key: bool = False, mac_key_form: str = "own", is_sm4: bool = False
) -> SignInKeys:
    """What a terminal does with the block: decrypt the keys and compare their check values.

    Args:
        master_key: 8, 16 or 24 bytes.
        block: The keys, each with its check value.
        has_track_key: Whether a track key was asked for.
        mac_key_form: How the MAC key stands, one of ``MAC_KEY_FORMS``.
        is_sm4: Whether all keys are of SM4.

    Raises:
        ValueError: A wrong size, or a check value that does not agree: damaged, or under another master key.
    """
    sizes = {
        sum(rooms) + CHECK_VALUE_BYTES * len(rooms): rooms
        for rooms in _rooms(mac_key_form, has_track_key=has_track_key)
    }
    rooms = sizes.get(len(block))
    if rooms is None:
        raise ValueError(f"a sign-in key block has {' or '.join(map(str, sizes))} bytes, not {len(block)}")
    keys = []
    at = 0
    for room, what in zip(rooms, ("PIN", "MAC", "track"), strict=False):
        middle = at + room
        wrapped, check = block[at:middle], block[middle : middle + CHECK_VALUE_BYTES]
        keys.append((_opened_sm4 if is_sm4 else _opened)(master_key, wrapped, check, what))
        at = middle + CHECK_VALUE_BYTES
    return SignInKeys(*keys)


def _rooms(mac_key_form: str, *, has_track_key: bool) -> list[tuple[int, ...]]:
    """Bytes of each key, without its check value, as they may be in a block."""
    return [
        (room, SHORT_BYTES if mac_key_form == "short" else room, *([room] if has_track_key else [])) for room in ROOMS
    ]


def _opened(master_key: bytes, wrapped: bytes, check: bytes, what: str) -> bytes:
    if what == "MAC" and not any(wrapped[SHORT_BYTES:]):
        wrapped = wrapped[:SHORT_BYTES]
    key = decrypt_blocks(master_key, wrapped)
    if check_value(algorithm_of_des_size(len(key)), key, CHECK_VALUE_BYTES) != check.hex().upper():
        raise ValueError(f"the check value of the {what} key does not agree: damaged, or under another master key")
    return key


def _opened_sm4(master_key: bytes, wrapped: bytes, check: bytes, what: str) -> bytes:
    key = unwrap_key(Key("sign-in/tmk", "tmk", "sm4", master_key), "sm4", wrapped)
    if check_value("sm4", key, CHECK_VALUE_BYTES) != check.hex().upper():
        raise ValueError(f"the check value of the {what} key does not agree: damaged, or under another master key")
    return key
