from typing import final

from switch.tables.count_log import CountLog
from switch.tables.risk import Risk
from switch.tables.stand_in import StandIn

@final
class CountsHeard:
    room: int
    def __init__(self, room: int, is_shared: bool = False) -> None: ...

@final
class PeerCounts:
    far: int
    def __init__(
        self, far: int, heard: CountsHeard, stand_ins: list[StandIn | None], risk: Risk | None, log: CountLog | None
    ) -> None: ...
    def use_risk(self, risk: Risk) -> None:
        """Count what is heard by other rules from now on."""
