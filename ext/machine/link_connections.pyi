from typing import Protocol, final

from switch.machine.channel import Channel
from switch.wire.framing import Framing

LINK_STATES: dict[int, str]
HOLDS: dict[str, int]

class KeyDesk(Protocol):
    """Who exchanges keys with the issuer of a link. Messages are without their frame."""

    def take_offer(self, channel: LinkChannel, headers: bytes, message: bytes, may_repeat_only: bool, /) -> None:
        """The issuer sends a key, or may only send the present one again; ``Engine.answer_key_offer`` answers it."""

    def take_answer(self, channel: LinkChannel, message: bytes, reason: int) -> None:
        """The issuer answers what ``Engine.ask_for_key`` asked, with the reason that its code means."""

    def take_silence(self) -> None:
        """It did not answer that."""

    def look_again(self) -> bool:
        """Whether the link has other keys now than a moment ago."""

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
    retiring: list[LinkChannel]
    others: list[LinkChannel]
    hold: int
    open_count: int
    timeouts_in_a_row: int
    key_desk: KeyDesk | None
    def __init__(self, number: int, name: str, framing: Framing) -> None: ...
    @property
    def state_name(self) -> str: ...
    @property
    def held(self) -> str: ...
    def hold_back(self, what: str) -> None: ...
