"""The layer between sockets and the state machine: one epoll set, one read and one write a loop turn a connection.

The event loop watches the epoll set as it would watch one socket. When something is ready it calls ``turn``, and from
there to the state machine and back into the kernel no Python object is made for a message: bytes are read into one
buffer that all connections share, handled in place, and written from the channel's output.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.io.sockets cimport epoll_event
from switch.io.tls cimport TlsStream
from switch.machine.channel cimport Channel
from switch.path.engine cimport Engine

cdef enum:
    READ_BYTES = 65536        # read from one connection at once
    EVENTS_A_TURN = 256       # connections that are heard in one turn
    TLS_RECORD_BYTES = 16384  # a record's content at most (RFC 8446, 5.1)

cdef enum ConnectionState:
    CONNECTION_NEW
    CONNECTION_SHAKING        # in its TLS handshake
    CONNECTION_OPEN
    CONNECTION_CUT            # it was open, and is closed when the turn ends
    CONNECTION_REFUSED        # the same of one that never was open

cdef enum InputState:         # what the socket may still bring
    INPUT_NOTHING             # until its next event
    INPUT_MORE                # it may have more than was read
    INPUT_LAST                # the peer has shut its side: read until its end is met
    INPUT_ENDED               # that was met: the peer waits for answers, or is gone

cdef enum BacklogState:       # of what was read; while there is one, nothing is read
    BACKLOG_NONE
    BACKLOG_NEXT_TURN         # frames are left for the next turn
    BACKLOG_FULL              # frames are left, and as many requests are in flight as may be: an answer goes first

cdef enum OutputState:
    OUTPUT_FLOWING
    OUTPUT_PAUSED             # the kernel takes no more, and says when it does again


cdef class Reactor:
    cdef readonly Engine engine
    cdef readonly object loop
    cdef readonly uint64_t output_bytes_max      # of one connection, waiting here
    cdef readonly uint32_t slow_consumers        # index of their counter
    cdef int _epoll
    cdef epoll_event _events[EVENTS_A_TURN]
    cdef uint8_t *_bytes                         # what a read brings, until it is handled; TLS output on its way
    cdef uint8_t *_deciphered                    # what a read brings, behind TLS
    cdef set _watched                            # connections in the epoll set, which only borrows them
    cdef list _unfinished                        # connections that go on in the next turn, without an event
    cdef list _gated                             # channels whose output waits for the journal
    cdef list _ended                             # connections to be closed when the turn ends
    cdef list followers                          # whom the end of a turn concerns, beside connections
    cdef bint _is_in_turn
    cdef bint _turn_is_due
    cdef object _turn_callback
    cdef object _timer

    cdef int watch(self, Connection connection) except -1
    cdef void forget(self, Connection connection)
    cdef void turn_soon(self)
    cdef void end_turn(self) noexcept
    cdef void flush_dirty(self)
    cdef void _tell_followers(self) noexcept
    cdef void flush_channels(self, list channels)


cdef class Connection:
    cdef readonly Reactor reactor
    cdef readonly Channel channel
    cdef readonly TlsStream tls                  # None: plain TCP
    cdef object _on_open
    cdef object _on_lost
    cdef object _handshake                       # future of the TLS handshake, while it lasts
    cdef object _linger                          # timer that ends a connection whose last output does not leave
    cdef object _acknowledgement                 # timer that looks whether the last output was acknowledged
    cdef str _closing_reason
    cdef bytes _ciphertext                       # what the socket did not take yet of TLS output
    cdef double _shown_at                        # when the last bytes were written to a peer that shut its side
    cdef int _fd                                 # -1 when there is none
    cdef ConnectionState _state
    cdef InputState _input
    cdef BacklogState _backlog
    cdef OutputState _output

    cdef void handle(self, uint32_t events) noexcept
    cdef void go_on(self) noexcept
    cdef void flush(self) noexcept
    cdef void conclude(self) noexcept
    cdef int _go_on(self) except -1
    cdef int _go_on_next_turn(self) except -1
    cdef void _expect_input(self, InputState state) noexcept
    cdef int _read(self) except -1
    cdef int _take_in(self, const uint8_t *data, size_t size) except -1
    cdef int _decipher(self) except -1
    cdef int _progress(self, int progress) except -1
    cdef int _end_of_input(self) except -1
    cdef int _flush(self) except -1
    cdef int _send_channel(self) except -1
    cdef int _send_enciphered(self) except -1
    cdef int _send_ciphertext(self) except -1
    cdef Py_ssize_t _send(self, const uint8_t *data, size_t size) except -1
    cdef int _await_acknowledgement(self) except -1
    cdef int _look_later(self) except -1
    cdef int _shake_hands(self) except -1
    cdef int _take_over(self, int fd) except -1
    cdef int _begin(self) except -1
    cdef int _finish(self) except -1
    cdef bint _has_ended(self) noexcept
    cdef int _cut(self, str reason) except -1
    cdef void _fail(self, object error)
