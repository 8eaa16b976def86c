"""How old the journal's segments are, by guarded time, over restarts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from switch.journal.disk import FileDisk
from switch.journal.guarded_time import GuardedTime, Moment, believed
from switch.journal.retention import SegmentFile

AGES_NAME = "ages.json"
AGES_BYTES_MAX = 16 << 20


class Ages:
    """When each segment got its last record.

    It is kept in a file beside the segments. Where that is missing or cannot be read, the times at which segments began
    tell, and of each gap between two of them no more is believed than a day: segments then stay longer, never shorter.

    Args:
        disk: The journal's directory.
        files: Its segments, oldest first.
        moment: What the clocks show.
    """

    def __init__(self, disk: FileDisk, files: Sequence[SegmentFile], moment: Moment) -> None:
        self._disk = disk
        self._ended_s: dict[str, float] = {}
        try:
            with disk.open_file(AGES_NAME) as stream:
                kept = json.loads(stream.read(AGES_BYTES_MAX))
            self._time = GuardedTime.read(kept["clock"])
            self._ended_s = {str(name): float(ended_s) for name, ended_s in kept["ended_s"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self._time = _estimated(files, moment, self._ended_s)

    def look(self, files: Sequence[SegmentFile], moment: Moment) -> float:
        """Note what has ended since the last look; by how many seconds the wall clock was set meanwhile.

        Args:
            files: The segments that are there, oldest first; all but the newest have ended.
            moment: What the clocks show.
        """
        jump_s = self._time.advance(moment)
        ended = {file.name: self._ended_s.get(file.name, self._time.time_s) for file in files[:-1]}
        if ended != self._ended_s:
            self._ended_s = ended
        return jump_s

    def age_s(self, file: SegmentFile) -> float:
        """Seconds since a segment's last record; 0 for one that has not ended."""
        return max(self._time.time_s - self._ended_s.get(file.name, self._time.time_s), 0.0)

    def save(self) -> None:
        """Write it down; a crash may leave the file as it was, or none, which makes nothing older.

        Raises:
            OSError: it cannot be written.
        """
        self._disk.put(AGES_NAME, json.dumps({"clock": self._time.written(), "ended_s": self._ended_s}).encode())


def _estimated(files: Sequence[SegmentFile], moment: Moment, ended_s: dict[str, float]) -> GuardedTime:
    """Guarded time by when the segments began; fills in when each ended."""
    if not files:
        return GuardedTime(moment.wall_s, moment)
    time_s = files[0].began_s
    for file, following in pairwise(files):
        time_s += believed(following.began_s - file.began_s)
        ended_s[file.name] = time_s
    return GuardedTime(time_s + believed(moment.wall_s - files[-1].began_s), moment)
