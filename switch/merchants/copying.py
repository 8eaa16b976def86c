"""What the store last said, kept in a folder for when it is away: a start needs no more.

The folder holds a file of merchants and one of terminals as they were at one change of the audit, the *base*, whose
head and digest stand in ``base``; and ``changes-NUMBER``, to which the rows that were changed since are appended. It
begins with a line that names it and one with the base. Each record is its size (4 bytes, little-endian), SHA-256 of
the base, its place in the file (8 bytes) and its text, and the text: JSON with ``head`` (null where more of it
follows), ``merchants`` and ``terminals``. A record that is torn, or anything else that was not written so, ends the
file, and what comes next takes its place.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from switch.files.durable import FILE_MODE, put_durably, sync_folder
from switch.merchants.rows import line_of
from switch.merchants.source import Changes, Files, Row
from switch.store.audit import Head
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, BOUND_TERMINAL_COLUMNS

FOLD_BYTES = 4 << 20
"""Changes above this size, and above twice what they were after the last time, are written anew: each row once."""

ROWS_A_RECORD = 500
"""To write down more at once would keep other threads waiting."""

EARLIER_COLUMNS = BOUND_MERCHANT_COLUMNS[: BOUND_MERCHANT_COLUMNS.index("class")]
"""Of merchants, in a base that an earlier version has written."""

BASE = re.compile(r"authswitch registry 1\nhead ([0-9]{1,18}):([0-9a-f]{64})\nsha256 ([0-9a-f]{64})\n")
SIZE_BYTES = 4
DIGEST_BYTES = 32


class Copy:
    """A folder that has what the store last said, for its owner alone. One process may write there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: Head | None = None
        self._end = 0
        self._fold_at = FOLD_BYTES

    # --- the base -------------------------------------------------------------------------------------------------

    def read(self) -> Files | None:
        """What the store said at the copy's base; None where nothing is there as it was written."""
        base = self._base()
        if base is None:
            return None
        known, digest = base
        try:
            merchants, terminals = (file.read_bytes() for file in self._files(known))
        except OSError:
            return None
        if _digest(merchants, terminals) != digest:
            return None
        return Files(known, _with_all_columns(merchants), terminals)

    def has(self, base: Head) -> bool:
        """Whether this is the base that is there."""
        known = self._base()
        return known is not None and known[0] == base and all(map(Path.is_file, self._files(base)))

    def write(self, files: Files) -> None:
        """Keep what the store says; the copy before is there until this one is, and its changes go then.

        Raises:
            OSError: It cannot be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content in zip(self._files(files.head), (files.merchants, files.terminals), strict=True):
            put_durably(file, content)
        digest = _digest(files.merchants, files.terminals)
        put_durably(self.folder / "base", f"authswitch registry 1\nhead {files.head}\nsha256 {digest}\n".encode())
        kept = (*self._files(files.head), self._changes(files.head))
        for file in (*self.folder.glob("*.csv"), *self.folder.glob("changes-*")):
            if file not in kept:
                file.unlink(missing_ok=True)

    # --- the changes ----------------------------------------------------------------------------------------------

    def read_changes(self, base: Head) -> Changes:
        """What was changed behind the base, as far as it was kept."""
        found = Changes(base)
        for text, _ in self._records(base):
            said = json.loads(text)
            reached = found.head if said["head"] is None else _head(said["head"])
            found.add(Changes(reached, said["merchants"], said["terminals"]))
        return found

    def is_large(self, base: Head) -> bool:
        """Whether the changes are better taken into the base."""
        try:
            return self._changes(base).stat().st_size > FOLD_BYTES
        except OSError:
            return False

    def folded(self, files: Files) -> Files:
        """The base with the changes in it."""
        changes = self.read_changes(files.head)
        merchants = _replaced(files.merchants, changes.merchants, BOUND_MERCHANT_COLUMNS)
        return Files(changes.head, merchants, _replaced(files.terminals, changes.terminals, BOUND_TERMINAL_COLUMNS))

    def keep(self, base: Head, later: Changes, known: Changes) -> None:
        """Append rows that were changed behind the base.

        Args:
            base: It must be there.
            later: The rows, and the change that they are of.
            known: All that are behind the base, with these.

        Raises:
            OSError: They cannot be written, or the base is not there.
        """
        if not self.has(base):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.folder / "base"))
        if self._open != base:
            self._begin(base)
        if self._end > self._fold_at:
            self._write_anew(base, known)
            return
        descriptor = os.open(self._changes(base), os.O_WRONLY | os.O_CLOEXEC)
        try:
            end = self._end
            os.ftruncate(descriptor, end)
            for text in _texts(later, known.head):
                record = _record(base, end, text)
                _write_all(descriptor, record, end)
                end += len(record)
            os.fsync(descriptor)
            self._end = end
        finally:
            os.close(descriptor)

    def _begin(self, base: Head) -> None:
        """Find the end of what is whole; a file that is not there is made."""
        self._end = len(_heading(base))
        for text, place in self._records(base):
            self._end = place + SIZE_BYTES + DIGEST_BYTES + len(text)
        if self._end == len(_heading(base)):
            put_durably(self._changes(base), _heading(base))
        self._fold_at = max(FOLD_BYTES, 2 * self._end)
        self._open = base

    def _write_anew(self, base: Head, known: Changes) -> None:
        """Each changed row once, in a file that takes the other one's place when it is whole."""
        file = self._changes(base)
        fresh = file.with_name(f"{file.name}.next")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            end = _write_all(descriptor, _heading(base), 0)
            for text in _texts(known, known.head):
                end = _write_all(descriptor, _record(base, end, text), end)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.rename(file)
        sync_folder(self.folder)
        self._end = end
        self._fold_at = max(FOLD_BYTES, 2 * end)

    def _records(self, base: Head) -> Iterator[tuple[bytes, int]]:
        """The texts of all whole records, and where each record begins."""
        try:
            data = self._changes(base).read_bytes()
        except OSError:
            return
        heading = _heading(base)
        if not data.startswith(heading):
            return
        place = len(heading)
        while place + SIZE_BYTES + DIGEST_BYTES <= len(data):
            size = int.from_bytes(data[place : place + SIZE_BYTES], "little")
            begin = place + SIZE_BYTES + DIGEST_BYTES
            text = data[begin : begin + size]
            if _record(base, place, text) != data[place : begin + size]:
                return
            yield text, place
            place = begin + size

    def _changes(self, base: Head) -> Path:
        return self.folder / f"changes-{base.number}"

    def _base(self) -> tuple[Head, str] | None:
        """The change that the base is of, and the digest of its files; None where none is there as it was written."""
        try:
            written = BASE.fullmatch((self.folder / "base").read_text())
        except (OSError, UnicodeDecodeError):
            return None
        return None if written is None else (_head(f"{written[1]}:{written[2]}"), written[3])

    def _files(self, base: Head) -> tuple[Path, Path]:
        return self.folder / f"merchants-{base.number}.csv", self.folder / f"terminals-{base.number}.csv"


def _texts(changes: Changes, head: Head) -> Iterator[bytes]:
    """The rows in records; only the last one says that all up to the change is there."""
    rows = [("merchants", key, row) for key, row in changes.merchants.items()]
    rows += [("terminals", key, row) for key, row in changes.terminals.items()]
    for begin in range(0, max(len(rows), 1), ROWS_A_RECORD):
        said: dict[str, dict[str, Row]] = {"merchants": {}, "terminals": {}}
        for table, key, row in rows[begin : begin + ROWS_A_RECORD]:
            said[table][key] = row
        reached = str(head) if begin + ROWS_A_RECORD >= len(rows) else None
        yield json.dumps({"head": reached, **said}, ensure_ascii=False, separators=(",", ":")).encode()


def _record(base: Head, place: int, text: bytes) -> bytes:
    digest = sha256(str(base).encode() + place.to_bytes(8, "little") + text).digest()
    return len(text).to_bytes(SIZE_BYTES, "little") + digest + text


def _heading(base: Head) -> bytes:
    return f"authswitch registry changes 1\n{base}\n".encode()


def _head(text: str) -> Head:
    number, digest = text.split(":")
    return Head(int(number), bytes.fromhex(digest))


def _write_all(descriptor: int, data: bytes, place: int) -> int:
    """Where it ends."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, place)
        left = left[written:]
        place += written
    return place


def _replaced(data: bytes, rows: dict[str, Row], columns: tuple[str, ...]) -> bytes:
    """A file with these rows in the places of those before, new ones behind."""
    lines = {_key(line): line for line in data.decode().splitlines()}
    lines |= {_key(line): line for line in (line_of(row, columns) for row in rows.values())}
    return "\n".join([*lines.values(), ""]).encode()


def _with_all_columns(merchants: bytes) -> bytes:
    """A file of an earlier version, too: of what its columns do not have there was nothing in the store."""
    heading, _, rows = merchants.partition(b"\n")
    if heading != ",".join(EARLIER_COLUMNS).encode():
        return merchants
    missing = b"," * (len(BOUND_MERCHANT_COLUMNS) - len(EARLIER_COLUMNS)) + b"\n"
    return ",".join(BOUND_MERCHANT_COLUMNS).encode() + b"\n" + rows.replace(b"\n", missing)


def _key(line: str) -> str:
    """The first cell as it is written; an identifier has no quotes in it."""
    return line[: line.index('"', 1) + 1] if line.startswith('"') else line.partition(",")[0]


def _digest(merchants: bytes, terminals: bytes) -> str:
    return sha256(sha256(merchants).digest() + sha256(terminals).digest()).hexdigest()
