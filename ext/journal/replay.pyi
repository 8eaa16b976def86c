import re
from collections.abc import Callable
from typing import Any, Final, Literal, final

from switch.journal.disk import Disk

SEGMENT_NAME: Final[re.Pattern[str]]
ADVICE_DAMAGED: Final[str]
ADVICE_KEY: Final[str]

class JournalDamaged(Exception):  # noqa: N818
    file: str
    offset: int
    position: int | None
    reason: str
    advice: str
    partition: int | None
    def __init__(self, file: str, offset: int, position: int | None, reason: str, advice: str) -> None: ...
    def name_partition(self, partition: int) -> None: ...

class ReplayStopped(Exception): ...  # noqa: N818
class Visitor: ...

@final
class Listing(Visitor):
    def __init__(self, callback: Callable[[dict[str, Any]], object]) -> None: ...

@final
class Segment:
    name: str
    size: int
    first_position: int
    low_water: int
    created_us: int
    journal_id: bytes
    key_id: bytes | None

@final
class Tail:
    next_position: int
    wall_us: int
    records: int
    batches: int
    bytes_read: int
    segment: str | None
    end: int
    torn_bytes: int
    is_empty: bool

@final
class JournalReader:
    disk: Disk
    segments: list[Segment]
    reading: int
    stop_wanted: bool
    index_secret: bytes
    batch_offset: int
    batch_record: int
    def __init__(self, disk: Disk, wrapping_keys: bytes) -> None: ...
    def clock_of(self, number: int) -> tuple[str, int, int] | None: ...
    def look_again(self) -> None: ...
    def require_keys(self) -> None: ...
    def read_on(
        self,
        segment: Segment,
        offset: int,
        next_position: int,
        visitor: Visitor,
        *,
        bytes_max: int = ...,
        durable_only: bool = False,
    ) -> tuple[int, int]: ...
    def stands_at(self, segment: Segment, offset: int) -> Literal["batch", "something", "nothing"]: ...
    def read_at(self, segment: Segment, offset: int, visitor: Visitor) -> None: ...
    def place_of(self, segment: Segment, position: int) -> tuple[int, int]: ...
    def read_names_of(self, segment: Segment, visitor: Visitor) -> None: ...
    def index_of(self, position: int) -> int: ...
    def replay(self, visitor: Visitor, first: int = 0, end: int | None = None, after: Tail | None = None) -> Tail: ...
    def repair(self, tail: Tail) -> None: ...
