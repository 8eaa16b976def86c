"""Whole messages to and from Python dictionaries, with pyiso8583's call shapes; the work is done in ``ext/``."""

from __future__ import annotations

from switch.wire.decode import DecodeError, decode
from switch.wire.encode import EncodeError, encode

__all__ = ["DecodeError", "EncodeError", "decode", "encode"]
