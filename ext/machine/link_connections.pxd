"""The connections of one link, and how they are: what the state machines of all partitions of a worker share."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, int64_t
from switch.machine.channel cimport Channel
from switch.machine.handles cimport TransactionHandle
from switch.wire.framing cimport Framing

cdef enum LinkState:
    LINK_DOWN                 # no connection is signed on
    LINK_UP
    LINK_SUSPENDED            # connected, but it does not answer: no new work until an echo test comes back

cdef enum LinkHold:           # what is kept from the issuer, because somebody said so
    HOLD_NOTHING
    HOLD_REQUESTS             # new requests
    HOLD_ALL                  # and what it is owed

cdef enum LinkPhase:          # of one connection
    PHASE_SIGNING_ON
    PHASE_READY
    PHASE_SIGNING_OFF
    PHASE_RESTING             # the issuer has signed off: no work until it signs on again


cdef class LinkChannel(Channel):
    cdef readonly LinkConnections connections
    cdef readonly uint8_t phase
    cdef TransactionHandle network_transaction        # our own 0800 that waits for its answer, or TRANSACTION_NONE
    cdef int64_t last_sent_ns
    cdef int64_t retires_ns                           # it gets nothing new, and is signed off then; 0: it stays


cdef class LinkConnections:
    cdef readonly uint16_t number             # of the link, in order of the configuration
    cdef readonly str name
    cdef readonly Framing framing
    cdef readonly uint8_t state
    cdef readonly uint8_t hold
    cdef bint is_doubted                      # it was suspended just now: is the issuer there?
    cdef readonly list channels               # signed on
    cdef readonly list retiring               # signed on, and used no more but by who does not know yet
    cdef readonly list others                 # what other workers have, for when there are none here
    cdef readonly uint32_t open_count
    cdef readonly uint32_t timeouts_in_a_row
    cdef public object key_desk               # who exchanges keys with the issuer; None: nobody does
    cdef bytes key_choice                     # which key is asked for, as the dialect says it
    cdef uint32_t _turn

    cdef bint takes_requests(self) noexcept nogil
    cdef bint takes_owed(self) noexcept nogil
    cdef LinkChannel next_channel(self)
    cdef LinkChannel next_own(self)
    cdef LinkChannel next_for_others(self)
