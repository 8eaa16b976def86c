"""Rings: bytes from one process to another through shared memory, and the pair of them that joins two workers.

A ring has one writer and one reader. Its bytes are mapped twice in a row, so what is written or read never wraps. How
far each side has come stands in shared memory, where the other one may write whatever it likes at any time: a position
is read once, checked, and the copy is used; one that cannot be is a fault, after which that end gives nothing more.
What a side needs of its own position it keeps to itself.

The memory, for which there is one descriptor: 64 KiB of control (byte 0: position of the writer, 64 bits; 128: of the
reader; 256: not 0 when the reader may sleep; 384: not 0 when the writer waits for room), then the ring's bytes.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum RingFault:
    RING_FAULT_NONE = 0
    RING_FAULT_POSITION       # the other side has a position that cannot be
    RING_FAULT_CLOSED


cdef class RingMemory:
    cdef uint8_t *start                     # of the control
    cdef uint8_t *data                      # of the ring's bytes; as many again follow, which are the same
    cdef readonly size_t size               # bytes of the ring, a power of two

    cdef int _put(self, int memory, uint8_t *at, size_t size, long offset) except -1
    cdef void unmap(self) noexcept nogil


@cython.final
@cython.no_gc
cdef class RingWriter:
    cdef readonly size_t size               # bytes of the ring
    cdef readonly uint8_t fault             # RingFault
    cdef RingMemory _memory
    cdef uint64_t _head                     # bytes written so far
    cdef uint64_t _tail                     # bytes read so far, as far as is known
    cdef size_t _reserved
    cdef bint _has_news                     # for the reader, who has not been woken since

    cdef uint8_t *reserve(self, size_t room) noexcept nogil
    """Where ``room`` bytes can be written in a row; NULL while there is less room: then the pair's event says when to
    try again. More than ``size`` never finds room. A second call before ``commit`` takes the place of the first."""

    cdef void commit(self, size_t size) noexcept nogil
    """Let the reader have the first ``size`` of the bytes that were reserved; ``wake_peer`` of the pair wakes it."""

    cdef int _look(self) noexcept nogil
    cdef bint _must_wake(self) noexcept nogil


@cython.final
@cython.no_gc
cdef class RingReader:
    cdef readonly size_t size               # bytes of the ring
    cdef readonly uint8_t fault             # RingFault
    cdef RingMemory _memory
    cdef uint64_t _head                     # bytes written so far, as far as is known
    cdef uint64_t _tail                     # bytes read so far
    cdef bint _has_news                     # for the writer: room that it has not been woken for

    cdef const uint8_t *peek(self, size_t *size) noexcept nogil
    """What can be read, all in a row; NULL and 0 when there is nothing, or a fault. The writer may go on changing these
    bytes: numbers that lead anywhere must be copied before they are checked."""

    cdef void consume(self, size_t size) noexcept nogil
    """Give back the first ``size`` of the bytes that ``peek`` gave. They are wiped: no message stays behind."""

    cdef int _look(self) noexcept nogil
    cdef bint _may_sleep(self) noexcept nogil
    cdef bint _must_wake(self) noexcept nogil


@cython.final
@cython.no_gc
cdef class RingPair:
    cdef readonly RingWriter outgoing
    cdef readonly RingReader incoming
    cdef int _event                         # readable when we shall look; no read is needed where it is watched by edge
    cdef int _peer_event

    cpdef void awake(self) noexcept nogil
    """Say that we look by ourselves, at the beginning of a turn: the peer need not wake us."""

    cpdef bint may_sleep(self) noexcept nogil
    """Say that we are going to sleep, at the end of a turn. False: something has come meanwhile (or is still there),
    and nobody will wake us for it; True: the peer will wake us when it sends, or when it has made the room that
    ``reserve`` did not find."""

    cpdef void wake_peer(self) noexcept nogil
    """Wake the peer, once a turn: if it may sleep and we have sent something, or if it waits for room and we have made
    some. Else nothing is done."""

    cpdef void drain(self) noexcept nogil
    """Make the event unreadable again, for who watches it by level."""
