from typing import final

from switch.base.calendar import Calendar
from switch.crypto.dukpt import BaseKeys
from switch.crypto.mac import MacEngine
from switch.machine.channel_table import ChannelTable
from switch.machine.claims import Claims
from switch.machine.duplicate import DuplicateWindow
from switch.machine.journal_interface import Journal
from switch.machine.link import Link
from switch.machine.listener import Listener
from switch.machine.meters import Meters
from switch.machine.note_queue import NoteQueue
from switch.machine.numbering import Numbering
from switch.machine.originals import Inquiries
from switch.machine.saf_store import SafStore
from switch.machine.terminal_counts import TerminalCounts
from switch.machine.transaction import TransactionTable
from switch.tables.registry import Registry
from switch.tables.risk import Risk
from switch.tables.routes import RouteTable

@final
class State:
    partition: int
    calendar: Calendar
    registry: Registry
    routes: RouteTable
    risk: Risk | None
    journal: Journal
    meters: Meters
    channels: ChannelTable
    listeners: list[Listener]
    links: list[Link]
    transactions: TransactionTable
    duplicates: DuplicateWindow
    saf: SafStore
    inquiries: Inquiries
    claims: Claims
    numbering: Numbering
    acquirer_id: bytes
    terminals: TerminalCounts
    notes: NoteQueue
    macs: MacEngine
    base_keys: BaseKeys
    draining: bool
    def __init__(
        self,
        *,
        partition: int,
        calendar: Calendar,
        registry: Registry,
        routes: RouteTable,
        risk: Risk | None,
        journal: Journal,
        meters: Meters,
        channels: ChannelTable,
        listeners: list[Listener],
        links: list[Link],
        transactions: TransactionTable,
        duplicates: DuplicateWindow,
        saf: SafStore,
        inquiries: Inquiries,
        claims: Claims,
        numbering: Numbering,
        acquirer_id: str,
        terminals: TerminalCounts,
        notes: NoteQueue,
        macs: MacEngine,
        base_keys: BaseKeys,
        seed: int | None = None,
    ) -> None: ...
    def use_routes(self, routes: RouteTable) -> None:
        """Send cards by another table from now on; to be called between two messages."""

    def use_risk(self, risk: Risk) -> None:
        """Refuse by other rules from now on; to be called between two messages."""

    def terminal_mac_failures(self) -> dict[str, int]: ...
