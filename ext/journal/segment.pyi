from typing import Final, final

from switch.journal.disk import Disk

PREPARED_NAME: Final[str]
SEGMENT_SUFFIX: Final[str]
STAGES: Final[dict[int, str]]

@final
class SegmentWriter:
    disk: Disk
    segment_bytes: int
    batch_room: int
    stage: int
    error: int
    broken: bool
    written: int
    segments: int
    reason: str
    def __init__(
        self, disk: Disk, wrapping_key: bytes, journal_id: bytes, *, segment_bytes: int, batch_room: int
    ) -> None: ...
    def begin(self, first_position: int, wall_us: int, names: bytes) -> None: ...
    def close(self) -> None: ...
