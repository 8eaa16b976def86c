"""The journal's directory opened with the master key."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switch.journal.disk import FileDisk
from switch.journal.replay import JournalReader

WRAPPING_KEY_BYTES = 32
WRAPPING_PURPOSE = b"authswitch journal 1"


def wrapping_key(master_key: bytes) -> bytes:
    """The key that wraps the segments' keys: HKDF (RFC 5869) with SHA-256 of the master key, for this purpose only."""
    return HKDF(SHA256(), WRAPPING_KEY_BYTES, salt=None, info=WRAPPING_PURPOSE).derive(master_key)


def open_reader(directory: Path, master_key: bytes) -> JournalReader:
    """A reader of the journal in a directory, beside the daemon that may be writing it.

    Raises:
        OSError: The directory or a file in it cannot be read.
        JournalDamaged: The head of a segment is damaged.
    """
    return JournalReader(FileDisk(str(directory), exclusive=False), wrapping_key(master_key))
