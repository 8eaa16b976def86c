"""Transactions that are under way: a pool of fixed size, and lists in order of their deadlines.

Every list holds transactions of one equal time-out, so the order in which they were added is the order in which they
expire: the head tells the next deadline, and no timer is needed for a single one.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.crypto.mac cimport MacKey
from switch.machine.handles cimport TRANSACTION_NONE, OutcomeHandle, SafHandle, TransactionHandle
from switch.wire.compact_index cimport FieldPlace
from switch.wire.fields cimport PAN_MAX
from switch.wire.framing cimport FRAME_HEADERS_MAX
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec

cdef enum:
    TRANSACTION_BLOCK_BYTES = 1024    # request and sent message together; a longer pair is allocated apart
    VERIFY_MAX = 6                    # fields of the sent message that an answer must repeat

cdef enum TransactionState:
    TRANSACTION_FREE
    TRANSACTION_WAITING               # the issuer has been asked
    TRANSACTION_LATE                  # ended by time-out; kept to take back a late approval, its STAN out of use
    TRANSACTION_NETWORK               # one of our own 0800s
    TRANSACTION_REVERSAL              # a stored reversal or advice that is at the issuer now
    TRANSACTION_SEEKING               # its original is being looked up; no issuer has been asked
    TRANSACTION_OPENED                # taken out of the pool, and nothing yet

cdef struct NaturalKey:
    uint64_t occasion                 # local date and time, or batch number, as the dialect's profile says; else 0
    uint32_t terminal                 # registry index: stands for acquirer, merchant and terminal
    uint32_t stan
    uint32_t message_class            # 1, 2, 4 ...: second digit of the MTI
    uint32_t _padding

cdef struct Stretch:          # bytes of a message
    uint32_t offset           # 0: there are none
    uint32_t length

cdef struct Transaction:
    uint8_t state
    uint8_t kind
    uint8_t pan_digits
    uint8_t reversal_wanted           # the terminal's own reversal came while the issuer was being asked
    uint8_t settled                   # late: the issuer acknowledged that it has reversed it
    uint8_t mismatch                  # field by which an answer was not to it; MISMATCH_NOTHING; 0: none came
    uint8_t is_asked                  # seeking: whoever looks originals up has been asked
    uint8_t is_under_former           # the request came under keys of its terminal that were replaced
    uint8_t late_cause                # late: why it must be reversed, while that finds no room; CAUSE_UNKNOWN: need not
    uint16_t link
    uint16_t listener
    TransactionHandle next            # in its list; or the next free one
    TransactionHandle previous
    uint32_t origin_slot              # the terminal's channel; generation tells a reused slot
    uint32_t origin_generation
    uint32_t carrier_slot             # the link's channel that it was sent on
    uint32_t carrier_generation
    uint32_t terminal                 # registry index
    OutcomeHandle outcome             # its entry in the duplicate window
    uint32_t stan                     # ours, on the link
    SafHandle reversal                # entry of the store that it carries, or that takes it back when late
    uint32_t request_size
    uint32_t request_mti
    uint32_t place_count
    uint32_t sent_size
    uint32_t sent_mti
    Stretch amount                    # field 4 of the sent message
    Stretch repeated[VERIFY_MAX]      # in the sent message: what the answer must repeat, as the link says
    int64_t deadline_ns
    int64_t received_ns
    int64_t sent_ns
    int64_t amount_minor
    int64_t position                  # of its INTENT in the journal; seeking: what the answer must know of it
    int64_t refers_to                 # position of the INTENT or ADVICE of its original; 0: none that is known
    uint64_t departure                # number of its frame among those of the carrier; seeking: of its inquiry
    uint8_t pan[PAN_MAX + 1]          # ASCII digits
    uint8_t rrn[12]
    uint8_t authorization_code[6]     # late: of the issuer's approval; zeros: none is known
    uint8_t transmission_time[10]     # MMDDhhmmss, UTC, as sent to the link
    uint8_t headers[FRAME_HEADERS_MAX]
    MacKey mac_key                    # of its terminal as it asked last: the answer is under it
    uint8_t *request                  # the terminal's message, without the fields that are not kept
    FieldPlace *places                # the request's index
    uint8_t *sent                     # the message as it went to the link, without the fields that are not kept
    uint8_t *apart                    # allocation for a pair that is longer than a block


cdef class DeadlineList:
    """A first-in first-out list of transactions that share one time-out."""
    cdef TransactionHandle head
    cdef TransactionHandle tail
    cdef readonly uint32_t count


cdef class TransactionTable:
    cdef Transaction *_pool
    cdef uint8_t *_blocks
    cdef uint32_t _free
    cdef readonly uint32_t room
    cdef readonly uint32_t in_use

    cdef TransactionHandle open(self) noexcept nogil
    cdef Transaction *at(self, TransactionHandle number) noexcept nogil
    cdef bint still_seeks(self, TransactionHandle number, uint64_t inquiry) noexcept nogil
    cdef int keep_messages(self, TransactionHandle number, Spec request_spec, const MessageIndex *request,
                           const uint64_t *request_unkept, Spec sent_spec, const MessageIndex *sent,
                           const uint64_t *sent_unkept) noexcept nogil
    cdef void recall_request(self, const Transaction *transaction, MessageIndex *index) noexcept nogil
    cdef void drop_messages(self, TransactionHandle number) noexcept nogil
    cdef void close(self, TransactionHandle number) noexcept nogil
    cdef TransactionHandle overdue(self, DeadlineList deadlines, int64_t now_ns) noexcept nogil
    cdef void append(self, DeadlineList deadlines, TransactionHandle number) noexcept nogil
    cdef void remove(self, DeadlineList deadlines, TransactionHandle number) noexcept nogil
