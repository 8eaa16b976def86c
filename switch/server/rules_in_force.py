"""What risk rules, BIN table and links a worker goes by: put in each other's place between two messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from switch.base.log import get_logger
from switch.config import LinkSection
from switch.machine.state import State
from switch.mesh.counts import PeerCounts
from switch.mesh.peer import Peer
from switch.server.place import Place
from switch.tables.count_log import CountLog
from switch.tables.registry import Registry
from switch.tables.risk import Risk
from switch.tables.routes import RouteTable

if TYPE_CHECKING:
    from switch.links.holds import Hold

log = get_logger(__name__)


class RulesInForce:
    """All that uses them, which changes with them.

    Args:
        states: The state machines of the worker.
        count_log: What is counted here, for other machines; None: there is none.
    """

    def __init__(self, states: Sequence[State], count_log: CountLog | None) -> None:
        self._states = states
        self._count_log = count_log
        self._listeners: list[Callable[[Risk], None]] = []
        self._holds: Mapping[str, Hold] = {}
        self._link_users: list[Callable[[Sequence[LinkSection]], None]] = []

    @property
    def risk(self) -> Risk | None:
        """The rules in force."""
        return self._states[0].risk

    @property
    def registry(self) -> Registry:
        """Where rules look terminals and merchants up."""
        return self._states[0].registry

    def add_listener(self, told: Callable[[Risk], None]) -> None:
        """Whoever else goes by the rules is called with new ones."""
        self._listeners.append(told)

    def use_routes(self, routes: RouteTable) -> None:
        """Send cards by another table from now on."""
        for state in self._states:
            state.use_routes(routes)

    def add_link_user(self, use: Callable[[Sequence[LinkSection]], None]) -> None:
        """Whoever goes by what links' sections say is called with others."""
        self._link_users.append(use)

    def use_links(self, sections: Sequence[LinkSection]) -> None:
        """Go by these from now on, each of one link in their order."""
        for use in self._link_users:
            use(sections)

    @property
    def holds(self) -> Mapping[str, Hold]:
        """The links that are held out, by name."""
        return self._holds

    def use_holds(self, holds: Iterable[Hold]) -> None:
        """Hold out these links from now on, and no others. What this switch does not have is passed over, and said."""
        connections = {link.name: link.connections for link in self._states[0].links}
        wanted = {hold.link: hold for hold in holds}
        for name in wanted.keys() - connections.keys():
            log.warning("a link is held out, and not configured", link=name)
        for name, one in connections.items():
            hold = wanted.get(name)
            held = "nothing" if hold is None else hold.held
            if one.held == held:
                continue
            one.hold_back(held)
            if hold is None:
                log.info("link released", link=name)
            else:
                log.warning("link held out", link=name, held=held, who=hold.who, why=hold.why)
        self._holds = {name: hold for name, hold in wanted.items() if name in connections}

    def use_risk(self, risk: Risk, *, is_serving: bool) -> None:
        """Refuse by other rules from now on.

        Args:
            risk: The rules, which go on with the windows of those in force.
            is_serving: Whether journals were replayed: what they know is counted no more, since what this worker has
                written into them since then is counted already.
        """
        if self._count_log is not None:
            risk.use_log(self._count_log)
        risk.windows.clock_offset_ms = risk.clock_offset_ms
        for state in self._states:
            state.use_risk(risk)
            if is_serving and risk.windows.begin_history(state.partition) is not None:
                risk.windows.end_history(state.partition)
        for told in self._listeners:
            told(risk)


def share_counts(place: Place, rules: RulesInForce, peers: Sequence[Peer]) -> None:
    """Let workers of other machines know what is counted here, and count what they tell.

    Args:
        place: Of this worker.
        rules: What it goes by.
        peers: Those workers.
    """
    log, stand_ins, risk = place.count_log, list(place.stand_ins), rules.risk
    if log is None:
        return
    if risk is not None:
        risk.use_log(log)
    for number, stand_in in enumerate(stand_ins):
        if stand_in is not None:
            stand_in.use_log(log, number)
    for number, (worker, peer) in enumerate(zip(place.far, peers, strict=True)):
        told = log if place.tells_counts(worker) else None
        counts = PeerCounts(number, place.counts_heard, stand_ins, risk, told)
        peer.share_counts(counts)
        rules.add_listener(counts.use_risk)
