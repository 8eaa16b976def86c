"""How a journal's directory is laid out: a file that says how many partitions there are, and a folder for each.

A partition's folder is a journal of its own. Directories of older versions have their segments where the folders stand
now: they are taken over as partition 0 of 1.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from switch.config.mesh_sections import ALONE, Node
from switch.files.datafile import read_regular
from switch.files.durable import put_durably, sync_folder
from switch.journal.ages import AGES_NAME
from switch.journal.problems import JournalError
from switch.journal.replay import SEGMENT_NAME
from switch.journal.segment import PREPARED_NAME
from switch.machine.partitioning import PARTITIONS_MAX

PARTITIONS_NAME = "partitions"
CONTENT = re.compile(
    rb"authswitch partitions (?:1\npartitions ([1-9][0-9]?)\n|2\npartitions ([1-9][0-9]?)\nhere ([0-9]+(?: [0-9]+)*)\n)"
)
FOLDER_NAME = re.compile(r"partition-(0|[1-9][0-9]?)")
JOURNAL_FILE = re.compile(
    rf"{SEGMENT_NAME.pattern}|[0-9]{{20}}\.index|{re.escape(AGES_NAME)}|{re.escape(PREPARED_NAME)}"
)
FOLDER_MODE = 0o700
PATIENCE_SECONDS = 2.0
"""How long to wait for others who lay the directory out just now."""

POLL_SECONDS = 0.02


class PartitionsError(JournalError):
    """The directory cannot be used as it is; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one partition's journal is.

    Attributes:
        partition: Its number.
        folder: Where its segments are.
    """

    partition: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Layout:
    """What a journal's directory has.

    Attributes:
        count: How many partitions the switch has.
        here: The numbers of those whose journals are in this directory: all of them, or those of one node.
    """

    count: int
    here: Sequence[int]

    @classmethod
    def of_node(cls, count: int, node: Node) -> Layout:
        """What one of several nodes has."""
        return cls(count, range(node.number, count, node.nodes))

    def __str__(self) -> str:
        whole = _of(self.count)
        if len(self.here) == self.count:
            return f"all of {whole}" if self.count > 1 else whole
        return f"partition{'s' * (len(self.here) != 1)} {', '.join(map(str, self.here))} of {self.count}"


def partition_folder(directory: Path, number: int) -> Path:
    """Where a partition's files are."""
    return directory / f"partition-{number}"


def read_layout(directory: Path) -> Layout | None:
    """What journals are in a directory; None when it does not say so.

    Raises:
        OSError: It cannot be read.
        PartitionsError: The file is not as it was written.
    """
    file = directory / PARTITIONS_NAME
    try:
        content = read_regular(file)
    except FileNotFoundError:
        return None
    match = CONTENT.fullmatch(content)
    layout = None if match is None else _said(match)
    if layout is None:
        raise PartitionsError(
            f"{file}: does not say of how many partitions the journals are: needed the lines `authswitch partitions 1` "
            f"and `partitions N`, N from 1 to {PARTITIONS_MAX} and as many as there are folders partition-0, "
            "partition-1, ... (or 2 instead of 1, and a third line `here` with the numbers of one node); bring it back "
            "from a copy"
        )
    return layout


def _said(match: re.Match[bytes]) -> Layout | None:
    """What the file says; None where that cannot be."""
    count = int(match[1] or match[2])
    here = range(count) if match[3] is None else [int(number) for number in match[3].split()]
    is_possible = count <= PARTITIONS_MAX and list(here) == sorted(set(here)) and here[-1] < count
    return Layout(count, here) if is_possible else None


def write_layout(directory: Path, layout: Layout) -> None:
    """Say what journals there are, durably: the file is there as a whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    if len(layout.here) == layout.count:
        content = f"authswitch partitions 1\npartitions {layout.count}\n"
    else:
        content = f"authswitch partitions 2\npartitions {layout.count}\nhere {' '.join(map(str, layout.here))}\n"
    put_durably(directory / PARTITIONS_NAME, content.encode())


# --- for who reads ----------------------------------------------------------------------------------------------------


def places(directory: Path) -> list[Place]:
    """Where the journals of a directory are: of all its partitions, or of one, whose folder it is.

    Raises:
        OSError: It cannot be read.
        PartitionsError: It is not laid out as it must be.
    """
    layout = read_layout(directory)
    if layout is not None:
        return [Place(number, partition_folder(directory, number)) for number in layout.here]
    if any(_holds_segments(inner) for inner in directory.iterdir() if FOLDER_NAME.fullmatch(inner.name)):
        raise PartitionsError(
            f"{directory}: has folders of partitions and no file `{PARTITIONS_NAME}`: where the daemon was stopped "
            "while it took over an older version's journal, its next start goes on; else bring the file back from a "
            "copy"
        )
    return [Place(0, directory)]


def _holds_segments(folder: Path) -> bool:
    try:
        return bool(_segments_in(folder))
    except (FileNotFoundError, NotADirectoryError):
        return False


# --- for who writes ---------------------------------------------------------------------------------------------------


class Hold:
    """The directory as a daemon has it: shared by its partitions, and with nobody who would change their number.

    Args:
        directory: Of all partitions; made when it is not there.
        wanted: How many partitions there must be; None: as many as there are.
        at_first: How many there shall be where a journal begins and ``wanted`` leaves it open.
        node: Which machine this is, where several share the partitions.

    Raises:
        OSError: It cannot be read or written.
        PartitionsError: It is not laid out as it must be, has another number of partitions, or belongs to somebody
            else.

    Attributes:
        partitions: How many there are.
        here: Those that are here.
    """

    def __init__(self, directory: Path, wanted: int | None = None, at_first: int = 1, node: Node = ALONE) -> None:
        self._descriptor = -1
        directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            layout = self._laid_out(directory, wanted, at_first, node)
            self.partitions, self.here = layout.count, layout.here
        except BaseException:
            self.release()
            raise

    def _laid_out(self, directory: Path, wanted: int | None, at_first: int, node: Node) -> Layout:
        if not _lock(self._descriptor, fcntl.LOCK_SH):
            raise PartitionsError(
                f"{directory}: another daemon writes its journal there, or `authswitch partitions change` is at work"
            )
        layout = read_layout(directory)
        if layout is None:
            if not _lock(self._descriptor, fcntl.LOCK_EX):
                raise PartitionsError(f"{directory}: another daemon lays its journal out there")
            layout = lay_out(directory, wanted or at_first, node)
            _lock(self._descriptor, fcntl.LOCK_SH)
        elif loose := _segments_in(directory):
            raise PartitionsError(
                f"{directory}: {loose[0]} stands beside the partitions: an older version has begun a journal of its "
                "own there. What it accepted is known nowhere else: move its files to a folder of their own, read them "
                "with --directory, and settle by hand what is open"
            )
        if not os.path.samestat(directory.stat(), os.fstat(self._descriptor)):
            raise PartitionsError(f"{directory}: was replaced just now; start again")
        if reason := unfit(layout, wanted, node):
            raise PartitionsError(f"{directory}: {reason}")
        return layout

    def release(self) -> None:
        """Let others have the directory."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def unfit(layout: Layout, wanted: int | None, node: Node) -> str:
    """Why a daemon cannot run with the partitions that there are, and what to do; empty when it can.

    Args:
        layout: What there is.
        wanted: How many the configuration says; None where it leaves that open.
        node: Which machine it says that this is.
    """
    count = layout.count
    if wanted is not None and wanted != count:
        if node.nodes > 1 or len(layout.here) != count:
            return (
                f"its journals are of {layout}, and journal.partitions is {wanted}: of several nodes their number "
                f"stays as it is for the life of the journals. Set it to {count} on all of them, or drain all and "
                "begin with new directories"
            )
        return (
            f"its journals are of {_of(count)}, and journal.partitions is {wanted}: set it to {count}, or drain the "
            f"daemon and run `authswitch partitions change CONFIG {wanted}`"
        )
    ours = Layout.of_node(count, node)
    if list(ours.here) != list(layout.here):
        return (
            f"has the journals of {layout}, and this node is to have {ours}: who owns a partition is known by its "
            "journal. Put [[node]] and mesh.node back as they were, or drain all nodes and begin with new directories"
        )
    return ""


@contextmanager
def held_alone(directory: Path) -> Iterator[None]:
    """The directory, while no daemon has it.

    Raises:
        OSError: It cannot be opened.
        PartitionsError: A daemon has it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PartitionsError(
                f"{directory}: a daemon runs with it; drain it first (`authswitch drain`), and do it again"
            ) from None
        yield
    finally:
        os.close(descriptor)


def lay_out(directory: Path, wanted: int | None, node: Node = ALONE) -> Layout:
    """Make the folders of a directory that does not say how many partitions it has, and last the file that does.

    Segments of an older version become those of partition 0 of 1. Whatever was done before a crash is found, and the
    rest done.

    Args:
        directory: The directory, which nobody else uses.
        wanted: How many partitions there shall be where a journal begins; None: 1.
        node: Which machine this is, where several share the partitions.

    Returns:
        What there is.

    Raises:
        OSError: It cannot be written.
        PartitionsError: There are journals of several partitions, or a file is there twice.
    """
    loose = _segments_in(directory)
    settled = [number for number in range(PARTITIONS_MAX) if _holds_segments(partition_folder(directory, number))]
    if settled and settled != [0]:
        raise PartitionsError(
            f"{directory}: has journals of several partitions, and its file `{PARTITIONS_NAME}` is missing; bring it "
            "back from a copy"
        )
    layout = Layout(1, [0]) if loose or settled else Layout.of_node(wanted or 1, node)
    for number in layout.here:
        partition_folder(directory, number).mkdir(mode=FOLDER_MODE, exist_ok=True)
    if loose or settled:
        _take_over(directory, partition_folder(directory, 0))
    sync_folder(directory)
    write_layout(directory, layout)
    return layout


def _take_over(directory: Path, folder: Path) -> None:
    """Move an older version's files into partition 0's folder, the oldest first."""
    for name in sorted(file.name for file in directory.iterdir() if JOURNAL_FILE.fullmatch(file.name)):
        if (folder / name).exists():
            raise PartitionsError(
                f"{directory}: {name} stands there and in {folder.name}: two journals are mixed; take the files of one "
                "of them away"
            )
        (directory / name).rename(folder / name)
    sync_folder(folder)


def _segments_in(directory: Path) -> Sequence[str]:
    return sorted(file.name for file in directory.iterdir() if SEGMENT_NAME.fullmatch(file.name))


def _lock(descriptor: int, operation: int) -> bool:
    """Lock a folder, waiting for others a little; whether that was possible."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= ends:
                return False
            time.sleep(POLL_SECONDS)


def _of(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"
