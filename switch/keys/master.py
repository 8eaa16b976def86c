"""The master key, which opens the sealed key file: 32 bytes as 64 hex digits, in a private file or the environment."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from switch.files.private import NotPrivateError, read_private
from switch.keys.problems import KeyFileError, UnreadableError

MASTER_KEY_BYTES = 32


def load_master_key(file: Path | None = None, variable: str | None = None) -> bytes:
    """Read the master key from where it is kept: exactly one of the two.

    Args:
        file: A file that nobody but its owner may use (mode 0600 or 0400).
        variable: Name of an environment variable.

    Raises:
        KeyFileError: It cannot be had, others can use it, or it is not 64 hex digits.
    """
    if file is not None and variable is None:
        return _parse(_read_private(file), str(file))
    if variable is not None and file is None:
        text = os.environ.get(variable)
        if text is None:
            raise KeyFileError(f"${variable}", "", "the environment has no such variable")
        return _parse(text, f"${variable}")
    raise KeyFileError("", "", "needed exactly one of a master key file and an environment variable")


def create_master_key(file: Path) -> bytes:
    """Write a new master key to a new file of mode 0600.

    Raises:
        KeyFileError: The file exists, or cannot be written.
    """
    master_key = secrets.token_bytes(MASTER_KEY_BYTES)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(master_key.hex() + "\n")
                stream.flush()
                os.fsync(descriptor)
            # All of it is there, or nothing, and no other one's is replaced.
            os.link(beside, file)
        finally:
            beside.unlink(missing_ok=True)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise KeyFileError(str(file), "", "exists already; a master key is never overwritten") from error
    except OSError as error:
        raise KeyFileError(str(file), "", f"cannot be written: {error.strerror}") from error
    return master_key


def _read_private(file: Path) -> str:
    try:
        return read_private(file)
    except NotPrivateError as error:
        raise KeyFileError(str(file), "", str(error)) from None
    except OSError as error:
        raise UnreadableError(str(file), "", f"cannot be read: {error.strerror}") from error


def _parse(text: str, source: str) -> bytes:
    digits = text.strip()
    try:
        master_key = bytes.fromhex(digits)
    except ValueError:
        master_key = b""
    if len(digits) != 2 * MASTER_KEY_BYTES or len(master_key) != MASTER_KEY_BYTES:
        raise KeyFileError(source, "", f"needed {2 * MASTER_KEY_BYTES} hex digits, and that is not what is there")
    return master_key
