"""The keyed hash by which risk control knows cards, terminals and merchants: no PAN is kept."""

from libc.stdint cimport uint8_t
from switch.base.siphash cimport SipKey

cdef enum:
    SECRET_BYTES = 16

cdef SipKey sip_key(const uint8_t[::1] secret) except *
