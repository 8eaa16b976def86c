"""The key file of a daemon, as all of its processes know it together: what one has opened outlives it.

It is made before workers are forked. A file that was saved since is opened by the first who needs it, with the master
key from where that is by then; the others, and those that are forked later, have it from him. So a token is asked once
for each time that the file was saved, and one that refuses its PIN is left alone until somebody says that it is mended.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from switch.base.stats import Stats
from switch.config import Config, LinkSection, load_config
from switch.config.key_file import master_key_place, open_where_found
from switch.config.sections import KeysSection
from switch.dialect.key_exchange import USAGES
from switch.files.problems import ConfigError
from switch.journal.boot import since_boot_ns
from switch.keys import KeyFile, KeyFileError
from switch.keys.brought import record_names
from switch.keys.file import HEADER_BYTES, sealed_header
from switch.keys.key import Key
from switch.keys.master import MasterKeyPlace
from switch.keys.names import DIGESTS_USAGE, former_name
from switch.keys.problems import RefusedPinError
from switch.keys.shared import BusyError, ProcessLock, SharedKeys
from switch.server.signals import reload_counter

COUNT_BYTES = 8
DUE_BYTES = 8
NS_A_SECOND = 1_000_000_000
REFUSED_BYTES = 4_096
UNTIL_TOLD = "it is not tried again before SIGHUP or a restart"
BUSY = "another process of this daemon is opening it, and does not come to an end"


class NodeKeys:
    """The key file of one node's daemon.

    Args:
        config: Of the start.
        section: Its [keys].
        started: The key file as the start has opened it.
        told: How often the daemon was told so far to take keys up; the same in all of its processes.
    """

    def __init__(self, config: Config, section: KeysSection, started: KeyFile, told: Callable[[], int]) -> None:
        self.file: Final = section.file
        self._config_file = config.file
        self._place = master_key_place(section)
        self._links = [link_key_names(link) for link in config.links]
        self._due = mmap.mmap(-1, DUE_BYTES * len(USAGES) * len(config.links))
        self._started = started
        self._told = told
        self._opening = ProcessLock("key-file")
        self._opened = SharedKeys("keys-opened", HEADER_BYTES)
        self._taking = ProcessLock("key-taking")
        self._in_force = SharedKeys("keys-in-force", COUNT_BYTES)
        self._taken_up = SharedKeys("keys-taken-up", HEADER_BYTES)
        self._asking = ProcessLock("key-asking")
        self._refused = _RefusedPin()

    def header(self) -> bytes:
        """How the file begins now: otherwise each time that it was saved.

        Raises:
            KeyFileError: It cannot be read.
        """
        return sealed_header(self.file)

    def open(self) -> KeyFile:
        """The file as it is now, to be closed.

        Raises:
            KeyFileError: It cannot be opened with any master key that this daemon can have.
        """
        with self._not_busy(), self._opening.held():
            known = self._known(self.header())
            if known is not None:
                return known
            if reason := self._refused.reason(self._told()):
                raise RefusedPinError(str(self.file), "", f"{reason}; {UNTIL_TOLD}")
            try:
                file = open_where_found(self.file, self._places())
            except RefusedPinError as error:
                self._refused.note(self._told(), str(error))
                raise RefusedPinError(error.file, error.key, f"{error.reason}; {UNTIL_TOLD}") from None
            self._opened.put(file.header, file.table)
            return file

    def open_former(self) -> KeyFile:
        """As it was opened last, by whichever process, whatever became of it since; to be closed.

        Raises:
            KeyFileError: Another process does not let go of it.
        """
        return self._last_put(self._opened)

    def put_in_force(self, keys: KeyFile, told: int) -> bool:
        """These keys hold from now on, also for workers that are forked later, unless there are newer ones.

        Args:
            keys: The key file.
            told: How often the daemon had been told to take keys up when that was opened.

        Returns:
            Whether the file is still as it was opened. If not, nothing was done: an exchange of keys may have been
            told to an issuer meanwhile, and is to be opened with it.

        Raises:
            KeyFileError: Another process does not let go of those of before, or the file cannot be read.
        """
        with self._not_busy(), self._taking.held(), self.of_links(keys) as mine:
            if keys.header != self.header():
                return False
            before = self._in_force.head()
            if before is None or int.from_bytes(before, "big") <= told:
                self._in_force.put(told.to_bytes(COUNT_BYTES, "big"), mine.table)
                if self._taken_up.head() != keys.header:
                    self._taken_up.put(keys.header, keys.table)
            return True

    def in_force(self) -> tuple[int, KeyFile]:
        """Keys of links as any worker took them up last, and what ``told`` was then; the file is to be closed.

        Raises:
            KeyFileError: Another process does not let go of them.
        """
        with self._not_busy():
            taken = self._in_force.take()
        if taken is None:
            return 0, self.of_links(self._started)
        return int.from_bytes(taken[0], "big"), KeyFile.of_table(self.file, taken[1])

    def taken_up(self) -> KeyFile:
        """The file as any worker put it in force last, or as the start has opened it, with all keys; to be closed.

        Raises:
            KeyFileError: Another process does not let go of it.
        """
        return self._last_put(self._taken_up)

    def is_in_force(self, keys: KeyFile) -> bool:
        """Whether links have the keys that are in this file.

        Raises:
            KeyFileError: Another process does not let go of those that they have.
        """
        _, had = self.in_force()
        with had, self.of_links(keys) as theirs:
            return _without_digests(theirs) == _without_digests(had)

    def of_links(self, keys: KeyFile) -> KeyFile:
        """Those of links alone, and their former ones; to be closed."""
        return keys.part([name for names in self._links for name in names])

    # --- keys that come by messages -----------------------------------------------------------------------------------

    @property
    def number_in_force(self) -> int:
        """Another one each time that keys were put in force; nothing waits for it."""
        return self._in_force.number

    def change_in_force(self, change: Callable[[KeyFile], None]) -> None:
        """Let links have other keys from now on.

        Args:
            change: Called with those that they have, which it changes.

        Raises:
            KeyFileError: Another process does not let go of those of before.
        """
        with self._not_busy(), self._taking.held():
            told, keys = self.in_force()
            with keys:
                change(keys)
                with keys.part(list(keys.names())) as changed:
                    self._in_force.put(told.to_bytes(COUNT_BYTES, "big"), changed.table)

    def save(self, change: Callable[[KeyFile], None]) -> None:
        """Change the file. It takes a while.

        Args:
            change: Called with all keys, which it changes.

        Raises:
            KeyFileError: It cannot be opened, or not be written.
        """
        with self._not_busy(), self._opening.held():
            if reason := self._refused.reason(self._told()):
                raise RefusedPinError(str(self.file), "", f"{reason}; {UNTIL_TOLD}")
            file = open_where_found(self.file, self._places())
            with file:
                change(file)
                file.save()
                self._opened.put(file.header, file.table)

    def is_exchange_due(self, link: int, usage: str, is_regular: bool, again_seconds: int) -> bool:
        """Whether this process is to ask for a key now, and no other one for a while.

        Args:
            link: Its number.
            usage: Which key.
            is_regular: Whether one is due that was never asked for.
            again_seconds: How long it is nobody else's turn.
        """
        with self._asking.held():
            due_ns = self._due_ns(link, usage)
            if due_ns > since_boot_ns() or (due_ns == 0 and not is_regular):
                return False
            self.exchange_again(link, usage, again_seconds)
            return True

    def exchange_again(self, link: int, usage: str, again_seconds: int) -> None:
        """A key was asked for: it is due again after so long, unless it comes."""
        self._set_due(link, usage, since_boot_ns() + again_seconds * NS_A_SECOND)

    def exchanged(self, link: int, usage: str, ask_seconds: int) -> None:
        """A key came: the next one is due after so long; 0: never."""
        self._set_due(link, usage, since_boot_ns() + ask_seconds * NS_A_SECOND if ask_seconds else 0)

    def _due_ns(self, link: int, usage: str) -> int:
        at = DUE_BYTES * (len(USAGES) * link + USAGES.index(usage))
        return int.from_bytes(self._due[at : at + DUE_BYTES], "big")

    def _set_due(self, link: int, usage: str, due_ns: int) -> None:
        at = DUE_BYTES * (len(USAGES) * link + USAGES.index(usage))
        self._due[at : at + DUE_BYTES] = due_ns.to_bytes(DUE_BYTES, "big")

    def _last_put(self, shared: SharedKeys) -> KeyFile:
        """What a process has put there last; where none has, the file as the start has opened it."""
        with self._not_busy():
            taken = shared.take()
        return self._lent() if taken is None else KeyFile.of_table(self.file, taken[1], taken[0])

    def _lent(self) -> KeyFile:
        return KeyFile.of_table(self.file, self._started.table.lent(), self._started.header)

    def _known(self, header: bytes) -> KeyFile | None:
        """What begins so, where a process has opened it."""
        if header == self._started.header:
            return self._lent()
        if self._opened.head() != header or (taken := self._opened.take()) is None:
            return None
        return KeyFile.of_table(self.file, taken[1], taken[0])

    def _places(self) -> list[MasterKeyPlace]:
        """Where the master key may be: where the configuration says by now, and where it was at the start."""
        places = [self._place]
        try:
            section = load_config(self._config_file).keys
        except (ConfigError, OSError):
            return places
        if section is not None and section.file == self.file and (place := master_key_place(section)) != self._place:
            places.insert(0, place)
        return places

    @contextmanager
    def _not_busy(self) -> Iterator[None]:
        try:
            yield
        except BusyError:
            raise KeyFileError(str(self.file), "", BUSY) from None


def _without_digests(keys: KeyFile) -> list[Key]:
    return [key for key in keys.keys() if key.usage != DIGESTS_USAGE]  # noqa: SIM118 - no mapping


def link_key_names(link: LinkSection) -> list[str]:
    """What the keys of a link are called, and what belongs to them."""
    names = [key.key for key in (link.mac, link.pin) if key is not None]
    found = [each for name in names for each in (name, former_name(name))]
    if link.key_exchange is not None:
        found += [link.key_exchange.under, *(record for name in names for record in record_names(name))]
    return found


def node_keys(config: Config, started: KeyFile | None, stats: Stats) -> NodeKeys | None:
    """What processes of this machine know of the key file that a start has opened; None: there is none."""
    if config.keys is None or started is None:
        return None
    counter = reload_counter(stats)
    return NodeKeys(config, config.keys, started, lambda: stats.value(counter))


class _RefusedPin:
    """That a token refused its PIN, and why, in memory that processes share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, REFUSED_BYTES)

    def note(self, told: int, reason: str) -> None:
        """It was refused, behind so many times that the daemon was told to take keys up."""
        text = reason.encode()[: REFUSED_BYTES - COUNT_BYTES - 1]
        self._memory[:COUNT_BYTES] = (told + 1).to_bytes(COUNT_BYTES, "big")
        self._memory[COUNT_BYTES : COUNT_BYTES + len(text) + 1] = text + b"\0"

    def reason(self, told: int) -> str:
        """Why it was refused, where the daemon was not told since; else empty."""
        if int.from_bytes(self._memory[:COUNT_BYTES], "big") != told + 1:
            return ""
        return self._memory[COUNT_BYTES:].split(b"\0", 1)[0].decode("utf-8", "replace")
