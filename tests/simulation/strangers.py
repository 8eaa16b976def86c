"""Strangers: what somebody says who is not entitled to it, on a connection of his own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from switch.wire.framing import Framing

    from .network import Wire


class Stranger:
    """Somebody whom no answer interests."""

    def received(self, wire: Wire, data: bytes) -> None:
        """Nobody reads it."""

    def lost(self, wire: Wire) -> None:
        """Nobody cares."""


def garbled(said: bytes, framing: Framing, draw: Random) -> bytes:
    """What nobody can read."""
    match draw.randrange(3):
        case 0:
            return framing.wrap(draw.randbytes(draw.randrange(1, 200)))
        case 1:
            return framing.wrap(said[framing.overhead : draw.randrange(20, len(said))])
        case _:
            return draw.randbytes(draw.randrange(1, 60))


def forged(said: bytes, framing: Framing, draw: Random) -> bytes:
    """What a terminal has said, with changed bits."""
    frame = bytearray(said)
    headers_end = framing.overhead  # what is before the message no MAC covers
    # An odd number of bits: CUP's MAC folds all blocks with XOR, so that two may cancel each other.
    for _ in range(draw.choice((1, 3))):
        frame[draw.randrange(headers_end, len(frame))] ^= 1 << draw.randrange(8)
    return bytes(frame)
