"""SipHash-2-4 under a key of its own, of what must not be kept itself."""

from libc.string cimport memcpy
from switch.base.siphash cimport siphash

SECRET_SIZE = SECRET_BYTES


cdef SipKey sip_key(const uint8_t[::1] secret) except *:
    cdef SipKey key
    if secret.shape[0] != SECRET_BYTES:
        raise ValueError(f"the key of the card hash must have {SECRET_BYTES} bytes, not {secret.shape[0]}")
    memcpy(&key, &secret[0], SECRET_BYTES)
    return key


def keyed_hash(const uint8_t[::1] secret not None, bytes data not None):
    """SipHash-2-4 of the data."""
    cdef SipKey key = sip_key(secret)
    return siphash(&key, <const uint8_t *><const char *>data, len(data))


def card_hash(secret, str pan not None):
    """How a list of blocked cards writes a PAN: 16 hex digits."""
    return f"{keyed_hash(secret, pan.encode('ascii')):016x}"
