"""Many terminals that share a dialect, a destination and a scenario.

A fleet runs on the current event loop, in one of two ways:

- closed loop: a terminal makes its next request when the one before is answered;
- open loop: requests are planned at a rate, whatever the answers do, and latency counts from the planned time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING

from switch.simulators.fleet_settings import FleetSettings
from switch.simulators.receipts import FleetCounters, Receipt
from switch.simulators.scenario import Planner
from switch.simulators.tasks import BackgroundTasks
from switch.simulators.terminals import Terminal, TerminalIdentity

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from switch.simulators.dialect_profile import Profile
    from switch.simulators.terminals import Pending

_EXPIRY_TICK_S = 0.05
_PACE_TICK_S = 0.0005
_RECONNECT_S = 0.2


class Fleet:
    """Terminals at work, and what they counted."""

    def __init__(
        self,
        profile: Profile,
        settings: FleetSettings,
        identities: Sequence[TerminalIdentity],
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.profile = profile
        self.settings = settings
        self.host = host
        self.port = port
        self.tls = tls
        self.counters = FleetCounters()
        self.generator = random.Random(settings.seed)
        self.planner = Planner(settings.scenario, self.generator)
        self.timeout_s = settings.timeout_ms / 1000
        self._loop = asyncio.get_running_loop()
        self.now = time.perf_counter  # finer than the clock of the loop, which counts milliseconds
        self.terminals = [Terminal(self, identity) for identity in identities]
        self.on_answer: Callable[[str, float], None] | None = None
        """Called with an answer's retrieval reference number and the microseconds since its request was sent."""
        self._open_loop = settings.rate is not None
        self._free: deque[Terminal] = deque()
        self._due: deque[float] = deque()
        self._waiting: deque[Pending] = deque()
        self._busy = 0
        self._left: int | None = None
        self._running = False
        self._idle = asyncio.Event()
        self._tasks = BackgroundTasks(self._give_up)

    @property
    def numbers_used(self) -> int:
        """System trace audit numbers that the busiest terminal has used."""
        return max((terminal.numbers_used for terminal in self.terminals), default=0)

    @property
    def receipts(self) -> list[Receipt]:
        """All receipts of all terminals."""
        return [receipt for terminal in self.terminals for receipt in terminal.receipts]

    async def run(self, seconds: float | None = None, count: int | None = None) -> FleetCounters:
        """Connect, make requests for so long or so many, wait for the answers, and disconnect.

        Raises:
            OSError: A terminal could not connect at the start.
            TimeoutError: A terminal's sign-in was not answered.
        """
        try:
            await self.start()
            await self.work(seconds, count)
        finally:
            await self.stop()
        return self.counters

    async def start(self) -> None:
        """Connect every terminal (unless connections are one-shot) and sign in where that is asked for.

        Raises:
            OSError: A terminal could not connect.
            TimeoutError: A terminal's sign-in was not answered.
        """
        gate = asyncio.Semaphore(self.settings.connecting_max)
        self._tasks.spawn(self._expire())

        async def bring_up(terminal: Terminal) -> None:
            async with gate:
                if not self.settings.one_shot:
                    await terminal.connect()
                if self.settings.sign_in:
                    await terminal.sign_in()

        await asyncio.gather(*(bring_up(terminal) for terminal in self.terminals))

    async def work(self, seconds: float | None = None, count: int | None = None) -> None:
        """Make requests, for a time, up to a number, or until ``finish`` is called; then wait for what is in flight."""
        self._left = count
        self._running = True
        self._idle.clear()
        self._free.extend(terminal for _ in range(self.settings.pipelining) for terminal in self.terminals)
        timer = None if seconds is None else self._loop.call_later(seconds, self.finish)
        if self.settings.rate is not None:
            await self._pace(self.settings.rate)
        else:
            self._dispatch()
        await self._idle.wait()
        self._running = False
        if timer is not None:
            timer.cancel()

    def finish(self) -> None:
        """Begin nothing more; what is planned and still waits for a terminal is dropped."""
        self._running = False
        self.counters.dropped += len(self._due)
        self._due.clear()
        self._settle()

    async def stop(self) -> None:
        """Close all connections.

        Raises:
            Exception: What went wrong in a task of the fleet.
        """
        self._running = False
        try:
            await self._tasks.put_away()
        finally:
            closed = [future for terminal in self.terminals for future in terminal.close()]
            if closed:
                await asyncio.wait(closed, timeout=2)

    def _give_up(self) -> None:
        """Something of ours failed: nothing more can be waited for."""
        self._running = False
        self._idle.set()

    # What terminals call

    def expect(self, pending: Pending) -> None:
        """Watch the deadline of a request; all have the same time-out, so they expire in the order of sending."""
        self._waiting.append(pending)

    def freed(self, terminal: Terminal) -> None:
        """A terminal's request is over, one way or another."""
        self._busy -= 1
        if self.settings.think_ms and not self._open_loop:
            self._loop.call_later(self.settings.think_ms / 1000, self._release, terminal)
            self._settle()
        else:
            self._release(terminal)

    def disconnected(self, terminal: Terminal) -> None:
        """A connection has ended: make another one as long as there is work for it."""
        if self._running and not self.settings.one_shot:
            self._tasks.spawn(self._bring_back(terminal))

    # What comes next

    async def _pace(self, rate: float) -> None:
        planned_at = self.now()
        while self._may_begin:
            now = self.now()
            while planned_at <= now and self._may_begin:
                self._plan(planned_at)
                planned_at += self.generator.expovariate(rate) if self.settings.poisson else 1 / rate
            await asyncio.sleep(max(_PACE_TICK_S, planned_at - self.now()))
        self._settle()

    def _plan(self, planned_at: float) -> None:
        self._count_planned()
        if len(self._due) < self.settings.backlog_max:
            self._due.append(planned_at)
            self._dispatch()
        else:
            self.counters.dropped += 1

    @property
    def _may_begin(self) -> bool:
        """Whether more is to be planned."""
        return self._running and self._left != 0

    def _count_planned(self) -> None:
        self.counters.planned += 1
        if self._left is not None:
            self._left -= 1

    def _release(self, terminal: Terminal) -> None:
        self._free.append(terminal)
        self._dispatch()

    def _dispatch(self) -> None:
        """Let free terminals make what is due: planned requests, or in closed loop whatever they can."""
        while self._due or (not self._open_loop and self._may_begin):
            terminal = self._next_terminal()
            if terminal is None:
                break
            if self._due:
                planned_at = self._due.popleft()
            else:
                self._count_planned()
                planned_at = self.now()
            self._busy += 1
            connection = terminal.connection
            if self.settings.one_shot:
                self._tasks.spawn(self._begin_one_shot(terminal, planned_at))
            elif connection is not None:
                terminal.begin(planned_at, connection)
        self._settle()

    def _next_terminal(self) -> Terminal | None:
        """A free terminal that is connected; one that is not is parked until it is."""
        while self._free:
            terminal = self._free.popleft()
            if self.settings.one_shot or terminal.connection is not None:
                return terminal
            terminal.parked += 1
        return None

    async def _begin_one_shot(self, terminal: Terminal, planned_at: float) -> None:
        try:
            connection = await terminal.connect()
        except OSError as error:
            self.counters.connection_failures += 1
            self.counters.note(f"{self.settings.name}, terminal {terminal.identity.terminal}: {error}")
            self.freed(terminal)
            return
        terminal.begin(planned_at, connection)

    async def _bring_back(self, terminal: Terminal) -> None:
        """Connect a terminal again, however long it takes."""
        while self._running:
            await asyncio.sleep(_RECONNECT_S)
            try:
                await terminal.connect()
                if self.settings.sign_in:
                    await terminal.sign_in()
            except (OSError, TimeoutError):
                continue
            self._free.extend([terminal] * terminal.parked)
            terminal.parked = 0
            self._dispatch()
            return

    async def _expire(self) -> None:
        """Give up what was not answered in time."""
        waiting = self._waiting
        while True:
            await asyncio.sleep(_EXPIRY_TICK_S)
            now = self.now()
            while waiting and (waiting[0].answered or waiting[0].deadline <= now):
                pending = waiting.popleft()
                if not pending.answered:
                    pending.terminal.give_up(pending)

    def _settle(self) -> None:
        """Wake who waits for the end, when nothing is to be done any more."""
        if not self._may_begin and not self._due and self._busy == 0:
            self._idle.set()
