"""Framing beside a deframer in plain Python: 100 frames of 225 bytes to a read, in the China UnionPay POS framing."""

from __future__ import annotations

import pytest

from switch.wire.framing import Deframer, Framing

FRAMES = 100
MESSAGE = bytes(range(225))
FRAMINGS = {
    "plain": {"length": {"encoding": "binary-be", "size": 2}},
    "cup": {"headers": [{"type": "tpdu"}, {"type": "fixed", "hex": "603100311001"}], "keep_alive": True},
    "ascii-literal-etx": {
        "length": {"encoding": "ascii", "size": 4, "includes_itself": True},
        "headers": [{"type": "literal", "text": "ISO", "digits": "025000077"}],
        "trailer": "etx",
    },
}


def python_frames(chunk, headers_size):
    """What a plain Python program does: slice by a 2-byte length."""
    frames = []
    at = 0
    while at + 2 <= len(chunk):
        end = at + 2 + int.from_bytes(chunk[at : at + 2], "big")
        if end > len(chunk):
            break
        frames.append((chunk[at + 2 : at + 2 + headers_size], chunk[at + 2 + headers_size : end]))
        at = end
    return frames


@pytest.mark.benchmark(group="framing: 100 frames in a read")
class TestRead:
    @pytest.mark.parametrize("name", FRAMINGS)
    def test_in_place(self, benchmark, steps, name):
        framing = Framing(FRAMINGS[name])
        chunk = framing.wrap(MESSAGE) * FRAMES
        assert benchmark(steps.walk_frames, framing, chunk, 1) == FRAMES

    def test_deframer(self, benchmark):
        framing = Framing(FRAMINGS["cup"])
        deframer = Deframer(framing)
        assert len(benchmark(deframer.feed, framing.wrap(MESSAGE) * FRAMES)) == FRAMES

    def test_plain_python(self, benchmark):
        chunk = Framing(FRAMINGS["cup"]).wrap(MESSAGE) * FRAMES
        assert len(benchmark(python_frames, chunk, 11)) == FRAMES


@pytest.mark.benchmark(group="framing: 100 frames written")
class TestWrite:
    def test_wrap(self, benchmark):
        framing = Framing(FRAMINGS["cup"])
        benchmark(lambda: [framing.wrap(MESSAGE) for _ in range(FRAMES)])

    def test_plain_python(self, benchmark):
        headers = bytes(11)
        size = len(headers) + len(MESSAGE)
        benchmark(lambda: [size.to_bytes(2, "big") + headers + MESSAGE for _ in range(FRAMES)])
