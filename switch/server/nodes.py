"""The workers of other machines: each is spoken to over TCP with TLS 1.3, in which both sides show a certificate.

The worker of the node that stands later in the configuration calls. Each says who it is, and what it says must fit its
certificate; from then on there are only records, until one side is gone, silent or not understood.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from cryptography import x509

from switch.base.certificate_names import bears_name
from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.config import Config
from switch.config.mesh_sections import NodeSection
from switch.config.mesh_tls import mesh_context
from switch.io.connection import Reactor
from switch.io.node_link import NodeLink
from switch.mesh.peer import Peer
from switch.server.acceptor import listening_sockets
from switch.server.calls import Calls
from switch.server.introduction import (
    ASK_SECONDS,
    HELLO_SECONDS,
    DifferentError,
    Introduced,
    Introduction,
    OlderJournalError,
    StrangerError,
    claimed_worker,
    require,
)
from switch.server.note_log import NoteLog
from switch.server.place import Place, WorkerId

BACKLOG = 64
ARRIVING_MAX = 64
"""Who has called and not said yet who it is; who has been waited for longest makes room for more."""

AGAIN_SECONDS = 0.1
AGAIN_SECONDS_MAX = 2.0
LOOKS = 3
"""How often within ``mesh.silence_ms`` a worker that says nothing is asked for a word."""

GOODBYE_SECONDS = 1.0
"""How long one that ends waits for the other side to have read what it said."""

OUTPUT_BYTES = 1 << 20
"""That may wait for the socket; what is more waits with the peer, within its limits."""

log = get_logger(__name__)


class Nodes:
    """Keeps a connection to each worker of the other machines.

    Args:
        config: The configuration.
        place: This worker's.
        reactor: Drives the engine.
        peers: The workers of other machines, in the order of ``place.far``.
    """

    def __init__(self, config: Config, place: Place, reactor: Reactor, peers: Sequence[Peer]) -> None:
        self._place = place
        self._nodes = config.nodes
        self._mesh = config.mesh
        self._reactor = reactor
        self._peers = dict(zip(place.far, peers, strict=True))
        self._lines: dict[WorkerId, _Line] = {}
        self._calls = Calls(AGAIN_SECONDS, AGAIN_SECONDS_MAX, is_usual=False)
        self._listening: list[socket.socket] = []
        self._arriving: dict[asyncio.Task[None], None] = {}
        self._notes = NoteLog()
        self._standings = {worker: _Standing() for worker in place.far}

    async def start(self, introduction: Introduction) -> None:
        """Let others call, and call those of the nodes before this one.

        Raises:
            OSError: The address cannot be had, or a certificate cannot be read.
        """
        if self._mesh is None or not self._peers:
            return
        called = mesh_context(self._mesh, ssl.PROTOCOL_TLS_SERVER)
        calling = mesh_context(self._mesh, ssl.PROTOCOL_TLS_CLIENT)
        own = self._nodes[self._place.node]
        address = own.address_of(self._place.number)
        self._listening = await listening_sockets(f"node[{own.name}].address", address, backlog=BACKLOG)
        for listening in self._listening:
            self._calls.spawn(self._calls.hear(listening, partial(self._hear, called, introduction)))
        for worker, peer in self._peers.items():
            if worker.node < self._place.node:
                call = partial(self._call, worker, calling, introduction)
                self._calls.spawn(self._calls.keep_calling(peer.name, call))
        self._calls.spawn(self._watch(self._mesh.silence_ms / 1000 / LOOKS))

    async def stop(self) -> None:
        """Close all connections."""
        await self._calls.stop()
        await asyncio.gather(*(line.leave("the worker ends") for line in list(self._lines.values())))
        for listening in self._listening:
            listening.close()
        self._listening = []

    def status(self) -> list[dict[str, object]]:
        """Of each worker of another machine: whether it is connected with this one, since when, and why not."""
        return [
            {
                "here": self._place.number,
                "node": self._nodes[worker.node].name,
                "worker": worker.number,
                "connected": peer.is_up,
                "since": round(self._standings[worker].since_s, 3),
                "reason": None if peer.is_up else self._standings[worker].reason,
            }
            for worker, peer in self._peers.items()
        ]

    # --- calling --------------------------------------------------------------------------------------------------

    async def ask(self, introduction: Introduction) -> None:
        """Hear from all who are there what they have heard of the journals of this worker.

        Raises:
            OSError: A certificate cannot be read.
        """
        if self._mesh is not None:
            context = mesh_context(self._mesh, ssl.PROTOCOL_TLS_CLIENT)
            await asyncio.gather(*(self._ask(worker, context, introduction) for worker in self._peers))

    async def _ask(self, worker: WorkerId, context: ssl.SSLContext, introduction: Introduction) -> None:
        line = _Line()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._introduce(worker, line, context, introduction, asks=True)
                answer = await line.hear(introduction.missing_answer_bytes)
            introduction.take_answer(answer, self._peers[worker].name)
        except (OSError, StrangerError, TimeoutError) as error:
            log.debug("a worker was not asked", worker=self._peers[worker].name, reason=words_of(error))
        finally:
            line.abort()

    async def _introduce(
        self, worker: WorkerId, line: _Line, context: ssl.SSLContext, introduction: Introduction, *, asks: bool = False
    ) -> Introduced:
        """Call a worker, and see that it is the one."""
        section = self._nodes[worker.node]
        place = section.address_of(worker.number)
        await asyncio.get_running_loop().create_connection(lambda: line, place.host, place.port, ssl=context)
        _require_certificate(line, section)
        line.say(introduction.hello(asks=asks))
        heard = introduction.check(await line.hear(introduction.missing_bytes))
        require(heard.worker == worker, "another worker answers than was called")
        return heard

    async def _call(self, worker: WorkerId, context: ssl.SSLContext, introduction: Introduction) -> asyncio.Future[str]:
        """Call a worker; what is given back ends with the connection. Why it could not be had is kept."""
        try:
            line = await self._reach(worker, context, introduction)
        except (OSError, StrangerError, TimeoutError) as error:
            self._standings[worker].reason = f"cannot be called: {words_of(error)}"
            raise
        return self._join(worker, line)

    async def _reach(self, worker: WorkerId, context: ssl.SSLContext, introduction: Introduction) -> _Line:
        """Call a worker, and come to know each other."""
        line = _Line()
        async with asyncio.timeout(HELLO_SECONDS):
            try:
                heard = await self._introduce(worker, line, context, introduction)
                line.say(introduction.journals_of(heard))
                introduction.require_newest(heard)
            except OlderJournalError as error:
                await line.leave(str(error))
                raise
            except BaseException:
                line.abort()
                raise
        return line

    # --- called ---------------------------------------------------------------------------------------------------

    def _hear(
        self, context: ssl.SSLContext, introduction: Introduction, connection: socket.socket, address: Any
    ) -> None:
        # Who has been waited for longest makes room: so silent callers keep no node away.
        if len(self._arriving) >= ARRIVING_MAX:
            next(iter(self._arriving)).cancel()
        task = self._calls.spawn(self._receive(connection, address[0], context, introduction))
        self._arriving[task] = None
        task.add_done_callback(lambda done: self._arriving.pop(done, None))

    async def _receive(
        self, connection: socket.socket, caller: str, context: ssl.SSLContext, introduction: Introduction
    ) -> None:
        line, hello = _Line(), b""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                await asyncio.get_running_loop().connect_accepted_socket(lambda: line, connection, ssl=context)
                hello = await line.hear(introduction.missing_bytes)
                heard = introduction.check(hello)
                worker = heard.worker
                is_expected = worker in self._peers and (heard.asks or worker.node > self._place.node)
                require(is_expected, "that worker does not call here")
                _require_certificate(line, self._nodes[worker.node])
                line.say(introduction.hello() + introduction.journals_of(heard))
                if heard.asks:
                    await line.leave("it has only asked")
                    return
                introduction.require_newest(heard)
        except (OSError, StrangerError, TimeoutError) as error:
            reason = words_of(error)
            self._notes("a_node's_call_was_refused", {"peer": caller, "reason": reason})
            self._keep_refusal(caller, line.certificate(), hello, reason)
            if isinstance(error, DifferentError):
                with contextlib.suppress(StrangerError):  # where a journal here is out of date
                    line.say(introduction.hello())  # so that the other side can tell, too
            if isinstance(error, DifferentError | OlderJournalError):
                await line.leave(reason)
            line.abort()
            connection.close()
            return
        except BaseException:
            line.abort()
            connection.close()
            raise
        self._join(worker, line)

    def _keep_refusal(self, caller: str, certificate: x509.Certificate | None, hello: bytes, reason: str) -> None:
        """Keep why a call was refused, for whom it seems to be of: by its certificate, else by its address."""
        number = claimed_worker(hello)
        for worker, standing in self._standings.items():
            section = self._nodes[worker.node]
            is_its = (
                section.address.host == caller
                if certificate is None
                else bears_name(certificate, section.certified_name)
            )
            if is_its and worker.node > self._place.node and number in (None, worker.number):
                standing.reason = f"its call was refused: {reason}"

    # --- both -----------------------------------------------------------------------------------------------------

    def _join(self, worker: WorkerId, line: _Line) -> asyncio.Future[str]:
        """Both know each other: a connection that stood before is over, whatever it knows of that itself."""
        earlier = self._lines.get(worker)
        if earlier is not None:
            earlier.close("it has called again")
        peer = self._peers[worker]

        def lost(reason: str) -> None:
            self._lines.pop(worker, None)
            self._standings[worker] = _Standing(reason=reason)
            log.warning("node lost", worker=peer.name, reason=reason)

        self._lines[worker] = line
        self._standings[worker] = _Standing()
        log.info("node connected", worker=peer.name)
        return line.begin(self._reactor, peer, lost)

    async def _watch(self, pause_seconds: float) -> None:
        """Ask everybody for a word now and then, and take for lost who gives none."""
        while True:
            await asyncio.sleep(pause_seconds)
            for line in list(self._lines.values()):
                line.look()


@dataclass
class _Standing:
    """How it stands with a worker of another machine.

    Attributes:
        reason: Why there is no connection.
        since_s: Since when it is as it is, by the wall clock.
    """

    reason: str = "no call yet"
    since_s: float = field(default_factory=time.time)


class _Line(asyncio.Protocol):
    """One connection: a HELLO first, then a peer's records."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()
        self._news = asyncio.Event()
        self._gone = asyncio.Event()
        self._is_lost = False
        self._link: NodeLink | None = None
        self._on_lost: Callable[[str], None] = lambda _reason: None
        self._unanswered = 0
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    # --- what the transport says ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._transport.set_write_buffer_limits(high=OUTPUT_BYTES)
        self._news.set()

    def data_received(self, data: bytes) -> None:
        """Something was said."""
        self._unanswered = 0
        if self._link is not None:
            self._link.receive(data)
            return
        if self._lost.done():
            return
        self._heard += data
        if self._transport is not None:
            self._transport.pause_reading()  # nobody is to say much before it is known
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._is_lost = True
        self._gone.set()
        self._news.set()
        self.close("it has ended" if exc is None else words_of(exc) if isinstance(exc, OSError) else str(exc))

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        if self._link is not None:
            self._link.pause()

    def resume_writing(self) -> None:
        """It takes more."""
        if self._link is not None:
            self._link.resume()

    # --- before both know each other ------------------------------------------------------------------------------

    def certificate(self) -> x509.Certificate | None:
        """What the other side has shown; None when that cannot be read."""
        tls = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        shown = None if tls is None else tls.getpeercert(binary_form=True)
        try:
            return None if shown is None else x509.load_der_x509_certificate(shown)
        except (ValueError, x509.InvalidVersion):
            return None

    def say(self, hello: bytes) -> None:
        """Say who we are."""
        if self._transport is not None:
            self._transport.write(hello)

    async def hear(self, missing_bytes: Callable[[bytes], int]) -> bytes:
        """What the other side says first, as long as bytes are missing; what stands behind it is kept.

        Raises:
            StrangerError: It says something else, or nothing.
        """
        while (missing := missing_bytes(bytes(self._heard))) > 0:
            require(not self._is_lost, "it has ended before it said who it is")
            self._news.clear()
            if self._transport is not None:
                self._transport.resume_reading()
            await self._news.wait()
        size = len(self._heard) + missing
        hello, self._heard = bytes(self._heard[:size]), self._heard[size:]
        return hello

    def abort(self) -> None:
        """End what never was a connection of the mesh."""
        if self._transport is not None:
            self._transport.abort()

    # --- from then on ---------------------------------------------------------------------------------------------

    def begin(self, reactor: Reactor, peer: Peer, on_lost: Callable[[str], None]) -> asyncio.Future[str]:
        """Speak of payments; what is given back ends with the connection."""
        self._on_lost = on_lost
        if self._transport is None or self._is_lost:
            on_lost("it has ended")
            self._lost.set_result("it has ended")
            return self._lost
        self._link = NodeLink(reactor, peer, self._transport.write, self.close)
        self._link.start()
        self._transport.resume_reading()
        if self._heard:
            self._link.receive(bytes(self._heard))
        return self._lost

    def look(self) -> None:
        """Ask for a word, and take it for lost when it gave none however often it was asked."""
        if self._link is None:
            return
        if self._unanswered >= LOOKS:
            self.close("it says nothing")
            return
        self._unanswered += 1
        self._link.ask_for_a_word()

    async def leave(self, reason: str) -> None:
        """End the connection in order: the other side reads what was said until now."""
        self._end(reason)
        if self._transport is not None:
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), GOODBYE_SECONDS)
        self.abort()

    def close(self, reason: str) -> None:
        """The connection is over."""
        self._end(reason)
        self.abort()

    def _end(self, reason: str) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            link.stop()
            self._on_lost(reason)
        if not self._lost.done():
            self._lost.set_result(reason)


def _require_certificate(line: _Line, section: NodeSection) -> None:
    """Refuse who does not bear a node's name.

    Raises:
        StrangerError: It does not.
    """
    certificate = line.certificate()
    if certificate is None or not bears_name(certificate, section.certified_name):
        raise StrangerError(f"its certificate does not bear the name {section.certified_name}")
