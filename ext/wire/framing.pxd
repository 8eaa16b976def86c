"""Framing: how one side marks where a message begins and ends on a TCP stream."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    FRAME_HEADERS_MAX = 64    # bytes of all fixed headers of a frame together
    HEADER_COUNT_MAX = 8      # headers of a frame

cdef enum FrameStatus:
    FRAME_INCOMPLETE = 0
    FRAME_COMPLETE = 1
    FRAME_KEEP_ALIVE = 2      # zero length: consumed, nothing to do
    FRAME_TOO_LONG = -1
    FRAME_TOO_SHORT = -2      # length smaller than what the framing itself needs
    FRAME_BAD_LENGTH = -3     # not digits, not BCD
    FRAME_BAD_HEADER = -4     # a literal header or trailer that is something else
    FRAME_NO_MEMORY = -5      # the tail of a chunk could not be kept: no memory, or above its limit
    FRAME_PROXY_HEADER = -6   # no frame: what a load balancer sends before one (switch.wire.proxy_header)

cdef struct Frame:
    const uint8_t *headers    # the fixed headers (TPDU and the like), as they came; borrowed
    uint32_t headers_size
    const uint8_t *message    # what a scan reads; borrowed
    uint32_t message_size
    uint32_t total            # bytes that the whole frame takes from the stream
    uint32_t position         # after a refusal: the offending byte, from the start of the frame
    uint64_t needed           # after a refusal: what the rule asks for (a size in bytes, or a byte's value)
    uint64_t available        # after a refusal: what was there

cdef str frame_words(int status, uint32_t position, uint64_t needed, uint64_t available)
"""Why a frame is refused, in one line that holds no byte of it; as ``FrameError`` says it."""

cdef enum FrameLength:
    FRAME_LENGTH_BINARY_BE
    FRAME_LENGTH_BINARY_LE
    FRAME_LENGTH_BCD
    FRAME_LENGTH_ASCII

cdef enum HeaderCheckKind:
    CHECK_EQUAL               # the same bytes as in the default headers
    CHECK_DIGITS              # ASCII digits

cdef struct HeaderCheck:
    uint8_t kind
    uint8_t offset            # from the start of the headers
    uint8_t size

cdef struct HeaderSwap:       # two addresses that change places in an answer
    uint8_t first             # offsets from the start of the headers
    uint8_t second
    uint8_t size              # of each, in bytes

cdef struct HeaderTotal:      # a 2-byte big-endian size inside a header, of that header and the message
    uint8_t offset
    uint8_t header_size


@cython.final
cdef class Framing:
    """Immutable description, compiled from a dialect's ``framing`` table."""
    cdef readonly uint32_t headers_size     # fixed headers, in bytes
    cdef readonly uint32_t overhead         # bytes that a frame adds to its message
    cdef readonly uint32_t message_size_max
    cdef readonly uint32_t length_size      # bytes of the length field, with which every frame begins
    cdef bint keep_alive
    cdef int length_encoding
    cdef uint32_t counted                   # what the length counts besides the message
    cdef uint32_t trailer_size              # 0 or 1 (ETX)
    cdef uint32_t keep_alive_length         # the length that says "nothing follows": 0, or the length field's own size
    cdef int check_count
    cdef HeaderCheck checks[2 * HEADER_COUNT_MAX]
    cdef int swap_count
    cdef HeaderSwap swaps[HEADER_COUNT_MAX]
    cdef int requirement_offset             # of the byte whose digit tells a terminal what to do next; -1: none
    cdef uint8_t requirement_shift          # of the digit's bits in it
    cdef int total_count
    cdef HeaderTotal totals[HEADER_COUNT_MAX]
    cdef uint8_t defaults[FRAME_HEADERS_MAX]

    cdef int next_frame(self, const uint8_t *data, size_t size, Frame *frame) noexcept nogil
    """Look for one frame at ``data``; a ``FrameStatus``. ``frame.total`` is set when complete or keep-alive; when
    incomplete and the length is already readable it is the size of the whole frame, else 0. A length above the limit
    and a wrong header are refused as soon as they can be read."""

    cdef void reply_headers(self, const uint8_t *received, uint8_t *reply) noexcept nogil
    """Headers of the answer to a frame whose headers were ``received`` (TPDU and Visa addresses swapped, the rest as
    it came); both ``headers_size`` long and not overlapping."""

    cdef bint require(self, const uint8_t *received, uint8_t requirement, uint8_t *marked) noexcept nogil
    """Copy headers to ``marked`` with the digit that tells a terminal what to do next; False, and nothing is copied,
    where the headers have no such digit."""

    cdef int open_frame(self, uint8_t *out, size_t room) noexcept nogil
    """Offset in ``out`` at which the message is to be written, so that nothing is copied twice; -1 without room."""

    cdef int close_frame(self, uint8_t *out, size_t room, const uint8_t *headers, uint32_t message_size) noexcept nogil
    """Write length, headers (NULL: the default ones) and trailer around a message that stands at ``open_frame``'s
    offset; total size, or -1 for a message that is empty or above the limit, or without room."""

    cdef int _check_headers(self, const uint8_t *headers, size_t size, Frame *frame) noexcept nogil
    cdef int _read_length(self, const uint8_t *data, uint32_t *length, Frame *frame) noexcept nogil
    cdef void _write_length(self, uint8_t *out, uint32_t length) noexcept nogil


@cython.final
cdef class FrameBuffer:
    """Bytes of a frame that is not complete yet. Holds no memory while empty."""
    cdef uint8_t *data
    cdef uint32_t start                     # of what was not consumed
    cdef uint32_t size                      # of what was not consumed
    cdef uint32_t room
    cdef readonly uint32_t size_max

    cdef int append(self, const uint8_t *data, size_t size) noexcept nogil
    """Copy bytes to the end; 0, or -1 when that would pass the limit or there is no memory (nothing is kept of it)."""

    cdef void consume(self, size_t size) noexcept nogil
    """Drop bytes from the front; the memory is given back with the last of them."""

    cdef void clear(self) noexcept nogil
    """Drop everything and give the memory back."""


@cython.final
@cython.no_gc
cdef class FrameStream:
    """The frames of one connection: walks each chunk that was read, keeps only the incomplete end of it.

    ``begin(chunk)``, then ``next`` until it says FRAME_INCOMPLETE or refuses, then ``end()``. A caller may stop
    before that: ``end()`` keeps the rest, and ``begin(NULL, 0)`` goes on with it.
    """
    cdef Framing framing
    cdef FrameBuffer tail
    cdef const uint8_t *_chunk
    cdef size_t _left
    cdef uint32_t _given                    # bytes of the tail under the frame that was given last

    cdef void begin(self, const uint8_t *data, size_t size) noexcept nogil
    """Borrow a chunk until ``end()``."""

    cdef int next(self, Frame *frame) noexcept nogil
    """The next frame, a ``FrameStatus``. Its pointers hold until the following ``next`` or ``end``. After a refusal
    the stream cannot be read further."""

    cdef int end(self) noexcept nogil
    """Keep what was not given yet; 0, or -1 when it is above the limit or there is no memory."""

    cdef uint32_t partial_size(self) noexcept nogil
    """Bytes kept after ``end()``: 0 when no frame is pending."""

    cdef bint begins_with_proxy_header(self) noexcept nogil
    """Whether what could not be given, or is kept after ``end()``, begins with the signature of a PROXY header."""

    cdef void clear(self) noexcept nogil
    """Forget everything, for a connection that is gone."""
