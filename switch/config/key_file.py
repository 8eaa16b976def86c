"""The sealed key file that a configuration names, opened."""

from __future__ import annotations

from switch.config.models import KeysSection
from switch.keys import KeyFile, load_master_key
from switch.keys.journal_keys import journal_keys


def open_key_file(section: KeysSection) -> KeyFile:
    """The file, under the master key from where the section says that it is.

    Raises:
        KeyFileError: One of them cannot be had.
    """
    return KeyFile.open(section.file, load_master_key(section.master_key_file, section.master_key_env))


def read_journal_keys(section: KeysSection) -> bytes:
    """The keys of the journal, as ``switch.keys.journal_keys`` gives them.

    Raises:
        KeyFileError: The file or its master key cannot be had.
    """
    with open_key_file(section) as file:
        return journal_keys(file)
