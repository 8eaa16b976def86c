"""Which keys a link has had, by their digests, so that no message brings one of them back.

The digests are made with the zone master key, under which the keys travel: they say nothing without it, and a message
under another one does not open. They stand in the key file beside the link's keys, in records that are no keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from switch.keys.file import KeyFile
from switch.keys.key import Key, set_odd_parity
from switch.keys.names import DIGESTS_USAGE, check_algorithm

KEPT_MAX = 1_000
DIGEST_BYTES = 8
DIGESTS_A_RECORD = 31
"""So many go into the 255 bytes of a record's value."""
RECORDS_MAX = -(-KEPT_MAX // DIGESTS_A_RECORD)


def record_names(name: str) -> list[str]:
    """What the records of a key are called: ``link/x/had/zak/1`` and so on, the newest digests in the first one."""
    place, slash, last = name.rpartition("/")
    return [f"{place}{slash}had/{last}/{number}" for number in range(1, RECORDS_MAX + 1)]


def was_had(keys: KeyFile, key: Key, under: str) -> bool:
    """Whether a key is one of the last thousand that were noted under its name.

    Args:
        keys: Where the records are.
        key: It.
        under: Name of the ZMK.

    Raises:
        KeyFileError: There is no such ZMK.
    """
    return _digest(keys, key, under) in _digests(keys, key.name)


def note_had(keys: KeyFile, key: Key, under: str) -> None:
    """Note a key, in the place of the one that was noted a thousand keys ago; the file is to be saved.

    Args:
        keys: Where the records are.
        key: It.
        under: Name of the ZMK.

    Raises:
        KeyFileError: There is no such ZMK.
    """
    digest = _digest(keys, key, under)
    kept = [digest, *(each for each in _digests(keys, key.name) if each != digest)][:KEPT_MAX]
    for number, record in enumerate(record_names(key.name)):
        value = b"".join(kept[number * DIGESTS_A_RECORD : (number + 1) * DIGESTS_A_RECORD])
        if not value:
            return
        keys.put(Key(record, DIGESTS_USAGE, "des", value, exportable=False), replace=True)


def _digest(keys: KeyFile, key: Key, under: str) -> bytes:
    value = set_odd_parity(key.value) if check_algorithm(key.algorithm).family == "des" else key.value
    return blake2b(value, key=keys.get(under).value, digest_size=DIGEST_BYTES).digest()


def _digests(keys: KeyFile, name: str) -> Iterator[bytes]:
    for record in record_names(name):
        value = keys.value(record) or b""
        for at in range(0, len(value), DIGEST_BYTES):
            yield value[at : at + DIGEST_BYTES]
