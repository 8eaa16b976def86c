from typing import final

from switch.machine.channel import Channel
from switch.wire.framing import Framing

LINK_STATES: dict[int, str]

class LinkChannel(Channel):
    connections: LinkConnections
    phase: int
    def __init__(self, connections: LinkConnections) -> None: ...

@final
class LinkConnections:
    number: int
    name: str
    framing: Framing
    state: int
    channels: list[LinkChannel]
    others: list[LinkChannel]
    open_count: int
    timeouts_in_a_row: int
    def __init__(self, number: int, name: str, framing: Framing) -> None: ...
    @property
    def state_name(self) -> str: ...
