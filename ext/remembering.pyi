from typing import final

from switch.mending import Mender
from switch.state import State

@final
class WindowFiller:
    def __init__(self, state: State, copies: Mender) -> None: ...
