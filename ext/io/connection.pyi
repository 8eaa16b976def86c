import asyncio
from collections.abc import Callable

from switch.io.tls import TlsStream
from switch.machine.channel import Channel
from switch.path.engine import Engine

TICK_SECONDS: float
ACKNOWLEDGED_POLL_SECONDS: float
ACKNOWLEDGED_SECONDS_MAX: float
LINGER_SECONDS: float

class Reactor:
    engine: Engine
    loop: asyncio.AbstractEventLoop
    output_bytes_max: int
    slow_consumers: int
    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, output_bytes_max: int) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def turn(self) -> None: ...
    def flush(self) -> None: ...
    def flush_gated(self) -> None: ...

class Connection:
    reactor: Reactor
    channel: Channel
    tls: TlsStream | None
    def __init__(
        self,
        reactor: Reactor,
        channel: Channel,
        on_open: Callable[[Connection], str | None] | None = None,
        on_lost: Callable[[Connection, str], None] | None = None,
    ) -> None: ...
    @property
    def was_open(self) -> bool: ...
    def open(self, fd: int) -> None: ...
    def secure(self, fd: int, tls: TlsStream) -> asyncio.Future[None]: ...
    def hang_up(self, reason: str) -> None: ...
    def abort(self, reason: str) -> None: ...
