import asyncio
from collections.abc import Callable

from switch.channel import Channel
from switch.engine import Engine

TICK_SECONDS: float

class Reactor:
    engine: Engine
    loop: asyncio.AbstractEventLoop
    output_bytes_max: int
    slow_consumers: int
    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, output_bytes_max: int) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def flush(self) -> None: ...
    def flush_gated(self) -> None: ...

class Connection(asyncio.Protocol):
    reactor: Reactor
    channel: Channel
    transport: asyncio.Transport
    def __init__(
        self,
        reactor: Reactor,
        channel: Channel,
        on_open: Callable[[Connection], str | None] | None = None,
        on_lost: Callable[[Connection, str], None] | None = None,
    ) -> None: ...
    @property
    def was_open(self) -> bool: ...
    def hang_up(self, reason: str) -> None: ...
