"""What was in force last, kept in a folder for when the store is away: a start needs no more.

The folder holds one file for each kind: a line with the format, one with kind, version, turn and hash, and the body.
"""

from __future__ import annotations

import re
from pathlib import Path

from switch.files.durable import put_durably
from switch.rulebooks.rulebooks import InForce, hash_of

HEADING = re.compile(rb"authswitch rulebook 1\n([a-z]+) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{64})\n")


def copied(folder: Path, kind: str) -> InForce | None:
    """What was kept; None where nothing is there as it was written."""
    try:
        data = _file(folder, kind).read_bytes()
        heading = HEADING.match(data)
        body = "" if heading is None else data[heading.end() :].decode()
    except (OSError, UnicodeDecodeError):
        return None
    if heading is None or heading[1].decode() != kind or hash_of(body) != heading[4].decode():
        return None
    return InForce(kind, int(heading[2]), int(heading[3]), heading[4].decode(), body)


def copy(folder: Path, one: InForce) -> None:
    """Keep what is in force; what was kept before is there until this is.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    heading = f"authswitch rulebook 1\n{one.kind} {one.version} {one.turn} {one.hash}\n"
    put_durably(_file(folder, one.kind), heading.encode() + one.body.encode())


def _file(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.rulebook"
