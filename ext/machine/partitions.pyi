from typing import final

from switch.machine.state import State

@final
class Partitions:
    count: int
    states: list[State]
    host: State
    def __init__(self, states: list[State], count: int = 1) -> None: ...
