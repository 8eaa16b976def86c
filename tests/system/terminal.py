"""One terminal's connection, over a real socket: sends what it is given, reads whole answers."""

from __future__ import annotations

import asyncio
import socket
import struct

from switch.wire.framing import Deframer

from .installation import TERMINALS, profile_of

ANSWER_SECONDS_MAX = 10


class Terminal:
    """A connection to a listener. Make one with ``connect``."""

    def __init__(self, installation, dialect, reader, writer):
        self.installation = installation
        self.dialect = dialect
        self.profile = profile_of(dialect)
        self.reader = reader
        self.writer = writer
        self._deframer = Deframer(self.profile.framing)
        self._answers = []

    @classmethod
    async def connect(
        cls, installation, port, dialect="cup", tls=None, host="127.0.0.1", server_name=None, local=None, header=b""
    ):
        """A connection, from a ``local`` address, that begins with a balancer's ``header``."""
        from_there = None if local is None else (local, 0)
        reader, writer = await asyncio.open_connection(host, port, local_addr=from_there)
        writer.write(header)
        if tls is not None:
            await writer.start_tls(tls, server_hostname=server_name or "localhost")
        return cls(installation, dialect, reader, writer)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def send(self, *messages):
        """Send messages, each in a frame, at once."""
        self.writer.write(b"".join(self.profile.framing.wrap(message) for message in messages))

    async def receive(self, seconds=ANSWER_SECONDS_MAX):
        """The next message: (headers, its bytes, itself)."""
        while not self._answers:
            data = await asyncio.wait_for(self.reader.read(65_536), seconds)
            if not data:
                raise EOFError("the switch closed the connection")
            self._answers += self._deframer.feed(data)
        headers, data = self._answers.pop(0)
        return headers, data, self.profile.scan(data)

    async def answer(self, seconds=ANSWER_SECONDS_MAX):
        """The next message, its MAC verified where it carries one."""
        _, data, message = await self.receive(seconds)
        if self.profile.mac_field(message):
            mac = self.installation.mac_of(message.text(41).rstrip())
            assert self.profile.mac_is_right(message, data, mac), "the answer's MAC is wrong"
        return message

    async def ask(self, message, seconds=ANSWER_SECONDS_MAX):
        """Send one message; the next answer."""
        self.send(message)
        return await self.answer(seconds)

    async def code(self, terminal=TERMINALS[0], **request):
        """Make a request; the response code of its answer, which must be to that request."""
        request = self.installation.request(self.dialect, terminal=terminal, **request)
        answer = await self.ask(request)
        asked = self.profile.scan(request)
        assert answer.text(11) == asked.text(11)
        assert answer.text(41) == asked.text(41)
        return answer.text(39)

    async def is_closed(self, seconds=ANSWER_SECONDS_MAX):
        """Whether the switch closes the connection without another word."""
        try:
            return await asyncio.wait_for(self.reader.read(1), seconds) == b""
        except ConnectionError:
            return True

    def close(self):
        """Close it at once."""
        self.writer.transport.abort()

    def reset(self):
        """Go away so that the switch knows at once: with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()
