"""From configuration and tables to a state machine: listeners, links, limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from switch.base.calendar import Calendar
from switch.base.shares import share
from switch.base.stats import Stats
from switch.check.parts import Parts
from switch.config import Config, LinkSection, ListenerSection
from switch.config.stand_in_sections import LinkStandIn
from switch.crypto.device_counters import DeviceCounters
from switch.crypto.dukpt import BaseKeys
from switch.crypto.mac import MacEngine
from switch.crypto.pin_block import PIN_FORMATS
from switch.dialect import Dialect
from switch.dialect.composers import LinkComposers, ListenerComposers, PairComposers
from switch.dialect.reasons import REASONS
from switch.keys import KeySource
from switch.machine.channel_table import ChannelTable
from switch.machine.claims import Claims
from switch.machine.duplicate import DuplicateWindow
from switch.machine.journal_interface import Journal, JournalOff
from switch.machine.link import Link
from switch.machine.link_connections import LinkConnections
from switch.machine.listener import Listener
from switch.machine.meters import Meters
from switch.machine.note_queue import NoteQueue
from switch.machine.numbering import Numbering
from switch.machine.originals import Inquiries
from switch.machine.partitions import Partitions
from switch.machine.saf_store import SafQueue, SafStore
from switch.machine.state import State
from switch.machine.terminal_counts import TerminalCounts
from switch.machine.transaction import TransactionTable
from switch.path.engine import Engine
from switch.tables.risk_rules import kinds_mask
from switch.tables.stand_in import StandIn

LATE_MS = 60_000
"""How long after a time-out a late answer is known as such."""

SLOT_BITS_MIN, SLOT_BITS_MAX = 10, 17
"""Of the table of expanded keys: up to 131,072 of them."""

Note = Callable[[str, dict[str, Any]], None]


def utc_offset_seconds(timezone: str, moment: datetime | None = None) -> int:
    """How far a time zone is ahead of UTC at a moment (now, when absent), in seconds."""
    offset = (moment or datetime.now(UTC)).astimezone(ZoneInfo(timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def build_engine(
    config: Config,
    parts: Parts,
    stats: Stats,
    note: Note,
    *,
    journals: Sequence[Journal] | None = None,
    part: Part | None = None,
    stand_ins: Sequence[StandIn | None] | None = None,
    devices: DeviceCounters | None = None,
    calendar: Calendar | None = None,
    seed: int | None = None,
) -> Engine:
    """Make the state machines that a configuration describes: one for each partition.

    Args:
        config: The configuration.
        parts: What it names, loaded.
        stats: Where series are registered.
        note: Called with events that an operator should read.
        journals: Where intents and outcomes are written: of each partition that the worker owns; by default one that is
            written nowhere.
        part: Which these are, where other workers own others.
        stand_ins: By link, what may be approved while it cannot be asked, where workers have made that together.
        devices: How far devices with derived PIN keys have counted, where workers have made that together.
        calendar: The clock; by default one in the acquirer's time zone, which the I/O layer moves.
        seed: Of the choices among links of equal priority.
    """
    terminals = [parts.dialects[section.dialect] for section in config.listeners]
    issuers = [parts.dialects[section.dialect] for section in config.links]
    listeners = [
        _build_listener(number, section, dialect)
        for number, (section, dialect) in enumerate(zip(config.listeners, terminals, strict=True))
    ]
    rules = stand_ins_of(config, stats, 1) if stand_ins is None else stand_ins
    links = [
        _SharedLink(number, section, dialect, terminals, rule)
        for number, (section, dialect, rule) in enumerate(zip(config.links, issuers, rules, strict=True))
    ]
    meters = Meters(
        stats,
        [(section.name, _codes(dialect)) for section, dialect in zip(config.listeners, terminals, strict=True)],
        [section.name for section in config.links],
    )
    shared = _Shared(
        calendar=Calendar(utc_offset_seconds(config.switch.timezone)) if calendar is None else calendar,
        meters=meters,
        channels=ChannelTable(),
        devices=DeviceCounters(config.limits.pin_devices_max) if devices is None else devices,
        terminals=TerminalCounts(parts.registry.terminal_count),
        notes=NoteQueue(
            note,
            stats,
            meters.listener_names,
            meters.link_names,
            {"listener": [dialect.tables.name for dialect in terminals], "link": [d.tables.name for d in issuers]},
        ),
        macs=MacEngine(_slot_bits_for(parts.registry.terminal_count + len(links))),
        listeners=listeners,
        links=links,
    )
    written = [JournalOff()] if journals is None else journals
    if part is None:
        part = Part(len(written), range(len(written)))
    states = [
        _build_state(
            config,
            parts,
            shared,
            journal,
            number=number,
            count=part.partitions,
            seed=None if seed is None else seed + number,
        )
        for number, journal in zip(part.owned, written, strict=True)
    ]
    return Engine(Partitions(states, part.partitions))


@dataclass(frozen=True)
class Part:
    """What one worker has of a switch.

    Attributes:
        partitions: Of the whole switch.
        owned: The numbers of those that it owns, ascending.
    """

    partitions: int
    owned: Sequence[int]


@dataclass(frozen=True)
class _Shared:
    """What the state machines of a worker have in common."""

    calendar: Calendar
    meters: Meters
    channels: ChannelTable
    devices: DeviceCounters
    terminals: TerminalCounts
    notes: NoteQueue
    macs: MacEngine
    listeners: list[Listener]
    links: list[_SharedLink]


def _build_state(
    config: Config, parts: Parts, shared: _Shared, journal: Journal, *, number: int, count: int, seed: int | None
) -> State:
    """The state machine of one partition of so many."""
    limits = config.limits
    transactions = share(limits.transactions_in_flight_max, count)
    return State(
        partition=number,
        calendar=shared.calendar,
        registry=parts.registry,
        routes=parts.routes,
        risk=parts.risk,
        journal=journal,
        meters=shared.meters,
        channels=shared.channels,
        listeners=shared.listeners,
        links=[link.of_partition(parts.keys, count) for link in shared.links],
        transactions=TransactionTable(transactions),
        duplicates=DuplicateWindow(
            share(limits.duplicate_window_count_max, count) + transactions,
            share(limits.refusals_kept_max, count),
            shared.terminals,
            limits.duplicate_window_seconds,
            limits.terminal_share_percent,
        ),
        saf=SafStore(share(limits.reversals_max, count), shared.terminals),
        inquiries=Inquiries(
            terminals=shared.terminals,
            room=share(config.originals.waiting_max, count),
            share_percent=limits.terminal_share_percent,
            patience_ms=config.originals.timeout_ms,
            refuses_unknown=config.originals.not_found == "refuse",
            refuses_excess=config.originals.excess == "refuse",
            completion_percent=config.originals.completion_percent_max,
        ),
        claims=Claims(number, count, share(limits.duplicate_window_count_max, count)),
        numbering=Numbering(config.switch.instance * count + number, config.switch.instances * count),
        acquirer_id=config.switch.acquirer_id,
        terminals=shared.terminals,
        notes=shared.notes,
        macs=shared.macs,
        base_keys=BaseKeys(base_key_rows(config, parts.keys), shared.devices),
        seed=seed,
    )


def base_key_rows(config: Config, keys: KeySource) -> list[tuple[str, bytes, bool]]:
    """What ``BaseKeys`` takes of a configuration whose keys are there."""
    found = ((section, keys.get(section.key)) for section in config.base_keys)
    return [(section.serial_numbers, key, section.cipher == "aes") for section, key in found if key is not None]


def _slot_bits_for(keys: int) -> int:
    """So many slots for expanded keys that those of busy terminals seldom push one another out."""
    return min(max(SLOT_BITS_MIN, (16 * keys).bit_length()), SLOT_BITS_MAX)


def _codes(dialect: Dialect) -> list[str]:
    """The response code of each reason, by the reason's number."""
    return [dialect.response_codes.written(reason) for reason in REASONS]


def _build_listener(number: int, section: ListenerSection, dialect: Dialect) -> Listener:
    binds_identity = (
        section.tls is not None
        and section.tls.client_certificate == "required"
        and section.tls.client_identity == "terminal"
    )
    composers = ListenerComposers(dialect)
    return Listener(
        number,
        section.name,
        dialect.tables,
        dialect.framing,
        composers.answer,
        composers.unsigned_answer,
        composers.network_answer,
        unkept=composers.request_unkept,
        mac_policy=section.mac,
        partial_approval=section.partial_approval,
        binds_identity=binds_identity,
        first_message_timeout_ms=section.first_message_timeout_ms,
        idle_timeout_ms=section.idle_timeout_ms,
        partial_timeout_ms=section.partial_frame_timeout_ms,
        in_flight_max=section.requests_in_flight_max,
        connections_max=section.connections_max,
        downloads=dialect.downloads,
    )


def verified_fields(section: LinkSection, dialect: Dialect) -> list[int]:
    """The fields that a link's answers must repeat; the one that finds the request says nothing more about it."""
    fields = dialect.file.verify if section.match.verify is None else section.match.verify
    found_by = {"stan": 11, "rrn": 37}[section.match.by]
    return [field for field in fields if field != found_by]


class _SharedLink:
    """What the state machines of a worker have in common of a link: its connections, its composers, its stand-in."""

    def __init__(
        self,
        number: int,
        section: LinkSection,
        dialect: Dialect,
        terminals: list[Dialect],
        stand_in: StandIn | None,
    ) -> None:
        signed = section.mac is not None
        self._section = section
        self._dialect = dialect
        self._connections = LinkConnections(number, section.name, dialect.framing)
        self._pairs = [PairComposers(terminal, dialect, signed=signed) for terminal in terminals]
        self._own = LinkComposers(dialect, signed=signed)
        self._stand_in = stand_in

    def of_partition(self, keys: KeySource, partitions: int) -> Link:
        """One partition's link: what it has under way there, with its share of what may be."""
        section, dialect, pairs, own = self._section, self._dialect, self._pairs, self._own
        link = Link(
            self._connections,
            dialect.tables,
            SafQueue(
                share(section.reversal.window, partitions),
                section.reversal.interval_ms,
                section.reversal.backoff_max_ms,
                section.reversal.alert_seconds,
                section.reversal.booking_horizon_seconds,
            ),
            match_by=section.match.by,
            verify=verified_fields(section, dialect),
            required=list(section.match.required),
            partial_approval=section.partial_approval,
            timeout_ms=section.timeout_ms,
            late_ms=LATE_MS,
            echo_interval_ms=section.echo_interval_ms,
            echo_timeout_ms=section.echo_timeout_ms,
            idle_timeout_ms=section.idle_timeout_ms,
            partial_timeout_ms=section.partial_frame_timeout_ms,
            signs_on=section.sign_on,
            in_flight_max=share(section.in_flight_max, partitions),
            timeouts_to_suspend=section.timeouts_to_unhealthy,
            reversal_mti=int(section.reversal.mti),
            institution_id=section.institution_id or "",
            reversals_keep_stan=dialect.file.policy.reversal.get("11") == "original",
        )
        give_keys(section, link, keys)
        link.set_composers(
            requests=[pair.request for pair in pairs],
            references=[pair.reference for pair in pairs],
            advices=[pair.advice for pair in pairs],
            unknown_reversals=[pair.unknown_reversal for pair in pairs],
            answers=[pair.answer for pair in pairs],
            unsigned_answers=[pair.unsigned_answer for pair in pairs],
            reversal=own.reversal,
            advice_attempt=own.advice_attempt,
            network=own.network,
            network_answer=own.network_answer,
            key_answer=own.key_answer,
        )
        if self._stand_in is not None:
            link.set_stand_in(self._stand_in, dialect.file.stand_in_mark or "")
        return link


def give_keys(section: LinkSection, link: Link, keys: KeySource) -> None:
    """Give a link the keys that its section names."""
    if section.mac is not None and (key := keys.get(section.mac.key)) is not None:
        link.set_mac_key(section.mac.algorithm, key, section.mac.padding)
    if section.pin is not None and (key := keys.get(section.pin.key)) is not None:
        link.set_pin_key(PIN_FORMATS.index(section.pin.format), key)


def stand_ins_of(config: Config, stats: Stats, workers: int) -> list[StandIn | None]:
    """By link, the rule of its stand-in, by which so many workers approve together; made before they are forked."""
    far = config.far_workers
    return [
        None if section.stand_in is None else _build_stand_in(section.stand_in, section.name, stats, workers, far)
        for section in config.links
    ]


def _build_stand_in(section: LinkStandIn, link: str, stats: Stats, workers: int, far: int) -> StandIn:
    return StandIn(
        stats,
        link,
        kinds=kinds_mask(section.kinds),
        bins=[(low, high) for low, _, high in (bins.partition("-") for bins in section.bins)],
        allows_pin=section.pin,
        window_seconds=section.window_seconds,
        cards_room=section.cards_max,
        limits=[
            (
                int(limit.currency),
                limit.amount_max,
                limit.card_amount_max,
                limit.card_count_max,
                limit.outstanding_max,
            )
            for limit in section.limits
        ],
        workers=workers,
        far=far,
    )
