from typing import final

@final
class StanHolds:
    first: int
    end: int
    free_count: int
    def __init__(self, first: int, count: int) -> None: ...
    def hold(self, stan: int) -> None: ...
    def release(self, stan: int) -> None: ...
