from typing import final

from switch.journal.replay import Visitor

@final
class Survey(Visitor):
    boot: str
    offset_ns: int
    elapsed_ns: int
    wall_us: int
    has_clock: bool
    reserved_to: int
    day_max: int
    day_floor: int
    links: set[str]
    listeners: set[str]
    requests: set[int]
    entries: set[int]
    late: set[int]
    untold: dict[int, int]
    def __init__(self) -> None: ...
