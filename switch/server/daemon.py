"""The daemon's life: start, serve, drain at the first SIGTERM, end at once at the second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvloop

from switch import __version__
from switch.admin.health import Readiness
from switch.admin.identity import Identity
from switch.base.log import get_logger
from switch.base.log_writer import LogWriter
from switch.base.start_signals import NOTHING_DONE, EndedWhileStarting, hear_while_starting
from switch.check.parts import Parts, load_parts
from switch.config import Config, load_config
from switch.config.file_descriptors import descriptors_of_worker
from switch.io.connection import Connection, Reactor
from switch.journal.numbers import numbers_keeper
from switch.journal.problems import JournalError
from switch.journal.replay import ReplayStopped
from switch.machine.state import State
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.path.engine import full_tables, in_flight
from switch.server.assembly import build_engine, utc_offset_seconds
from switch.server.fleet import claim_addresses, serve_with_workers, tell_doubts
from switch.server.fronts import AdminFront, DeskFront, Desks, Front, own_status
from switch.server.gauges import Gauges
from switch.server.handover import Handover
from switch.server.heartbeat import beat_counter
from switch.server.introduction import Introduction, worker_name
from switch.server.issuers import Caller, IssuerSide, Receiver, issuer_side
from switch.server.journals import Stores, no_journals
from switch.server.key_exchange import KeyDesks, link_desks
from switch.server.link_keys import LinkKeys
from switch.server.link_settings import LinkSettings
from switch.server.link_status import held_rows, link_rows, why_unready
from switch.server.mates import Mates
from switch.server.nodes import Nodes
from switch.server.note_log import NoteLog
from switch.server.original_lookups import Seeker, old_claims
from switch.server.pin_counters import CounterKeeper
from switch.server.place import Place
from switch.server.process import begin_collections, process_log, protect_memory, raise_descriptor_limit
from switch.server.registry import registry_keeper
from switch.server.risk_histories import count_troubles, wait_for_counts
from switch.server.rulebooks import rulebook_keeper
from switch.server.rules_in_force import RulesInForce, share_counts
from switch.server.saf import SafDesk
from switch.server.signals import Signals
from switch.server.terminals import Door, TerminalPort

HOUSEKEEPING_SECONDS = 0.5
SIGN_OFF_SECONDS = 2.0
ABANDON_SECONDS = 2.0
PARTING_SECONDS = 1.0
DRAIN_POLL_SECONDS = 0.02
TERMINALS_SHOWN = 20
OLDER_COPY = "the journal is an older copy"
LINK_SECONDS = 1.0
"""How long a start waits for a link before other workers are told that it is there."""

log = get_logger(__name__)


class Daemon:
    """One worker: the state machine, its sockets and its admin side. ``run`` returns when it has drained.

    Args:
        config: The configuration.
        parts: What it names, loaded.
        log_writer: What writes the log.
    """

    def __init__(
        self,
        config: Config,
        parts: Parts,
        log_writer: LogWriter,
        place: Place | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._config = config
        self._place = Place.alone(config, parts.key_file) if place is None else place
        self._stats = self._place.stats
        self._notes = NoteLog()
        owned = self._place.owned
        has_journal = config.journal.mode == "files"
        self._stores = Stores(config, self._stats, parts.journal_keys, owned) if has_journal else None
        journals = no_journals(config, owned) if self._stores is None else self._stores.journals
        self._partitions = partitions = self._place.partitions or len(journals)
        self._engine = build_engine(
            config,
            parts,
            self._stats,
            self._notes,
            journals=journals,
            part=self._place.part(partitions),
            stand_ins=self._place.stand_ins,
            devices=self._place.devices,
        )
        self._states = self._engine.partitions.states
        self._link_keys = LinkKeys(config, self._states, self._place.keys, self._stats)
        desks = link_desks(
            config,
            parts.dialects,
            self._engine,
            keys=self._place.keys,
            stats=self._stats,
            take_news=self._link_keys.take_news,
        )
        self._key_desks = KeyDesks(desks, [link.name for link in config.links])
        self._introduction: Introduction | None = None
        self._rules = RulesInForce(self._states, self._place.count_log)
        self._peers = self._meet_others(partitions)
        self._mates: Mates | None = None
        self._nodes: Nodes | None = None
        self._seeker = (
            None
            if self._stores is None
            else Seeker(
                self._engine,
                self._stores.directories,
                parts.journal_keys,
                config.journal.originals_days,
                self._stats,
            )
        )
        devices = self._engine.state.base_keys.counters
        self._counters = CounterKeeper(
            config, devices, self._stats, writes=self._place.number == 0, is_alone=self._place.workers == 1
        )
        self._beats = beat_counter(self._stats, str(self._place.number))
        self._gauges = Gauges(self._engine, self._stats, log_writer)
        self._rules.add_listener(self._gauges.use_risk)
        self._stands_in = any(link.stand_in is not None for link in config.links)
        self._numbers = [
            numbers_keeper(config, state.numbering, self._stats, state.partition) for state in self._states
        ]
        self._started = False
        self._drain_wanted = asyncio.Event()
        self._end_wanted = asyncio.Event()
        self._is_journal_lost = False
        self._ports: list[TerminalPort] = []
        self._issuers: list[IssuerSide] = []
        self._registry = registry_keeper(config, parts, self._engine, self._place, self._stats)
        self._rulebooks = rulebook_keeper(config, parts, self._rules, self._place, self._stats)
        self._saf = SafDesk(self._engine, self._stats, lambda: self._started)
        self._identity = Identity.new(config.switch.name, config.file)
        self.front: Front = (
            AdminFront(config, self._stats, self, Desks(self._saf, self._key_desks), self._identity)
            if handover is None
            else DeskFront(self._place.number, self, Desks(self._saf, self._key_desks), handover)
        )

    def _meet_others(self, partitions: int) -> list[Peer]:
        """Make place for the other workers, none of whom is there yet."""
        names = [worker_name(self._config, self._place, other) for other in self._place.others]
        connections = [link.connections for link in self._engine.state.links]
        peers = [Peer(at, name, self._engine.channels, connections) for at, name in enumerate(names)]
        if peers:
            share_counts(self._place, self._rules, peers[len(self._place.mates) :])
            patience_ms = self._config.limits.partition_wait_ms
            mesh = Mesh(peers, self._place.owners(partitions), patience_ms)
            self._engine.join(mesh)
            journals = {state.partition: state.journal for state in self._states}
            self._introduction = Introduction(self._config, self._place, partitions, journals, mesh.heard)
        return peers

    # --- what the admin side asks ---------------------------------------------------------------------------------

    def live(self) -> bool:
        """The event loop answers: that is what this shows."""
        return True

    def readiness(self) -> Readiness:
        """Whether a load balancer should send terminals here: which condition of answering as configured fails.

        With stand-in payments are answered while no link is up. What one partition lacks of several is no reason: its
        terminals would miss it wherever they came in, and the others would miss more.
        """
        state = self._engine.state
        reasons: list[str] = []
        lacks: list[str] = []
        if not self._started:
            progress = "" if self._stores is None else self._stores.progress
            reasons.append(f"starting: {progress}" if progress else "starting")
        if state.draining:
            reasons.append("draining")
        if self._stores is not None:
            reasons += self._stores.outdated()  # other workers speak to no part of this one any more
        refusing = self._refusing_partitions()
        (reasons if len(refusing) == len(self._states) else lacks).extend(
            why for partition in sorted(refusing) for why in refusing[partition]
        )
        reasons += why_unready(state.links, stands_in=self._stands_in)
        if self._started and self._mates is not None:
            lacks += [f"worker {number} cannot be reached from here" for number in self._mates.missing()]
        followed = (*self._registry.troubles, *self._rulebooks.troubles)
        troubles = [*followed, *self._link_keys.troubles, *count_troubles(state.risk)]
        return Readiness(reasons, lacks, self._is_outdated(), troubles)

    def _is_outdated(self) -> bool:
        return any(state.journal.outdated is not None for state in self._states)

    def _refusing_partitions(self) -> Mapping[int, Sequence[str]]:
        """The partitions that accept no payment, and why."""
        failures = {} if self._stores is None else self._stores.failures()
        found = {
            state.partition: [*failures.get(state.partition, ()), *self._full_tables(state)] for state in self._states
        }
        return {partition: reasons for partition, reasons in found.items() if reasons}

    def _full_tables(self, state: State) -> Sequence[str]:
        where = "" if len(self._states) == 1 else f" in partition {state.partition}"
        return [f"no payment is accepted{where}: limits.{name} is reached" for name in full_tables(state)]

    def status(self) -> Mapping[str, Any]:
        """What is going on, for people and programs."""
        return {
            **own_status(self._config, self._identity, __version__),
            "in_flight": self._engine.in_flight,
            "reversals_waiting": self._engine.owed,
            **old_claims(self._engine),
            "mac_failures": self._worst_terminals(),
            "listeners": [port.status() for port in self._ports],
            "links": link_rows(self._states),
            **held_rows(self._rules.holds),
            **self._rulebooks.status(),
            **({} if self._nodes is None or not self._config.nodes else {"nodes": self._nodes.status()}),
            "partitions": [
                {
                    "number": state.partition,
                    "in_flight": in_flight(state),
                    "reversals_waiting": state.saf.in_use,
                    "outdated": state.journal.outdated or "",
                }
                for state in self._states
            ],
        }

    def _worst_terminals(self) -> list[dict[str, object]]:
        """The terminals with the most requests whose MAC was wrong or missing."""
        failures = self._engine.state.terminal_mac_failures()
        worst = sorted(failures.items(), key=lambda each: each[1], reverse=True)[:TERMINALS_SHOWN]
        return [{"terminal": terminal, "requests": count} for terminal, count in worst]

    def drain(self) -> None:
        """Finish what is in flight and end."""
        self._drain_wanted.set()

    # --- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> bool:
        """Serve until drained; False when something was left that could not be finished, or the journal was lost.

        Raises:
            OSError: an address cannot be had.
        """
        loop = asyncio.get_running_loop()
        Signals(self.drain, self._end_wanted.set, self._link_keys.hang_up).listen(loop)
        terminals_max = self._terminals_max()
        reactor = Reactor(self._engine, loop, self._config.limits.output_buffer_bytes_max)
        self._issuers = issuers = [
            issuer_side(section, link, reactor, self._place)
            for section, link in zip(self._config.links, self._engine.state.links, strict=True)
        ]
        self._rules.add_link_user(LinkSettings(self._states, issuers, self._partitions).use)
        door = Door(terminals_max, self._stats)
        mate_count = len(self._place.mates)
        self._mates = mates = Mates(self._place, reactor, self._peers[:mate_count])
        self._nodes = nodes = Nodes(self._config, self._place, reactor, self._peers[mate_count:])
        self._ports = [
            TerminalPort(section, listener, reactor, door, self._place)
            for section, listener in zip(self._config.listeners, self._engine.state.listeners, strict=True)
        ]
        housekeeping: asyncio.Task[None] | None = None
        try:
            await self.front.start()
            await self._registry.begin(self._drain_wanted)
            await self._rulebooks.begin()
            await self._recover(reactor)
            if self._drain_wanted.is_set():
                return True
            await self._link_keys.begin()
            if self._introduction is not None:
                await asyncio.gather(mates.ask(self._introduction), nodes.ask(self._introduction))
            reactor.start()
            housekeeping = asyncio.create_task(self._keep_house())
            for issuer in issuers:
                if not (isinstance(issuer, Receiver) and self._is_outdated()):
                    await issuer.start()
            await self._meet(mates, nodes, issuers)
            await wait_for_counts(self._engine.state.risk, self._drain_wanted)
            for port in self._ports:
                if not self._is_outdated():
                    await port.start()
            self._started = True
            self._registry.start()
            self._rulebooks.start()
            self._announce(issuers)
            await self._drain_wanted.wait()
            return await self._finish(reactor, issuers)
        finally:
            for port in self._ports:
                port.close()
            for issuer in issuers:
                await issuer.stop()
            await self._part_from_terminals()
            if housekeeping is not None:
                housekeeping.cancel()
            await self._rulebooks.stop()
            await self._registry.stop()
            await nodes.stop()
            await mates.stop()
            reactor.stop()
            self._close_journal(loop)
            await self._counters.stop()
            await self.front.stop()

    async def _meet(self, mates: Mates, nodes: Nodes, issuers: Sequence[IssuerSide]) -> None:
        """Let other workers know of this one, once it has a link: what they have for it would be refused before.

        Raises:
            OSError: An address cannot be had, or a certificate cannot be read.
        """
        links = self._engine.state.links
        if self._peers and any(isinstance(issuer, Caller) and issuer.dials for issuer in issuers):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINK_SECONDS):
                    while not any(link.connections.state_name == "up" for link in links):  # noqa: ASYNC110
                        await asyncio.sleep(DRAIN_POLL_SECONDS)
        if self._introduction is not None:
            await mates.start(self._introduction)
            await nodes.start(self._introduction)

    async def _recover(self, reactor: Reactor) -> None:
        """Begin behind all that is known of before.

        Raises:
            JournalError: a file of numbers or a journal cannot be used.
        """
        for numbers in self._numbers:
            numbers.begin()
        if self._stores is not None:
            await self._replay(self._stores, reactor)
        if not self._drain_wanted.is_set():
            for numbers in self._numbers:
                numbers.open()

    async def _replay(self, stores: Stores, reactor: Reactor) -> None:
        """Replay the journals in a thread, so that the admin side answers meanwhile, and begin to commit.

        Raises:
            JournalError: it cannot be used.
        """
        log.info("replaying the journal", **self.front.details())
        wanted = asyncio.create_task(self._drain_wanted.wait())
        wanted.add_done_callback(lambda task: None if task.cancelled() else stores.stop_replay())
        try:
            await asyncio.to_thread(stores.recover, self._states)
        except ReplayStopped:
            log.info("ended before the journal was replayed: nothing was accepted, and nothing written")
            return
        finally:
            wanted.cancel()
        for stand_in in self._place.stand_ins:
            if stand_in is not None:
                stand_in.replayed()
        stores.start(asyncio.get_running_loop(), reactor, self._on_journal_lost)
        if self._seeker is not None:
            self._seeker.start(asyncio.get_running_loop(), reactor)

    def _on_journal_lost(self, reason: str) -> None:
        """Nobody would find what is written from now on: nothing more is accepted, and the process ends."""
        if not self._is_journal_lost:
            self._is_journal_lost = True
            log.error("the journal is lost: ending, and no answer that waits for it is told", reason=reason)
            self._end_wanted.set()
            self.drain()

    def _close_journal(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._seeker is not None:
            self._seeker.stop()
        if self._stores is not None:
            self._stores.close(loop)

    def _terminals_max(self) -> int:
        """As many connections of terminals as leave links, admin side and journal their file descriptors."""
        config = self._config
        needed = descriptors_of_worker(
            config.limits, config.links, config.worker_count, config.far_workers, moves=config.endpoints is not None
        )
        available = raise_descriptor_limit(needed.needed)
        served, wanted = needed.terminals_served(available), needed.terminals
        if served < wanted:
            log.warning("too few file descriptors", allowed=available, terminals_served=served)
        return served

    def _announce(self, issuers: Sequence[IssuerSide]) -> None:
        if self._place.workers == 1:
            tell_doubts(self._config)
        for port in self._ports:
            if port.is_open:
                log.info("listening", listener=port.name, address=str(port.address))
        for issuer in issuers:
            if isinstance(issuer, Receiver) and issuer.is_open:
                log.info("waiting for the issuer", link=issuer.name, address=str(issuer.address))
        log.info(self.front.serving, **self.front.details(), version=__version__)

    async def _keep_house(self) -> None:
        keepers = (
            self._keep_calendar,
            self._keep_journal,
            self._turn_away,
            *(numbers.keep for numbers in self._numbers),
            self._counters.keep,
        )
        chores = (
            *keepers,
            self._gauges.refresh,
            self._saf.refresh,
            self._link_keys.look,
            self._exchange_keys,
            self._beat,
        )
        while True:
            for chore in chores:
                try:
                    chore()
                except Exception as error:
                    # Gauges that stand still are better than a switch that does, and the next round may do better.
                    self._notes("housekeeping_failed", {"reason": f"{type(error).__name__}: {error}"})
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    def _exchange_keys(self) -> None:
        if self._started and not self._engine.state.draining:
            self._key_desks.look()

    def _beat(self) -> None:
        self._stats.add(self._beats)

    def _keep_calendar(self) -> None:
        self._engine.state.calendar.set_local_offset(utc_offset_seconds(self._config.switch.timezone))

    def _keep_journal(self) -> None:
        if self._seeker is not None:
            self._seeker.refresh()
        if self._stores is not None:
            self._stores.keep_house(self._states)

    def _turn_away(self) -> None:
        """On an older copy nobody speaks to this worker: terminals, and issuers that call, are to reach another one."""
        if not self._is_outdated():
            return
        for port in self._ports:
            port.close()
        self._hang_up(OLDER_COPY)
        for issuer in self._issuers:
            if isinstance(issuer, Receiver):
                issuer.hang_up(OLDER_COPY)

    def _hang_up(self, reason: str) -> None:
        for channel in self._engine.terminals():
            if isinstance(channel.owner, Connection):
                channel.owner.abort(reason)

    async def _finish(self, reactor: Reactor, issuers: Sequence[IssuerSide]) -> bool:
        """Take nothing new, wait for what is in flight and untold, sign off; whether all of it was finished.

        What is owed is waited for only where nobody would know of it later.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.limits.drain_seconds
        self._engine.drain()
        for port in self._ports:
            port.close()
        await self._until_ended(self._is_done, self._config.limits.drain_seconds)
        # An approval whose terminal does not read it is given up, so that its reversal can still be sent.
        self._engine.abandon_untold()
        reactor.flush()
        await self._until_ended(self._is_done, ABANDON_SECONDS)
        done = self._is_done()
        if not done:
            log.error(
                "drained with work left",
                in_flight=self._engine.in_flight,
                at_other_workers=self._engine.at_others,
                reversals=self._engine.owed,
            )
        elif self._engine.owed:
            log.info("reversals go on after the next start", reversals=self._engine.owed)
        for issuer in issuers:
            await issuer.stop()
        self._engine.lend_nothing()
        reactor.flush()
        await self._until_ended(lambda: not self._engine.carried, max(until - loop.time(), 0.0))
        self._engine.sign_off()
        reactor.flush()
        links = self._engine.state.links
        await self._until_ended(lambda: not any(link.connections.open_count for link in links), SIGN_OFF_SECONDS)
        log.info("drained")
        return done and not self._is_journal_lost

    def _is_done(self) -> bool:
        states = [state for state in self._states if state.journal.outdated is None]
        requests = sum(in_flight(state) - state.saf.all_at_issuer for state in states)
        owed = 0 if self._stores is not None and self._stores.keeps else self._engine.owed
        untold = any(state.duplicates.untold for state in states)
        return not (requests or owed or untold or self._engine.at_others)

    async def _part_from_terminals(self) -> None:
        """Close their connections, and let other workers know of it: these reverse what they gave and was not told."""
        self._hang_up("the switch ends")

        def is_said() -> bool:
            return not (self._engine.terminals() or any(peer.waiting_bytes for peer in self._peers))

        await self._until_ended(is_said, PARTING_SECONDS)

    async def _until_ended(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until something is done, the time is over, or the end is wanted at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # The state machine tells of no single event for this.
                while not done() and not self._end_wanted.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(DRAIN_POLL_SECONDS)


def run_worker(config: Config, parts: Parts, place: Place, handover: Handover) -> int:
    """Be one of several workers, in a process of its own; its exit status."""
    with process_log(config) as log_writer:

        async def run() -> bool:
            return await Daemon(config, parts, log_writer, place, handover).run()

        try:
            return 0 if uvloop.run(run()) else 1
        except (OSError, JournalError) as error:
            log.error("cannot serve", worker=place.number, reason=str(error))  # noqa: TRY400 - no trace
            return 1


def serve(path: str | Path) -> bool:
    """Run the daemon with a configuration file until it has drained.

    Returns:
        False when something was in flight or owed that could not be finished in time, or the journal was lost.

    Raises:
        ConfigError: the configuration, or something that it names, cannot be used.
        OSError: an address cannot be had.
        EndedWhileStarting: a signal came before the log was there to tell of it.
    """
    hear_while_starting()
    config = load_config(path)
    if config.worker_count > 1:
        return serve_with_workers(config, run_worker)
    with process_log(config) as log_writer:
        try:
            protect_memory()
            begin_collections()
            parts = load_parts(config, keeps_copy=True)
            config, claimed = claim_addresses(config)

            async def run() -> bool:
                return await Daemon(config, parts, log_writer).run()

            try:
                return uvloop.run(run())
            finally:
                for one in claimed:
                    one.close()
        except EndedWhileStarting as ended:
            log.info(NOTHING_DONE, signal=ended.signal)
            return True
