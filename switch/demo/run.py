"""The demo's course: build, start, watch, drain, reconcile."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from rich.live import Live

from switch.admin.client import AdminClient, AdminError
from switch.config.addresses import parse_address
from switch.demo.added_latency import AddedLatency
from switch.demo.bookkeeping import audit, print_audit
from switch.demo.daemon import Daemon, DaemonError
from switch.demo.daemon_figures import Figures, ask_figures, processor_time
from switch.demo.injected_faults import InjectedFaults
from switch.demo.picture import HEIGHT_MIN, WIDTH_MIN, picture
from switch.demo.reconcile import reconcile
from switch.demo.view import Moment, line, print_summary
from switch.demo.world import FLEETS, ISSUERS, World, build_world, write_config
from switch.journal.findings import Findings
from switch.journal.opening import open_partitions
from switch.journal.problems import JournalError
from switch.journal.replay import JournalDamaged
from switch.keys import KeyFile, load_master_key
from switch.keys.journal_keys import journal_keys
from switch.simulators.end_signals import when_ended
from switch.simulators.fleet import Fleet
from switch.simulators.fleet_settings import FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency
from switch.simulators.receipts import merge_counters
from switch.simulators.repeating_terminals import PersistentFleet, PersistentSettings
from switch.simulators.setup import spare_collections
from switch.simulators.tasks import BackgroundTasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from switch.demo.injected_faults import Happening
    from switch.demo.world import FleetPlan
    from switch.simulators.faults import FaultRule

_LOOK_S = 0.25
_LINE_S = 1.0
_FIGURES_EVERY = 4
"""Looks for one question after the switch's metrics, which are many."""
_RATES_KEPT = 400
_READY_S = 10.0
_TOLERATED = ("timeout", "issuer_unavailable")
_TOLERATED_IN_TROUBLE = (*_TOLERATED, "system_malfunction")
_LATENCY = Latency(shape="lognormal", ms=2.0, sigma=0.5)
_LATENCY_IN_TROUBLE = Latency(shape="lognormal", ms=30.0, sigma=0.8)
"""Long enough that something is always under way when something breaks."""
_LINK_TIMEOUT_MS_IN_TROUBLE = 2_000
CONVERGENCE_S = 60.0
"""How long the end waits for what is owed to issuers."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the command line asks for."""

    seconds: float = 30.0
    rate: float = 300.0
    """Requests a second of all terminals together."""
    terminals: int = 60
    seed: int = 1
    faults: tuple[FaultRule, ...] = ()
    """What goes wrong at the issuers; terminals then take a time-out for an answer."""
    link_timeout_ms: int = 5_000
    trouble: bool = False
    """Break a line on the way, and kill the switch."""


class Demo:
    """One run in a folder of its own."""

    def __init__(self, settings: DemoSettings, folder: Path, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._world: World = build_world(folder, settings.terminals)
        self.issuers: list[Issuer] = []
        """For who wants to disturb them."""
        self._fleets: list[Fleet | PersistentFleet] = []
        self._daemon = Daemon(self._world.config)
        self._trouble: InjectedFaults | None = None
        self._status: dict[str, Any] = {}
        self._figures = Figures()
        self._figures_before = Figures()
        """Of the processes that were killed."""
        self._idle_s = 0.0
        """Processor time that the switch had used when it began to serve."""
        self._added = AddedLatency()
        self._rates: deque[float] = deque(maxlen=_RATES_KEPT)
        self._begun = 0.0
        self._worked_s = 0.0
        self._interrupted = False

    async def run(self) -> bool:
        """The whole course; whether everything was answered rightly and all money is accounted for.

        Raises:
            DaemonError: The switch did not start, or did not drain.
        """
        loop = asyncio.get_running_loop()
        when_ended(self._interrupt)
        try:
            await self._start()
            self._idle_s = processor_time(self._daemon.pid)
            self._begun = loop.time()
            await self._work()
            elapsed_s = self._worked_s
            await self._ask_figures()
            healthy = await self._end()
            return self._conclude(elapsed_s) and healthy
        finally:
            async with contextlib.AsyncExitStack() as left:
                for issuer in self.issuers:
                    left.push_async_callback(issuer.stop)
                left.push_async_callback(self._kill)
                for fleet in self._fleets:
                    left.push_async_callback(fleet.stop)

    async def _kill(self) -> None:
        await self._daemon.kill()

    async def _start(self) -> None:
        world = self._world
        settings = self._settings
        latency = _LATENCY_IN_TROUBLE if settings.trouble else _LATENCY
        ports = {}
        for number, plan in enumerate(ISSUERS):
            behaviour = IssuerSettings(plan.name, plan.rules, latency, settings.faults, seed=settings.seed + number)
            issuer = Issuer(world.profile(plan.dialect), behaviour, world.issuer_macs[plan.name])
            issuer.on_answer = self._added.issuer_took
            self.issuers.append(issuer)
            ports[plan.name] = await issuer.listen(tls=world.issuer_tls.get(plan.name))
        write_config(world, ports, _LINK_TIMEOUT_MS_IN_TROUBLE if settings.trouble else settings.link_timeout_ms)
        await self._daemon.start()
        await self._until_links_are_up()
        for number, fleet in enumerate(FLEETS):
            if world.identities[fleet.name]:
                self._fleets.append(self._fleet(fleet, settings.seed + 100 + number))
                self._fleets[-1].on_answer = self._added.terminal_waited
        if settings.trouble:
            first = ISSUERS[0].name
            self._trouble = InjectedFaults(
                self.issuers[0], ports[first], world.issuer_tls.get(first), self._kill_and_start, self._tell
            )
        try:
            await asyncio.gather(*(fleet.start() for fleet in self._fleets))
        except (OSError, TimeoutError) as error:
            raise DaemonError(f"a terminal could not sign in: {error!r}\n" + "\n".join(self._daemon.lines)) from error

    def _fleet(self, plan: FleetPlan, seed: int) -> Fleet | PersistentFleet:
        world, wanted = self._world, self._settings
        identities = world.identities[plan.name]
        rate = wanted.rate * len(identities) / wanted.terminals
        host, port = self._daemon.listeners[plan.name]
        profile, tls = world.profile(plan.dialect), world.fleet_tls.get(plan.name)
        if wanted.trouble:
            scenario = world.scenario(plan, _TOLERATED_IN_TROUBLE, strangers=False)
            behaviour = PersistentSettings(scenario, plan.name, rate, sign_in=plan.signs_in, seed=seed)
            return PersistentFleet(profile, behaviour, identities, host=host, port=port, tls=tls)
        scenario = world.scenario(plan, _TOLERATED if wanted.faults else ())
        settings = FleetSettings(scenario, plan.name, rate=rate, sign_in=plan.signs_in, seed=seed)
        return Fleet(profile, settings, identities, host=host, port=port, tls=tls)

    async def _kill_and_start(self) -> Mapping[str, Any]:
        """Kill the switch, and start it again as a supervisor would; terminals learn where it is."""
        await self._daemon.kill()
        self._status = {}
        self._figures_before, self._figures = self._figures_before + self._figures, Figures()
        for fleet in self._fleets:
            fleet.port = 0
        self._daemon = Daemon(self._world.config)
        await self._daemon.start()
        self._idle_s = processor_time(self._daemon.pid)
        for fleet in self._fleets:
            fleet.host, fleet.port = self._daemon.listeners[fleet.settings.name]
        return self._daemon.replayed

    def _tell(self, happening: Happening) -> None:
        if not self._console.is_terminal:
            self._console.print(str(happening), markup=False, soft_wrap=True)

    async def _until_links_are_up(self) -> None:
        try:
            async with asyncio.timeout(_READY_S):
                while not self._status or any(link["state"] != "up" for link in self._status["links"]):
                    await self._ask_status()
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise DaemonError("the links did not come up:\n" + "\n".join(self._daemon.lines)) from error

    async def _ask_status(self) -> None:
        """Ask the switch what it does; while it is not there nothing is known of it."""
        daemon = self._daemon
        if not daemon.admin:
            return
        try:
            status = await asyncio.to_thread(AdminClient(parse_address(daemon.admin)).status)
        except AdminError:
            status = {}
        if daemon is self._daemon:
            self._status = status

    async def _ask_figures(self) -> None:
        """Ask the switch for its times; while it is not there those of the last look stand."""
        daemon = self._daemon
        if not daemon.admin:
            return
        with contextlib.suppress(OSError):
            figures = await asyncio.to_thread(ask_figures, daemon.admin, daemon.pid, self._idle_s)
            if daemon is self._daemon:
                self._figures = figures

    async def _work(self) -> None:
        """Let terminals work while somebody watches; what fails in any of it ends the demo, and is raised."""
        if self._interrupted:
            return
        seconds = self._settings.seconds
        failed = asyncio.Event()
        tasks = BackgroundTasks(failed.set)
        over = asyncio.Event()
        watcher = tasks.spawn(self._watch(over))
        course = None if self._trouble is None else tasks.spawn(self._trouble.take_its_course(seconds))
        broken = asyncio.ensure_future(failed.wait())
        work = asyncio.gather(*(fleet.work(seconds) for fleet in self._fleets))
        try:
            limit_s = None if course is None else seconds + CONVERGENCE_S
            done, _ = await asyncio.wait((work, broken), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if work in done and course is not None:
                await asyncio.wait((course, broken), return_when=asyncio.FIRST_COMPLETED)
            self._worked_s = asyncio.get_running_loop().time() - self._begun
            if not failed.is_set():
                await self._until_nothing_is_owed()
            over.set()
            await asyncio.wait((watcher, broken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, broken):
                task.cancel()
            ends = await asyncio.gather(work, broken, return_exceptions=True)
            await tasks.put_away()
        if isinstance(ends[0], Exception):
            raise ends[0]
        if not done:
            self._console.print("terminals still do not know what became of their payments", markup=False)

    async def _watch(self, over: asyncio.Event) -> None:
        """Show what goes on, to the end: a screen on a terminal that can draw and has room, else lines."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        looked_at, seen = begun, 0
        console = self._console
        drawing = console.is_terminal and not console.is_dumb_terminal
        drawing = drawing and console.width >= WIDTH_MIN and console.height >= HEIGHT_MIN
        live = Live(console=console, auto_refresh=False, screen=True) if drawing else contextlib.nullcontext()
        looks = 0
        with live:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), _LOOK_S if drawing else _LINE_S)
                await self._ask_status()
                if looks % _FIGURES_EVERY == 0 or not drawing:
                    await self._ask_figures()
                looks += 1
                now = loop.time()
                answered = sum(fleet.counters.answered for fleet in self._fleets)
                self._rates.append((answered - seen) / (now - looked_at))
                looked_at, seen = now, answered
                moment = self._moment(now - begun)
                if isinstance(live, Live):
                    live.update(picture(moment, console.width, console.height), refresh=True)
                else:
                    console.print(line(moment), markup=False, soft_wrap=True)

    def _moment(self, elapsed_s: float) -> Moment:
        """All that is known now."""
        return Moment(
            elapsed_s,
            self._settings.seconds,
            self._rates[-1] if self._rates else 0.0,
            merge_counters(fleet.counters for fleet in self._fleets),
            {fleet.settings.name: fleet.counters for fleet in self._fleets},
            self._status,
            () if self._trouble is None else tuple(self._trouble.happenings),
            tuple(self._rates),
            [answer for issuer in self.issuers for answer in issuer.counters.answer_us],
            tuple(self._added.last_us),
            self._figures_before + self._figures,
        )

    async def _end(self) -> bool:
        """Hang up and drain the switch; whether it ended well."""
        for fleet in self._fleets:
            await fleet.stop()
        await self._until_nothing_is_owed()
        status = await self._daemon.drain()
        if status:
            self._console.print(f"the switch ended with status {status}:", *self._daemon.lines, sep="\n", markup=False)
        return status == 0

    async def _until_nothing_is_owed(self) -> None:
        """Wait for the issuers' acknowledgements: a drain would leave what is in the journal to the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONVERGENCE_S):
                while not self._status or self._status["reversals_waiting"] or self._status["in_flight"]:
                    await asyncio.sleep(_LOOK_S)
                    await self._ask_status()

    def _conclude(self, elapsed_s: float) -> bool:
        moment = self._moment(elapsed_s)
        counters = moment.counters
        ledgers = [issuer.ledger for issuer in self.issuers]
        result = reconcile((receipt for fleet in self._fleets for receipt in fleet.receipts), ledgers)
        for happening in () if self._trouble is None else self._trouble.happenings:
            self._console.print(str(happening), markup=False, soft_wrap=not self._console.is_terminal)
        print_summary(self._console, moment, ledgers, result)
        books = audit(self._world.config, ledgers)
        print_audit(self._console, books)
        well = books.agrees and result.agrees and not counters.missing and not counters.wrong and counters.answered > 0
        if self._trouble is not None:
            well = self._nothing_is_open() and (self._trouble.is_complete or self._interrupted) and well
        return well

    def _nothing_is_open(self) -> bool:
        """Read the journal from its beginning; whether it is whole and everything in it has come to its end."""
        folder = self._world.folder
        found = []
        try:
            with KeyFile.open(folder / "keys.sealed", load_master_key(folder / "master.key")) as file:
                keys = journal_keys(file)
            for one in open_partitions(folder / "journal", keys):
                found.append(Findings())
                found[-1].read(one.reader)
        except (OSError, JournalDamaged, JournalError) as error:
            self._console.print(
                f"the journal cannot be read: {error}", markup=False, soft_wrap=not self._console.is_terminal
            )
            return False
        still_open = sum(findings.open_requests + findings.open_reversals for findings in found)
        records = sum(findings.records.total() for findings in found)
        reversed_ = sum(findings.records["REVERSED"] for findings in found)
        self._console.print(
            f"journal: {records:,} records, whole; {reversed_:,} reversals "
            f"acknowledged by issuers; still open: {still_open:,}",
            soft_wrap=not self._console.is_terminal,
        )
        if still_open:
            self._console.print(
                f"not well: {still_open:,} requests and reversals have not come to their end within "
                f"{CONVERGENCE_S:.0f} s",
                soft_wrap=not self._console.is_terminal,
            )
        return still_open == 0

    def _interrupt(self) -> None:
        """Ctrl-C: begin nothing more; what is in flight is still answered and reconciled."""
        self._interrupted = True
        if self._trouble is not None:
            self._trouble.finish()
        for fleet in self._fleets:
            fleet.finish()


def run_demo(settings: DemoSettings, console: Console) -> bool:
    """Run the demo in a temporary folder, which is removed afterwards.

    Raises:
        DaemonError: The switch did not start, or did not drain.
    """
    spare_collections()
    with tempfile.TemporaryDirectory(prefix="authswitch-demo-") as folder:

        async def course() -> bool:
            return await Demo(settings, Path(folder), console).run()

        return uvloop.run(course())
