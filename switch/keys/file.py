"""The sealed key file: very many keys in one file, encrypted as a whole, found by name without unpacking them.

Layout, integers big-endian::

    magic         8 bytes     "ASWKEYS1"
    wrap nonce   12 bytes
    wrapped key  48 bytes     the data key under the master key, AES-256-GCM; the magic is its additional data
    body nonce   12 bytes
    body          the rest    the table below under the data key, AES-256-GCM; all above is its additional data

    count         4 bytes     keys
    slots         4 bytes     of the index, a power of two
    index         4 bytes a slot: where the record begins, 0 for none; open addressing by CRC-32 of the name
    records                   size of name, usage, algorithm, size of value: 1 byte each; then name and value. The
                              highest bit of usage says that the key must not be exported

Each save takes a new data key, so no nonce is ever used twice under one. The opened table stays as it is, in memory
that is left out of core dumps and wiped when it is closed; only what was put or removed since lies beside it.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switch.files.datafile import open_regular
from switch.keys.key import Key
from switch.keys.master import NO_MASTER_KEY, MasterKey, WrongMasterKeyError, seal, unseal
from switch.keys.problems import KeyFileError, OtherMasterKeyError, UnreadableError
from switch.keys.table import TABLE_HEAD_BYTES, KeyTable, packed

MAGIC = b"ASWKEYS1"
NONCE_BYTES = 12
TAG_BYTES = 16
DATA_KEY_BYTES = 32
HEADER_BYTES = len(MAGIC) + NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES + NONCE_BYTES
FILE_BYTES_MAX = 2**31 - 1


class KeySource(Protocol):
    """Where clear keys come from, by name: the sealed file, or an HSM in front of it."""

    def get(self, name: str) -> bytes | None:
        """The key, or None when there is none of that name."""


class KeyFile:
    """A sealed key file, opened. Make one with ``create`` or ``open``; it is a context manager that wipes at its end.

    Nothing is written before ``save``.
    """

    def __init__(self, path: Path, master_key: MasterKey) -> None:
        self.path = path
        self._master_key = master_key
        self._table = KeyTable(0)
        self._changes: dict[str, Key | None] = {}
        self._version: tuple[int, int] | None = None
        self._header = b""

    @classmethod
    def create(cls, path: Path, master_key: MasterKey, keys: Sequence[Key] = ()) -> KeyFile:
        """Write a new file.

        Args:
            path: Where.
            master_key: Under which it is sealed.
            keys: What it has from the beginning, in the order of the names.

        Raises:
            KeyFileError: It exists already, or cannot be written.
        """
        if path.exists():
            raise KeyFileError(str(path), "", "exists already; a key file is never overwritten")
        file = cls(path, master_key)
        file._table = packed([*keys])
        file.save()
        return file

    @classmethod
    def open(cls, path: Path, master_key: MasterKey) -> KeyFile:
        """Read a file.

        Raises:
            KeyFileError: It cannot be read, is no key file, was damaged, or belongs to another master key.
        """
        file = cls(path, master_key)
        try:
            with open_regular(path, FILE_BYTES_MAX) as stream:
                status = os.fstat(stream.fileno())
                sealed = stream.read()
        except OSError as error:
            raise UnreadableError(str(path), "", f"cannot be read: {error.strerror}") from error
        file._version = (status.st_ino, status.st_mtime_ns)
        file._table = _unsealed(sealed, master_key, path)
        file._header = sealed[:HEADER_BYTES]
        return file

    @classmethod
    def of_table(cls, path: Path, table: KeyTable, header: bytes = b"") -> KeyFile:
        """What a process of this program opened before, with no master key: it is read, and never saved.

        Args:
            path: Of the file.
            table: What stands in it; it is this one's from now on.
            header: Of the file.
        """
        file = cls(path, NO_MASTER_KEY)
        file._table, file._header = table, header
        return file

    def part(self, names: Iterable[str]) -> KeyFile:
        """Those keys of these names that are there, as ``of_table``."""
        return KeyFile.of_table(self.path, packed([self.get(name) for name in sorted({*names}) if name in self]))

    @property
    def table(self) -> KeyTable:
        """All keys as they were opened: it is still this one's."""
        return self._table

    @property
    def header(self) -> bytes:
        """With which the opened file begins: no two that were ever saved begin alike."""
        return self._header

    @property
    def master_key(self) -> MasterKey:
        """Under which it is sealed."""
        return self._master_key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wipe the opened table."""
        self._table.wipe()
        self._changes.clear()

    def __len__(self) -> int:
        return sum(1 for _ in self._merged()) if self._changes else self._table.count

    def __contains__(self, name: str) -> bool:
        if name in self._changes:
            return self._changes[name] is not None
        return self._find(name) is not None

    def __repr__(self) -> str:
        return f"KeyFile({str(self.path)!r})"

    def get(self, name: str) -> Key:
        """One key.

        Raises:
            KeyFileError: There is none of that name.
        """
        if name in self._changes:
            changed = self._changes[name]
            if changed is not None:
                return changed
        else:
            record = self._find(name)
            if record is not None:
                return self._table.key(record)
        raise KeyFileError(str(self.path), name, "there is no such key")

    def source(self) -> KeySource:
        """Clear keys by name, for the tables of the hot path."""
        return _ClearKeys(self)

    def put(self, key: Key, *, replace: bool = False) -> None:
        """Add a key.

        Raises:
            KeyFileError: There is one of that name, and it is not to be replaced.
        """
        if not replace and key.name in self:
            raise KeyFileError(str(self.path), key.name, "exists already")
        self._changes[key.name] = key

    def remove(self, name: str) -> None:
        """Take a key out.

        Raises:
            KeyFileError: There is none of that name.
        """
        if name not in self:
            raise KeyFileError(str(self.path), name, "there is no such key")
        self._changes[name] = None

    def names(self) -> Iterator[str]:
        """Names of all keys, in ascending order."""
        return (name for name, _ in self._merged())

    def keys(self) -> Iterator[Key]:
        """All keys, in ascending order of their names."""
        return (self._table.key(kept) if isinstance(kept, int) else kept for _, kept in self._merged())

    def save(self, master_key: MasterKey | None = None) -> None:
        """Write all keys to the file, under a new data key: into a file beside it, made durable, then renamed.

        Args:
            master_key: Seal under this one from now on.

        Raises:
            KeyFileError: The file cannot be written, or was changed by somebody else since it was opened.
        """
        if self._changes:
            changed = packed(list(self.keys()))
            self._table.wipe()
            self._table = changed
            self._changes.clear()
        if master_key is not None:
            self._master_key = master_key
        sealed = _sealed(self._table, self._master_key)
        self._header = sealed[0]
        try:
            self._replace(sealed)
        except OSError as error:
            raise KeyFileError(str(self.path), "", f"cannot be written: {error.strerror}") from error

    def _find(self, name: str) -> int | None:
        return self._table.find(name.encode("ascii", "replace"))

    def value(self, name: str) -> bytes | None:
        """The clear key of a name, or None; quicker than ``get``."""
        if name in self._changes:
            changed = self._changes[name]
            return None if changed is None else changed.value
        record = self._find(name)
        return None if record is None else self._table.value(record)

    def lookup(self, name: str) -> tuple[bytes, str] | None:
        """The clear key of a name with its algorithm, or None; quicker than ``get``."""
        if name in self._changes:
            changed = self._changes[name]
            return None if changed is None else (changed.value, changed.algorithm)
        record = self._find(name)
        return None if record is None else (self._table.value(record), self._table.algorithm(record))

    def _merged(self) -> Iterator[tuple[str, int | Key]]:
        """Names with records of the table or changes, in ascending order."""
        kept = ((name, record) for name, record in self._table.records() if name not in self._changes)
        changed = ((name, key) for name, key in sorted(self._changes.items()) if key is not None)
        return heapq.merge(kept, changed, key=lambda entry: entry[0])

    def _replace(self, sealed: list[bytes]) -> None:
        """Put new content in the file's place, all or nothing, unless somebody else did so meanwhile."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if self._version != _version_of(self.path):
                raise KeyFileError(str(self.path), "", "was changed by somebody else meanwhile; nothing was written")
            beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.writelines(sealed)
                    stream.flush()
                    os.fsync(descriptor)
                beside.rename(self.path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            os.fsync(folder)
            self._version = _version_of(self.path)
        finally:
            os.close(folder)


class _ClearKeys:
    """A key file as a ``KeySource``."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file

    def get(self, name: str) -> bytes | None:
        return self._file.value(name)


def sealed_header(path: Path) -> bytes:
    """How a key file begins now, without a master key: it tells whether the file was saved since it was opened.

    Raises:
        UnreadableError: It cannot be read.
    """
    try:
        with open_regular(path, FILE_BYTES_MAX) as stream:
            return stream.read(HEADER_BYTES)
    except OSError as error:
        raise UnreadableError(str(path), "", f"cannot be read: {error.strerror}") from error


def _version_of(path: Path) -> tuple[int, int] | None:
    """What changes whenever a file is replaced; None when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _sealed(table: KeyTable, master_key: MasterKey) -> list[bytes]:
    """What a file holds for a table."""
    data_key = AESGCM.generate_key(8 * DATA_KEY_BYTES)
    wrap_nonce, body_nonce = os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
    header = MAGIC + wrap_nonce + seal(master_key, wrap_nonce, data_key, MAGIC) + body_nonce
    with memoryview(table.memory) as whole, whole[: table.size] as content:
        return [header, AESGCM(data_key).encrypt(body_nonce, content, header)]


def _unsealed(sealed: bytes, master_key: MasterKey, path: Path) -> KeyTable:
    """The table in a file."""
    if sealed[: len(MAGIC)] != MAGIC:
        raise KeyFileError(str(path), "", "is not a sealed key file")
    if len(sealed) < HEADER_BYTES + TABLE_HEAD_BYTES + TAG_BYTES:
        raise KeyFileError(str(path), "", f"is cut short: it has only {len(sealed)} bytes")
    wrap_nonce = sealed[len(MAGIC) : len(MAGIC) + NONCE_BYTES]
    wrapped = sealed[len(MAGIC) + NONCE_BYTES : HEADER_BYTES - NONCE_BYTES]
    body_nonce = sealed[HEADER_BYTES - NONCE_BYTES : HEADER_BYTES]
    try:
        data_key = unseal(master_key, wrap_nonce, wrapped, MAGIC)
    except WrongMasterKeyError:
        raise OtherMasterKeyError(
            str(path), "", "this master key does not open it, or its header was damaged"
        ) from None
    table = KeyTable(len(sealed) - HEADER_BYTES - TAG_BYTES)
    with memoryview(sealed) as whole, memoryview(table.memory) as room, room[: table.size] as content:
        try:
            AESGCM(data_key).decrypt_into(body_nonce, whole[HEADER_BYTES:], sealed[:HEADER_BYTES], content)
        except InvalidTag:
            raise KeyFileError(str(path), "", "its content was damaged or changed") from None
    table.opened()
    return table
