from typing import final

from switch.calendar import Calendar
from switch.journal import Journal
from switch.registry import Registry
from switch.segment import SegmentWriter
from switch.stats import Stats

@final
class JournalFiles(Journal):
    writer: SegmentWriter | None
    registry: Registry | None
    calendar: Calendar | None
    buffer_bytes: int
    boot: str
    elapsed_offset_ns: int
    refused_full: int
    wake: int
    broken: bool
    is_held: bool
    condemned: str
    lost: str
    next_position: int
    waiting_bytes: int
    reason: str
    low_water: int
    def __init__(self, buffer_bytes: int, stats: Stats, *, record_bytes_max: int = ...) -> None: ...
    def begin(self, writer: SegmentWriter, next_position: int) -> None: ...
    def set_names(self, names: bytes, low_water: int) -> None: ...
    def start(self) -> None: ...
    def try_again(self) -> None: ...
    def condemn(self, reason: str) -> None: ...
    def end_turn(self) -> None: ...
    def stop(self) -> None: ...
    def commit(self) -> bool: ...
    def write(self) -> bool: ...
    def sync(self) -> bool: ...
