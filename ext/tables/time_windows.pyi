from typing import final

SHARDS_MAX: int
HISTORIES_MAX: int

@final
class WindowTable:
    """Time windows by key, in a table of fixed size.

    Args:
        room: How many windows it holds; about 130 bytes each.
        clock_offset_ms: Added to the clock where fixed windows begin and end.
        is_shared: Processes that are forked later count in it together.
        shards_max: Of a shared one: in how many parts it is locked, at most; 1 to ``SHARDS_MAX``.
    """

    room: int
    is_shared: bool
    clock_offset_ms: int
    used: int
    evicted_live: int
    taken_over: int
    shard_count: int
    size_bytes: int
    uncounted: int
    """Journals of which not all was counted yet that is to be, since ``begin_history``."""

    def __init__(self, room: int, clock_offset_ms: int = 0, is_shared: bool = False, shards_max: int = ...) -> None: ...
    def begin_history(self, journal: int) -> int | None:
        """Up to which position what the journal of this number knows is counted; None: all of it.

        Whoever counts goes on behind that position, and says ``end_history`` at its end.

        Raises:
            ValueError: No journal has so high a number.
        """

    def end_history(self, journal: int) -> None:
        """All that a journal knows is counted, as long as the table lives; ``begin_history`` was said before."""

    def hold_all(self) -> None:
        """Let no other process look at a shared table until ``release_all``."""

    def release_all(self) -> None:
        """Let others look again."""
