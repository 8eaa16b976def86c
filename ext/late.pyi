from typing import final

from switch.positions import PositionTable

@final
class LateAnswers:
    def __init__(self, unended: PositionTable, horizon_ns: int) -> None: ...
