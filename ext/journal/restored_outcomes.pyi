from typing import final

from switch.machine.message_mending import Mender
from switch.machine.state import State

@final
class WindowFiller:
    def __init__(self, state: State, copies: Mender) -> None: ...
