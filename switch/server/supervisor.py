"""The main process of several workers: it forks them, and whoever ends is forked again, until a signal drains them all.

It has no event loop and no thread, holds no connection and reads no message, so that there is little in it to go wrong:
it waits for signals, the end of a child among them, and looks now and then whether each child still beats.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from switch.base.log import get_logger
from switch.base.start_signals import DRAINING, NOTHING_DONE, PASSED_OVER, EndedWhileStarting, hear_while_starting
from switch.base.stats import Stats
from switch.server.heartbeat import beat_counter
from switch.server.process import end_with_parent
from switch.server.signals import AGAIN_SECONDS, NO_MEANING, reload_counter

LONG_LIFE_SECONDS = 10.0
"""Who lived for so long is forked again at once, and what went before is forgotten."""

SHORT_LIFE_SECONDS = 1.0
SHORT_LIVES_TOLD = 3
"""After so many short lives in a row the log says that something is wrong with more than one transaction."""

BACKOFF_SECONDS = 0.1
BACKOFF_SECONDS_MAX = 30.0
AT_ONCE_SECONDS = 5.0
"""How long a child has that was told to end at once."""

SILENCE_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""So often is looked for beats; of a silence no more counts from one look to the next, however long that was."""

HEARD = frozenset({signal.SIGCHLD, *DRAINING, *PASSED_OVER})
EXIT_UNFORKED = 71
SECONDS_LEAST = 1e-3
SENT_BY_THE_KERNEL = 0x80
"""``SI_KERNEL``: not by a process."""

log = get_logger(__name__)


class LifeState(StrEnum):
    """Where a child is in its life."""

    RUNS = "runs"
    WAITS = "waits to be forked again"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Child:
    """A process that is kept running.

    Attributes:
        name: In the log, and as the label ``worker``.
        run: Called in the forked process; its exit status.
        stretch: Of the shared counters, which it alone writes.
        cpu: The only processor that it may use; None: any.
        ends_last: It is told to end when all others have.
    """

    name: str
    run: Callable[[], int]
    stretch: int
    cpu: int | None = None
    ends_last: bool = False


@dataclass(slots=True)
class Life:
    """What became of one child so far.

    Attributes:
        state: Whether it runs.
        pid: Of its process, or of its last one.
        since_s: When that state began, in seconds since 1970.
        restarts: How often it was forked again.
    """

    state: LifeState = LifeState.WAITS
    pid: int = 0
    since_s: float = 0.0
    restarts: int = 0


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What else happens when children come and go.

    Attributes:
        before_fork: In the supervisor, before a child is forked.
        in_child: In the child, before its ``run``.
        changed: In the supervisor, after a child was forked or has ended.
    """

    before_fork: Callable[[Child], None] = _nothing
    in_child: Callable[[Child], None] = _nothing
    changed: Callable[[Child, Life], None] = _nothing


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits.

    Attributes:
        drain_s: For the children to drain, before they are killed.
        last_s: For those that end last.
        backoff_s: Before the second fork in a row; then twice as long each time.
        backoff_max_s: At most.
        again_s: Signals so soon after the first are taken for the same.
        silence_s: For a beat of a child that has beaten before, until it is killed, and forked again as any that died.
    """

    drain_s: float
    last_s: float = AT_ONCE_SECONDS
    backoff_s: float = BACKOFF_SECONDS
    backoff_max_s: float = BACKOFF_SECONDS_MAX
    again_s: float = AGAIN_SECONDS
    silence_s: float = SILENCE_SECONDS


@dataclass(slots=True)
class _Kept:
    """A child, and what the supervisor knows of it."""

    child: Child
    restarts_counter: int
    silences_counter: int
    beats_counter: int
    life: Life = field(default_factory=Life)
    forked_s: float = 0.0
    due_s: float = 0.0
    deaths_in_a_row: int = 0
    short_lives: int = 0
    kill_s: float | None = None
    beats: int = 0
    silent_s: float | None = None
    """How long it has not beaten, as far as this process saw; None: it has not begun to."""


def pinned_cpu(number: int) -> int:
    """The ``number``-th of the processors that this process may use, from the first again behind the last."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[number % len(allowed)]


class Supervisor:
    """Keeps children running. ``run`` returns when all have ended after a signal.

    All series must have been registered, and the shared tables made, before ``run``.

    Args:
        children: Whom to fork, in this order.
        stats: The shared counters; this process writes to its own stretch.
        patience: How long to wait for what.
        hooks: What else happens when children come and go.
    """

    def __init__(self, children: Sequence[Child], stats: Stats, patience: Patience, hooks: Hooks | None = None) -> None:
        self._stats = stats
        self._patience = patience
        self._hooks = Hooks() if hooks is None else hooks
        self._kept = [
            _Kept(
                child,
                stats.counter(
                    "authswitch_worker_restarts_total",
                    "Processes that ended unasked and were forked again.",
                    {"worker": child.name},
                ),
                stats.counter(
                    "authswitch_worker_silences_total",
                    "Processes that did not beat any more, and were killed.",
                    {"worker": child.name},
                ),
                beat_counter(stats, child.name),
            )
            for child in children
        ]
        self._reloads_counter = reload_counter(stats)
        self._looked_s = time.monotonic()
        self._drained_s: float | None = None
        self._are_last_told = False
        self._is_all_well = True

    def run(self) -> bool:
        """Fork all, and keep them running until a signal drains them; whether all ended well then."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        try:
            while not self._is_over():
                self._fork_who_is_due()
                self._end_who_is_late()
                self._end_who_is_silent()
                self._hear(_next_signal(self._seconds_to_wait()))
                self._bury()
                self._tell_the_last()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        log.info("all have ended", well=self._is_all_well)
        return self._is_all_well

    def _is_over(self) -> bool:
        return self._drained_s is not None and not any(self._is_running(kept) for kept in self._kept)

    @staticmethod
    def _is_running(kept: _Kept) -> bool:
        return kept.life.state is LifeState.RUNS

    def _seconds_to_wait(self) -> float:
        """Until the next thing is to be done without a signal."""
        moments = [kept.due_s for kept in self._kept if kept.life.state is LifeState.WAITS and self._drained_s is None]
        moments += [kept.kill_s for kept in self._kept if kept.kill_s is not None and self._is_running(kept)]
        moments.append(self._looked_s + LOOK_SECONDS)
        return max(0.0, min(moments) - time.monotonic())

    # --- forking ----------------------------------------------------------------------------------------------------

    def _fork_who_is_due(self) -> None:
        for kept in self._kept:
            if self._drained_s is None and kept.life.state is LifeState.WAITS and kept.due_s <= time.monotonic():
                self._fork(kept)

    def _fork(self, kept: _Kept) -> None:
        child = kept.child
        parent = os.getpid()
        kept.forked_s = time.monotonic()
        try:
            self._hooks.before_fork(child)
            pid = os.fork()
        except OSError as error:
            log.error("cannot be forked", worker=child.name, reason=error.strerror)  # noqa: TRY400 - no trace
            self._plan(kept)
            return
        if pid == 0:
            self._become(child, parent)
        self._set(kept, LifeState.RUNS, pid)
        log.info("forked", worker=child.name, pid=pid, cpu=child.cpu)

    def _become(self, child: Child, parent: int) -> NoReturn:
        """What the forked process does, from its first step to its end."""
        status = EXIT_UNFORKED
        try:
            end_with_parent(parent)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            hear_while_starting()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            if child.cpu is not None:
                os.sched_setaffinity(0, {child.cpu})
            self._stats.use_worker(child.stretch)
            self._hooks.in_child(child)
            status = child.run()
        except EndedWhileStarting as ended:
            log.info(NOTHING_DONE, signal=ended.signal)
            status = 0
        except BaseException as error:
            log.critical("broken off", worker=child.name, error=f"{type(error).__name__}: {error}")
            status = 1
        finally:
            os._exit(status)

    def _set(self, kept: _Kept, state: LifeState, pid: int) -> None:
        kept.life.state = state
        kept.life.pid = pid
        kept.life.since_s = time.time()
        kept.kill_s = None
        kept.silent_s = None
        self._hooks.changed(kept.child, kept.life)

    # --- those that ended -------------------------------------------------------------------------------------------

    def _bury(self) -> None:
        """Look who has ended: one signal may stand for several."""
        for kept in self._kept:
            if self._is_running(kept):
                pid, status = os.waitpid(kept.life.pid, os.WNOHANG)
                if pid:
                    self._end_of(kept, os.waitstatus_to_exitcode(status))

    def _end_of(self, kept: _Kept, status: int) -> None:
        child, lived_s = kept.child, time.monotonic() - kept.forked_s
        self._stats.clear_worker(child.stretch)
        kept.beats = self._stats.value(kept.beats_counter)  # its last one is no sign of its successor's life
        how = {"signal": _signal_name(-status)} if status < 0 else {"exit_status": status}
        if self._drained_s is not None:
            self._is_all_well &= status == 0
            self._set(kept, LifeState.ENDED, kept.life.pid)
            (log.info if status == 0 else log.error)("ended", worker=child.name, pid=kept.life.pid, **how)
            return
        pid = kept.life.pid
        kept.short_lives = kept.short_lives + 1 if lived_s < SHORT_LIFE_SECONDS else 0
        if lived_s >= LONG_LIFE_SECONDS:
            kept.deaths_in_a_row = 0
        self._plan(kept)
        again_s = max(0.0, kept.due_s - time.monotonic())
        values = {"worker": child.name, "pid": pid, "lived_seconds": round(lived_s, 3), **how}
        log.error("ended unasked: it is forked again", again_in_seconds=round(again_s, 3), **values)
        if kept.short_lives >= SHORT_LIVES_TOLD:
            log.critical(
                "ends again and again as soon as it is forked: what it says before tells why",
                worker=child.name,
                in_a_row=kept.short_lives,
            )

    def _plan(self, kept: _Kept) -> None:
        """Set when a child is forked again: at once after a long life, else later each time."""
        patience, deaths = self._patience, kept.deaths_in_a_row
        longest_s = min(patience.backoff_max_s, patience.backoff_s * 2.0 ** min(deaths - 1, 30)) if deaths else 0.0
        kept.due_s = time.monotonic() + longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - not all at one moment
        kept.deaths_in_a_row += 1
        kept.life.restarts += 1
        self._stats.add(kept.restarts_counter)
        self._set(kept, LifeState.WAITS, kept.life.pid)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _hear(self, number: signal.Signals | None) -> None:
        if number is None or number is signal.SIGCHLD:
            return
        if number is signal.SIGHUP:
            # Counted first: who begins to hear only now looks whether any was counted.
            self._stats.add(self._reloads_counter)
            for kept in filter(self._is_running, self._kept):
                os.kill(kept.life.pid, signal.SIGHUP)
        elif number in PASSED_OVER:
            log.warning("signal ignored", signal=number.name, reason=NO_MEANING)
        elif self._drained_s is None:
            log.info("draining", signal=number.name)
            self._drained_s = time.monotonic()
            self._leave_who_waits()
            self._pass_on(self._first(), self._patience.drain_s)
        elif time.monotonic() - self._drained_s < self._patience.again_s:
            log.info("signal taken for the same as before", signal=number.name)
        else:
            log.warning("ending at once", signal=number.name)
            self._are_last_told = True
            self._pass_on(self._kept, AT_ONCE_SECONDS)

    def _first(self) -> list[_Kept]:
        return [kept for kept in self._kept if not kept.child.ends_last]

    def _leave_who_waits(self) -> None:
        for kept in self._kept:
            if kept.life.state is LifeState.WAITS:
                self._is_all_well &= kept.child.ends_last
                self._set(kept, LifeState.ENDED, kept.life.pid)

    def _pass_on(self, whom: Sequence[_Kept], seconds: float) -> None:
        """Tell children to end, and until when."""
        for kept in whom:
            if self._is_running(kept):
                latest_s = time.monotonic() + seconds
                kept.kill_s = latest_s if kept.kill_s is None else min(kept.kill_s, latest_s)
                os.kill(kept.life.pid, signal.SIGTERM)

    def _tell_the_last(self) -> None:
        if self._drained_s is None or self._are_last_told or any(map(self._is_running, self._first())):
            return
        self._are_last_told = True
        self._pass_on(self._kept, self._patience.last_s)

    def _end_who_is_late(self) -> None:
        for kept in self._kept:
            if self._is_running(kept) and kept.kill_s is not None and kept.kill_s <= time.monotonic():
                log.error("has not ended in time: killed", worker=kept.child.name, pid=kept.life.pid)
                kept.kill_s = None
                os.kill(kept.life.pid, signal.SIGKILL)

    # --- those that hang --------------------------------------------------------------------------------------------

    def _end_who_is_silent(self) -> None:
        """Kill who has begun to beat and does not any more; whoever drains is waited for as long as a drain is."""
        now_s = time.monotonic()
        # Where this process was stopped itself, with the whole machine or without, nobody knows who beat meanwhile.
        passed_s = min(now_s - self._looked_s, LOOK_SECONDS)
        self._looked_s = now_s
        if self._drained_s is not None:
            return
        for kept in self._kept:
            if not self._is_running(kept):
                continue
            beats = self._stats.value(kept.beats_counter)
            if beats != kept.beats:
                kept.beats, kept.silent_s = beats, 0.0
            elif kept.silent_s is not None:
                kept.silent_s += passed_s
                if kept.silent_s >= self._patience.silence_s:
                    self._end_silent(kept, kept.silent_s)

    def _end_silent(self, kept: _Kept, silent_s: float) -> None:
        values = {"worker": kept.child.name, "pid": kept.life.pid, "silent_seconds": round(silent_s, 1)}
        log.critical("hangs: killed, to be forked again", **values)
        self._stats.add(kept.silences_counter)
        kept.silent_s = None
        os.kill(kept.life.pid, signal.SIGKILL)


def _next_signal(seconds: float) -> signal.Signals | None:
    """The next of those that are heard; None when none came in time.

    Python's ``sigtimedwait`` is no help: of a process that was stopped until its time was over it tells a signal that
    nobody sent, by whatever stood in memory.
    """
    signal.setitimer(signal.ITIMER_REAL, max(seconds, SECONDS_LEAST))
    heard = signal.sigwaitinfo(HEARD)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    if heard.si_signo == signal.SIGALRM and heard.si_code == SENT_BY_THE_KERNEL:
        return None
    if signal.SIGALRM in signal.sigpending():
        signal.sigwait({signal.SIGALRM})
    return signal.Signals(heard.si_signo)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
