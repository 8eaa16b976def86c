"""Keys of links, taken up from the key file while the daemon runs: at SIGHUP, with no message lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.check.parts import check_link_keys
from switch.config import Config, LinkSection
from switch.config.key_file import open_key_file
from switch.files.problems import errors_among
from switch.journal.boot import since_boot_ns
from switch.keys import KeyFile, KeyFileError
from switch.keys.key import check_value
from switch.keys.names import former_name
from switch.machine.link import Link
from switch.machine.state import State
from switch.server.assembly import give_keys
from switch.server.signals import reload_counter

NOT_TAKEN_UP = "keys not taken up: those of before stay in use"
NS_A_SECOND = 1_000_000_000

log = get_logger(__name__)


class LinkKeys:
    """The keys of the links of one process.

    Args:
        config: The configuration.
        states: The state machines, each with its links.
        key_file: As it was when the links got their keys; None: there is none.
        stats: Where it is counted how often they are taken up.
    """

    def __init__(self, config: Config, states: Sequence[State], key_file: KeyFile | None, stats: Stats) -> None:
        self._config = config
        self._states = states
        self._key_file = key_file
        self._stats = stats
        self._counter = reload_counter(stats)
        self._has_begun = False
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """The journal is replayed: answers under former keys are taken from now on, for their time.

        Signals are heard by now; who was told before this to take keys up does it now.
        """
        self._has_begun = True
        if self._key_file is not None:
            self._take_former(self._key_file)
        if self._stats.value(self._counter):
            self._reload()

    def hang_up(self) -> None:
        """Take up the key file, of the only process: its supervisor counts for one of several."""
        if self._config.worker_count == 1:
            self._stats.add(self._counter)
        if self._has_begun:
            self._reload()

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._take_up_file())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_up_file(self) -> None:
        """Open the file, which may be large, beside the event loop; nothing changes where a key does not fit."""
        section = self._config.keys
        if section is None:
            log.warning(NOT_TAKEN_UP, reason="the configuration has no [keys]")
            return
        async with self._lock:
            try:
                keys = await asyncio.to_thread(open_key_file, section)
            except KeyFileError as error:
                log.error(NOT_TAKEN_UP, reason=str(error))  # noqa: TRY400 - no trace
                return
            with keys:
                if faults := errors_among(check_link_keys(self._config, keys)):
                    log.error(NOT_TAKEN_UP, reason=str(faults[0]))
                    return
                log.info("keys taken up", links=self._take_up(keys))

    def _take_up(self, keys: KeyFile) -> dict[str, str]:
        """Give all links their keys; the check values of their MAC keys, by link."""
        shown = {}
        for section, link in self._links():
            give_keys(section, link, keys.source())
            if section.mac is not None and (found := keys.lookup(section.mac.key)) is not None:
                shown[section.name] = check_value(found[1], found[0])
        self._take_former(keys)
        return shown

    def _take_former(self, keys: KeyFile) -> None:
        """Let answers under MAC keys that were replaced be taken, for their time from now on."""
        until_ns = since_boot_ns() + self._former_s * NS_A_SECOND  # a calendar may not have been moved yet
        for section, link in self._links():
            if section.mac is not None and keys.value(section.mac.key) is not None:
                former = keys.value(former_name(section.mac.key))
                link.set_former_mac_key(section.mac.algorithm, former, section.mac.padding, until_ns)

    def _links(self) -> Iterator[tuple[LinkSection, Link]]:
        for state in self._states:
            yield from zip(self._config.links, state.links, strict=True)

    @property
    def _former_s(self) -> int:
        return 0 if self._config.keys is None else self._config.keys.former_seconds
