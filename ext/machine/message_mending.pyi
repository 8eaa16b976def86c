from typing import final

from switch.machine.state import State

@final
class Mender:
    def __init__(self, state: State) -> None: ...
