from collections.abc import Sequence
from typing import Final, final

from switch.mesh.journals_heard import JournalsHeard
from switch.mesh.peer import Peer

WAITING_MAX: Final[int]

@final
class WaitingFrame: ...

@final
class Mesh:
    heard: JournalsHeard
    peers: list[Peer]
    patience_ns: int
    waiting: list[list[WaitingFrame]]
    def __init__(self, peers: list[Peer], owners: Sequence[int | None], patience_ms: int) -> None: ...
    def waiting_by_peer(self) -> list[int]: ...
