"""A connection of a load balancer until it has said on whose behalf it calls."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from switch.base.error_words import words_of
from switch.server.peer import Peer
from switch.wire.proxy_header import ProxyHeader, ProxyHeaderError


class HeaderRefusedError(OSError):
    """No PROXY header came that can be taken, or not in time.

    Attributes:
        why: ``header`` or ``late``.
    """

    def __init__(self, why: str, reason: str) -> None:
        super().__init__(reason)
        self.why = why


class HeaderWait:
    """Reads the PROXY header of one connection, and not a byte behind it: that stays with the kernel.

    Args:
        accepted: The socket, which does not block. It is closed by ``abort``, or leaves by ``take``.
        balancer: Whose connection it is.
        on_end: Called once, with this and None when the header is there, or with why it cannot be taken.
    """

    def __init__(
        self,
        accepted: socket.socket,
        balancer: str,
        on_end: Callable[[HeaderWait, HeaderRefusedError | None], None],
    ) -> None:
        self._socket = accepted
        self._balancer = balancer
        self._on_end = on_end
        self._header = ProxyHeader()
        self._is_watched = False

    @property
    def peer(self) -> Peer:
        """Who called, as far as that is known: at first only the balancer is."""
        address = self._header.address
        return Peer(self._balancer) if address is None else Peer(address, self._balancer)

    def begin(self) -> None:
        """Read what is there, and wait for the rest; ``on_end`` may be called at once."""
        try:
            is_whole = self._read()
        except ProxyHeaderError as error:
            self._on_end(self, HeaderRefusedError("header", str(error)))
        except HeaderRefusedError as error:
            self._on_end(self, error)
        except OSError as error:
            self._on_end(self, HeaderRefusedError("header", f"{self._progress}: {words_of(error)}"))
        else:
            if is_whole:
                self._on_end(self, None)

    def too_late(self) -> HeaderRefusedError:
        """Why it is refused when its time is over."""
        return HeaderRefusedError("late", f"{self._progress}, not in time")

    def take(self) -> int:
        """The file descriptor, which is the caller's from now on."""
        self._unwatch()
        return self._socket.detach()

    def abort(self, _reason: str) -> None:
        """Close the connection; ``on_end`` is not called."""
        self._unwatch()
        self._socket.close()

    @property
    def _progress(self) -> str:
        needed, taken = self._header.needed, self._header.taken
        return f"PROXY header: byte {taken}: needed {needed} more bytes, got none"

    def _read(self) -> bool:
        while self._header.needed:
            try:
                data = self._socket.recv(self._header.needed)
            except BlockingIOError:
                if not self._is_watched:
                    asyncio.get_running_loop().add_reader(self._socket, self.begin)
                    self._is_watched = True
                return False
            if not data:
                raise HeaderRefusedError("header", f"{self._progress}, the peer has closed the connection")
            self._header.feed(data)
        return True

    def _unwatch(self) -> None:
        if self._is_watched:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._is_watched = False
