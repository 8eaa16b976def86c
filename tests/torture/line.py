"""A line between two parties: a relay that breaks, stalls and vanishes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import cast

LINGER_NONE = struct.pack("ii", 1, 0)
BUFFERED_MAX = 1 << 16


class End(asyncio.Protocol):
    """One end of a connection through the line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None
        self.is_dead = False
        self._waiting = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """This side is up; the caller's side then calls the other one."""
        self.transport = cast("asyncio.Transport", transport)
        self._line.ends.add(self)
        if self.other is None:
            self._line.connect(self)

    def opened(self) -> None:
        """The other side is up: what came meanwhile goes there."""
        if self._waiting:
            self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Pass it on, unless the line is dead."""
        if self.is_dead:
            return
        other = self.other
        if other is None or other.transport is None or self._line.is_stalled:
            self._waiting += data
            if len(self._waiting) > BUFFERED_MAX:
                self.reset()
            return
        other.transport.write(bytes(self._waiting) + data)
        self._waiting.clear()

    def connection_lost(self, error: Exception | None) -> None:
        """This side has ended; the other one learns of it, unless the line is dead."""
        self._line.ends.discard(self)
        self.transport = None
        other, self.other = self.other, None
        if other is not None and not self.is_dead:
            other.other = None
            if error is not None:
                other.reset()
            elif other.transport is not None:
                other.transport.close()

    def reset(self) -> None:
        """End this side with a reset: the peer's unread bytes are lost to it."""
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            self.transport.abort()


class Line:
    """A port, and where its connections lead; ``target`` changes when the party moves, and is None while it is away."""

    def __init__(self, name: str, counts: Counter[str]) -> None:
        self.name = name
        self.port = 0
        self.target: tuple[str, int] | None = None
        self.ends: set[End] = set()
        self.is_broken = False
        self.is_stalled = False
        self._counts = counts
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        """Listen; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: End(self), "127.0.0.1", 0, backlog=512)
        port: int = self._server.sockets[0].getsockname()[1]
        self.port = port
        return port

    def connect(self, near: End) -> None:
        """Call the other party for a connection that has come in."""
        if self.target is None or self.is_broken:
            near.reset()
            return
        task = asyncio.get_running_loop().create_task(self._connect(near, self.target))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _connect(self, near: End, target: tuple[str, int]) -> None:
        far = End(self)
        far.other = near
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *target)
        except OSError:
            near.reset()
            return
        if near.transport is None:
            far.reset()
        else:
            near.other = far
            near.opened()

    # What goes wrong

    def reset_all(self) -> None:
        """Break every connection, on both sides."""
        self._counts["connections reset"] += len(self.ends) // 2
        for end in list(self.ends):
            end.reset()

    def vanish(self) -> None:
        """Leave every connection half open: nothing passes any more, and nobody is told."""
        for end in self.ends:
            if not end.is_dead:
                end.is_dead = True
                self._counts["connections left half open"] += 1

    def break_off(self) -> None:
        """Break every connection, and let none be made."""
        self._counts["lines down"] += 1
        self.is_broken = True
        self.reset_all()

    def mend(self) -> None:
        """Let connections be made again, and bytes pass."""
        self.is_broken = False
        if self.is_stalled:
            self.is_stalled = False
            for end in list(self.ends):
                end.opened()

    def stall(self) -> None:
        """Hold back all bytes until the line is mended."""
        self._counts["lines stalled"] += 1
        self.is_stalled = True

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for end in list(self.ends):
            end.reset()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
