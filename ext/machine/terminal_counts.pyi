from typing import final

@final
class TerminalCounts:
    count: int
    def __init__(self, count: int = 0) -> None: ...
    def grow(self, count: int) -> None:
        """Make room for so many terminals, where that is more than there is.

        Raises:
            MemoryError: There is none; nothing was changed.
        """
