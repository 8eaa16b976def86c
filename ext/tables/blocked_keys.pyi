from typing import final

@final
class BlockedKeys:
    """Hashes with reasons, looked up by the hot path.

    Args:
        entries: Pairs of hash and reason (``switch.dialect.reasons``, not 0); the last one of a hash counts.
    """

    def __init__(self, entries: list[tuple[int, int]]) -> None: ...
