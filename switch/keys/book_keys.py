"""The key under which the books hash card numbers: a card is found by its hash, and its number is nowhere in them."""

from __future__ import annotations

import secrets
from typing import Final

from switch.keys.file import KeyFile
from switch.keys.key import Key
from switch.keys.names import Usage
from switch.keys.problems import KeyFileError

CARD_INDEX_USAGE: Final[Usage] = "cik"
CARD_INDEX_KEY: Final = f"books/{CARD_INDEX_USAGE}"
CARD_INDEX_KEY_BYTES = 32


def card_index_key(file: KeyFile) -> bytes:
    """The key of the hashes.

    Raises:
        KeyFileError: There is none.
    """
    if CARD_INDEX_KEY not in file:
        raise KeyFileError(str(file.path), CARD_INDEX_KEY, "there is no such key; `authswitch books upgrade` makes it")
    return file.get(CARD_INDEX_KEY).value


def make_card_index_key(file: KeyFile) -> bool:
    """Add the key where there is none; whether it was added. Nothing is written before a save."""
    if CARD_INDEX_KEY in file:
        return False
    file.put(Key(CARD_INDEX_KEY, CARD_INDEX_USAGE, "aes-256", secrets.token_bytes(CARD_INDEX_KEY_BYTES)))
    return True
