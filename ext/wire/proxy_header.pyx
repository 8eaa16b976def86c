"""The PROXY protocol, version 2: with which header a load balancer says on whose behalf it calls.

HAProxy's proxy-protocol.txt, section 2.2: a signature, a byte of version and command, one of address family and
transport, two of the length of what follows: addresses, ports, and TLVs, which are stepped over. Nothing behind the
header is ever asked for, so what follows it stays with whoever reads it next.
"""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy
from switch.wire.cursor cimport Reader, load_be16, reader_over, reader_position, reader_take

from switch.base.ip_addresses import address_of

cdef enum Command:                # proxy-protocol.txt, 2.2, the 13th byte
    COMMAND_LOCAL = 0
    COMMAND_PROXY = 1

cdef enum:
    VERSION = 2                   # the same byte, its upper half

cdef enum Family:                 # the 14th byte, its upper half
    FAMILY_UNSPECIFIED = 0

cdef enum:                        # the whole 14th byte
    TCP_OVER_IPV4 = 0x11
    TCP_OVER_IPV6 = 0x21
    TRANSPORT_MAX = 2             # its lower half: unspecified, stream, datagram

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
cdef const uint8_t *SIGNATURE_BYTES = SIGNATURE
cdef const uint8_t *FIRST_VERSION = b"PROXY "
cdef enum:
    FIRST_VERSION_BYTES = 6

UNEXPECTED = "a PROXY header (version 2) where none is expected: has the listener no proxy_trusted?"


class ProxyHeaderError(ValueError):
    """What came is no PROXY header of version 2, or one that is not taken. Its text says byte, need and finding."""


class UnexpectedProxyHeaderError(OSError):
    """A PROXY header came where none is expected."""

    def __init__(self):
        super().__init__(UNEXPECTED)


cdef bint starts_proxy_header(const uint8_t *data, size_t size) noexcept nogil:
    return size >= PROXY_SIGNATURE_BYTES and memcmp(data, SIGNATURE_BYTES, PROXY_SIGNATURE_BYTES) == 0


@cython.final
cdef class ProxyHeader:
    """One header, as it comes in. ``feed`` it until ``needed`` is 0; then ``address`` says whose connection it is."""

    def __init__(self):
        self._size = PROXY_START_BYTES

    @property
    def needed(self):
        """Bytes that are missing, as far as that is known; never one behind the header. 0: it is whole."""
        return self._size - self._taken

    @property
    def taken(self):
        """Bytes that have come."""
        return self._taken

    def feed(self, bytes data not None):
        """Take the next bytes, at most ``needed``.

        Raises:
            ProxyHeaderError: it cannot be taken, whatever follows; nothing may be fed any more.
            ValueError: these are more than were needed.
        """
        cdef const uint8_t *start = data
        cdef size_t size = len(data)
        cdef size_t kept
        if size > <size_t>(self._size - self._taken):
            raise ValueError(f"needed at most {self.needed} bytes, got {size}")
        if self._taken < PROXY_KEPT_BYTES:
            kept = min(size, <size_t>(PROXY_KEPT_BYTES - self._taken))
            memcpy(self._kept + self._taken, start, kept)
        self._taken += <uint16_t>size
        self._look()

    cdef int _look(self) except -1:
        """See what is wrong as soon as it can be seen, and how long the header is."""
        if self._size == PROXY_START_BYTES:
            self._look_at_signature()
            if self._taken == PROXY_START_BYTES:
                self._look_at_start()
        if self._taken == self._size:
            self._read_address()
        return 0

    cdef int _look_at_signature(self) except -1:
        cdef uint32_t size = min(<uint32_t>self._taken, <uint32_t>PROXY_SIGNATURE_BYTES)
        cdef uint32_t i
        if memcmp(self._kept, SIGNATURE_BYTES, size) == 0:
            return 0
        if memcmp(self._kept, FIRST_VERSION, min(size, <uint32_t>FIRST_VERSION_BYTES)) == 0:
            if size < FIRST_VERSION_BYTES:
                return 0                         # it may become one, or something else
            raise ProxyHeaderError("a PROXY header of version 1: needed version 2 (of HAProxy: send-proxy-v2)")
        for i in range(size):
            if self._kept[i] != SIGNATURE_BYTES[i]:
                break
        raise ProxyHeaderError(
            f"no PROXY header: byte {i} of its signature: needed {SIGNATURE_BYTES[i]:02X}, got {self._kept[i]:02X}")

    cdef int _look_at_start(self) except -1:
        cdef uint32_t version = self._kept[12] >> 4
        cdef uint32_t command = self._kept[12] & 0x0F
        cdef uint32_t family = self._kept[13]
        cdef uint32_t length = load_be16(self._kept + 14)
        cdef uint32_t least = 0
        if version != VERSION:
            raise ProxyHeaderError(f"PROXY header: byte 12: needed version 2, got {version}")
        if command > COMMAND_PROXY:
            raise ProxyHeaderError(f"PROXY header: byte 12: needed command 0 (LOCAL) or 1 (PROXY), got {command}")
        if command == COMMAND_PROXY:
            if family == TCP_OVER_IPV4:
                least = 12
            elif family == TCP_OVER_IPV6:
                least = 36
            elif family >> 4 != FAMILY_UNSPECIFIED or family & 0x0F > TRANSPORT_MAX:
                raise ProxyHeaderError("PROXY header: byte 13: needed 00 (unspecified), 11 (TCP over IPv4) or 21 (TCP "
                                       f"over IPv6), got {family:02X}")
        if length > PROXY_REST_BYTES_MAX:
            raise ProxyHeaderError(f"PROXY header: byte 14: needed a length of at most {PROXY_REST_BYTES_MAX}, "
                                   f"got {length}")
        if length < least:
            raise ProxyHeaderError(f"PROXY header: byte 14: needed a length of at least {least}, got {length}")
        self._size = <uint16_t>(PROXY_START_BYTES + length)
        return 0

    cdef int _read_address(self) except -1:
        """The source's address, where the header names one: of the rest nothing is looked at."""
        cdef Reader reader
        cdef const uint8_t *source
        cdef uint32_t family = self._kept[13]
        cdef uint32_t size = 4 if family == TCP_OVER_IPV4 else 16
        if self._kept[12] & 0x0F == COMMAND_LOCAL or family >> 4 == FAMILY_UNSPECIFIED:
            return 0
        reader_over(&reader, self._kept, min(<size_t>self._size, <size_t>PROXY_KEPT_BYTES))
        if reader_take(&reader, PROXY_START_BYTES, &source) < 0 or reader_take(&reader, size, &source) < 0:
            raise ProxyHeaderError(f"PROXY header: byte {reader_position(&reader)}: needed {size} bytes, "
                                   f"got {reader.left}")
        self.address = str(address_of((<const char *>source)[:size]))
        return 0
