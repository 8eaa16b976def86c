from switch.machine.terminal_counts import TerminalCounts

class DuplicateWindow:
    room: int
    held: int
    brief_room: int
    brief_share: int
    brief_open: int
    share_percent: int
    in_use: int
    untold: int
    age_max_ns: int
    forgotten_early: int
    brief_forgotten_early: int
    def __init__(
        self, room: int, brief_room: int, terminals: TerminalCounts, age_max_seconds: float, share_percent: int = 100
    ) -> None: ...
    @property
    def brief(self) -> int: ...
