"""The keys under which the back office's database keeps what people told of themselves: one to seal, one to find.

They are in the key file, so that another master key changes none of them. Each new key to seal has the next number; the
older ones stay, to read what was sealed before. The key of the hashes stays the same, or nothing would be found again.
"""

from __future__ import annotations

import secrets
from typing import Final

from switch.keys.file import KeyFile
from switch.keys.key import Key
from switch.keys.names import Usage
from switch.keys.problems import KeyFileError

SEALING_USAGE: Final[Usage] = "sdk"
FINDING_USAGE: Final[Usage] = "sik"
STORE_USAGES: Final = (SEALING_USAGE, FINDING_USAGE)
STORE_KEYS_MAX = 999
"""Their numbers end here."""

STORE_KEY_BYTES = 32
FINDING_KEY = f"store/{FINDING_USAGE}"


def sealing_keys(file: KeyFile) -> dict[int, bytes]:
    """The keys to seal with, by their numbers; the highest is that of what is sealed now.

    Raises:
        KeyFileError: There is none.
    """
    keys = {number: file.get(_name(number)).value for number in _numbers(file)}
    if not keys:
        raise KeyFileError(str(file.path), _name(1), "there is no such key; `authswitch store renew-key` makes it")
    return keys


def finding_key(file: KeyFile) -> bytes:
    """The key of the hashes.

    Raises:
        KeyFileError: There is none.
    """
    return file.get(FINDING_KEY).value


def renew_store_key(file: KeyFile) -> Key:
    """Add a key to seal with, and that of the hashes where there is none yet. Nothing is written before a save.

    Raises:
        KeyFileError: No number is left.
    """
    if FINDING_KEY not in file:
        file.put(_made(FINDING_KEY, FINDING_USAGE))
    newest = max(_numbers(file), default=0)
    if newest == STORE_KEYS_MAX:
        raise KeyFileError(str(file.path), _name(newest), "the store has no number left for another key")
    key = _made(_name(newest + 1), SEALING_USAGE)
    file.put(key)
    return key


def _numbers(file: KeyFile) -> list[int]:
    """Of the keys to seal with."""
    return [number for number in range(1, STORE_KEYS_MAX + 1) if _name(number) in file]


def _name(number: int) -> str:
    return f"store/{number}/{SEALING_USAGE}"


def _made(name: str, usage: Usage) -> Key:
    return Key(name, usage, "aes-256", secrets.token_bytes(STORE_KEY_BYTES))
