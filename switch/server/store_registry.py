"""Keeps the registry of a running worker as the store has it: what is changed there is in force within a second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.check.parts import Parts
from switch.check.registry import registry_copy
from switch.check.row_compiler import keyless_compiler, opened_compiler
from switch.check.store import FOLLOWER_ANSWER_SECONDS, open_store
from switch.config import Config
from switch.files.problems import ConfigError
from switch.merchants.first_sign_ins import FirstSignInFolder
from switch.merchants.following import Follower, RefusedStepError, Step
from switch.merchants.risk_cases import RaisedCaseFolder
from switch.merchants.suspects import SuspectFolder
from switch.path.engine import Engine
from switch.server.first_sign_ins import FirstSignInKeeper
from switch.server.node_keys import NodeKeys
from switch.server.registry_gauges import RegistryGauges
from switch.server.risk_cases import RaisedCaseKeeper
from switch.server.suspects import SuspectKeeper
from switch.store.problems import RefusedError, StoreError
from switch.tables.registry import Registry
from switch.tables.registry_changes import RegistryChange, suspend

POLL_SECONDS = 0.25
ROWS_A_TURN = 128
AFTER_FAILURE_SECONDS = 2.0
SILENT_SECONDS = 15.0
"""For so long an answer may be outstanding, whatever it is that keeps it, before the store is told to be away."""

LOOK_SECONDS = 1.0
AWAY = "the store is away: merchants and terminals stay as they were"
REFUSED = "a change of the registry is refused: nothing but suspensions and closings is taken"
WAITING = "the copy of the registry cannot be taken: nobody is served until it can be"
LEFT_OUT = "terminals are not served since their rows cannot be taken"
TOLD_MAX = 20
UNWRITTEN = "the copy of the registry cannot be written: a start without the store would not know of changes"

log = get_logger(__name__)


class RegistryKeeper:
    """Follows the store in a thread, and changes the registry between two messages.

    Args:
        config: The configuration, whose registry is a copy of the store.
        engine: The state machines of the worker.
        parts: What was loaded: the registry of a change of the store, and whose rows cannot be taken.
        keys: The key file, as the processes of this machine know it; None: there is none.
        stats: Where gauges are registered.
        keeps_copy: Whether this worker keeps the copy: one of a node does.
    """

    def __init__(
        self, config: Config, engine: Engine, parts: Parts, keys: NodeKeys | None, stats: Stats, *, keeps_copy: bool
    ) -> None:
        gauges = RegistryGauges(stats)
        copy, head = registry_copy(config), parts.registry_head
        if copy is None or head is None:
            raise ValueError("the registry is not of the store")
        self._engine = engine
        self._stats = stats
        now, former = (None, None) if keys is None else (keys.open, keys.open_former)
        self._follower = Follower(
            partial(open_store, config, answer_seconds=FOLLOWER_ANSWER_SECONDS),
            partial(opened_compiler, config, now),
            copy,
            head,
            former=partial(opened_compiler, config, former),
            keyless=keyless_compiler(config),
            keeps_copy=keeps_copy,
            left_out=parts.left_out,
        )
        folder = SuspectFolder(copy.folder / "suspended")
        proof_seconds = config.registry.proof_seconds if keeps_copy else None
        counted = partial(stats.add, gauges.suspects)
        self._suspects = SuspectKeeper(engine.state.registry, folder, self._follower, counted, proof_seconds)
        begun = FirstSignInFolder(copy.folder / "signed-in")
        self._signed_in = FirstSignInKeeper(engine.state.registry, begun, self._follower, tells=keeps_copy)
        raised = [] if engine.state.risk is None else engine.state.risk.raised
        self._cases = RaisedCaseKeeper(
            RaisedCaseFolder(copy.folder / "cases"), raised, self._follower, tells=keeps_copy
        )
        self._gauges = gauges
        self._trouble = ""
        self._unwritten = ""
        self._left_out = ""
        self._worse: Step | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_s = time.monotonic()
        stats.set(gauges.change, head.number)

    @property
    def troubles(self) -> Sequence[str]:
        """Why the registry may not be as the store has it, or a start without the store not as the registry is."""
        return [one for one in (self._trouble, self._unwritten, self._left_out) if one]

    async def begin(self, is_ending: asyncio.Event) -> None:
        """Take what the copy and the store have beyond what was loaded, before a journal is replayed.

        A terminal that is not known is barred, whatever it did before. So what the copy has is taken whole, and waited
        for where that is not possible; the end may be wanted meanwhile. Where the store is away, the switch serves by
        what is known.
        """
        await asyncio.to_thread(self._look)
        await self._suspects.take_altered(self._engine.state.registry.altered)
        self._tell_left_out()
        while not is_ending.is_set():
            try:
                step = await asyncio.to_thread(self._follower.kept)
            except RefusedError as error:
                self._tell(self._gauges.refused, WAITING, str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(is_ending.wait(), AFTER_FAILURE_SECONDS)
                continue
            if step is not None:
                await self._put(step)
            break
        while not is_ending.is_set() and await self._take(self._follower.next):
            pass
        self._put_in_force()

    def start(self) -> None:
        """Follow from now on."""
        work = (self._follow(), self._suspects.watch(), self._signed_in.watch(), self._cases.watch())
        self._tasks = [asyncio.create_task(one) for one in work]

    async def stop(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()
            await asyncio.wait([task])
        await asyncio.to_thread(self._follower.close)

    async def _follow(self) -> None:
        while True:
            try:
                if self._unwritten:
                    await self._write_copy()
                await self._take_again()
                has_more = await self._take(self._follower.next)
                if not has_more:
                    await asyncio.to_thread(self._tell_store)
            except Exception as error:
                # A switch that goes on by what it has is better than one that nobody tells any more.
                self._tell(self._gauges.refused, REFUSED, f"{type(error).__name__}: {error}")
                has_more = False
            if not has_more:
                await asyncio.sleep(AFTER_FAILURE_SECONDS if self.troubles else POLL_SECONDS)

    async def _take(self, ask: Callable[[], Step | None]) -> bool:
        """Ask for changes and take them; whether there were any."""
        try:
            await asyncio.to_thread(self._look)
            self._put_in_force()
            step = await self._answer(ask)
        except (StoreError, ConfigError) as error:
            self._tell(self._gauges.away, AWAY, str(error))
            return False
        except RefusedError as error:
            self._tell(self._gauges.refused, REFUSED, str(error))
            await self._take_worse(error)
            return False
        self._all_is_well()
        self._worse = None
        if step is None:
            return False
        await self._put(step)
        return True

    async def _take_again(self) -> None:
        """Serve those whose rows can be taken by now."""
        step = await asyncio.to_thread(self._follower.again)
        if step is not None:
            await self._put(step)

    def _tell_left_out(self) -> None:
        """Say once who is not served, and why."""
        reasons = self._follower.reasons
        self._stats.set(self._gauges.left_out, len(reasons))
        first = next(iter(reasons.items()), None)
        others = f", and {len(reasons) - 1:,} more" if len(reasons) > 1 else ""
        said = "" if first is None else f"{LEFT_OUT}: {first[0]} ({first[1]}){others}"
        if said and said != self._left_out:
            log.error(
                LEFT_OUT, terminals=list(reasons)[:TOLD_MAX], count=len(reasons), reason=first[1] if first else ""
            )
        elif self._left_out and not said:
            log.info("the rows of all terminals are taken again")
        self._left_out = said

    def _look(self) -> None:
        """Read what was changed here and the store may not know."""
        self._signed_in.look()
        self._suspects.look()

    def _put_in_force(self) -> None:
        """What was changed here holds; who has signed in, and is not as registered, is suspended."""
        self._signed_in.put_in_force()
        self._suspects.put_in_force()

    def _tell_store(self) -> None:
        self._signed_in.tell_store()
        self._cases.tell_store()
        self._suspects.tell_store()

    async def _answer(self, ask: Callable[[], Step | None]) -> Step | None:
        """What the store says; while it says nothing, for how long is told."""
        asked = asyncio.ensure_future(asyncio.to_thread(ask))
        while not (await asyncio.wait({asked}, timeout=LOOK_SECONDS))[0]:
            silent_s = self._tell_silence()
            if silent_s >= SILENT_SECONDS:
                self._tell(self._gauges.away, AWAY, f"nothing was heard of it for {SILENT_SECONDS:g} seconds and more")
        if not isinstance(asked.exception(), StoreError):
            self._heard_s = time.monotonic()
        self._tell_silence()
        return asked.result()

    def _tell_silence(self) -> float:
        silent_s = time.monotonic() - self._heard_s
        self._stats.set(self._gauges.silent, int(silent_s))
        return silent_s

    async def _take_worse(self, error: RefusedError) -> None:
        """What is suspended or closed is not served any more, whatever else is refused."""
        worse = error.worse if isinstance(error, RefusedStepError) else None
        if worse is not None and (self._worse is None or worse.changes != self._worse.changes):
            self._worse = worse
            await self._put(worse)

    async def _put(self, step: Step) -> None:
        """Put changes in force, and into the copy."""
        if step.registry is not None:
            await self._change(step.registry)
            await self._suspects.take_altered(step.registry.altered)
        head = step.changes.head
        self._stats.set(self._gauges.change, head.number)
        merchants, terminals = len(step.changes.merchants), len(step.changes.terminals)
        log.info("registry changed", change=head.number, merchants=merchants, terminals=terminals)
        if step.left_out is not None:
            for terminal in step.left_out.reasons:
                suspend(self._engine.state.registry, terminal)  # by an older row it may be served
        self._follower.taken(step)
        self._tell_left_out()
        await self._write_copy()

    async def _write_copy(self) -> None:
        try:
            await asyncio.to_thread(self._follower.write_copy)
        except OSError as error:
            unwritten = f"{UNWRITTEN}: {words_of(error)}"
            if unwritten != self._unwritten:
                log.error(UNWRITTEN, reason=words_of(error))  # noqa: TRY400 - no trace
            self._unwritten = unwritten
        else:
            self._unwritten = ""

    async def _change(self, changes: Registry) -> None:
        """Take changes between messages, few in a turn; counts have room for new terminals before these have a number.

        What takes long, a larger index, is made in a thread, and the one before is given back there.
        """
        registry = self._engine.state.registry
        ready = [await asyncio.to_thread(RegistryChange, registry, changes)]
        self._engine.state.terminals.grow(registry.terminal_count + changes.terminal_count)
        has_more = True
        while has_more:
            has_more = ready[0].take(ROWS_A_TURN)
            self._put_in_force()
            await asyncio.sleep(0)
        await asyncio.to_thread(ready.clear)

    def _tell(self, gauge: int, event: str, reason: str) -> None:
        """Something is in the way; it is said once."""
        self._all_is_well(but=gauge)
        self._stats.set(gauge, 1)
        trouble = f"{event}: {reason}"
        if trouble != self._trouble:
            log.error(event, reason=reason)
        self._trouble = trouble

    def _all_is_well(self, but: int | None = None) -> None:
        for gauge in (self._gauges.away, self._gauges.refused):
            if gauge != but:
                self._stats.set(gauge, 0)
        if but is None and self._trouble:
            self._trouble = ""
            log.info("the registry follows the store again")
