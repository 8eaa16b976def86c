from typing import final

from switch.base.position_table import PositionTable

@final
class LateAnswers:
    def __init__(self, unended: PositionTable, horizon_ns: int) -> None: ...
