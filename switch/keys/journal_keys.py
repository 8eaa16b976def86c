"""The keys under which the journal is sealed: kept in the key file, so that another master key changes none of them.

A key file in which there is none yet has the one that is derived from its master key.
"""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switch.keys.file import KeyFile
from switch.keys.key import Key
from switch.keys.master import MasterKey
from switch.keys.names import Usage
from switch.keys.problems import KeyFileError

JOURNAL_USAGE: Usage = "jwk"
JOURNAL_KEYS_MAX = 999
"""Their numbers end here: each is looked up by its name, so that nobody goes through a million terminals' keys."""

WRAPPING_KEY_BYTES = 32
WRAPPING_PURPOSE = b"authswitch journal 1"


def wrapping_key(master_key: bytes) -> bytes:
    """The key that wraps the segments' keys: HKDF (RFC 5869) with SHA-256 of the master key, for this purpose only."""
    return HKDF(SHA256(), WRAPPING_KEY_BYTES, salt=None, info=WRAPPING_PURPOSE).derive(master_key)


def kept_journal_keys(file: KeyFile) -> list[Key]:
    """Those that stand in a key file, the newest first, which is the one of segments to come."""
    names = map(_name, range(JOURNAL_KEYS_MAX, 0, -1))
    return [file.get(name) for name in names if file.value(name) is not None]


def journal_keys(file: KeyFile) -> bytes:
    """All under which segments may be sealed, 32 bytes each, one behind the other; that of segments to come first.

    Raises:
        KeyFileError: There is none, and none can be derived.
    """
    kept = kept_journal_keys(file)
    if kept:
        return b"".join(key.value for key in kept)
    if isinstance(file.master_key, bytes):
        return wrapping_key(file.master_key)
    raise KeyFileError(str(file.path), _name(1), "there is no such key, and a token derives none")


def first_journal_keys(master_key: MasterKey, node: int = 0) -> list[Key]:
    """What a new key file must have: nothing where the key of the journal can be derived from the master key.

    Args:
        master_key: Of the new file.
        node: Number of the machine, among those of the switch.
    """
    return [] if isinstance(master_key, bytes) else [_made(node + 1, secrets.token_bytes(WRAPPING_KEY_BYTES))]


def renew_journal_key(file: KeyFile, node: int = 0, nodes: int = 1) -> Key:
    """Add a new one, for segments to come. What was sealed so far can be opened whatever becomes of the master key.

    Nothing is written before the file is saved. Of several nodes each has numbers of its own, so that keys of two key
    files that are not the same are not called the same.

    Args:
        file: The key file.
        node: Number of the machine, among those of the switch.
        nodes: How many there are.

    Raises:
        KeyFileError: No number is left.
    """
    kept = kept_journal_keys(file)
    if not kept and isinstance(file.master_key, bytes):
        kept = [_made(node + 1, wrapping_key(file.master_key))]
        file.put(kept[0])
    newest = int(kept[0].name.split("/")[1]) if kept else 0
    number = next(one for one in range(newest + 1, newest + nodes + 1) if (one - 1) % nodes == node)
    if number > JOURNAL_KEYS_MAX:
        raise KeyFileError(str(file.path), kept[0].name, "the journal has no number left for another key")
    key = _made(number, secrets.token_bytes(WRAPPING_KEY_BYTES))
    file.put(key)
    return key


def _name(number: int) -> str:
    return f"journal/{number}/{JOURNAL_USAGE}"


def _made(number: int, value: bytes) -> Key:
    return Key(_name(number), JOURNAL_USAGE, "aes-256", value)
