"""Which segment files may go: old ones, of which nothing is open any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from switch.replay import SEGMENT_NAME

SEGMENTS_KEPT = 2
"""The newest files, which are never removed."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One segment file in the directory.

    Attributes:
        path: The file.
        first_position: Of its first record, as its name says.
        size: In bytes, as allocated.
        written_s: When it was last written, in seconds since 1970.
    """

    path: Path
    first_position: int
    size: int
    written_s: float


def segment_files(directory: Path) -> list[SegmentFile]:
    """All segment files, oldest first.

    Raises:
        OSError: The directory cannot be read.
    """
    found = []
    for path in sorted(directory.iterdir()):
        if SEGMENT_NAME.fullmatch(path.name):
            status = path.stat()
            found.append(SegmentFile(path, int(path.stem), status.st_size, status.st_mtime))
    return found


def expired(
    files: Sequence[SegmentFile], *, low_water: int, now_s: float, age_s: float, age_min_s: float, bytes_max: int | None
) -> list[SegmentFile]:
    """The oldest files that may be removed.

    Args:
        files: All, oldest first.
        low_water: No record before this position is needed for what is open; 0 when that is not known.
        now_s: The time, in seconds since 1970.
        age_s: Files last written longer ago go.
        age_min_s: Files last written less long ago stay, whatever they take: the duplicate window needs them.
        bytes_max: Of all files together; None for no limit.
    """
    total = sum(file.size for file in files)
    going: list[SegmentFile] = []
    for file, following in pairwise(files[: max(len(files) - SEGMENTS_KEPT + 1, 0)]):
        age = now_s - file.written_s
        is_too_much = bytes_max is not None and total > bytes_max
        if following.first_position > low_water or age < age_min_s or not (age > age_s or is_too_much):
            break
        going.append(file)
        total -= file.size
    return going
