from typing import final

from switch.machine.channel import Channel

@final
class ChannelTable:
    dirty: list[Channel]
    def __init__(self) -> None: ...
    @property
    def open_count(self) -> int: ...
