"""Connections that nobody holds open for nothing: each asks, reads and ends in time, or makes room for others."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

WAIT_SECONDS: Final = 20.0
"""How long a connection waits for the whole head of a request, and an answer for somebody to read on."""


class Connection(H11Protocol):
    """One connection. Where there are too many, the one that has asked nothing for longest is ended for a new one.

    So who only connects, or writes or reads at a crawl, keeps nobody else out.
    """

    _has_asked = False
    _idle_since = 0.0
    _waiting: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_writing()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that is not whole yet is still waited for."""
        super().data_received(data)
        if self._is_asked():
            self._has_asked = True
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request; also for the rest of a body that nobody has read."""
        super().on_response_complete()
        if not self._is_asked():
            self._wait()

    def pause_writing(self) -> None:
        """Begin to wait for the other side to read."""
        super().pause_writing()
        self._stop_writing()
        self._writing = self.loop.call_later(WAIT_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """See that the other side has read."""
        super().resume_writing()
        self._stop_writing()

    def _is_asked(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._idle_since = self.loop.time()
        self._waiting = self.loop.call_later(WAIT_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _make_room(self) -> None:
        if self.limit_concurrency is None or len(self.connections) < self.limit_concurrency:
            return
        others = (one for one in self.connections if isinstance(one, Connection) and one is not self)
        idle = [one for one in others if not one._is_asked()]
        if idle:
            longest = min(idle, key=lambda one: (one._has_asked, one._idle_since))
            self.connections.discard(longest)
            longest.transport.abort()
