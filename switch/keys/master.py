"""The master key, which opens the sealed key file, and the places where it can be.

In a private file, in the environment and in a credential of systemd it is 64 hex digits, and whoever loads it has its
32 bytes. In a token (PKCS#11) it stays: see ``switch.keys.token``.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switch.files.durable import sync_file, sync_folder
from switch.files.private import NotPrivateError, read_private
from switch.keys.problems import KeyFileError, UnreadableError

MASTER_KEY_BYTES = 32
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Where systemd says that a unit's credentials are."""

CREDENTIAL_BYTES_MAX = 4_096


class WrongMasterKeyError(Exception):
    """What is to be opened was sealed under another master key, or was damaged."""


class RemoteMasterKey(Protocol):
    """A master key that nobody has in clear."""

    def seal(self, nonce: bytes, data_key: bytes, bound: bytes, /) -> bytes:
        """The data key under AES-256-GCM, with ``bound`` as additional data; its tag behind it."""

    def unseal(self, nonce: bytes, sealed: bytes, bound: bytes, /) -> bytes:
        """The data key again.

        Raises:
            WrongMasterKeyError: It is not under this master key.
        """


class _NoMasterKey:
    """In the place of one that was needed once, and is not at hand: it opens nothing."""

    def seal(self, _nonce: bytes, _data_key: bytes, _bound: bytes, /) -> bytes:
        raise KeyFileError("", "", "what was opened without the master key cannot be saved")

    def unseal(self, _nonce: bytes, _sealed: bytes, _bound: bytes, /) -> bytes:
        raise WrongMasterKeyError


MasterKey = bytes | RemoteMasterKey
"""In clear, 32 bytes; or what works with it elsewhere."""

NO_MASTER_KEY: MasterKey = _NoMasterKey()
"""With what was opened by somebody else."""


def seal(master_key: MasterKey, nonce: bytes, data_key: bytes, bound: bytes) -> bytes:
    """As ``RemoteMasterKey.seal``, with either sort."""
    if isinstance(master_key, bytes):
        return AESGCM(master_key).encrypt(nonce, data_key, bound)
    return master_key.seal(nonce, data_key, bound)


def unseal(master_key: MasterKey, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    """As ``RemoteMasterKey.unseal``, with either sort.

    Raises:
        WrongMasterKeyError: It is not under this master key.
    """
    if isinstance(master_key, bytes):
        try:
            return AESGCM(master_key).decrypt(nonce, sealed, bound)
        except InvalidTag:
            raise WrongMasterKeyError from None
    return master_key.unseal(nonce, sealed, bound)


class MasterKeyPlace(Protocol):
    """Where a master key is. As text it is what people call the place."""

    @property
    def how_to_change(self) -> str:
        """What to do, in words, so that a running daemon finds another master key."""

    def load(self) -> MasterKey:
        """The master key.

        Raises:
            KeyFileError: It cannot be had.
        """

    def load_to_seal(self) -> MasterKey:
        """As ``load``, for a key file that is to be sealed under it: it is durable, whoever made it.

        Raises:
            KeyFileError: It cannot be had, or not be made durable.
        """

    def is_to_be_made(self) -> bool:
        """Whether ``create`` can make one here, since there is none yet.

        Raises:
            KeyFileError: Nobody can tell.
        """

    def create(self) -> MasterKey:
        """Make a new one, durably; one that is there is never replaced.

        Raises:
            KeyFileError: It cannot be made.
        """


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file that nobody but its owner may use (mode 0600 or 0400)."""

    file: Path

    def __str__(self) -> str:
        return str(self.file)

    @property
    def how_to_change(self) -> str:
        """Put it there, or name where it is."""
        return "put the right one there, or name where it is in the configuration; both are seen without a restart"

    def load(self) -> MasterKey:
        """The master key."""
        return load_master_key(self.file)

    def load_to_seal(self) -> MasterKey:
        """The master key; who wrote the file may have been cut off before it was durable."""
        master_key = self.load()
        try:
            sync_file(self.file)
        except OSError as error:
            raise KeyFileError(str(self.file), "", f"cannot be made durable: {error.strerror}") from error
        return master_key

    def is_to_be_made(self) -> bool:
        """Whether the file is not there."""
        try:
            return not self.file.exists()
        except OSError as error:
            raise UnreadableError(str(self.file), "", f"cannot be read: {error.strerror}") from error

    def create(self) -> MasterKey:
        """Write a new one."""
        return create_master_key(self.file)


@dataclass(frozen=True, slots=True)
class GivenPlace:
    """The environment, or a credential of systemd: exactly one of the two. Others put the master key there."""

    variable: str | None = None
    credential: str | None = None

    def __str__(self) -> str:
        return f"${self.variable}" if self.credential is None else f"credential {self.credential}"

    @property
    def how_to_change(self) -> str:
        """The environment of a process stays as it is."""
        if self.credential is None:
            return "the environment of a running process cannot change: restart the daemon with the right one"
        return "systemd gives credentials when it starts the unit: restart it, or name where the right one is"

    def load(self) -> MasterKey:
        """The master key."""
        if self.credential is None:
            return load_master_key(variable=self.variable)
        return _parse(read_credential(self.credential), str(self))

    def load_to_seal(self) -> MasterKey:
        """As ``load``: who put it there keeps it."""
        return self.load()

    def is_to_be_made(self) -> bool:
        """Never."""
        return False

    def create(self) -> MasterKey:
        """Refused: ``load`` says where it is to be put."""
        raise KeyFileError(str(self), "", "a master key cannot be put there by this command")


def load_master_key(file: Path | None = None, variable: str | None = None) -> bytes:
    """Read the master key from where it is kept in clear: exactly one of the two.

    Args:
        file: A file that nobody but its owner may use (mode 0600 or 0400).
        variable: Name of an environment variable.

    Raises:
        KeyFileError: It cannot be had, others can use it, or it is not 64 hex digits.
    """
    if file is not None and variable is None:
        return _parse(read_secret_file(file), str(file))
    if variable is not None and file is None:
        text = os.environ.get(variable)
        if text is None:
            raise KeyFileError(f"${variable}", "", "the environment has no such variable")
        return _parse(text, f"${variable}")
    raise KeyFileError("", "", "needed exactly one of a master key file and an environment variable")


def read_credential(name: str) -> str:
    """The text of a credential that systemd gives the unit (``LoadCredential=``, ``LoadCredentialEncrypted=``).

    Raises:
        KeyFileError: There is none of that name, or everybody can use it.
    """
    place = f"credential {name}"
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    if folder is None:
        raise UnreadableError(place, "", f"${CREDENTIALS_VARIABLE} is not set: systemd sets it where the unit has one")
    try:
        with (Path(folder) / name).open("rb") as stream:
            # systemd may let the unit's user in by an access list, which shows as the group's mode.
            if os.fstat(stream.fileno()).st_mode & stat.S_IRWXO:
                raise KeyFileError(place, "", "everybody can use it: it was not put there by systemd")
            return stream.read(CREDENTIAL_BYTES_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise UnreadableError(place, "", f"cannot be read: {error.strerror}") from error


def read_secret_file(file: Path) -> str:
    """The text of a file that nobody but its owner may use.

    Raises:
        KeyFileError: It cannot be read, or others can use it.
    """
    try:
        return read_private(file)
    except NotPrivateError as error:
        raise KeyFileError(str(file), "", str(error)) from None
    except OSError as error:
        raise UnreadableError(str(file), "", f"cannot be read: {error.strerror}") from error


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
        sync_folder(file.parent)
    except FileExistsError as error:
        raise KeyFileError(str(file), "", "exists already; a master key is never overwritten") from error
    except OSError as error:
        raise KeyFileError(str(file), "", f"cannot be written: {error.strerror}") from error
    return master_key


def _parse(text: str, source: str) -> bytes:
    digits = text.strip()
    try:
        master_key = bytes.fromhex(digits)
    except ValueError:
        master_key = b""
    if len(digits) != 2 * MASTER_KEY_BYTES or len(master_key) != MASTER_KEY_BYTES:
        raise KeyFileError(source, "", f"needed {2 * MASTER_KEY_BYTES} hex digits, and that is not what is there")
    return master_key
