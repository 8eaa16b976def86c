"""Framing: how one side marks where a message begins and ends on a TCP stream."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    FRAME_HEADERS_MAX = 64    # bytes of all fixed headers of a frame together

cdef enum FrameStatus:
    FRAME_INCOMPLETE = 0
    FRAME_COMPLETE = 1
    FRAME_KEEP_ALIVE = 2      # zero length: consumed, nothing to do
    FRAME_TOO_LONG = -1
    FRAME_TOO_SHORT = -2      # length smaller than what the framing itself needs
    FRAME_BAD_LENGTH = -3     # not digits, not BCD
    FRAME_BAD_HEADER = -4     # a literal header or trailer that is something else

cdef struct Frame:
    const uint8_t *headers    # the fixed headers (TPDU and the like), as they came; borrowed
    uint32_t headers_size
    const uint8_t *message    # what a scan reads; borrowed
    uint32_t message_size
    uint32_t total            # bytes that the whole frame takes from the stream


cdef class Framing:
    """Immutable description, compiled from a dialect's ``framing`` table."""
    cdef readonly uint32_t headers_size     # fixed headers, in bytes
    cdef readonly uint32_t overhead         # bytes that a frame adds to its message
    cdef readonly uint32_t message_size_max

    cdef int next_frame(self, const uint8_t *data, size_t size, Frame *frame) noexcept nogil
    """Look for one frame at ``data``; a ``FrameStatus``. ``frame.total`` is set when complete or keep-alive; when
    incomplete and the length is already readable it is the size of the whole frame, else 0."""

    cdef void reply_headers(self, const uint8_t *received, uint8_t *reply) noexcept nogil
    """Headers of the answer to a frame whose headers were ``received`` (TPDU addresses swapped, the rest as it
    came); both ``headers_size`` long."""

    cdef const uint8_t *default_headers(self) noexcept nogil
    """Headers for a message that we begin; ``headers_size`` long."""

    cdef int open_frame(self, uint8_t *out, size_t room) noexcept nogil
    """Offset in ``out`` at which the message is to be written, so that nothing is copied twice; -1 without room."""

    cdef int close_frame(self, uint8_t *out, size_t room, const uint8_t *headers, uint32_t message_size) noexcept nogil
    """Write length, headers and trailer around a message that stands at ``open_frame``'s offset; total size or -1."""


cdef class FrameBuffer:
    """Bytes of a frame that is not complete yet. Holds no memory while empty."""
    cdef uint8_t *data
    cdef uint32_t size
    cdef uint32_t room
