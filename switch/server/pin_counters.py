"""How far devices with DUKPT have counted, over restarts: a file beside the journal, a line for each device.

It holds the last number of a device, what brought it, when, and the terminal at which the device is.

The table is shared by the workers of a machine and outlives each of them. The file is for the next start: behind a
drain it has all, and where the machine or the whole daemon dies, what was known ten seconds before, or less.
"""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Final

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config import Config
from switch.crypto.device_counters import DeviceCounters
from switch.files.datafile import open_regular
from switch.files.durable import put_durably

WRITE_SECONDS = 10.0
FILE_BYTES_MAX = 1 << 32
HEADING = "authswitch key serial numbers 2"
LINE = re.compile(r"([0-9A-F]{20}(?:[0-9A-F]{4})?) ([0-9A-F]{16}) ([0-9A-F]{8}) ([ -~]{8})")
DES_DIGITS = 20
DES_COUNTER_BITS, AES_COUNTER_BITS = 21, 32
UNREADABLE = "key serial numbers of before are not known: PINs that were sent then could be sent once more"

log = get_logger(__name__)


def counters_file(config: Config) -> Path | None:
    """Where they are kept by a configuration; None: nowhere, since there is no journal or no base key."""
    directory = config.journal.directory
    if not config.base_keys or config.journal.mode == "off" or directory is None:
        return None
    return directory.with_name(f"{directory.name}.serials")


def open_counters(config: Config, *, is_shared: bool = False) -> DeviceCounters:
    """The table, with what the file knows; before workers are forked, who share it then."""
    counters = DeviceCounters(config.limits.pin_devices_max if config.base_keys else 1, is_shared)
    file = counters_file(config)
    if file is not None:
        try:
            _read(file, counters)
        except (OSError, ValueError) as error:
            log.error(UNREADABLE, file=str(file), reason=words_of(error))  # noqa: TRY400 - no trace
    return counters


def write_counters(config: Config, counters: DeviceCounters) -> None:
    """Keep them for the next start; once nobody counts any more.

    It is logged where that is not possible.
    """
    file = counters_file(config)
    if file is not None:
        try:
            put_durably(file, _content(counters))
        except OSError as error:
            log.error(CounterKeeper.UNWRITTEN, reason=words_of(error, file))  # noqa: TRY400 - no trace


class CounterKeeper:
    """Writes the file while a worker runs, in a thread.

    Args:
        config: The configuration.
        counters: The table.
        stats: Where the gauge is registered.
        writes: Whether this worker does: one of a machine.
        is_alone: Nobody else writes it when all has ended.
    """

    UNWRITTEN: Final = "key serial numbers cannot be written: a restart would not know them"

    def __init__(self, config: Config, counters: DeviceCounters, stats: Stats, *, writes: bool, is_alone: bool) -> None:
        self._file = counters_file(config) if writes else None
        self._counters = counters
        self._stats = stats
        self._gauge = stats.gauge(
            "authswitch_pin_devices_unwritten", "1 when the file of key serial numbers cannot be written.", rule="max"
        )
        self._written = counters.heard
        self._config = config if is_alone else None
        self._next_s = 0.0
        self._writing: asyncio.Future[None] | None = None

    def keep(self) -> None:
        """Write it again when there is something new; to be called a few times a second."""
        is_busy = self._writing is not None and not self._writing.done()
        if self._file is None or is_busy or time.monotonic() < self._next_s or self._counters.heard == self._written:
            return
        self._next_s = time.monotonic() + WRITE_SECONDS
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, self._file)

    async def stop(self) -> None:
        """Wait until nothing is being written, and write it for the last time where nobody else does."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._config is not None:
            write_counters(self._config, self._counters)

    def _write(self, file: Path) -> None:
        heard = self._counters.heard
        try:
            put_durably(file, _content(self._counters))
        except OSError as error:
            if not self._stats.value(self._gauge):
                log.error(self.UNWRITTEN, reason=words_of(error, file))  # noqa: TRY400 - no trace
            self._stats.set(self._gauge, 1)
        else:
            self._written = heard
            self._stats.set(self._gauge, 0)


def _content(counters: DeviceCounters) -> bytes:
    """What is known of each device, a line each, and at the end how many there are."""
    numbers = counters.serial_numbers()
    return b"%s\n%s%d devices\n" % (HEADING.encode(), numbers, numbers.count(b"\n"))


def _read(file: Path, counters: DeviceCounters) -> None:
    """Let a table know what a file knows.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not as it was written; nothing was learnt then.
    """
    try:
        with open_regular(file, FILE_BYTES_MAX) as stream:
            lines = stream.read().decode("ascii", "replace").split("\n")
    except FileNotFoundError:
        return
    found = [match.groups() for match in map(LINE.fullmatch, lines[1:-2]) if match]
    if lines[0] != HEADING or lines[-2:] != [f"{len(found)} devices", ""] or len(found) != len(lines) - 3:
        raise ValueError("it is not as it was written")
    for number, request, counted_s, terminal in found:
        bits = DES_COUNTER_BITS if len(number) == DES_DIGITS else AES_COUNTER_BITS
        whole = int(number, 16)
        counters.learn(
            whole >> bits,
            len(number) != DES_DIGITS,
            whole & ((1 << bits) - 1),
            terminal.rstrip(),
            int(request, 16),
            int(counted_s, 16),
        )
