"""Hashes of tokens in a file, for a daemon that has no database.

One line a token: ``id,person,roles,expires_at,hash``, roles divided by ``|``, the hash in hex; ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from switch.access.roles import ROLES
from switch.files.durable import put_durably
from switch.files.private import NotPrivateError, read_private

FILE_BYTES_MAX = 256 << 10
HEADING = "# id,person,roles,expires_at,hash\n"
MOMENT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
ID = re.compile(r"[0-9a-f]{12}")
HASH = re.compile(r"[0-9a-f]{64}")
PERSON_CHARACTERS_MAX = 64


class TokenFileError(Exception):
    """A file of tokens that cannot be used, in words that name the line and no hash."""


@dataclass(frozen=True, slots=True)
class FileToken:
    """One token of a file.

    Attributes:
        id: Stands in the token.
        person: Whose it is.
        roles: What the person may do.
        expires_at: When it ends.
        hash: Its SHA-256.
    """

    id: str
    person: str
    roles: tuple[str, ...]
    expires_at: datetime
    hash: bytes

    def row(self) -> dict[str, Any]:
        """As tokens are checked."""
        return {"id": self.id, "hash": self.hash, "expires_at": self.expires_at}


def line_of(token: FileToken) -> str:
    """A token as a line of a file."""
    ends = token.expires_at.astimezone(UTC).strftime(MOMENT_FORMAT)
    return f"{token.id},{token.person},{'|'.join(token.roles)},{ends},{token.hash.hex()}\n"


def read_tokens(file: Path) -> dict[str, FileToken]:
    """The tokens of a file by their ids.

    Raises:
        TokenFileError: It is wrong, or others can use it.
        OSError: It cannot be read.
    """
    try:
        text = read_private(file, FILE_BYTES_MAX + 1)
    except NotPrivateError as error:
        raise TokenFileError(f"{file}: {error}") from None
    return _tokens_in(text, file)


def write_tokens(file: Path, tokens: Iterable[FileToken]) -> None:
    """Write a file anew, for its owner alone; who reads it meanwhile has the old one or the new one.

    Raises:
        TokenFileError: It could not be read again, and is as it was.
        OSError: It cannot be written.
    """
    text = HEADING + "".join(map(line_of, tokens))
    _tokens_in(text, file)
    put_durably(file, text.encode())


def _tokens_in(text: str, file: Path) -> dict[str, FileToken]:
    if len(text.encode()) > FILE_BYTES_MAX:
        raise TokenFileError(f"{file}: is longer than {FILE_BYTES_MAX:,} bytes")
    tokens: dict[str, FileToken] = {}
    for number, line in _lines(text):
        token = _read(line)
        if isinstance(token, str):
            raise TokenFileError(f"{file}: line {number}: {token}")
        if token.id in tokens:
            raise TokenFileError(f"{file}: line {number}: {token.id} is there twice")
        tokens[token.id] = token
    return tokens


def _lines(text: str) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _read(line: str) -> FileToken | str:
    """A token, or what is wrong with its line."""
    cells = line.split(",")
    if len(cells) != 5:
        return f"{len(cells)} cells; needed id,person,roles,expires_at,hash"
    key, person, roles, ends, written = cells
    if ID.fullmatch(key) is None or HASH.fullmatch(written) is None:
        return "needed an id of 12, and a hash of 64 hex digits in small letters"
    if not 1 <= len(person) <= PERSON_CHARACTERS_MAX or not person.isprintable():
        return f"needed a person of 1 to {PERSON_CHARACTERS_MAX} printable characters"
    if unknown := set(roles.split("|")) - ROLES.keys():
        return f"there is no role {', '.join(sorted(unknown))}; there are {', '.join(ROLES)}"
    try:
        expires_at = datetime.strptime(ends, MOMENT_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return "needed when it expires, such as 2027-03-01T00:00:00Z"
    return FileToken(key, person, tuple(roles.split("|")), expires_at, bytes.fromhex(written))
