"""Operators with a token, for an admin side over TCP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from switch.access.token_file import FileToken, line_of
from switch.access.token_proof import new_token


def write_operator(file: Path, person: str = "mei.lin", *roles: str, lasts: timedelta = timedelta(days=1)) -> str:
    """Add a token of somebody to a file of hashes; the token."""
    key, text, token_hash = new_token()
    with file.open("a") as stream:
        stream.write(line_of(FileToken(key, person, roles or ("operator",), datetime.now(UTC) + lasts, token_hash)))
    file.chmod(0o600)
    return text


def write_token(file: Path, text: str) -> Path:
    """A token in a file of its own, as commands are told of it."""
    file.write_text(text)
    file.chmod(0o600)
    return file
