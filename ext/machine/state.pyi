from collections.abc import Callable
from typing import Any, final

from switch.base.calendar import Calendar
from switch.machine.channel_table import ChannelTable
from switch.machine.duplicate import DuplicateWindow
from switch.machine.journal_interface import Journal
from switch.machine.link import Link
from switch.machine.listener import Listener
from switch.machine.meters import Meters
from switch.machine.numbering import Numbering
from switch.machine.originals import Inquiries
from switch.machine.saf_store import SafStore
from switch.machine.transaction import TransactionTable
from switch.tables.registry import Registry
from switch.tables.risk import Risk
from switch.tables.routes import RouteTable

@final
class State:
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
    numbering: Numbering
    acquirer_id: bytes
    draining: bool
    def __init__(
        self,
        *,
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
        numbering: Numbering,
        acquirer_id: str,
        note: Callable[[str, dict[str, Any]], None],
        seed: int | None = None,
    ) -> None: ...
    def terminal_mac_failures(self) -> dict[str, int]: ...
