from typing import final

from switch.journal.disk import Disk
from switch.journal.replay import JournalReader
from switch.machine.originals import Original, Wanted

@final
class Finder:
    reader: JournalReader
    files: bool
    reach_us: int
    probes: int
    damaged: int
    is_cut_off: bool
    def __init__(
        self, disk: Disk, wrapping_key: bytes, *, days: float, files: bool = True, probes: int = ...
    ) -> None: ...
    @property
    def position(self) -> int: ...
    @property
    def unindexed(self) -> int: ...
    def refresh(self) -> None: ...
    def index_one(self) -> bool: ...
    def find(self, wanted: Wanted, local_offset_s: int = 0) -> Original | None: ...

@final
class Picker: ...

@final
class Names: ...
