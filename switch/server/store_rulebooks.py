"""Keeps risk rules, BIN table and links of a running worker as the store has them: in force within a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.check.row_compiler import opened_compiler
from switch.check.rulebooks import copies_of, in_force_of, nothing_of
from switch.check.store import FOLLOWER_ANSWER_SECONDS, open_store
from switch.config import Config
from switch.config.endpoints import load_endpoints
from switch.files.problems import ConfigError
from switch.keys import KeyFile, KeyFileError
from switch.links import holds
from switch.rulebooks.copying import copied, copy
from switch.rulebooks.rulebooks import ENDPOINTS, RISK, TITLES, InForce
from switch.server.node_keys import NodeKeys
from switch.server.place import Place
from switch.server.rulebook_gauges import RulebookGauges
from switch.server.rules_in_force import RulesInForce
from switch.store.opening import Store
from switch.store.problems import RefusedError, StoreError
from switch.tables.risk import Risk
from switch.tables.risk_files import load_risk, read_rules
from switch.tables.route_files import load_routes

POLL_SECONDS = 0.25
AFTER_FAILURE_SECONDS = 2.0
AWAY = "the store is away: what was in force of it stays in force"
WAITS = "risk rules are in force, and their windows_max waits for a restart"
REFUSED = "what is in force in the store is refused, and the former version kept"
WELL = "what is in force follows the store again"
WHAT = {**TITLES, holds.KIND: holds.TITLE}
UNWRITTEN = "the copy of what is in force cannot be written: a start without the store would not know of it"

log = get_logger(__name__)


class _KeysWhenAsked:
    """Keys as they are now, or as they were opened last: rules that need none are taken without the key file."""

    def __init__(self, config: Config, keys: NodeKeys | None) -> None:
        self._config = config
        self._keys = keys

    def get(self, name: str, /) -> bytes | None:
        """A key; None where there is none.

        Raises:
            KeyFileError: The key file cannot be read, and was never opened.
        """
        if self._keys is None:
            return None
        with contextlib.suppress(KeyFileError):
            return self._found(name, self._keys.open)
        return self._found(name, self._keys.open_former)

    def _found(self, name: str, opening: Callable[[], KeyFile]) -> bytes | None:
        with opened_compiler(self._config, opening) as compiler:
            return compiler.keys.get(name)


class RulebookKeeper:
    """Asks the store in a thread, reads there what is new, and puts it in force between two messages.

    Args:
        config: The configuration.
        loaded: What was loaded at the start, by kind.
        rules: Where it is put in force.
        place: Of the worker; the first of a machine keeps the copy.
        stats: Where gauges are registered.
    """

    def __init__(
        self, config: Config, loaded: Mapping[str, InForce], rules: RulesInForce, place: Place, stats: Stats
    ) -> None:
        self._config = config
        self._rules = rules
        self._keys = place.keys
        self._keeps_copy = place.number == 0
        self._stats = stats
        self._gauges = RulebookGauges(stats)
        self._folders = copies_of(config)
        self._known = {kind: loaded.get(kind) or nothing_of(kind) for kind in self._folders}
        self._uncopied: dict[str, InForce] = {}
        self._troubles: dict[str, str] = {}
        self._waits = ""
        self._is_serving = False
        self._store: Store | None = None
        self._task: asyncio.Task[None] | None = None
        for kind, one in self._known.items():
            stats.set(self._gauges.version[kind], one.version)
        if holds.KIND in self._known:
            rules.use_holds(holds.holds_of(self._known[holds.KIND].body))

    @property
    def troubles(self) -> Sequence[str]:
        """Why what is in force may not be as the store has it, or a start without it would not know of it."""
        return [*self._troubles.values(), *((self._waits,) if self._waits else ())]

    def status(self) -> Mapping[str, Any]:
        """Which versions are in force in this worker, and why it takes no other one."""
        rows = [
            {
                "rulebook": kind,
                "version": one.version,
                "newest": one.version,
                "reason": self._troubles.get(kind) or self._troubles.get("") or None,
            }
            for kind, one in self._known.items()
        ]
        return {"rulebooks": rows}

    async def begin(self) -> None:
        """Take what the copy and the store have beyond what was loaded, before a journal is replayed.

        Whoever is forked anew knows only what the switch had when it was started.
        """
        if ENDPOINTS in self._known:
            self._read(self._known[ENDPOINTS])()
        for kind, folder in self._folders.items():
            kept = await asyncio.to_thread(copied, folder, kind)
            if kept is not None and kept.turn > self._known[kind].turn:
                await self._put(kept)
        await self._look()

    def start(self) -> None:
        """Follow from now on."""
        self._is_serving = True
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.to_thread(self._close)

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:
                # A switch that goes on by what it has is better than one that nobody tells any more.
                self._tell("", AWAY, f"{type(error).__name__}: {error}")
            await asyncio.sleep(AFTER_FAILURE_SECONDS if self._troubles else POLL_SECONDS)

    async def _look(self) -> None:
        """Take what is new of each kind; what is wrong with one keeps none of the others back."""
        for kind in self._folders:
            try:
                one = await asyncio.to_thread(self._ask, kind)
            except (StoreError, ConfigError) as error:
                self._tell("", AWAY, words_of_any(error))
                return
            except RefusedError as error:
                self._tell(kind, REFUSED, f"{WHAT[kind]}: {error}")
                continue
            self._is_well("")
            if one is None:
                self._is_well(kind)
            else:
                await self._put(one)
        await self._write_copies()

    def _ask(self, kind: str) -> InForce | None:
        known = self._known[kind]
        try:
            if self._store is not None and not self._store.is_in_its_place():
                self._close()
            if self._store is None:
                self._store = open_store(self._config, answer_seconds=FOLLOWER_ANSWER_SECONDS)
            with self._store.reading() as connection:
                return in_force_of(connection, kind, (known.turn, known.hash))
        except StoreError:
            self._close()
            raise

    async def _put(self, one: InForce) -> None:
        """Put a version in force as a whole, or not at all."""
        try:
            use = await asyncio.to_thread(self._read, one)
        except (ConfigError, KeyFileError, ValueError) as error:
            self._tell(one.kind, REFUSED, words_of_any(error))
            return
        use()
        self._known[one.kind] = self._uncopied[one.kind] = one
        self._stats.set(self._gauges.version[one.kind], one.version)
        log.info("rulebook in force", rulebook=one.kind, version=one.version, sha256=one.hash)
        self._is_well(one.kind)
        await self._write_copies()

    def _read(self, one: InForce) -> Callable[[], None]:
        """What puts a version in force; all that may be wrong with it, or takes long, is behind it."""
        if one.kind == RISK:
            fresh = load_risk(
                one.rulebook, _KeysWhenAsked(self._config, self._keys), self._rules.registry, self._rules.risk
            )
            return partial(self._use_risk, fresh, read_rules(one.rulebook).windows_max)
        if one.kind == ENDPOINTS:
            return partial(self._rules.use_links, load_endpoints(one.rulebook, self._config))
        if one.kind == holds.KIND:
            return partial(self._rules.use_holds, holds.holds_of(one.body))
        routes = load_routes(one.rulebook, [link.name for link in self._config.links])
        return partial(self._rules.use_routes, routes)

    def _use_risk(self, risk: Risk, windows_max: int) -> None:
        """Put rules in force with the windows of those before them, which are as many as those had at the start."""
        self._rules.use_risk(risk, is_serving=self._is_serving)
        self._waits = ""
        if windows_max != risk.windows.room:
            self._waits = f"{WAITS}: {windows_max} windows, where there are {risk.windows.room} since the start"
            log.warning(WAITS, windows_max=windows_max, windows=risk.windows.room)

    async def _write_copies(self) -> None:
        for kind, one in list(self._uncopied.items()):
            name = f"{kind} copy"
            try:
                if self._keeps_copy:
                    await asyncio.to_thread(copy, self._folders[kind], one)
            except OSError as error:
                self._note(name, UNWRITTEN, words_of(error))
            else:
                del self._uncopied[kind]
                self._troubles.pop(name, None)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _tell(self, kind: str, event: str, reason: str) -> None:
        """Something is in the way, with the store or, with ``kind``, with a version; it is said once."""
        self._stats.set(self._gauges.refused[kind] if kind else self._gauges.away, 1)
        self._note(kind, event, reason)

    def _note(self, name: str, event: str, reason: str) -> None:
        trouble = f"{event}: {reason}"
        if self._troubles.get(name) != trouble:
            log.error(event, reason=reason)
        self._troubles[name] = trouble

    def _is_well(self, kind: str) -> None:
        self._stats.set(self._gauges.refused[kind] if kind else self._gauges.away, 0)
        if self._troubles.pop(kind, None) is not None:
            log.info(WELL, rulebook=kind)


def words_of_any(error: Exception) -> str:
    """What is wrong, all of it, in words that are safe to show."""
    return "; ".join(map(str, error.problems)) if isinstance(error, ConfigError) else str(error)
