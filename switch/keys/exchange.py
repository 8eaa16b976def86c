"""A key that an issuer sends under the zone master key: what it must be to be taken."""

from __future__ import annotations

from collections.abc import Sequence

from switch.keys.brought import was_had
from switch.keys.file import KeyFile
from switch.keys.key import Key, check_value, has_weak_part
from switch.keys.key_block import is_key_block, unwrap_key_block
from switch.keys.names import check_algorithm, former_name
from switch.keys.wrapping import unwrap_key

CHECK_DIGITS_MIN = 6
CHECK_DIGITS_MAX = 16
AES_WRAP_EXTRA_BYTES = 8
"""What RFC 3394 puts before a key."""


class NotTakenError(Exception):
    """A key that cannot be taken; the text says why, and nothing of the key."""


def next_name(name: str) -> str:
    """What a key is called that answers may be under already, while the present one is used: ``link/x/next/zak``."""
    place, slash, last = name.rpartition("/")
    return f"{place}{slash}next/{last}"


def offered_key(keys: KeyFile, name: str, under: str, text: str, others: Sequence[str]) -> Key:
    """The key that a message brings.

    Args:
        keys: Those in force.
        name: What is to be replaced: it has that one's usage and algorithm.
        under: Name of the ZMK.
        text: Hex digits of the key under the ZMK with its check value behind it, or a key block.
        others: Other keys of the link, none of which it may be.

    Raises:
        NotTakenError: It cannot be taken.
        KeyFileError: A key of these names is not there.
    """
    present, master = keys.get(name), keys.get(under)
    try:
        value = _unwrapped(present, master, text)
    except ValueError as error:
        raise NotTakenError(str(error)) from None
    if has_weak_part(present.algorithm, value):
        raise NotTakenError("it is a weak key")
    key = Key(name, present.usage, present.algorithm, value)
    if keys.value(former_name(name)) == value or (value != present.value and was_had(keys, key, under)):
        raise NotTakenError("the link had that key before: an old message came once more")
    if any(keys.value(other) == value for other in others):
        raise NotTakenError("the link has that key for another use")
    return key


def _unwrapped(present: Key, master: Key, text: str) -> bytes:
    if is_key_block(text):
        key = unwrap_key_block(master, text, present.name, present.usage)
        if key.algorithm != present.algorithm:
            raise NotTakenError(f"it is a key of {key.algorithm}; the present one is of {present.algorithm}")
        return key.value
    try:
        said = bytes.fromhex(text)
    except ValueError:
        raise NotTakenError("it has no key in hex digits, and no key block") from None
    size = check_algorithm(present.algorithm).size
    if check_algorithm(master.algorithm).family == "aes":
        size += AES_WRAP_EXTRA_BYTES  # 8 bytes of DES are wrapped as 16 (RFC 5649)
    wrapped, check = said[:size], said[size:].hex().upper()
    if len(wrapped) < size or not CHECK_DIGITS_MIN <= len(check) <= CHECK_DIGITS_MAX:
        raise NotTakenError(
            f"needed {size} bytes of a key of {present.algorithm} and {CHECK_DIGITS_MIN // 2} to "
            f"{CHECK_DIGITS_MAX // 2} of its check value; there are {len(said)}"
        )
    value = unwrap_key(master, present.algorithm, wrapped)
    if check_value(present.algorithm, value, len(check) // 2) != check:
        raise NotTakenError("its check value is another one")
    return value
