"""The journal's directory opened with its keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from switch.journal.disk import FileDisk
from switch.journal.partitions import PartitionsError, places, read_layout
from switch.journal.replay import JournalDamaged, JournalReader
from switch.machine.partitioning import partition_of


def open_reader(folder: Path, keys: bytes) -> JournalReader:
    """A reader of the journal in a partition's folder, beside the daemon that may be writing it.

    Args:
        folder: The partition's.
        keys: As ``switch.keys.journal_keys`` gives them.

    Raises:
        OSError: The folder or a file in it cannot be read.
        JournalDamaged: The head of a segment is damaged.
    """
    return JournalReader(FileDisk(str(folder), exclusive=False), keys)


@dataclass(frozen=True, slots=True)
class PartitionReader:
    """One partition's journal, open to be read.

    Attributes:
        partition: Its number.
        partitions: How many there are.
        folder: Where its segments are.
        reader: Reads them.
    """

    partition: int
    partitions: int
    folder: Path
    reader: JournalReader

    def holds(self, terminal: str) -> bool:
        """Whether the transactions of a terminal, by its id, are in this one."""
        return terminal_is_of(terminal, self.partition, self.partitions)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Whatever is found to be damaged inside says of which partition it is."""
        with naming(self.partition):
            yield


def terminal_is_of(terminal: str, partition: int, partitions: int) -> bool:
    """Whether a terminal, by its id, belongs to a partition; what can be no id belongs to any."""
    try:
        return partition_of(terminal, partitions) == partition
    except ValueError:
        return True


@contextmanager
def naming(partition: int) -> Iterator[None]:
    """Whatever is found to be damaged inside says that it is of this partition."""
    try:
        yield
    except JournalDamaged as error:
        error.name_partition(partition)
        raise


def open_partitions(directory: Path, keys: bytes) -> list[PartitionReader]:
    """Readers of the journals of all partitions of a directory; or of one, whose folder it is.

    Args:
        directory: Of all partitions, or of one.
        keys: As ``switch.keys.journal_keys`` gives them.

    Raises:
        OSError: A folder or a file cannot be read.
        JournalDamaged: The head of a segment is damaged.
        PartitionsError: The directory is not laid out as it must be.
    """
    layout = read_layout(directory)
    count = 1 if layout is None else layout.count
    opened = []
    for place in places(directory):
        with naming(place.partition):
            reader = open_reader(place.folder, keys)
        opened.append(PartitionReader(place.partition, count, place.folder, reader))
    return opened


def open_nodes(directories: Sequence[Path], keys: bytes) -> list[PartitionReader]:
    """The same of the directories of several nodes, which are one switch together; by the partitions' numbers.

    Raises:
        OSError: A folder or a file cannot be read.
        JournalDamaged: The head of a segment is damaged.
        PartitionsError: A directory is not laid out as it must be, or they are not of one switch.
    """
    opened: dict[int, tuple[Path, PartitionReader]] = {}
    for directory in directories:
        for one in open_partitions(directory, keys):
            first, other = next(iter(opened.values()), (directory, one))
            if one.partitions != other.partitions:
                raise PartitionsError(
                    f"{directory}: is of a switch with {one.partitions} partitions, and {first} of one with"
                    f" {other.partitions}: these are no nodes of one switch"
                )
            if one.partition in opened:
                raise PartitionsError(
                    f"{directory}: has partition {one.partition}, and so has {opened[one.partition][0]}: what is in"
                    " both would count twice"
                )
            opened[one.partition] = (directory, one)
    return [opened[number][1] for number in sorted(opened)]
