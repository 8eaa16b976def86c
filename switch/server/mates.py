"""The other workers of this machine: found by Unix sockets in a folder of our own, spoken to through rings.

The worker with the higher number calls. It makes the rings, hands them over, and says who it is; the other one answers
who it is. From then on the socket carries nothing: its end is the end of the connection, and the caller calls again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.io.connection import Reactor
from switch.io.ring_link import RingLink
from switch.mesh.hand_over import HandOverError, offer, take
from switch.mesh.peer import Peer
from switch.mesh.ring import RingPair
from switch.server.calls import Calls
from switch.server.introduction import ASK_SECONDS, HELLO_SECONDS, Introduction, StrangerError, require
from switch.server.place import Place

RING_BYTES = 1 << 20
AGAIN_SECONDS = 0.02
AGAIN_SECONDS_MAX = 0.5
BACKLOG = 64
log = get_logger(__name__)


class Mates:
    """Keeps a connection to each other worker of this machine.

    Args:
        place: This worker's.
        reactor: Drives the engine.
        peers: The others, in the order of ``place.mates``.
    """

    def __init__(self, place: Place, reactor: Reactor, peers: Sequence[Peer]) -> None:
        self._place = place
        self._reactor = reactor
        self._peers = dict(zip(place.mates, peers, strict=True))
        self._links: dict[int, _Mate] = {}
        self._calls = Calls(AGAIN_SECONDS, AGAIN_SECONDS_MAX, is_usual=True)
        self._listening: socket.socket | None = None

    async def start(self, introduction: Introduction) -> None:
        """Let others call, and call those with lower numbers.

        Raises:
            OSError: The socket cannot be made.
        """
        if not self._peers:
            return
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.setblocking(False)
        path = self._path(self._place.number)
        path.unlink(missing_ok=True)  # of a predecessor
        listening.bind(str(path))
        listening.listen(BACKLOG)
        self._listening = listening
        self._calls.spawn(
            self._calls.hear(listening, lambda call, _: self._calls.spawn(self._receive(call, introduction)))
        )
        for number in self._place.mates:
            if number < self._place.number:
                self._calls.spawn(self._calls.keep_calling(number, partial(self._call, number, introduction)))

    async def stop(self) -> None:
        """Close all connections."""
        await self._calls.stop()
        for mate in list(self._links.values()):
            mate.close("the worker ends")
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def missing(self) -> list[int]:
        """The numbers of those that are not connected."""
        return [number for number, peer in self._peers.items() if not peer.is_up]

    def _path(self, number: int) -> Path:
        if self._place.folder is None:
            raise ValueError("a worker alone has no others")
        return self._place.folder / f"{number}.socket"

    # --- calling --------------------------------------------------------------------------------------------------

    async def ask(self, introduction: Introduction) -> None:
        """Hear from all who are there what they have heard of the journals of this worker."""
        await asyncio.gather(*(self._ask(number, introduction) for number in self._peers))

    async def _ask(self, number: int, introduction: Introduction) -> None:
        with contextlib.suppress(OSError, StrangerError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                connection, pair = await self._reach(number)
                try:
                    _say(pair, introduction.hello(asks=True))
                    introduction.check(await _hear(pair, introduction.missing_bytes))
                    introduction.take_answer(await _hear(pair, introduction.missing_answer_bytes), number)
                finally:
                    pair.close()
                    connection.close()

    async def _reach(self, number: int) -> tuple[socket.socket, RingPair]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, str(self._path(number)))
            return connection, offer(connection, RING_BYTES)
        except BaseException:
            connection.close()
            raise

    async def _call(self, number: int, introduction: Introduction) -> asyncio.Future[None]:
        connection, pair = await self._reach(number)
        try:
            _say(pair, introduction.hello())
            heard = introduction.check(await _hear(pair, introduction.missing_bytes))
            require(heard.worker == (self._place.node, number), "another worker answers than was called")
            _say(pair, introduction.journals_of(heard))
            introduction.require_newest(heard)
        except BaseException:
            pair.close()
            connection.close()
            raise
        return self._join(number, connection, pair)

    # --- called ---------------------------------------------------------------------------------------------------

    async def _receive(self, connection: socket.socket, introduction: Introduction) -> None:
        pair = None
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                await _readable(connection.fileno())
            pair = take(connection)
            heard = introduction.check(await _hear(pair, introduction.missing_bytes))
            node, number = heard.worker
            is_mate = node == self._place.node and number in self._peers
            require(is_mate and (heard.asks or number > self._place.number), "that worker does not call here")
            _say(pair, introduction.hello() + introduction.journals_of(heard))
            if heard.asks:
                await _is_over(connection)
                pair.close()
                connection.close()
                return
            introduction.require_newest(heard)
        except (OSError, HandOverError, StrangerError, TimeoutError) as error:
            reason = "it did not say who it is" if isinstance(error, TimeoutError) else words_of(error)
            log.warning("a worker's call was refused", reason=reason)
            if pair is not None:
                pair.close()
            connection.close()
            return
        except BaseException:
            if pair is not None:
                pair.close()
            connection.close()
            raise
        self._join(number, connection, pair)

    # --- both -----------------------------------------------------------------------------------------------------

    def _join(self, number: int, connection: socket.socket, pair: RingPair) -> asyncio.Future[None]:
        """Both know each other: a connection that stood before is over, whatever it knows of that itself."""
        earlier = self._links.get(number)
        if earlier is not None:
            earlier.close("it has called again")
        mate = _Mate(self._peers[number], connection, pair, self._reactor, lambda: self._links.pop(number, None))
        self._links[number] = mate
        mate.start()
        return mate.lost


class _Mate:
    """One connection that stands."""

    def __init__(
        self,
        peer: Peer,
        connection: socket.socket,
        pair: RingPair,
        reactor: Reactor,
        on_closed: Callable[[], object],
    ) -> None:
        self._peer = peer
        self._connection = connection
        self._on_closed = on_closed
        self._link = RingLink(reactor, peer, pair, self.close)
        self._is_open = True
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Begin to speak."""
        asyncio.get_running_loop().add_reader(self._connection, self._on_socket)
        log.info("worker connected", worker=self._peer.name)
        self._link.start()

    def _on_socket(self) -> None:
        """Nothing is sent on it: what can be read is its end."""
        with contextlib.suppress(OSError):
            if os.read(self._connection.fileno(), 1):
                self.close("it says something where nothing is to be said")
                return
        self.close("it has ended")

    def close(self, reason: str) -> None:
        """The connection is over."""
        if not self._is_open:
            return
        self._is_open = False
        log.warning("worker lost", worker=self._peer.name, reason=reason)
        asyncio.get_running_loop().remove_reader(self._connection)
        self._link.stop()
        self._connection.close()
        self._on_closed()
        if not self.lost.done():
            self.lost.set_result(None)


def _say(pair: RingPair, words: bytes) -> None:
    if not pair.outgoing.put(words):
        raise StrangerError("there is no room to say who we are")
    pair.wake_peer()


async def _hear(pair: RingPair, missing_bytes: Callable[[bytes], int]) -> bytes:
    """What the other worker says first; what stands behind that is left in the ring."""
    heard = b""
    async with asyncio.timeout(HELLO_SECONDS):
        while (missing := missing_bytes(heard)) > 0:
            pair.awake()
            more = pair.incoming.get(missing)
            heard += more
            require(not pair.fault, pair.fault)
            if not more and pair.may_sleep():
                await _readable(pair.fileno())
                pair.drain()
    return heard


async def _is_over(connection: socket.socket) -> None:
    """Wait until the other side has closed it."""
    async with asyncio.timeout(HELLO_SECONDS):
        await _readable(connection.fileno())


async def _readable(descriptor: int) -> None:
    """Wait until a descriptor can be read."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
