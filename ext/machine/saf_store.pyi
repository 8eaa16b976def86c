from typing import Final

from switch.machine.terminal_counts import TerminalCounts

CAUSES: Final[dict[int, str | None]]

class SafQueue:
    depth: int
    advices: int
    strangers: int
    at_issuer: int
    strangers_at_issuer: int
    window: int
    pause_ns: int
    pause_max_ns: int
    alert_ns: int
    horizon_ns: int
    def __init__(
        self,
        window: int,
        pause_ms: float,
        pause_max_ms: float,
        alert_seconds: float = 3600,
        horizon_seconds: float = 0,
    ) -> None: ...

class SafStore:
    room: int
    in_use: int
    advices: int
    strangers: int
    all_at_issuer: int
    def __init__(self, room: int, terminals: TerminalCounts) -> None: ...
