from typing import final

@final
class BlockedKeys:
    """Hashes with reasons, looked up by the hot path.

    Args:
        entries: Reason of each hash, by its name.
        reasons: By name: ``switch.dialect.reasons``, not 0.
    """

    def __init__(self, entries: dict[int, str], reasons: dict[str, int]) -> None: ...
