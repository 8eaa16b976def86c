from switch.journal.disk import Disk

LIVES_NAME: str
LIFE_MAX: int

class LivesDamagedError(ValueError): ...

def read_lives(disk: Disk) -> dict[int, tuple[int, int]]:
    """The latest lives by their epochs, the newest first: number and where it began; empty where there was none.

    Raises:
        OSError: They cannot be read.
        LivesDamagedError: The file is not as it was written.
    """

def begin_life(disk: Disk, life: int, began: int, epoch_min: int = 1) -> dict[int, tuple[int, int]]:
    """Raise the epoch durably; all lives that are known, this one first.

    Args:
        disk: Where the journal is.
        life: Tells this life from another one of the same epoch: 1 to 2**32 - 1, at random.
        began: Position of the last record that was there before.
        epoch_min: The epoch is this one at least.

    Raises:
        OSError: It cannot be read or written.
        LivesDamagedError: The file is not as it was written.
    """
