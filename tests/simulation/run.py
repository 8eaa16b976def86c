"""One run: trouble first, then everything heals and must come to rest with all books in agreement."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from switch.wire.framing import FrameError

from .acquirer import Acquirer
from .checker import Checker, Violation
from .clock import MS, SECOND, Clock
from .concentrator import share_connections
from .issuer import Issuer
from .journal_checker import Written, compare_journals
from .network import Weather
from .tally import Tally
from .terminal import Terminal
from .world import LINKS, the_world

if TYPE_CHECKING:
    from .options import Options
    from .storage import Storage

TROUBLE_NS_MAX = 60 * SECOND
STEPS_TO_CRASH_MAX = 60
ALL_DISKS = 0.15
"""How likely what strikes one disk strikes all."""

REST_NS_MAX = 300 * SECOND
"""Within this time after the last trouble everything must have come to rest."""

BY_HAND_NS_MAX = 20 * SECOND
"""So much longer, where an operator has to see to what issuers do not find."""


@dataclass
class Result:
    """What came of a run."""

    options: Options
    violations: list[Violation]
    tally: Tally
    trace: list[str] = field(default_factory=list)

    @property
    def invariants(self) -> frozenset[str]:
        """What was broken."""
        return frozenset(one.invariant for one in self.violations)


class Run:
    """One seed's world."""

    def __init__(self, options: Options) -> None:
        world = the_world(options.setting)
        self.options = options
        self.tally = Tally(runs=1)
        self.clock = Clock()
        self.checker = Checker(self.clock, options)
        self.rates = options.rates()
        self.draw = options.stream("trouble")
        self.weather = Weather(self.clock, options.stream("weather"), self.rates, self.tally)
        self.issuers = [
            Issuer(world, options, self.clock, self.checker, self.tally, number) for number in range(len(LINKS))
        ]
        self.acquirer = Acquirer(world, options, self.clock, self.weather, self.issuers, self.checker, self.tally)
        self.terminals = [
            Terminal(world, options, self.clock, self.acquirer, self.checker, self.tally, number)
            for number in options.terminals
        ]
        share_connections(self.acquirer, options, self.terminals)
        self._busy = list(self.terminals)
        self.has_healed = False
        self._steps_to_crash = 0
        self._crash_takes_power = False
        self._steps_to_kill = 0
        self._kill = self.acquirer.workers[0].kill

    def execute(self) -> Result:
        """Let it all happen."""
        self.acquirer.start()
        for terminal in self.terminals:
            terminal.start()
        self._trouble()
        step, violations = self._step, self.checker.violations
        while not violations and not self._is_served() and step(TROUBLE_NS_MAX):
            if self._steps_to_crash:
                self._steps_to_crash -= 1
                if not self._steps_to_crash:
                    self.acquirer.kill(loses_power=self._crash_takes_power)
            if self._steps_to_kill:
                self._steps_to_kill -= 1
                if not self._steps_to_kill:
                    self._kill()
        self._heal()
        limit_ns = self.clock.now_ns + REST_NS_MAX
        while not violations and not self._is_at_rest() and step(limit_ns):
            pass
        if not violations and not self._is_at_rest():
            self._settle_by_hand()
        if not violations:
            self._judge()
        self.tally.virtual_seconds += self.clock.now_ns / SECOND
        self.tally.stand_ins += sum(one.stood_in for one in self.checker.payments.values())
        self.tally.outcomes.update(one.state for one in self.checker.payments.values())
        return Result(self.options, violations, self.tally)

    def _step(self, until_ns: int) -> bool:
        """Let the next event happen; peers whose stream cannot be read any more say so."""
        try:
            return self.clock.step(until_ns)
        except FrameError as error:
            self.checker.report("format", f"a stream of the switch's cannot be read: {error}")
            return True

    def _is_served(self) -> bool:
        while self._busy and self._busy[-1].is_done:
            self._busy.pop()
        return not self._busy

    def _is_at_rest(self) -> bool:
        return self.clock.errands == 0 and self._is_served() and self.acquirer.is_quiet

    def _trouble(self) -> None:
        """Now and then something happens to the switch or to an issuer as a whole."""
        if self.has_healed:
            return
        if self._happens("flap"):
            self.draw.choice(self.issuers).go_away(int(self.draw.random() * 8 * SECOND))
        if self._happens("outage", 0.5):
            for_ns = int(self.draw.random() * 20 * SECOND)
            for issuer in self.issuers:
                issuer.go_away(for_ns)
        if self._happens("rest"):
            self.draw.choice(self.issuers).rest(int(self.draw.random() * 5 * SECOND))
        if self._happens("jump"):
            self.clock.wall_skew_s += self.draw.choice((-7_200, -90, -2, 1, 45, 3_600))
        if self._happens("operator"):
            self.acquirer.operate(self.draw)
        if self.acquirer.storages:
            self._trouble_the_switch(self.acquirer.storages)
        if self.options.workers > 1:
            self._trouble_the_mesh()
        self.clock.after(self.draw.randrange(100, 1_000) * MS, self._trouble)

    def _trouble_the_switch(self, storages: list[Storage]) -> None:
        """End it in one of many ways, or let a disk fail."""
        if not self.acquirer.is_up:
            return
        if self._happens("drain"):
            self.acquirer.drain()
        if self._happens("crash"):
            if self.draw.random() < 0.5:
                self._crash_soon(takes_power=False)
            else:
                self.acquirer.kill_within(self.draw.randrange(1, 12))
        if self._happens("power"):
            self._crash_soon(takes_power=True)
        for fault in ("failed_disk", "full_disk"):
            if self._happens(fault, 0.3):
                for storage in self._struck(storages):
                    storage.fail(fault)
        if self._happens("bit_rot", 0.3) and self.acquirer.draw_disks.choice(storages).disk.rot():
            self.acquirer.kill(loses_power=False)

    def _trouble_the_mesh(self) -> None:
        """End one of several workers, or all of a node, or a connection between two of them."""
        if self._happens("killed_worker"):
            self._kill = self.draw.choice(self.acquirer.workers).kill
            self._steps_to_kill = self.draw.randrange(1, STEPS_TO_CRASH_MAX)
        if self.options.nodes > 1 and self._happens("lost_node"):
            self._kill = partial(self.acquirer.lose_node, self.draw.randrange(self.options.nodes))
            self._steps_to_kill = self.draw.randrange(1, STEPS_TO_CRASH_MAX)
        if self._happens("old_copy"):
            self.draw.choice(self.acquirer.workers).take_or_try_a_copy()
        for fault in ("broken_mesh", "one_way_mesh", "stalled_mesh"):
            if self._happens(fault):
                self.acquirer.mesh.trouble(fault)

    def _struck(self, storages: list[Storage]) -> list[Storage]:
        """One of the disks, now and then all: where they are parts of one."""
        draw = self.acquirer.draw_disks
        return storages if draw.random() < ALL_DISKS else [draw.choice(storages)]

    def _crash_soon(self, *, takes_power: bool) -> None:
        """After so many events from now: whatever stands between two of them, a crash must find it at times."""
        self._steps_to_crash = self.draw.randrange(1, STEPS_TO_CRASH_MAX)
        self._crash_takes_power = takes_power

    def _happens(self, fault: str, share: float = 1.0) -> bool:
        if self.rates[fault] and self.draw.random() < self.rates[fault] * share:
            self.tally.fault(fault)
            return True
        return False

    def _heal(self) -> None:
        self.has_healed = True
        self.weather.clear_up()
        self.acquirer.calm_down()
        for issuer in self.issuers:
            issuer.calm_down()
        for terminal in self.terminals:
            terminal.calm_down()

    def _settle_by_hand(self) -> None:
        """An issuer may for ever find nothing to take back, and only an operator may give that up."""
        limit_ns = self.clock.now_ns + BY_HAND_NS_MAX
        while not self.checker.violations and not self._is_at_rest() and self._step(limit_ns):
            if self._is_served():
                self.acquirer.close_what_was_never_booked()

    def _judge(self) -> None:
        engines = self.acquirer.engines
        if not self._is_at_rest():
            busy = sum(not one.is_done for one in self.terminals)
            self.checker.report(
                "convergence",
                f"{REST_NS_MAX // SECOND} s after trouble {sum(one.in_flight for one in engines)} requests in flight, "
                f"{sum(one.owed for one in engines)} reversals owed, {busy} busy",
            )
        self.checker.settle()
        if self.acquirer.storages and not self.checker.violations:
            self.acquirer.finish()
            journals = [
                Written(storage.records(), storage.payment_events(), could_be_read=not storage.disk.ever_rotted)
                for storage in self.acquirer.storages
            ]
            compare_journals(self.checker, journals, was_ended=self.tally.endings + self.tally.partings > 0)


def execute(options: Options, *, traced: bool = False) -> Result:
    """Make one run; its world is given back at once."""
    run = Run(options)
    run.clock.trace = [] if traced else None
    result = run.execute()
    result.trace = run.clock.trace or []
    gc.collect(0)
    return result
