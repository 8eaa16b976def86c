from typing import final

@final
class SharedMemory:
    """Zeros that processes forked later share.

    Args:
        size_bytes: How many.

    Raises:
        MemoryError: There is not so much.
    """

    size_bytes: int
    def __init__(self, size_bytes: int) -> None: ...
