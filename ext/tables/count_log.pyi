from typing import final

KEPT: int
"""How many entries are kept; the oldest make room."""

@final
class CountLog:
    """What a worker has counted lately, for the other nodes.

    Args:
        is_shared: Whether it lies in memory that processes, forked later, have in common.
    """

    def __init__(self, is_shared: bool = False) -> None: ...
