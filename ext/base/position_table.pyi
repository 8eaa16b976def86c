from typing import final

@final
class PositionTable:
    count: int
