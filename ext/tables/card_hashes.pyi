from _typeshed import ReadableBuffer

SECRET_SIZE: int
"""Bytes of the key."""

def keyed_hash(secret: ReadableBuffer, data: bytes) -> int:
    """SipHash-2-4 of the data, with a key of 16 bytes."""

def card_hash(secret: ReadableBuffer, pan: str) -> str:
    """How a list of blocked cards writes a PAN: 16 hex digits."""
