"""The thin layer between sockets and the state machine: asyncio protocols, and one write a loop turn a connection."""

from libc.stdint cimport uint32_t, uint64_t
from switch.channel cimport Channel
from switch.engine cimport Engine


cdef class Reactor:
    cdef readonly Engine engine
    cdef readonly object loop
    cdef readonly uint64_t output_bytes_max      # of one connection, waiting here and in its transport
    cdef list _gated                             # channels whose output waits for the journal
    cdef bint _flush_is_due
    cdef object _flush_callback
    cdef object _timer
    cdef readonly uint32_t slow_consumers        # index of their counter

    cdef void flush_soon(self)
    cdef void flush_channels(self, list channels)


cdef class Connection:
    cdef readonly Reactor reactor
    cdef readonly Channel channel
    cdef readonly object transport
    cdef object _on_open
    cdef object _on_lost
    cdef bytes _chunk                            # of which frames are left; the channel's stream points into it
    cdef bint _is_resting                        # its reading is paused
    cdef bint _is_full
    cdef bint _was_open
    cdef bint _write_is_paused
    cdef str _closing_reason
    cdef bint _peer_is_done                      # it has shut its side, and waits for answers or is gone
    cdef double _shown_at                        # when frames were written to it that it did not acknowledge yet
    cdef object _linger                          # timer that ends a connection whose last output does not leave

    cdef void carry_on(self, int progress)
    cdef void flush(self)
    cdef void flush_to_half_closed(self)
