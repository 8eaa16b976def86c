from typing import final

KEPT: int
"""How many entries are kept; the oldest make room."""

@final
class CountLog:
    """What a worker has counted lately, for the other nodes."""

    start: int
    first: int
    next: int
    def __init__(self) -> None: ...
