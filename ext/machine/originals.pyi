from typing import final

from switch.machine.terminal_counts import TerminalCounts
from switch.machine.transaction import DeadlineList

@final
class Wanted:
    asked_at: int
    partition: int
    is_of_request: bool
    sought: object

@final
class Inquiries:
    room: int
    share_percent: int
    patience_ns: int
    refuses_unknown: bool
    refuses_excess: bool
    completion_percent: int
    waiting: DeadlineList
    serial: int
    def __init__(
        self,
        *,
        room: int = 1_000,
        terminals: TerminalCounts,
        share_percent: int = 100,
        patience_ms: float = 5_000,
        refuses_unknown: bool = False,
        refuses_excess: bool = True,
        completion_percent: int = 115,
    ) -> None: ...

@final
class Original:
    position: int
    wall_us: int
    link: str
    message: bytes
    approved_minor: int
    is_advice: bool
    is_unbooked: bool
    has_ended: bool
    is_approved: bool
    is_taken_back: bool
    voids: int
    completions: int
    completed_minor: int
    refunded_minor: int
    is_crowded: bool
    is_undecided: bool
    is_torn: bool
    referred_to: Original | None

@final
class Choice: ...
