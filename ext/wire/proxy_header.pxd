"""The PROXY protocol, version 2: with which header a load balancer says on whose behalf it calls."""

from libc.stdint cimport uint8_t, uint16_t

cdef enum:
    PROXY_SIGNATURE_BYTES = 12
    PROXY_START_BYTES = 16        # signature, version and command, family and transport, length of the rest
    PROXY_REST_BYTES_MAX = 520    # addresses and TLVs: a header fits the smallest MSS of TCP, 536 bytes
    PROXY_KEPT_BYTES = 52         # the start, and the longest addresses that are read (TCP over IPv6)


cdef bint starts_proxy_header(const uint8_t *data, size_t size) noexcept nogil
"""Whether bytes begin with the whole signature."""


cdef class ProxyHeader:
    cdef uint8_t _kept[PROXY_KEPT_BYTES]
    cdef uint16_t _taken                    # bytes of the header so far
    cdef uint16_t _size                     # of the whole header; of its start as long as that is not whole
    cdef readonly str address               # whose connection it is; None: the peer's own, or not known yet

    cdef int _look(self) except -1
    cdef int _look_at_signature(self) except -1
    cdef int _look_at_start(self) except -1
    cdef int _read_address(self) except -1
