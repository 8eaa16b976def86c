"""The course of a run: lives of the switch, each ended by a kill, trouble on lines and disk, then the books."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from switch.demo.world import FLEETS, ISSUERS, build_world
from switch.machine.partitioning import partition_of
from switch.simulators.faults import Fault, FaultRule
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency
from switch.simulators.receipts import Receipt, merge_counters, write_receipts
from switch.simulators.repeating_terminals import REFUSED_FOR_NOW, PersistentFleet, PersistentSettings
from tests.simulation.defects.build import ROOT, VARIABLE, build, number_of
from tests.system.daemon import Daemon, until

from .books import WITHOUT_MONEY, Comparison, compare_trace
from .disk import FaultyDisk
from .line import Line
from .world import write_switch

JOURNAL_FAILED = re.compile(r"the journal(?: of partition ([0-9]+))? cannot be written")
NO_ROOM = "No space left on device"
ISSUER_FAULTS = (
    Fault.IGNORE,
    Fault.DROP_ANSWER,
    Fault.LATE_ANSWER,
    Fault.DUPLICATE_ANSWER,
    Fault.WRONG_MAC,
    Fault.WRONG_STAN,
    Fault.GARBAGE,
    Fault.CLOSE_AFTER_RECEIVE,
    Fault.SLOW_WRITE,
)
PARTITIONS = (1, 2, 3, 4)
WORKERS = (1, 1, 2, 3)
"""At most as many as there are partitions."""

ISSUER_FAULT = 0.006
"""How often each of them strikes."""

SERVING_S_MAX = 3.0
HASTE_S = 0.002
FIRST_LIVES = ("serve", "worker", "failed_sync", "start", "drain", "full_start", "serve", "failed_write", "full_run")
"""So that even a short run meets most kinds."""

LIVES = {
    "serve": 10,
    "worker": 6,
    "start": 4,
    "drain": 3,
    "failed_sync": 2,
    "failed_write": 1,
    "full_start": 1,
    "full_run": 1,
}
"""Kinds of lives, and how often each is drawn."""

DISK_LIVES = frozenset({"failed_sync", "failed_write", "full_start", "full_run"})
"""In which the whole switch says what its disk does; of several workers one is killed instead."""


class TortureError(Exception):
    """The run cannot go on; the text says what the switch did or did not do."""


@dataclass(frozen=True)
class Settings:
    """One run.

    Attributes:
        kills: How often the switch is killed.
        seed: Of every choice. What a real machine does in the meantime is not in it.
        seconds: No new life begins after this time; 0 for no limit.
        terminals: How many, a third of each fleet.
        rate: Payments a second that they begin together.
        slowness: Factor on every wait, for slow machines.
        lives: Kinds of lives; the first ones in this order, then drawn from them.
        lying: Let the disk lie about what is durable, and lose it: a run that must find differences.
        traces: How many payments are looked up by the number on their slip in the end.
        defect: A deliberate defect of the simulation's that the switch has; empty for none.
        partitions: How many the switch has; 0: the seed decides.
        workers: The same of workers, of which there are no more than partitions.
    """

    kills: int = 50
    seed: int = 1
    seconds: float = 0.0
    terminals: int = 30
    rate: float = 250.0
    slowness: float = 1.0
    lives: tuple[str, ...] = FIRST_LIVES
    lying: bool = False
    traces: int = 20
    defect: str = ""
    partitions: int = 0
    workers: int = 0


class Torture:
    """One run in a folder of its own.

    Args:
        settings: The run.
        folder: Of keys, configuration, logs and what is found in the end.
        journal: Where the switch keeps its journal; its parent may be a small file system.
        say: Takes lines for who watches.
    """

    def __init__(self, settings: Settings, folder: Path, journal: Path, say: Callable[[str], None] = print) -> None:
        self.settings = settings
        self.folder = folder
        self.say = say
        self.happened = Counter[str]()
        self.kills = Counter[str]()
        self.power_losses = 0
        self.bytes_lost = 0
        self.differences: list[str] = []
        self.comparison: Comparison | None = None
        self.issuers: list[Issuer] = []
        self.fleets: list[PersistentFleet] = []
        self._draw = Random(f"{settings.seed}/lives")
        self._weather = Random(f"{settings.seed}/weather")
        self.partitions = settings.partitions or Random(f"{settings.seed}/partitions").choice(PARTITIONS)
        drawn = settings.workers or Random(f"{settings.seed}/workers").choice(WORKERS)
        self.workers = min(self.partitions, drawn)
        journal.mkdir(parents=True, exist_ok=True)
        self.disk = FaultyDisk(folder, journal, Random(f"{settings.seed}/disk"))
        self._world = build_world(folder, settings.terminals)
        self._terminal_lines = {fleet.name: Line(fleet.name, self.happened) for fleet in FLEETS}
        self._issuer_lines = {plan.name: Line(plan.name, self.happened) for plan in ISSUERS}
        self._issuer_faults = tuple(FaultRule(fault=fault, probability=ISSUER_FAULT) for fault in ISSUER_FAULTS)
        self._is_calm = False
        self._daemon: Daemon | None = None
        self._lives = 0
        self._start_s = 2.0
        self.begun = time.monotonic()
        self._environment = {**os.environ, **self.disk.environment}
        if settings.defect:
            # The switch is taken from a copy; the driver is not.
            path = os.pathsep.join(map(str, (build(), ROOT)))
            self._environment |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": path, VARIABLE: number_of(settings.defect)}

    # --- the course -----------------------------------------------------------------------------------------------

    async def run(self) -> bool:
        """The whole course; whether everything agrees in the end."""
        days: list[asyncio.Task[None]] = []
        weather: asyncio.Task[None] | None = None
        try:
            await self._open()
            await self._start()
            await self._within(30, asyncio.gather(*(fleet.start() for fleet in self.fleets)), "terminals sign in")
            days = [asyncio.create_task(fleet.work()) for fleet in self.fleets]
            weather = asyncio.create_task(self._blow())
            await self._torment()
            weather.cancel()
            await self._converge(days)
            await self._compare()
        except TortureError as error:
            self.differences.append(str(error))
        finally:
            for task in filter(None, (weather, *days)):
                task.cancel()
            await asyncio.gather(*filter(None, (weather, *days)), return_exceptions=True)
            await self._close()
        self._leave_evidence()
        return not self.differences

    async def _open(self) -> None:
        slowness = self.settings.slowness
        timeout_ms = int(1_200 * slowness)
        for number, plan in enumerate(ISSUERS):
            behaviour = IssuerSettings(
                plan.name,
                plan.rules,
                Latency(shape="lognormal", ms=12.0, sigma=1.0),
                self._issuer_faults,
                late_ms=2 * timeout_ms,
                seed=self.settings.seed + number,
            )
            issuer = Issuer(self._world.profile(plan.dialect), behaviour, self._world.issuer_macs[plan.name])
            self.issuers.append(issuer)
            line = self._issuer_lines[plan.name]
            line.target = ("127.0.0.1", await issuer.listen(tls=self._world.issuer_tls.get(plan.name)))
            await line.open()
        ports = {name: line.port for name, line in self._issuer_lines.items()}
        write_switch(
            self._world, self.disk.journal, ports, timeout_ms, partitions=self.partitions, workers=self.workers
        )
        for number, fleet in enumerate(FLEETS):
            identities = self._world.identities[fleet.name]
            settings = PersistentSettings(
                self._world.scenario(fleet, (*REFUSED_FOR_NOW, "original_not_found"), strangers=False),
                fleet.name,
                self.settings.rate * len(identities) / self.settings.terminals,
                patience_ms=(800 * slowness, 2_000 * slowness),
                connect_ms=3_000 * slowness,
                reconnect_ms=400,
                sign_in=fleet.signs_in,
                seed=self.settings.seed + 100 + number,
            )
            port = await self._terminal_lines[fleet.name].open()
            tls = self._world.fleet_tls.get(fleet.name)
            profile = self._world.profile(fleet.dialect)
            self.fleets.append(PersistentFleet(profile, settings, identities, host="127.0.0.1", port=port, tls=tls))

    async def _torment(self) -> None:
        """Life after life, until there were enough kills."""
        first = list(self.settings.lives)
        kinds = [kind for kind in LIVES if kind in first]
        weights = [LIVES[kind] for kind in kinds]
        while self.kills.total() < self.settings.kills and not self._is_late():
            kind = first.pop(0) if first else self._draw.choices(kinds, weights)[0]
            if kind in DISK_LIVES and self.workers > 1:
                kind = "worker"
            self._lives += 1
            courses: dict[str, Callable[[], Awaitable[None]]] = {
                "serve": self._live,
                "worker": self._lose_workers,
                "start": self._die_at_the_start,
                "drain": self._die_in_the_drain,
                "failed_sync": self._live_until_a_sync_fails,
                "failed_write": self._live_until_a_write_fails,
                "full_start": self._start_without_room,
                "full_run": self._live_until_there_is_no_room,
            }
            await courses[kind]()
            self._tell_progress(kind)

    def _is_late(self) -> bool:
        seconds = self.settings.seconds
        return bool(seconds) and time.monotonic() - self.begun > seconds

    def _tell_progress(self, kind: str) -> None:
        counters = merge_counters(fleet.counters for fleet in self.fleets)
        self.say(
            f"{time.monotonic() - self.begun:6.1f} s  life {self._lives}: {kind.replace('_', ' ')}; "
            f"kills {self.kills.total()}, answered {counters.answered}, repeats {counters.repeats}, "
            f"wrong {counters.wrong}"
        )

    # --- lives ----------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        await self._start()
        await self._serve()
        await self._kill("while it served")

    async def _lose_workers(self) -> None:
        """Kill some of several workers while the others go on: their successors must find what they have begun."""
        await self._start()
        await self._serve()
        daemon = self._running()
        for _ in range(self._draw.randint(1, 3) if self.workers > 1 else 0):
            running = [pid for pid in _forked(daemon) if _is_running(pid)]
            os.kill(self._draw.choice(running), signal.SIGKILL)
            self.happened["workers killed"] += 1
            await self._serve()
        await self._kill("after workers of it were killed" if self.workers > 1 else "while it served")

    async def _serve(self) -> None:
        """Work for a while, on a disk that may be slow and write in pieces."""
        control = self.disk.control
        control.is_lying = int(self.settings.lying)
        control.sync_delay_us = self._draw.choice((0, 0, 2_000, 20_000, 200_000, 800_000))
        control.short_writes = self._draw.choice((0, 3))
        await asyncio.sleep(self._draw.uniform(0.1, SERVING_S_MAX))

    async def _die_at_the_start(self) -> None:
        """Kill it before it serves: while it loads, replays, repairs or begins to write."""
        if self._daemon is not None:
            await self._kill("while it served")
        self.disk.control.sync_delay_us = self._draw.choice((0, 50_000, 300_000))
        daemon = self._new_daemon()
        starting = asyncio.create_task(daemon.start(ready=False))
        await until(lambda: daemon.child is not None or starting.done(), 60 * self.settings.slowness)
        await asyncio.sleep(self._draw.uniform(0.3, 1.0) * self._start_s)
        if starting.done():
            await self._until_started(daemon, starting)
        try:
            await self._kill("while it started")
        finally:
            starting.cancel()
            with contextlib.suppress(AssertionError, asyncio.CancelledError):
                await starting

    async def _die_in_the_drain(self) -> None:
        await self._start()
        await self._serve()
        daemon = self._running()
        daemon.signal(signal.SIGTERM)
        await asyncio.sleep(self._draw.choice((0.0, 0.05, 0.5, 1.5)) * self._draw.random())
        await self._kill("while it drained", may_have_ended=True)

    async def _live_until_a_sync_fails(self) -> None:
        await self._start()
        await self._serve()
        self.disk.control.failing_syncs = 1
        await self._expect_no_new_work("Input/output error")

    async def _live_until_a_write_fails(self) -> None:
        await self._start()
        await self._serve()
        self.disk.control.failing_writes = 1
        await self._expect_no_new_work("Input/output error")

    async def _live_until_there_is_no_room(self) -> None:
        """Fill its disk while it works: that must be met when half a file is still free for what has begun."""
        await self._start()
        self.disk.control.sync_delay_us = 0
        self.disk.fill()
        usual = [fleet.pause_s for fleet in self.fleets]
        for issuer in self.issuers:
            issuer.faults.clear()
        for fleet in self.fleets:
            fleet.pause_s = HASTE_S  # until half a file is full
        await self._expect_no_new_work(NO_ROOM, 90)
        for fleet, pause_s in zip(self.fleets, usual, strict=True):
            fleet.pause_s = pause_s
        for issuer in self.issuers:
            for rule in self._issuer_faults:
                issuer.faults.add(rule)
        self.disk.empty()

    async def _start_without_room(self) -> None:
        """Kill it, and let it find no room when it comes back: it must say so and end, for its supervisor to try on."""
        if self._daemon is None:
            await self._start()
        await self._kill("while it served")
        self.disk.fill()
        daemon = self._new_daemon()
        with contextlib.suppress(AssertionError):
            await daemon.start(ready=False)
        status = await self._within(20, daemon.ended(60 * self.settings.slowness), "the switch ends without room")
        if status != 1 or NO_ROOM not in daemon.log:
            self.differences.append(f"without room the switch ended with status {status}, and said: {daemon.tail}")
        self.happened["starts without room"] += 1
        self._ended(daemon)
        self.disk.empty()

    async def _expect_no_new_work(self, reason: str, seconds: float = 20) -> None:
        """After a failure of its disk it must say so, and take nothing new in the partitions that it struck; its
        supervisor starts it again.
        """
        self._calm_down()
        daemon = self._running()
        failed: set[int] = set()

        async def says_so() -> bool:
            _, body = await daemon.get("/readyz")
            failed.update(int(found[1] or 0) for found in JOURNAL_FAILED.finditer(body))
            return bool(failed) and reason in body

        try:
            await until(says_so, seconds * self.settings.slowness)
            await daemon.event("the journal cannot be written: no new payment is accepted")
        except (TimeoutError, OSError, AssertionError) as error:
            raise TortureError(
                f"its disk failed ({reason}), and the switch did not say so: {error!r}\n{daemon.tail}"
            ) from error
        self.happened[f"journal failures: {reason}"] += 1
        # What was sent before may still be on its way.
        await asyncio.sleep(0.3 * self.settings.slowness)
        before = self._requests_booked(failed)
        await asyncio.sleep(self._draw.uniform(0.2, 1.0))
        if self._requests_booked(failed) != before:
            self.differences.append("after its disk had failed, the switch went on to forward new requests")
        if self._draw.random() < 0.5:
            daemon.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await daemon.ended(1.0)
        await self._kill("after its disk had failed", may_have_ended=True)
        self._is_calm = False

    def _requests_booked(self, partitions: set[int]) -> int:
        """Requests of terminals of these partitions that issuers know."""
        terminals = [entry.terminal for issuer in self.issuers for entry in issuer.ledger.entries]
        return sum(partition_of(terminal, self.partitions) in partitions for terminal in terminals)

    # --- the switch -----------------------------------------------------------------------------------------------

    def _new_daemon(self) -> Daemon:
        self.disk.control.is_lying = 0
        self._daemon = daemon = Daemon(self._world.config, environment=self._environment)
        daemon.start_seconds = 60 * self.settings.slowness
        return daemon

    def _running(self) -> Daemon:
        if self._daemon is None:
            raise AssertionError("the switch is not running")
        return self._daemon

    async def _start(self) -> None:
        """Start the switch, unless it runs, and lead the terminals' lines to it.

        Raises:
            TortureError: It did not start.
        """
        if self._daemon is not None:
            return
        daemon = self._new_daemon()
        begun = time.monotonic()
        await self._until_started(daemon, asyncio.create_task(daemon.start(ready=False)))
        listening = until(lambda: len(daemon.said("listening")) >= self.workers * len(FLEETS), 60)
        await self._within(60, listening, "all workers listen")
        daemon.note_ports()
        self._start_s = time.monotonic() - begun
        for name, line in self._terminal_lines.items():
            line.target = ("127.0.0.1", daemon.ports[name])

    async def _until_started(self, daemon: Daemon, starting: asyncio.Task[Any]) -> None:
        try:
            await starting
        except AssertionError as error:
            raise TortureError(f"the switch did not start: {error}") from error
        for line in daemon.said("journal replayed"):
            self.happened["requests found open by a replay"] += line["ended"]
            self.happened["torn tails cut off"] += line["torn_bytes"] > 0

    async def _kill(self, when: str, *, may_have_ended: bool = False) -> None:
        """SIGKILL; sometimes the machine's power goes with it."""
        daemon = self._running()
        for line in self._terminal_lines.values():
            line.target = None
        if daemon.child is None or daemon.child.returncode is not None:
            if not may_have_ended:
                raise TortureError(f"the switch ended by itself {when}:\n{daemon.tail}")
        else:
            daemon.kill()
            await daemon.child.wait()
            # Its workers die with it, each at its own moment.
            await self._within(
                10, until(lambda: not any(map(_is_running, _forked(daemon))), 10), "its workers are gone"
            )
            self.kills[when] += 1
        if self.settings.lying or self._draw.random() < 0.5:
            self.power_losses += 1
            self.bytes_lost += self.disk.lose_power(whole=self.settings.lying)
        else:
            self.disk.come_back()
        self.disk.control.sync_delay_us = 0
        self.disk.control.short_writes = 0
        self._ended(daemon)

    def _ended(self, daemon: Daemon) -> None:
        self._daemon = None
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        number = len(list(logs.iterdir()))
        (logs / f"{number:04d}.log").write_text(daemon.log)
        if "Traceback" in daemon.log:
            self.differences.append(f"a traceback stands in logs/{number:04d}.log")

    # --- trouble on the lines -------------------------------------------------------------------------------------

    async def _blow(self) -> None:
        """Something goes wrong on some line, again and again."""
        draw = self._weather
        while True:
            await asyncio.sleep(draw.expovariate(1.5))
            if self._is_calm:
                continue
            line = draw.choice([*self._terminal_lines.values(), *self._issuer_lines.values()])
            trouble = draw.choice(("reset", "reset", "vanish", "break", "stall"))
            if trouble == "reset":
                line.reset_all()
            elif trouble == "vanish":
                line.vanish()
            else:
                line.break_off() if trouble == "break" else line.stall()
                asyncio.get_running_loop().call_later(draw.uniform(0.1, 1.5), line.mend)

    def _calm_down(self) -> None:
        self._is_calm = True
        for line in (*self._terminal_lines.values(), *self._issuer_lines.values()):
            line.mend()

    # --- the end --------------------------------------------------------------------------------------------------

    async def _converge(self, days: list[asyncio.Task[None]]) -> None:
        """No faults any more: all must come to rest by itself."""
        self._calm_down()
        self.disk.heal()
        for issuer in self.issuers:
            issuer.faults.clear()
        await self._start()
        for fleet in self.fleets:
            fleet.finish()
        await self._within(90, asyncio.gather(*days), "terminals know what became of their payments")
        daemon = self._running()

        async def is_quiet() -> bool:
            status = await daemon.status()
            return status["in_flight"] == 0 and status["reversals_waiting"] == 0

        await self._within(90, until(is_quiet, 90 * self.settings.slowness), "nothing is in flight or owed")
        daemon.signal(signal.SIGTERM)
        status = await self._within(30, daemon.ended(30 * self.settings.slowness), "the switch drains")
        if status != 0:
            self.differences.append(f"the last drain ended with status {status}:\n{daemon.tail}")
        self._ended(daemon)

    async def _within(self, seconds: float, work: Awaitable[Any], words: str) -> Any:
        try:
            async with asyncio.timeout(seconds * self.settings.slowness):
                return await work
        except TimeoutError:
            tail = "" if self._daemon is None else "\n" + self._daemon.tail
            raise TortureError(f"it never came about that {words}{tail}") from None

    async def _compare(self) -> None:
        for fleet in self.fleets:
            await fleet.stop()
        counters = merge_counters(fleet.counters for fleet in self.fleets)
        if counters.missing or counters.wrong:
            self.differences.append(f"answers: {counters.missing} missing, {counters.wrong} wrong")
            self.differences += counters.problems
        verified = json.loads(await self._tool("journal verify"))
        if not verified["whole"] or verified["open_requests"] or verified["open_reversals"]:
            self.differences.append(f"the journal: {verified}")
        records = [json.loads(line) for line in (await self._tool("journal dump")).splitlines()]
        receipts = [receipt for fleet in self.fleets for receipt in fleet.receipts]
        ledgers = [issuer.ledger for issuer in self.issuers]
        self.comparison = Comparison(receipts, ledgers, records, self.partitions)
        self.differences += self.comparison.differences
        owed = json.loads(await self._tool("reversals list"))
        if owed["count"]:
            self.differences.append(f"reversals list: {owed}")
        await self._trace_some(receipts)

    async def _trace_some(self, receipts: list[Receipt]) -> None:
        """Ask for the life of some payments, as somebody with the slip in the hand would."""
        numbered = [receipt for receipt in receipts if receipt.rrn and receipt.kind not in WITHOUT_MONEY]
        for receipt in self._draw.sample(numbered, min(len(numbered), self.settings.traces)):
            found = json.loads(await self._tool("trace", receipt.rrn))["transactions"]
            self.differences += compare_trace(receipt, found)

    async def _tool(self, command: str, *arguments: str) -> str:
        """What the project's own tool says of the journal."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "switch", *command.split(), str(self._world.config), *arguments, "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await child.communicate()
        if child.returncode and not (command == "trace" and out):
            raise TortureError(f"{command} {arguments} ended with status {child.returncode}: {errors.decode()}")
        return out.decode()

    async def _close(self) -> None:
        if self._daemon is not None and self._daemon.child is not None:
            daemon = self._daemon
            daemon.kill()
            await daemon.child.wait()
            self._ended(daemon)
        for fleet in self.fleets:
            await fleet.stop()
        for line in (*self._terminal_lines.values(), *self._issuer_lines.values()):
            await line.close()
        for issuer in self.issuers:
            await issuer.stop()

    def _leave_evidence(self) -> None:
        """Everything that shows what happened."""
        for fleet in self.fleets:
            write_receipts(self.folder / f"receipts-{fleet.settings.name}.json", fleet.receipts)
        for issuer in self.issuers:
            issuer.ledger.write(self.folder / f"ledger-{issuer.settings.name}.json")
        (self.folder / "differences.txt").write_text("\n".join(self.differences) + "\n")


def _forked(daemon: Daemon) -> list[int]:
    """The processes of all workers that it ever had; none where there is one alone."""
    return [line["pid"] for line in daemon.said("forked") if line["worker"] != "desk"]


def _is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False
