from typing import final

from switch.machine.channel_table import ChannelTable
from switch.machine.link_connections import LinkChannel, LinkConnections
from switch.machine.listener import TerminalChannel
from switch.mesh.counts import PeerCounts

@final
class Guest(TerminalChannel): ...

@final
class ElsewhereLink(LinkChannel): ...

@final
class PeerOwner: ...

@final
class Peer:
    number: int
    name: str
    is_up: bool
    fault: str | None
    owner: PeerOwner
    links: list[ElsewhereLink]
    waiting_bytes: int
    under_way: int
    def __init__(
        self, number: int, name: str, channels: ChannelTable, link_connections: list[LinkConnections]
    ) -> None: ...
    def take_output(self, most: int = ...) -> bytes: ...
    def ping(self) -> None: ...
    def share_counts(self, counts: PeerCounts) -> None: ...
