"""The highest number that was reserved, in a small file beside the journal: for when the journal is gone, or off."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config import Config
from switch.files.datafile import read_regular
from switch.files.durable import put_durably
from switch.journal.problems import JournalError
from switch.machine.numbering import NUMBERS_END, Numbering
from switch.machine.partitioning import PARTITIONS_MAX

AHEAD_NUMBERS = 1 << 22
"""The file is so far ahead of what is given, at most, and half of it at least."""

CONTENT = re.compile(rb"authswitch numbers 1\ninstance ([0-9]{1,3})\nreserved_to ([0-9]{1,19})\n")

log = get_logger(__name__)


class NumbersError(JournalError):
    """The file cannot be used; the text says why, and what to do."""


def numbers_file(config: Config, partition: int = 0) -> Path | None:
    """Where a partition's file is by a configuration; None where there is none."""
    first = config.switch.numbers_file
    directory = config.journal.directory
    if first is None and config.journal.mode != "off" and directory is not None:
        first = directory.with_name(f"{directory.name}.numbers")
    return first if first is None or not partition else first.with_name(f"{first.name}.{partition}")


def read_numbers(file: Path, instance: int) -> int | None:
    """Up to where numbers are reserved by a file; None when it is not there.

    Raises:
        NumbersError: It is not as it was written, or belongs to another instance.
    """
    try:
        content = read_regular(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NumbersError(f"{file}: cannot be read: {error.strerror}") from error
    match = CONTENT.fullmatch(content)
    if match is None or int(match[2]) >= NUMBERS_END:
        raise NumbersError(
            f"{file}: is no file of numbers; with a journal that is whole it may be taken away, without one "
            "reference numbers may then come twice"
        )
    if int(match[1]) != instance:
        raise NumbersError(
            f"{file}: has the numbers of instance {int(match[1])}, and switch.instance is {instance}: give each "
            "instance a file of its own"
        )
    return int(match[2])


def reserved_by_files(config: Config) -> int:
    """Up to where numbers are reserved by the files of all partitions that there are or have been; 0: by none.

    Raises:
        NumbersError: One is not as it was written, or belongs to another instance.
    """
    files = filter(None, (numbers_file(config, partition) for partition in range(PARTITIONS_MAX)))
    return max((read_numbers(file, config.switch.instance) or 0 for file in files), default=0)


def write_numbers(file: Path, instance: int, reserved_to: int) -> None:
    """Replace a file, durably: an old one or the new one is there at any time.

    Raises:
        OSError: It cannot be written.
    """
    put_durably(file, f"authswitch numbers 1\ninstance {instance}\nreserved_to {reserved_to}\n".encode())


def numbers_keeper(config: Config, numbering: Numbering, stats: Stats, partition: int = 0) -> NumbersKeeper:
    """What keeps a partition's file by a configuration, if it has one."""
    return NumbersKeeper(
        numbers_file(config, partition),
        numbering,
        stats,
        instance=config.switch.instance,
        is_binding=config.journal.mode == "off",
        partition=partition,
    )


class NumbersKeeper:
    """Keeps the file ahead of what is given.

    With a journal the file is a second memory: a disk that does not take it is told of, and stops nothing. Without one
    it is the only one, and no number is given that it does not cover.

    Args:
        file: The file, which need not be there yet; None: there is none.
        numbering: Whose numbers they are.
        stats: Where the gauge is registered.
        instance: Of the switch, whatever number its partition has among those of all switches.
        is_binding: No journal remembers them as well.
        partition: Whose numbers they are, as the gauge says.
    """

    def __init__(
        self,
        file: Path | None,
        numbering: Numbering,
        stats: Stats,
        *,
        instance: int,
        is_binding: bool,
        partition: int = 0,
    ) -> None:
        self._file = file
        self._numbering = numbering
        self._instance = instance
        self._is_binding = is_binding
        self._reserved_to = 0
        self._is_failing = False
        self._writing: asyncio.Future[None] | None = None
        self._stats = stats
        self._gauge = stats.gauge(
            "authswitch_numbers_file_failed",
            "1 when the file of numbers cannot be written.",
            {"partition": str(partition)},
        )

    def begin(self) -> None:
        """Let numbering begin behind what the file says; before the journal is read.

        Raises:
            NumbersError: It is not as it was written, or belongs to another instance.
        """
        if self._file is None:
            return
        reserved_to = read_numbers(self._file, self._instance)
        if reserved_to is not None:
            self._numbering.begin_behind(reserved_to)

    def open(self) -> None:
        """Write the file for the first time; when the journal has been read, and before anybody connects.

        Raises:
            NumbersError: It cannot be written, and nothing else remembers.
        """
        if self._file is None:
            return
        self._numbering.begin_by_clock(time.time_ns() // 1000)
        try:
            self._write(self._file, self._numbering.next + AHEAD_NUMBERS)
        except OSError as error:
            if self._is_binding:
                raise NumbersError(f"{self._file}: cannot be written: {error.strerror}") from error
            self._fail(error)

    def keep(self) -> None:
        """Write it again, in a thread, when what is given has come near; to be called a few times a second."""
        is_near = self._numbering.next + AHEAD_NUMBERS // 2 > self._reserved_to
        if self._file is None or not is_near or (self._writing is not None and not self._writing.done()):
            return
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._write_again, self._file, self._numbering.next + AHEAD_NUMBERS)

    def _write_again(self, file: Path, reserved_to: int) -> None:
        try:
            self._write(file, reserved_to)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self._is_failing:
            log.error("the file of numbers cannot be written", file=str(self._file), reason=error.strerror)
        self._is_failing = True
        self._stats.set(self._gauge, 1)

    def _write(self, file: Path, reserved_to: int) -> None:
        write_numbers(file, self._instance, reserved_to)
        self._reserved_to = reserved_to
        if self._is_binding:
            self._numbering.ceiling = reserved_to
        self._is_failing = False
        self._stats.set(self._gauge, 0)
