"""The sealed key file that a configuration names, and the place of its master key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from switch.config.sections import KeysSection
from switch.keys import KeyFile
from switch.keys.journal_keys import journal_keys
from switch.keys.master import FilePlace, GivenPlace, MasterKeyPlace
from switch.keys.problems import KeyFileError, OtherMasterKeyError, RefusedPinError
from switch.keys.token import TokenPlace


def master_key_place(section: KeysSection) -> MasterKeyPlace:
    """Where the section says that the master key is."""
    token = section.master_key_token
    if token is not None:
        return TokenPlace(token.module, token.token, token.key, token.pin_file, token.pin_credential)
    if section.master_key_file is not None:
        return FilePlace(section.master_key_file)
    return GivenPlace(section.master_key_env, section.master_key_credential)


def open_key_file(section: KeysSection) -> KeyFile:
    """The file, opened.

    Raises:
        KeyFileError: It or its master key cannot be had.
    """
    return KeyFile.open(section.file, master_key_place(section).load())


def open_where_found(file: Path, places: Sequence[MasterKeyPlace]) -> KeyFile:
    """The file, opened with the first of these master keys that opens it.

    Raises:
        KeyFileError: None does; it says what became of the first, and what there is to do.
        RefusedPinError: A token does not take its PIN: nothing else was tried.
    """
    first: KeyFileError | None = None
    for place in places:
        try:
            return KeyFile.open(file, place.load())
        except RefusedPinError:
            raise
        except OtherMasterKeyError as error:
            first = first or KeyFileError(str(file), "", f"{error.reason}; {place} was asked: {place.how_to_change}")
        except KeyFileError as error:
            first = first or error
    raise first or KeyFileError(str(file), "", "there is no master key to open it with")


def read_journal_keys(section: KeysSection) -> bytes:
    """The keys of the journal, as ``switch.keys.journal_keys`` gives them.

    Raises:
        KeyFileError: The file or its master key cannot be had.
    """
    with open_key_file(section) as file:
        return journal_keys(file)
