"""Which segment files may go: old ones, of which nothing is needed any more."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from switch.journal.disk import FileDisk
from switch.journal.replay import SEGMENT_NAME

SEGMENTS_KEPT = 2
"""The newest files, which are never removed."""

HEAD_BYTES = 128
BEGAN_AT = 32
"""Where a segment's head says when it began."""

BATCH_MAGIC = 0x48435442
BATCH_HEAD = struct.Struct("<IIqIIIBB2xq")
"""The beginning of a batch's head, up to when it was sealed."""

Reason = Literal["age", "size"]


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One segment file in the directory.

    Attributes:
        name: Of the file.
        first_position: Of its first record, as its name says.
        size: In bytes, as allocated.
        began_s: When it was begun, as its head says, in seconds since 1970.
    """

    name: str
    first_position: int
    size: int
    began_s: float


class Segments:
    """The segment files of a directory; each one's head is read once.

    Args:
        disk: The directory.
    """

    def __init__(self, disk: FileDisk) -> None:
        self._disk = disk
        self._began_s: dict[str, float] = {}

    def files(self) -> list[SegmentFile]:
        """All of them, oldest first.

        Raises:
            OSError: The directory, or one of them, cannot be read.
        """
        sizes = {name: size for name, size in self._disk.sizes().items() if SEGMENT_NAME.fullmatch(name)}
        self._began_s = {name: began_s for name, began_s in self._began_s.items() if name in sizes}
        return [
            SegmentFile(name, int(name.partition(".")[0]), sizes[name], self._began(name)) for name in sorted(sizes)
        ]

    def _began(self, name: str) -> float:
        if name not in self._began_s:
            with self._disk.open_file(name) as stream:
                head = stream.read(HEAD_BYTES).ljust(HEAD_BYTES, b"\0")
            self._began_s[name] = int.from_bytes(head[BEGAN_AT : BEGAN_AT + 8], "little", signed=True) / 1e6
        return self._began_s[name]

    def last_record_s(self, name: str) -> float | None:
        """When a segment's last batch was sealed, in seconds since 1970; None when it holds none.

        Raises:
            OSError: It cannot be read.
        """
        last_us = None
        with self._disk.open_file(name) as stream:
            offset = HEAD_BYTES
            while True:
                stream.seek(offset)
                head = stream.read(BATCH_HEAD.size)
                if len(head) < BATCH_HEAD.size:
                    break
                magic, size, _, count, *_, wall_us = BATCH_HEAD.unpack(head)
                if magic != BATCH_MAGIC or size < BATCH_HEAD.size:
                    break
                last_us = wall_us if count else last_us
                offset += size
        return None if last_us is None else last_us / 1e6


def needed_from(
    files: Sequence[SegmentFile], age_s: Callable[[SegmentFile], float], *, low_water: int, age_min_s: float
) -> int:
    """The number of the oldest file that must stay: the files before it may go.

    Args:
        files: All, oldest first.
        age_s: Seconds since a file's last record.
        low_water: No record before this position is needed for what is open; 0 when that is not known.
        age_min_s: Files that are younger stay, whatever they take: windows, and the search for originals, need them.
    """
    number = 0
    for file, following in pairwise(files[: max(len(files) - SEGMENTS_KEPT + 1, 0)]):
        if following.first_position > low_water or age_s(file) < age_min_s:
            break
        number += 1
    return number


def expired(
    files: Sequence[SegmentFile],
    age_s: Callable[[SegmentFile], float],
    *,
    low_water: int,
    age_min_s: float,
    age_max_s: float,
    bytes_max: int | None,
) -> list[tuple[SegmentFile, Reason]]:
    """The oldest files that are to be removed, and why.

    Args:
        files: All, oldest first.
        age_s: Seconds since a file's last record.
        low_water: See ``needed_from``.
        age_min_s: See there.
        age_max_s: Files that are older go.
        bytes_max: Of all files together; None for no limit.
    """
    total = sum(file.size for file in files)
    going: list[tuple[SegmentFile, Reason]] = []
    for file in files[: needed_from(files, age_s, low_water=low_water, age_min_s=age_min_s)]:
        if age_s(file) > age_max_s:
            going.append((file, "age"))
        elif bytes_max is not None and total > bytes_max:
            going.append((file, "size"))
        else:
            break
        total -= file.size
    return going
