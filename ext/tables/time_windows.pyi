from typing import final

@final
class WindowTable:
    """Time windows by key, in a table of fixed size.

    Args:
        room: How many windows it holds; about 130 bytes each.
        clock_offset_ms: Added to the clock where fixed windows begin and end.
    """

    room: int
    used: int
    evicted_live: int
    clock_offset_ms: int
    size_bytes: int

    def __init__(self, room: int, clock_offset_ms: int = 0) -> None: ...
