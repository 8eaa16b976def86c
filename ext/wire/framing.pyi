"""Framing: length field, fixed headers and trailer around a message on a TCP stream."""

from collections.abc import Mapping
from typing import Any, final

from typing_extensions import Buffer

class FrameError(ValueError):
    """A stream, or a message to wrap, that the framing refuses. Its text holds no byte of any message.

    Attributes:
        status: ``too-long``, ``too-short``, ``bad-length`` (not digits), ``bad-header`` (a literal header or a trailer
            that is something else) or ``no-memory``.
        position: the offending byte, counted from the start of the stream.
        needed: for ``too-long`` the largest message in bytes, for ``too-short`` the smallest length, for ``bad-header``
            the byte value of the rule.
        available: what was there instead, in the same unit; for ``bad-length`` the byte that is no digit.
        frames: the complete frames of the same chunk that came before the offending one.
    """

    status: str
    position: int
    needed: int
    available: int
    frames: list[tuple[bytes, bytes]]
    def __init__(self, status: str, position: int, needed: int, available: int) -> None: ...

@final
class Framing:
    """How one side frames its messages: length, headers, message, trailer, in this order on the wire.

    The table (all keys optional; unknown keys are refused with ``ValueError``, which names the key):

    ======================== =========================================================================================
    ``length``               table: ``encoding`` = ``binary-be`` (default), ``binary-le``, ``bcd`` or ``ascii``;
                             ``size`` = 2 (default) or 4, in bytes (BCD of 2 bytes counts to 9999, ASCII of 4 as well);
                             ``includes_itself`` = false (default) or true
    ``headers``              list of tables, in the order of the wire, each with ``type`` and ``counted`` (default true:
                             the length counts it; false: it stands after the length but is not counted):
                             ``tpdu``: 5 bytes (identifier, destination 2, origin 2; swapped in answers), default value
                             ``hex`` = ``"6000000000"``;
                             ``fixed``: any bytes as long as the default ``hex``, echoed in answers;
                             ``literal``: ``text``, which must be equal, then as many digits as the default ``digits``
                             has, of any value (``text = "ISO"``, ``digits = "025000077"``), echoed in answers;
                             ``visa``: first byte is its own size and must be, bytes 3 to 4 are the size of header and
                             message (written on sending), station addresses at 5 to 7 and 8 to 10 are swapped in
                             answers; default value ``hex`` (22 bytes)
    ``trailer``              ``none`` (default) or ``etx`` (one byte 0x03)
    ``trailer_counted``      whether the length counts the trailer; default false
    ``keep_alive``           whether a length of zero (or of only itself, where it includes itself), with nothing after
                             it, is a keep-alive; default false: refused as too short
    ``message_size_max``     bytes of the message alone, without headers and trailer; 1 to 65535, default 4096
    ======================== =========================================================================================
    """

    headers_size: int
    length_size: int
    message_size_max: int
    overhead: int
    def __init__(self, table: Mapping[str, Any]) -> None: ...
    def wrap(self, message: Buffer, headers: Buffer | None = None) -> bytes:
        """One frame around ``message``; with the default headers where none are given.

        Raises:
            FrameError: the message is empty or above ``message_size_max``.
            ValueError: ``headers`` are not ``headers_size`` long.
        """
    def reply_headers_for(self, headers: Buffer) -> bytes:
        """Headers of the answer to a frame that had ``headers``: TPDU and Visa addresses swapped, the rest as it came.

        Raises:
            ValueError: ``headers`` are not ``headers_size`` long.
        """

@final
class FrameBuffer:
    """Bytes of a frame that is not complete yet; used from compiled code."""

    size_max: int
    def __init__(self, size_max: int) -> None: ...

@final
class FrameStream:
    """The frames of one connection, read in place; used from compiled code."""

    def __init__(self, framing: Framing) -> None: ...

class Deframer:
    """The frames of one byte stream, for tools and tests.

    Attributes:
        keep_alives: keep-alives seen so far.
        partial_size: bytes of an incomplete frame that wait for the rest.
    """

    keep_alives: int
    def __init__(self, framing: Framing) -> None: ...
    @property
    def partial_size(self) -> int: ...
    def feed(self, data: Buffer, count_max: int | None = None) -> list[tuple[bytes, bytes]]:
        """Complete frames in what was pending and ``data``, as ``(headers, message)``; ``count_max`` of them at most.

        What is left over, complete or not, stays pending: ``feed(b"")`` goes on with it.

        Raises:
            FrameError: the stream breaks the framing; every later call raises it again.
        """

def live_buffer_bytes() -> int:
    """Memory that all frame buffers of the process hold, in bytes; 0 when no connection has a frame pending."""
