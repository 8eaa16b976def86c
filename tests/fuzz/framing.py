"""Fuzz target of the framing: what a stream must and must not lead to, whatever its bytes are and however it is cut.

An input's first byte chooses the framing, its second one the cuts; the rest is what a peer would send.
"""

from __future__ import annotations

from itertools import pairwise

from switch.wire.framing import Deframer, FrameError, Framing

ETX = {"trailer": "etx"}
HEADERS = [
    {"type": "tpdu"},
    {"type": "literal", "text": "ISO", "digits": "025000077"},
    {"type": "fixed", "hex": "C0DE", "counted": False},
    {"type": "visa"},
]
FRAMINGS = [
    Framing({}),
    Framing({"keep_alive": True, "length": {"includes_itself": True}}),
    Framing({"headers": HEADERS[:1], "message_size_max": 300, **ETX}),
    Framing({"headers": HEADERS, **ETX, "trailer_counted": True, "keep_alive": True}),
    Framing({"length": {"encoding": "ascii", "size": 4, "includes_itself": True}, "headers": HEADERS[1:2]}),
    Framing({"length": {"encoding": "bcd"}, "message_size_max": 500}),
    Framing({"length": {"encoding": "binary-le", "size": 4}, "headers": HEADERS[3:], "message_size_max": 65_000}),
    Framing({"length": {"encoding": "binary-be", "size": 4}, "keep_alive": True, **ETX}),
]

Frames = list[tuple[bytes, bytes]]


def feed_all(framing: Framing, chunks: list[bytes]) -> tuple[Frames, int, int, tuple[str, int, int, int] | None]:
    """All frames of a stream, its keep-alives, the bytes left over, and what it is refused for."""
    deframer = Deframer(framing)
    frames: Frames = []
    for chunk in chunks:
        try:
            frames += deframer.feed(chunk)
        except FrameError as error:
            frames += error.frames
            refusal = (error.status, error.position, error.needed, error.available)
            return frames, deframer.keep_alives, 0, refusal
    return frames, deframer.keep_alives, deframer.partial_size, None


def fuzz_framing(view: memoryview) -> None:
    """However a stream is cut, it gives the same frames and the same refusal; and each frame can be written again."""
    if len(view) < 2:
        return
    framing = FRAMINGS[view[0] % len(FRAMINGS)]
    stream = bytes(view[2:])
    step = view[1] % 31 + 1
    cuts = [*range(0, len(stream), step), len(stream)]
    whole = feed_all(framing, [stream])
    assert feed_all(framing, [stream[start:end] for start, end in pairwise(cuts)]) == whole
    for headers, message in whole[0]:
        framed = framing.wrap(message, headers)
        assert feed_all(framing, [framed])[:3] == ([(rewritten(framing, framed), message)], 0, 0)
        swapped = framing.reply_headers_for(headers)
        assert framing.reply_headers_for(swapped) == headers


def rewritten(framing: Framing, framed: bytes) -> bytes:
    """The headers of a frame as they were written: a size within them is not the sender's choice."""
    return framed[framing.length_size : framing.length_size + framing.headers_size]
