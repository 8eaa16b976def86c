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
from switch.demo.view import Moment, line, picture, print_summary
from switch.demo.world import FLEETS, ISSUERS, World, build_world, write_config
from switch.simulators.fleet import Fleet, FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency
from switch.simulators.receipts import merge_counters
from switch.simulators.setup import spare_collections

if TYPE_CHECKING:
    from rich.console import Console

    from switch.simulators.faults import FaultRule

_LOOK_S = 0.25
_LINE_S = 1.0
_READY_S = 10.0
_TOLERATED = ("timeout", "issuer_unavailable")
_LATENCY = Latency(shape="lognormal", ms=2.0, sigma=0.5)


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


class Demo:
    """One run in a folder of its own."""

    def __init__(self, settings: DemoSettings, folder: Path, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._world: World = build_world(folder, settings.terminals)
        self.issuers: list[Issuer] = []
        """For who wants to disturb them."""
        self._fleets: list[Fleet] = []
        self._daemon = Daemon(self._world.config)
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
        ports = {}
        for number, plan in enumerate(ISSUERS):
            behaviour = IssuerSettings(
                plan.name, plan.rules, _LATENCY, self._settings.faults, seed=self._settings.seed + number
            )
            issuer = Issuer(world.profile(plan.dialect), behaviour, world.issuer_macs[plan.name])
            self.issuers.append(issuer)
            ports[plan.name] = await issuer.listen(tls=world.issuer_tls.get(plan.name))
        write_config(world, ports, self._settings.link_timeout_ms)
        await self._daemon.start()
        await self._until_links_are_up()
        for number, fleet in enumerate(FLEETS):
            identities = world.identities[fleet.name]
            if not identities:
                continue
            host, port = self._daemon.listeners[fleet.name]
            settings = FleetSettings(
                world.scenario(fleet, _TOLERATED if self._settings.faults else ()),
                fleet.name,
                rate=self._settings.rate * len(identities) / self._settings.terminals,
                sign_in=fleet.signs_in,
                seed=self._settings.seed + 100 + number,
            )
            tls = world.fleet_tls.get(fleet.name)
            self._fleets.append(
                Fleet(world.profile(fleet.dialect), settings, identities, host=host, port=port, tls=tls)
            )
        try:
            await asyncio.gather(*(fleet.start() for fleet in self._fleets))
        except (OSError, TimeoutError) as error:
            raise DaemonError(f"a terminal could not sign in: {error!r}\n" + "\n".join(self._daemon.lines)) from error

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
        try:
            await asyncio.gather(*(fleet.work(self._settings.seconds) for fleet in self._fleets))
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

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
                moment = Moment(now - begun, self._settings.seconds, rate, counters, by_fleet, self._status)
                if isinstance(live, Live):
                    live.update(picture(moment), refresh=True)
                else:
                    self._console.print(line(moment), markup=False, soft_wrap=True)

    async def _end(self) -> bool:
        """Hang up and drain the switch; whether it ended well."""
        for fleet in self._fleets:
            await fleet.stop()
        status = await self._daemon.drain()
        if status:
            self._console.print(f"the switch ended with status {status}:", *self._daemon.lines, sep="\n", markup=False)
        return status == 0

    def _conclude(self, elapsed_s: float) -> bool:
        counters = merge_counters(fleet.counters for fleet in self._fleets)
        ledgers = [issuer.ledger for issuer in self.issuers]
        result = reconcile((receipt for fleet in self._fleets for receipt in fleet.receipts), ledgers)
        print_summary(self._console, counters, ledgers, result, elapsed_s)
        return result.agrees and not counters.missing and not counters.wrong and counters.answered > 0

    def _interrupt(self) -> None:
        """Ctrl-C: begin nothing more; what is in flight is still answered and reconciled."""
        self._interrupted = True
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
