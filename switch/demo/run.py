"""The demo's course: build, start, watch, drain, reconcile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from rich.live import Live

from switch.admin.client import AdminClient, AdminError
from switch.config.models import parse_address
from switch.demo.daemon import Daemon, DaemonError
from switch.demo.reconcile import reconcile
from switch.demo.trouble import Trouble
from switch.demo.view import Moment, line, picture, print_summary
from switch.demo.world import FLEETS, ISSUERS, World, build_world, write_config
from switch.journaling.findings import Findings
from switch.journaling.opening import open_reader
from switch.keys import load_master_key
from switch.replay import JournalDamaged
from switch.simulators.fleet import Fleet, FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency
from switch.simulators.receipts import merge_counters
from switch.simulators.setup import spare_collections
from switch.simulators.tills import Tills, TillSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from switch.demo.trouble import Happening
    from switch.demo.world import FleetPlan
    from switch.simulators.faults import FaultRule

_LOOK_S = 0.25
_LINE_S = 1.0
_READY_S = 10.0
_TOLERATED = ("timeout", "issuer_unavailable")
_TOLERATED_IN_TROUBLE = (*_TOLERATED, "system_malfunction")
_LATENCY = Latency(shape="lognormal", ms=2.0, sigma=0.5)
_LATENCY_IN_TROUBLE = Latency(shape="lognormal", ms=30.0, sigma=0.8)
"""Long enough that something is always under way when something breaks."""
_LINK_TIMEOUT_MS_IN_TROUBLE = 2_000
_CONVERGENCE_S = 60.0


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
        self._fleets: list[Fleet | Tills] = []
        self._daemon = Daemon(self._world.config)
        self._trouble: Trouble | None = None
        self._status: dict[str, Any] = {}
        self._interrupted = False

    async def run(self) -> bool:
        """The whole course; whether everything was answered rightly and all money is accounted for.

        Raises:
            DaemonError: The switch did not start, or did not drain.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            await self._start()
            begun = loop.time()
            await self._work()
            elapsed_s = loop.time() - begun
            healthy = await self._end()
            return self._conclude(elapsed_s) and healthy
        finally:
            for fleet in self._fleets:
                await fleet.stop()
            await self._daemon.kill()
            for issuer in self.issuers:
                await issuer.stop()

    async def _start(self) -> None:
        world = self._world
        settings = self._settings
        latency = _LATENCY_IN_TROUBLE if settings.trouble else _LATENCY
        ports = {}
        for number, plan in enumerate(ISSUERS):
            behaviour = IssuerSettings(plan.name, plan.rules, latency, settings.faults, seed=settings.seed + number)
            issuer = Issuer(world.profile(plan.dialect), behaviour, world.issuer_macs[plan.name])
            self.issuers.append(issuer)
            ports[plan.name] = await issuer.listen(tls=world.issuer_tls.get(plan.name))
        write_config(world, ports, _LINK_TIMEOUT_MS_IN_TROUBLE if settings.trouble else settings.link_timeout_ms)
        await self._daemon.start()
        await self._until_links_are_up()
        for number, fleet in enumerate(FLEETS):
            if world.identities[fleet.name]:
                self._fleets.append(self._fleet(fleet, settings.seed + 100 + number))
        if settings.trouble:
            first = ISSUERS[0].name
            self._trouble = Trouble(
                self.issuers[0], ports[first], world.issuer_tls.get(first), self._kill_and_start, self._tell
            )
        try:
            await asyncio.gather(*(fleet.start() for fleet in self._fleets))
        except (OSError, TimeoutError) as error:
            raise DaemonError(f"a terminal could not sign in: {error!r}\n" + "\n".join(self._daemon.lines)) from error

    def _fleet(self, plan: FleetPlan, seed: int) -> Fleet | Tills:
        world, wanted = self._world, self._settings
        identities = world.identities[plan.name]
        rate = wanted.rate * len(identities) / wanted.terminals
        host, port = self._daemon.listeners[plan.name]
        profile, tls = world.profile(plan.dialect), world.fleet_tls.get(plan.name)
        if wanted.trouble:
            scenario = world.scenario(plan, _TOLERATED_IN_TROUBLE, strangers=False)
            behaviour = TillSettings(scenario, plan.name, rate, sign_in=plan.signs_in, seed=seed)
            return Tills(profile, behaviour, identities, host=host, port=port, tls=tls)
        scenario = world.scenario(plan, _TOLERATED if wanted.faults else ())
        settings = FleetSettings(scenario, plan.name, rate=rate, sign_in=plan.signs_in, seed=seed)
        return Fleet(profile, settings, identities, host=host, port=port, tls=tls)

    async def _kill_and_start(self) -> Mapping[str, Any]:
        """Kill the switch, and start it again as a supervisor would; terminals learn where it is."""
        await self._daemon.kill()
        self._status = {}
        for fleet in self._fleets:
            fleet.port = 0
        self._daemon = Daemon(self._world.config)
        await self._daemon.start()
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
        client = AdminClient(parse_address(self._daemon.admin))
        with contextlib.suppress(AdminError):
            self._status = await asyncio.to_thread(client.status)

    async def _work(self) -> None:
        watcher = asyncio.create_task(self._watch())
        if self._interrupted:
            return
        seconds = self._settings.seconds
        course = None if self._trouble is None else asyncio.create_task(self._trouble.take_its_course(seconds))
        try:
            async with asyncio.timeout(None if course is None else seconds + _CONVERGENCE_S):
                await asyncio.gather(*(fleet.work(seconds) for fleet in self._fleets))
            if course is not None:
                await course
        except TimeoutError:
            self._console.print("terminals still do not know what became of their payments", markup=False)
        finally:
            tasks = [watcher] if course is None else [watcher, course]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Show what goes on, until cancelled."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        looked_at, seen = begun, 0
        drawing = self._console.is_terminal
        live = Live(console=self._console, auto_refresh=False, transient=True) if drawing else contextlib.nullcontext()
        with live:
            while True:
                await asyncio.sleep(_LOOK_S if drawing else _LINE_S)
                await self._ask_status()
                now = loop.time()
                counters = merge_counters(fleet.counters for fleet in self._fleets)
                rate = (counters.answered - seen) / (now - looked_at)
                looked_at, seen = now, counters.answered
                by_fleet = {fleet.settings.name: fleet.counters for fleet in self._fleets}
                happenings = () if self._trouble is None else tuple(self._trouble.happenings)
                moment = Moment(now - begun, self._settings.seconds, rate, counters, by_fleet, self._status, happenings)
                if isinstance(live, Live):
                    live.update(picture(moment), refresh=True)
                else:
                    self._console.print(line(moment), markup=False, soft_wrap=True)

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
            async with asyncio.timeout(_CONVERGENCE_S):
                while not self._status or self._status["reversals_waiting"] or self._status["in_flight"]:
                    await asyncio.sleep(_LOOK_S)
                    await self._ask_status()

    def _conclude(self, elapsed_s: float) -> bool:
        counters = merge_counters(fleet.counters for fleet in self._fleets)
        ledgers = [issuer.ledger for issuer in self.issuers]
        result = reconcile((receipt for fleet in self._fleets for receipt in fleet.receipts), ledgers)
        for happening in () if self._trouble is None else self._trouble.happenings:
            self._console.print(str(happening), markup=False, soft_wrap=True)
        print_summary(self._console, counters, ledgers, result, elapsed_s)
        well = result.agrees and not counters.missing and not counters.wrong and counters.answered > 0
        if self._trouble is not None:
            well = self._nothing_is_open() and (self._trouble.is_complete or self._interrupted) and well
        return well

    def _nothing_is_open(self) -> bool:
        """Read the journal from its beginning; whether it is whole and everything in it has come to its end."""
        findings = Findings()
        folder = self._world.folder
        try:
            findings.read(open_reader(folder / "journal", load_master_key(folder / "master.key", None)))
        except (OSError, JournalDamaged) as error:
            self._console.print(f"the journal cannot be read: {error}", markup=False, soft_wrap=True)
            return False
        still_open = findings.open_requests + findings.open_reversals
        self._console.print(
            f"journal: {findings.records.total():,} records, whole; {findings.records['REVERSED']:,} reversals "
            f"acknowledged by issuers; still open: {still_open:,}",
            soft_wrap=True,
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
