from typing import final

@final
class JournalsHeard:
    def __init__(self, partitions: int) -> None: ...
    def refusal(self, partition: int, epoch: int, life: int, began: int) -> str:
        """Why the journal of an owner is older than what was heard of, in words; empty where it is not.

        Args:
            partition: Which one.
            epoch: Of its life; 0: nothing survives of it, and nothing is compared.
            life: The life's number.
            began: Position of the last record before this life.
        """
    def newest(self, partition: int) -> tuple[int, int, int]:
        """Epoch, life, and highest position that was durable in it; zeros where nothing was heard of."""
