from typing import Any, final

from switch.journal.replay import Visitor

@final
class Search(Visitor):
    found: list[list[dict[str, Any]]]
    is_full: bool
    looked_at: int
    referring: set[int]
    def __init__(
        self,
        *,
        rrn: str | None = None,
        terminal: str | None = None,
        stan: int = -1,
        pan_first: str = "",
        pan_last: str = "",
        amount_minor: int = -1,
        from_us: int = 0,
        to_us: int = 0x7FFFFFFFFFFFFFFF,
        position: int = 0,
        most: int = 100,
    ) -> None: ...

@final
class SafVisitor(Visitor):
    boot: str
    offset_ns: int
    elapsed_ns: int
    wall_us: int
    def __init__(self) -> None: ...
    def owed(self) -> list[dict[str, Any]]: ...
