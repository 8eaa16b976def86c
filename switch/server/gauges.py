"""What is open, waiting and stored just now, as gauges: each with what it shows where several workers have a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from functools import partial

from switch.base.log import get_logger
from switch.base.log_writer import LogWriter
from switch.base.stats import Stats, StatsError
from switch.crypto.device_counters import DeviceCounters
from switch.machine.link import Link
from switch.machine.link_connections import HOLDS, LinkConnections
from switch.machine.state import State
from switch.mesh.peer import Peer
from switch.path.engine import Engine
from switch.server.risk_histories import uncounted
from switch.tables.risk import Risk

log = get_logger(__name__)

CONNECTION_GAUGES: tuple[tuple[str, str, str, Callable[[LinkConnections], int]], ...] = (
    ("authswitch_link_up", "min", "1 while its issuer can be asked.", lambda link: int(link.state_name == "up")),
    (
        "authswitch_link_held",
        "max",
        "1 while people hold the link out, 2 with what its issuer is owed.",
        lambda link: HOLDS[link.held],
    ),
    ("authswitch_link_connections", "sum", "Connections that are signed on.", lambda link: len(link.channels)),
)

LINK_GAUGES: tuple[tuple[str, str, Callable[[Link], int]], ...] = (
    ("authswitch_link_in_flight", "Requests, reversals and advices at the issuer.", lambda link: link.in_flight),
    (
        "authswitch_reversals_waiting",
        "Reversals that are not acknowledged.",
        lambda link: link.saf.depth - link.saf.advices,
    ),
    ("authswitch_advices_waiting", "Advices that are not acknowledged.", lambda link: link.saf.advices),
)
"""Summed over the partitions, as those of states are."""

STATE_GAUGES: tuple[tuple[str, str, Callable[[State], int]], ...] = (
    ("authswitch_transactions_held", "Places taken in the table of transactions.", lambda s: s.transactions.in_use),
    ("authswitch_transactions_room", "Places for transactions.", lambda s: s.transactions.room),
    ("authswitch_outcomes_held", "Places taken in the duplicate window.", lambda s: s.duplicates.held),
    ("authswitch_outcomes_room", "Places in the duplicate window.", lambda s: s.duplicates.room),
    (
        "authswitch_outcomes_forgotten_early",
        "Outcomes that a recovery found no place for in the duplicate window, though their time was not over.",
        lambda s: s.duplicates.forgotten_early,
    ),
    ("authswitch_refusals_kept", "Refusals of the switch that are remembered.", lambda s: s.duplicates.brief),
    (
        "authswitch_refusals_forgotten_early",
        "Refusals of the switch itself that made room for others before their time.",
        lambda s: s.duplicates.brief_forgotten_early,
    ),
    ("authswitch_reversals_room", "Places in the store of reversals and advices.", lambda s: s.saf.room),
)


def _devices(engine: Engine) -> DeviceCounters:
    return engine.state.base_keys.counters


def _evictions(engine: Engine) -> int:
    risk = engine.state.risk
    return 0 if risk is None else risk.windows.evicted_live


def _uncounted(engine: Engine) -> int:
    return uncounted(engine.state.risk)


def _taken_over(engine: Engine) -> int:
    rules = [link.stand_in for link in engine.state.links if link.stand_in is not None]
    shared = [rule.windows for rule in (engine.state.risk, *rules) if rule is not None]
    return sum(windows.taken_over for windows in shared)


def _terminals(engine: Engine) -> int:
    return engine.state.registry.terminal_count - engine.state.registry.unregistered_count


ENGINE_GAUGES: tuple[tuple[str, str, str, Callable[[Engine], int]], ...] = (
    ("authswitch_terminals", "max", "Terminals registered.", _terminals),
    ("authswitch_pin_devices", "max", "PIN pads whose last key serial number is known.", lambda e: _devices(e).used),
    (
        "authswitch_pin_devices_forgotten",
        "max",
        "PIN pads whose last key serial number made room for another one's.",
        lambda e: _devices(e).evicted,
    ),
    ("authswitch_risk_evictions", "max", "Risk windows given up while they still counted.", _evictions),
    (
        "authswitch_risk_uncounted_journals",
        "max",
        "Journals whose requests of before the start risk control has not counted yet.",
        _uncounted,
    ),
    (
        "authswitch_shared_locks_taken_over",
        "max",
        "Locks of tables that workers share which were left by a worker that died.",
        _taken_over,
    ),
    ("authswitch_draining", "max", "1 while the switch takes no new work.", lambda e: int(e.state.draining)),
)

RULE_COUNTERS: tuple[tuple[str, str, str, Callable[[Risk], list[int]]], ...] = (
    (
        "authswitch_risk_refused_total",
        "refuse",
        "Requests that a rule of risk control has refused.",
        lambda risk: risk.refused,
    ),
    (
        "authswitch_risk_shadow_total",
        "shadow",
        "Requests that a rule in shadow would have refused.",
        lambda risk: risk.shadowed,
    ),
)
"""What is counted by rule, and by each band from which this follows."""

BAND_COUNTER = "authswitch_risk_band_total"
BAND_TEXT = "Requests about which an exit or a band of a rule has decided."

FORMER_SERIES_MAX = 200
"""Of each counter, series of rules that are in force no more and are still told by themselves: the last ones."""

OTHER_RULES = "other"
"""What those before them are called together."""

PEER_GAUGES: tuple[tuple[str, str, str, Callable[[Peer], int]], ...] = (
    ("authswitch_mesh_connected", "min", "1 while it can be given messages.", lambda peer: int(peer.is_up)),
    ("authswitch_mesh_waiting_bytes", "sum", "Bytes for it that wait to be sent.", lambda peer: peer.waiting_bytes),
)

WAITING_FRAMES = "Terminals' messages that wait for a worker that is away."

LOG_GAUGES: tuple[tuple[str, str, str, Callable[[LogWriter], int]], ...] = (
    ("authswitch_log_lines_waiting", "sum", "Log lines that have not been written yet.", lambda writer: writer.waiting),
    (
        "authswitch_log_stuck_seconds",
        "max",
        "For how long whoever reads the log has not taken what is being written.",
        lambda writer: int(writer.stuck_seconds),
    ),
)


class RuleCounters:
    """One counter for each rule of risk control, or for each of its exits and bands.

    Args:
        stats: The shared counters.
        name: Of the counters.
        text: What they count.
        labels: Of each, by the place of what it counts.
        read: What this process has counted, by place.
    """

    def __init__(
        self,
        stats: Stats,
        name: str,
        text: str,
        labels: Mapping[int, Mapping[str, str]],
        read: Callable[[], list[int]],
    ) -> None:
        self._stats = stats
        self._name = name
        self._text = text
        self._labels = labels
        self._read = read
        self._counted = dict.fromkeys(labels, 0)
        self._epoch = -1
        self._indices: Mapping[int, int] = {}
        self._register()

    def take(self) -> None:
        """Count what has come since the last time."""
        self._register()
        counts = self._read()
        for place, index in self._indices.items():
            if counts[place] != self._counted[place]:
                self._stats.add(index, counts[place] - self._counted[place])
                self._counted[place] = counts[place]

    def _register(self) -> None:
        """Whoever has taken other rules before may have retired series that count here still."""
        while (epoch := self._stats.look()) != self._epoch:
            self._indices = {
                place: self._stats.counter(self._name, self._text, labels) for place, labels in self._labels.items()
            }
            self._epoch = epoch


def rule_counters(stats: Stats, risk: Risk) -> list[RuleCounters]:
    """Counters of what rules of risk control refuse, of what those in shadow would, and of their exits and bands."""
    grades = risk.grades
    counters = []
    for name, then, text, read in RULE_COUNTERS:
        labels = {place: {"rule": rule} for place, rule in enumerate(risk.rule_ids) if grades.get(rule, then) == then}
        counters.append(RuleCounters(stats, name, text, labels, partial(read, risk)))
    bands = {place: {"rule": grade, "then": then} for place, (grade, then) in enumerate(grades.items())}
    counters.append(RuleCounters(stats, BAND_COUNTER, BAND_TEXT, bands, lambda: risk.graded))
    for name in (*(name for name, *_ in RULE_COUNTERS), BAND_COUNTER):
        retire_former(stats, name, {*risk.rule_ids})
    return counters


def retire_former(stats: Stats, name: str, in_force: Set[str]) -> None:
    """Tell together what rules have counted that are in force no more, but for the last ones."""
    former = [labels for labels in stats.labels_of(name) if labels["rule"] not in in_force | {OTHER_RULES}]
    gone: dict[tuple[tuple[str, str], ...], list[dict[str, str]]] = {}
    for labels in former[: max(len(former) - FORMER_SERIES_MAX, 0)]:
        gone.setdefault(tuple({**labels, "rule": OTHER_RULES}.items()), []).append(labels)
    for into, some in gone.items():
        stats.retire(name, some, dict(into))


class Gauges:
    """Registers the gauges; ``refresh`` sets them.

    Args:
        engine: The state machines of the worker.
        stats: The shared counters.
        log_writer: What writes the log.
    """

    def __init__(self, engine: Engine, stats: Stats, log_writer: LogWriter) -> None:
        self._engine = engine
        self._stats = stats
        self._log_writer = log_writer
        self._dropped = stats.counter("authswitch_log_lines_dropped_total", "Log lines that were not written.")
        self._dropped_counted = 0
        self._of_log = [(stats.gauge(name, text, rule=rule), read) for name, rule, text, read in LOG_GAUGES]
        self._of_engine = [(stats.gauge(name, text, rule=rule), read) for name, rule, text, read in ENGINE_GAUGES]
        self._of_states = [(stats.gauge(name, text), read) for name, text, read in STATE_GAUGES]
        peers = [] if engine.mesh is None else engine.mesh.peers
        self._of_peers = [
            (stats.gauge(name, text, {"worker": peer.name}, rule), peer, read)
            for name, rule, text, read in PEER_GAUGES
            for peer in peers
        ]
        self._waiting = [
            stats.gauge("authswitch_mesh_waiting_frames", WAITING_FRAMES, {"worker": peer.name}) for peer in peers
        ]
        self._of_rules = [] if engine.state.risk is None else rule_counters(stats, engine.state.risk)
        links = engine.state.links
        self._of_connections = [
            (stats.gauge(name, text, {"link": link.name}, rule), link.connections, read)
            for name, rule, text, read in CONNECTION_GAUGES
            for link in links
        ]
        self._of_links = [
            (stats.gauge(name, text, {"link": link.name}), link.number, read)
            for name, text, read in LINK_GAUGES
            for link in links
        ]

    def use_risk(self, risk: Risk) -> None:
        """Count what other rules refuse from now on; what those before have refused is counted to the last."""
        for counters in self._of_rules:
            counters.take()
        self._of_rules = []
        try:
            self._of_rules = rule_counters(self._stats, risk)
        except StatsError as error:
            log.error("what the rules of risk control refuse is not counted", reason=str(error))  # noqa: TRY400

    def refresh(self) -> None:
        """Set every gauge to what is true now."""
        states = self._engine.partitions.states
        dropped = self._log_writer.dropped
        self._stats.add(self._dropped, dropped - self._dropped_counted)
        self._dropped_counted = dropped
        for index, read_log in self._of_log:
            self._stats.set(index, read_log(self._log_writer))
        for index, read in self._of_engine:
            self._stats.set(index, read(self._engine))
        for counters in self._of_rules:
            counters.take()
        for index, read_state in self._of_states:
            self._stats.set(index, sum(read_state(state) for state in states))
        for index, connections, read_connections in self._of_connections:
            self._stats.set(index, read_connections(connections))
        for index, number, read_link in self._of_links:
            self._stats.set(index, sum(read_link(state.links[number]) for state in states))
        for index, peer, read_peer in self._of_peers:
            self._stats.set(index, read_peer(peer))
        if self._engine.mesh is not None:
            for index, count in zip(self._waiting, self._engine.mesh.waiting_by_peer(), strict=True):
                self._stats.set(index, count)
