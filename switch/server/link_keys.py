"""Keys of links and terminals, taken up from the key file while the daemon runs: at SIGHUP, with no message lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.check.parts import check_link_keys
from switch.config import Config, LinkSection
from switch.files.problems import errors_among
from switch.journal.boot import since_boot_ns
from switch.keys import KeyFile, KeyFileError
from switch.keys.exchange import next_name
from switch.keys.key import check_value
from switch.keys.names import former_name
from switch.machine.link import Link
from switch.machine.state import State
from switch.server.assembly import give_keys
from switch.server.node_keys import NodeKeys
from switch.server.signals import reload_counter
from switch.server.terminal_keys import TerminalKeys

NOT_TAKEN_UP = "keys not taken up: those of before stay in use"
UNREADABLE = "the key file cannot be opened: what was opened before stays in use"
WAITING = "keys of links in the key file are not those in use: SIGHUP takes them up"
NS_A_SECOND = 1_000_000_000
NEVER_NS = 2**62
LOOK_SECONDS = 5.0
BEGIN_SECONDS = 10.0
"""How long a start waits for keys that were to be taken up before it, in front of those that its predecessor had."""

log = get_logger(__name__)


class LinkKeys:
    """The keys of the links of one process.

    Args:
        config: The configuration.
        states: The state machines, each with its links.
        keys: The key file, as the processes of this machine know it; None: there is none.
        stats: Where it is counted how often they are taken up.
    """

    def __init__(self, config: Config, states: Sequence[State], keys: NodeKeys | None, stats: Stats) -> None:
        self._config = config
        self._states = states
        self._keys = keys
        self._stats = stats
        self._counter = reload_counter(stats)
        self._unreadable = stats.gauge(
            "authswitch_key_file_unreadable", "1 while the key file as it is now cannot be opened.", rule="max"
        )
        self._waiting = stats.gauge(
            "authswitch_link_keys_waiting", "1 while links have other keys than the key file says.", rule="max"
        )
        former_seconds = 0 if config.keys is None else config.keys.terminal_former_seconds
        self._terminals = TerminalKeys(states[0].registry, former_seconds)
        self._given: dict[str, bytes] = {}
        self._secret = os.urandom(32)
        self._number = -1
        self._has_begun = False
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusal = ""
        self._trouble = ""
        self._looked_at: bytes | None = None
        self._next_look_s = 0.0

    @property
    def troubles(self) -> Sequence[str]:
        """Why keys in the file are not in use."""
        waiting = [WAITING] if self._stats.value(self._waiting) else []
        refused = [f"{NOT_TAKEN_UP}: {self._refusal}"] if self._refusal else waiting
        return [*([f"{UNREADABLE}: {self._trouble}"] if self._trouble else []), *refused]

    async def begin(self) -> None:
        """The journal is replayed: links get the keys that any worker of this machine took up last.

        Answers under former keys are taken from now on, for their time. Signals are heard by now; who was told before
        this to take keys up does it now.
        """
        self._has_begun = True
        if self._keys is None:
            return
        told = await self._begin_in_force(self._keys)
        if self._stats.value(self._counter) > told:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._reload()), BEGIN_SECONDS)

    def hang_up(self) -> None:
        """Take up the key file, of the only process: its supervisor counts for one of several."""
        if self._config.worker_count == 1:
            self._stats.add(self._counter)
        if self._has_begun:
            self._reload()

    def look(self) -> None:
        """See now and then whether the file can be opened, and has the keys that are in use; to be called often."""
        now_s = asyncio.get_running_loop().time()
        if self._keys is not None and self._has_begun and now_s >= self._next_look_s:
            self._next_look_s = float("inf")
            self._spawn(self._look(self._keys))
        self.take_news()

    async def _begin_in_force(self, keys: NodeKeys) -> int:
        """Take up what is in force; gives how often the daemon had been told to when it came to be."""
        while True:
            try:
                told, in_force = await asyncio.to_thread(keys.in_force)
                with in_force:
                    self._take_up(in_force)
                with await asyncio.to_thread(keys.taken_up) as taken_up:  # those in force are of links alone
                    if told:
                        await self._terminals.take_up(taken_up)
                    else:
                        self._terminals.begin(taken_up)
            except KeyFileError as error:
                log.error("not all keys are there yet: nobody is served", reason=str(error))  # noqa: TRY400 - no trace
                continue
            return told

    def _reload(self) -> asyncio.Task[None]:
        return self._spawn(self._take_up_file())

    def _spawn(self, work: asyncio._CoroutineLike[None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _take_up_file(self) -> None:
        """Open the file, which may be large, beside the event loop; nothing changes where a key does not fit."""
        if self._keys is None:
            log.warning(NOT_TAKEN_UP, reason="the configuration has no [keys]")
            return
        async with self._lock:
            try:
                while not await self._take_up_opened(self._keys):
                    pass  # it was saved meanwhile, which takes longer than this
            except (KeyFileError, OSError) as error:
                self._refuse(str(error))

    async def _take_up_opened(self, node: NodeKeys) -> bool:
        """Take up the file as it is opened now; whether that was possible, or is of no use to try again."""
        told = self._stats.value(self._counter)
        with await asyncio.to_thread(node.open) as keys:
            if faults := errors_among(check_link_keys(self._config, keys)):
                self._refuse(str(faults[0]))
                return True
            if misfits := await self._terminals.misfits(keys):
                others = f", and {len(misfits) - 1:,} more that do not fit their use" if len(misfits) > 1 else ""
                self._refuse(f"{misfits[0]}{others}")
                return True
            # Whoever is forked later must not have older keys than this one.
            if not await asyncio.to_thread(node.put_in_force, keys, told):
                return False
            # Not those of the file: an exchange may have brought newer ones since, and no news come between here.
            with node.in_force()[1] as in_force:
                shown = self._take_up(in_force)
            log.info("keys taken up", links=shown)
            await self._terminals.take_up(keys)
        self._refusal = ""
        self._look_soon()
        return True

    def _refuse(self, reason: str) -> None:
        log.error(NOT_TAKEN_UP, reason=reason)
        self._refusal = reason
        self._look_soon()

    def _look_soon(self) -> None:
        self._looked_at = None
        if self._next_look_s != float("inf"):
            self._next_look_s = 0.0

    async def _look(self, keys: NodeKeys) -> None:
        try:
            header = await asyncio.to_thread(keys.header)
            if header != self._looked_at or self._trouble:
                self._looked_at = header
                waits = await asyncio.to_thread(_is_waiting, keys)
                self._stats.set(self._waiting, waits)
            self._tell("")
        except (KeyFileError, OSError) as error:
            self._tell(str(error))
        finally:
            self._next_look_s = asyncio.get_running_loop().time() + LOOK_SECONDS

    def _tell(self, trouble: str) -> None:
        """Say once what keeps the file from being opened, or that it can be again."""
        self._stats.set(self._unreadable, 1 if trouble else 0)
        if trouble and trouble != self._trouble:
            log.error(UNREADABLE, reason=trouble)
        elif self._trouble and not trouble:
            log.info("the key file can be opened again")
        self._trouble = trouble

    def _take_up(self, keys: KeyFile) -> dict[str, str]:
        """Give all links their keys; the check values of their MAC keys, by link."""
        shown = {}
        for section, link in self._links():
            self._give(section, link, keys)
            if check := _shown(section, keys):
                shown[section.name] = check
        return shown

    def take_news(self) -> bool:
        """Take up keys that came by messages, here or at another worker; whether there were such."""
        if self._keys is None or not self._has_begun or self._keys.number_in_force == self._number:
            return False
        number = self._keys.number_in_force
        changed = {}
        try:
            _, keys = self._keys.in_force()
        except KeyFileError:
            return False  # another process has them for the moment
        with keys:
            for section, link in self._links():
                if self._digest(section, keys) != self._given.get(section.name):
                    self._give(section, link, keys, is_last=link is self._states[-1].links[link.number])
                    changed[section.name] = _shown(section, keys)
        self._number = number
        if changed:
            log.info("keys of messages in use", links=changed)
            self._look_soon()
        return bool(changed)

    def _give(self, section: LinkSection, link: Link, keys: KeyFile, *, is_last: bool = True) -> None:
        """Give a link its keys. Answers under a MAC key that was replaced, or is to be used next, are taken, too."""
        give_keys(section, link, keys.source())
        if section.mac is not None and keys.value(section.mac.key) is not None:
            other = keys.value(next_name(section.mac.key))
            until_ns = NEVER_NS
            if other is None:
                other = keys.value(former_name(section.mac.key))
                until_ns = since_boot_ns() + self._former_s * NS_A_SECOND  # a calendar may not have been moved yet
            link.set_former_mac_key(section.mac.algorithm, other, section.mac.padding, until_ns)
        if is_last:
            self._given[section.name] = self._digest(section, keys)

    def _digest(self, section: LinkSection, keys: KeyFile) -> bytes:
        """What tells whether a link's keys are others than those that it was given."""
        digest = blake2b(key=self._secret, digest_size=16)
        for part in (section.mac, section.pin):
            for name in () if part is None else (part.key, next_name(part.key), former_name(part.key)):
                digest.update(b"|" + (keys.value(name) or b""))
        return digest.digest()

    def _links(self) -> Iterator[tuple[LinkSection, Link]]:
        for state in self._states:
            yield from zip(self._config.links, state.links, strict=True)

    @property
    def _former_s(self) -> int:
        return 0 if self._config.keys is None else self._config.keys.former_seconds


def _shown(section: LinkSection, keys: KeyFile) -> str:
    """The check value of a link's MAC key; empty where it has none."""
    found = None if section.mac is None else keys.lookup(section.mac.key)
    return "" if found is None else check_value(found[1], found[0])


def _is_waiting(keys: NodeKeys) -> bool:
    with keys.open() as file:
        return not keys.is_in_force(file)
