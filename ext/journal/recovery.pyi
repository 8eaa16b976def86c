from typing import final

from switch.journal.replay import Visitor
from switch.journal.segment import SegmentWriter
from switch.machine.state import State

class RecoveryFailed(Exception): ...  # noqa: N818

@final
class Recovery(Visitor):
    state: State
    records: int
    remembered: int
    resumed: int
    ended: int
    reversed: int
    late: int
    def __init__(self, state: State) -> None: ...
    def begin(self, writer: SegmentWriter, next_position: int, boot: str) -> None: ...
    def finish(self) -> None: ...
