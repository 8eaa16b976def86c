from collections.abc import Callable
from typing import final

from switch.io.connection import Reactor
from switch.io.follower import Follower
from switch.mesh.peer import Peer
from switch.mesh.ring import RingPair

@final
class RingLink(Follower):
    peer: Peer
    pair: RingPair
    def __init__(self, reactor: Reactor, peer: Peer, pair: RingPair, on_lost: Callable[[str], None]) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
