from typing import final

@final
class TerminalCounts:
    count: int
    def __init__(self, count: int = 0) -> None: ...
