"""What an operator should read, kept without a Python object until no step is under way."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from switch.base.stats cimport Stats
from switch.wire.scan cimport Fault

cdef enum:
    NOTE_VALUES = 4
    NOTE_RRN_BYTES = 12
    NOTE_TEXT_BYTES = 24
    NOTE_PEER_BYTES = 46          # of an IP address as text, with the NUL behind it
    NOTES_KEPT = 16               # of one event between two deliveries; the rest are only counted

cdef enum NoteEvent:              # in the order of EVENTS
    NOTE_FRAME_ERROR
    NOTE_FORMAT_ERROR
    NOTE_MAC_FAILURE
    NOTE_PIN_NOT_TRANSLATABLE
    NOTE_REQUEST_REFUSED
    NOTE_CONFLICTING_REPEAT
    NOTE_UNEXPECTED_MESSAGE
    NOTE_TERMINAL_REFUSED
    NOTE_REQUEST_NOT_COMPOSABLE
    NOTE_ANSWER_NOT_COMPOSABLE
    NOTE_ADVICE_NOT_COMPOSABLE
    NOTE_LINK_FRAME_ERROR
    NOTE_LINK_FORMAT_ERROR
    NOTE_LINK_UNEXPECTED_MESSAGE
    NOTE_LINK_UNMATCHED_ANSWER
    NOTE_LINK_MAC_FAILURE
    NOTE_LINK_MISMATCHED_ANSWER
    NOTE_LINK_UNKNOWN_CODE
    NOTE_LINK_LATE_ANSWER
    NOTE_ANSWER_WITHOUT_ROOM
    NOTE_LATE_APPROVAL_REVERSED
    NOTE_LINK_SUSPENDED
    NOTE_LINK_UP
    NOTE_LINK_DOWN
    NOTE_NETWORK_MESSAGE_UNKNOWN
    NOTE_NETWORK_MESSAGE_NOT_COMPOSABLE
    NOTE_NETWORK_MESSAGE_REFUSED
    NOTE_NETWORK_MESSAGE_NOT_ANSWERED
    NOTE_REQUEST_UNENDED
    NOTE_REVERSAL_WITHOUT_STAN
    NOTE_REVERSAL_STORE_FULL
    NOTE_REVERSAL_WITHOUT_REQUEST
    NOTE_REVERSAL_NOT_COMPOSABLE
    NOTE_REVERSAL_OVERDUE
    NOTE_ADVICE_DECLINED
    NOTE_REVERSAL_WITHOUT_LINK
    NOTE_REVERSAL_NOT_FOUND
    NOTE_REVERSAL_WITHHELD
    NOTE_SIGN_IN_WITHOUT_KEYS
    NOTE_TERMINAL_ELSEWHERE
    NOTE_TERMINAL_IN_SERVICE
    NOTE_EVENT_COUNT

cdef enum Stranger:               # why somebody is not who may speak here, in the order of STRANGERS
    STRANGER_MERCHANT
    STRANGER_MERCHANT_CLOSED
    STRANGER_TERMINAL
    STRANGER_TERMINAL_CLOSED
    STRANGER_OTHER_MERCHANT
    STRANGER_LISTENER
    STRANGER_CERTIFICATE
    STRANGER_BINDING
    STRANGER_OTHER_MACHINE
    STRANGER_NO_MACHINE
    STRANGER_ELSEWHERE
    STRANGER_NOWHERE
    STRANGER_AWAITING
    STRANGER_OVERDUE

cdef struct Note:
    int64_t value[NOTE_VALUES]
    uint32_t event
    int32_t place                 # number of the link or listener
    bint has_rrn
    uint8_t rrn[NOTE_RRN_BYTES]
    bint has_fault
    Fault fault
    uint8_t peer[NOTE_PEER_BYTES]  # address of the terminal whose frame brought it about; empty: of none
    uint8_t text[NOTE_TEXT_BYTES]  # texts of fixed sizes, one behind the other: EVENTS says which


cdef class NoteQueue:
    cdef readonly object callback             # called with (event, details)
    cdef const uint8_t *speaker               # address of the terminal whose frame is handled now; NULL: of none
    cdef list _links                          # names, by number
    cdef list _listeners
    cdef dict _dialects                       # names, by where and number
    cdef Stats _stats
    cdef uint32_t _failed                     # counters
    cdef uint32_t _held_back
    cdef Note *_notes
    cdef uint32_t _count                      # notes kept
    cdef uint32_t _next                       # of these, the first that has not been delivered
    cdef uint32_t _of_event[NOTE_EVENT_COUNT]
    cdef bint _is_delivering

    cdef Note *add(self, NoteEvent event, int place, int64_t first, int64_t second, int64_t third, int64_t fourth,
                   const uint8_t *rrn) noexcept nogil
    cdef bint is_empty(self) noexcept nogil
    cdef int deliver(self) except -1
    cdef dict _details(self, const Note *note)
