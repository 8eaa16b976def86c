from typing import final

from switch.machine.restored_copies import Mender
from switch.machine.state import State

@final
class WindowFiller:
    def __init__(self, state: State, copies: Mender) -> None: ...
