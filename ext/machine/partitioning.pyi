from typing import Final

PARTITIONS_MAX: Final[int]

def partition_of(terminal_id: str, partitions: int) -> int: ...
