from collections.abc import Callable
from typing import Any, final

from switch.calendar import Calendar
from switch.channel import Channel
from switch.duplicate import DuplicateWindow
from switch.journal import Journal
from switch.link import Link
from switch.listener import Listener
from switch.meters import Meters
from switch.numbering import Numbering
from switch.originals import Inquiries
from switch.registry import Registry
from switch.reversal import ReversalStore
from switch.risk import Risk
from switch.route import RouteTable
from switch.transaction import TransactionTable

@final
class State:
    calendar: Calendar
    registry: Registry
    routes: RouteTable
    risk: Risk | None
    journal: Journal
    meters: Meters
    listeners: list[Listener]
    links: list[Link]
    transactions: TransactionTable
    duplicates: DuplicateWindow
    reversals: ReversalStore
    inquiries: Inquiries
    numbering: Numbering
    acquirer_id: bytes
    draining: bool
    dirty: list[Channel]
    def __init__(
        self,
        *,
        calendar: Calendar,
        registry: Registry,
        routes: RouteTable,
        risk: Risk | None,
        journal: Journal,
        meters: Meters,
        listeners: list[Listener],
        links: list[Link],
        transactions: TransactionTable,
        duplicates: DuplicateWindow,
        reversals: ReversalStore,
        inquiries: Inquiries,
        numbering: Numbering,
        acquirer_id: str,
        note: Callable[[str, dict[str, Any]], None],
        seed: int | None = None,
    ) -> None: ...
    @property
    def open_channels(self) -> int: ...
    def terminal_mac_failures(self) -> dict[str, int]: ...
