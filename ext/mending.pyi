from typing import final

from switch.state import State

@final
class Mender:
    def __init__(self, state: State) -> None: ...
