from typing import Protocol, final

from switch.machine.duplicate import DuplicateWindow
from switch.machine.journal_interface import Journal

class Owner(Protocol):
    def hang_up(self, reason: str) -> None: ...

class FrameOwner: ...

@final
class StateOwner(FrameOwner):
    def __init__(self, number: int, outcomes: DuplicateWindow, journal: Journal) -> None: ...

class Channel:
    owner: Owner | None
    slot: int
    generation: int
    is_open: bool
    is_leaving: bool
    is_of_terminal: bool
    is_elsewhere: bool
    in_flight: int
    @property
    def waiting_bytes(self) -> int: ...
