"""The issuer side: one link with its connections, its sequence numbers, what is in flight on it and its health."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.crypto.mac cimport MacKey
from switch.crypto.pin_block cimport PinKey
from switch.dialect.tables cimport DialectTables
from switch.machine.handles cimport HandleSlot, TransactionHandle
from switch.machine.link_connections cimport LinkConnections
from switch.machine.numbering cimport NUMBER_COUNT, Numbering
from switch.machine.saf_store cimport SafQueue
from switch.machine.stan_holds cimport StanHolds
from switch.machine.transaction cimport VERIFY_MAX, DeadlineList, Transaction
from switch.tables.stand_in cimport StandIn
from switch.wire.framing cimport Framing
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec
from switch.wire.translate cimport Composer

cdef enum:
    STAN_COUNT = NUMBER_COUNT

cdef enum Mismatch:
    MISMATCH_NONE = 0         # else the field that does not agree
    MISMATCH_NOTHING = 255    # the answer repeats none of the fields that are verified


cdef class Link:
    cdef readonly uint16_t number
    cdef readonly str name
    cdef readonly DialectTables tables
    cdef readonly Framing framing
    cdef MacKey mac_key                       # ZAK; MAC_NONE when messages carry no MAC
    cdef MacKey former_mac_key                # ZAK that the present one has replaced; MAC_NONE: there is none
    cdef int64_t former_until_ns              # until then answers under it are taken
    cdef PinKey pin_key                       # ZPK
    cdef uint8_t pin_format
    cdef readonly bytes institution_id        # ours on this link, ASCII digits; empty: none
    cdef readonly bint match_by_rrn
    cdef uint8_t verify_count
    cdef uint8_t verify[VERIFY_MAX]           # fields that an answer must repeat where it has them
    cdef bint required[VERIFY_MAX]            # of these, fields that it must have
    cdef bint verifies_amount
    cdef readonly bint partial_approval       # an approval of a part is passed on to terminals that can take it
    cdef readonly int64_t timeout_ns
    cdef readonly int64_t late_ns             # how long after a time-out a late answer is known as such
    cdef readonly int64_t echo_interval_ns
    cdef readonly int64_t echo_timeout_ns
    cdef readonly int64_t idle_timeout_ns     # 0: none
    cdef readonly int64_t partial_timeout_ns
    cdef readonly bint signs_on
    cdef readonly uint32_t reversal_mti
    cdef public uint32_t in_flight_max
    cdef readonly uint32_t timeouts_to_suspend
    cdef list request_composers               # by listener: its dialect to the link's
    cdef list answer_composers                # by listener: the link's dialect to its
    cdef list unsigned_answer_composers       # the same without a MAC, for terminals without a MAC key
    cdef Composer reversal_composer           # from the request as it was sent
    cdef list reference_composers             # the same of requests that name their original
    cdef list advice_composers                # by listener: its dialect to the link's
    cdef list unknown_reversal_composers      # the same of reversals whose original is not known
    cdef Composer advice_attempt_composer     # from the advice as it is kept
    cdef readonly StandIn stand_in            # what may be approved while it cannot be asked; None: nothing
    cdef readonly bytes stand_in_mark         # as the dialect marks the advice of that; empty: it does not
    cdef dict network_composers               # by kind: our 0800s
    cdef Composer network_answer_composer     # our answers to the issuer's
    cdef Composer key_answer_composer         # and of these, those to messages that bring keys: with a MAC

    cdef readonly LinkConnections connections    # those of the worker, which other partitions use as well
    cdef DeadlineList waiting                 # requests and reversals at the issuer
    cdef DeadlineList late
    cdef uint32_t late_max                    # its share of the table of transactions; then it gets no new work
    cdef DeadlineList network
    cdef readonly SafQueue saf
    cdef HandleSlot *_by_stan                 # requests and advices at the issuer
    cdef StanHolds holds                      # of all links
    cdef HandleSlot *_reversal_by_number      # reversals at the issuer, which may share their original's STAN
    cdef readonly bint reversals_keep_stan    # as the dialect says: field 11 of a reversal is its original's

    cdef bint says(self, int kind) noexcept nogil
    cdef bint can_take(self) noexcept
    cdef bint is_late(self) noexcept
    cdef uint32_t take_stan(self, Numbering numbering) noexcept nogil
    cdef int64_t match_number(self, Numbering numbering, const MessageIndex *message) noexcept nogil
    cdef TransactionHandle at_issuer(self, uint32_t stan) noexcept nogil
    cdef void put_stan(self, uint32_t stan, TransactionHandle number) noexcept nogil
    cdef void free_stan(self, uint32_t stan) noexcept nogil
    cdef TransactionHandle reversal_at_issuer(self, uint32_t number) noexcept nogil
    cdef void put_reversal(self, uint32_t number, TransactionHandle carrier) noexcept nogil
    cdef void free_reversal(self, uint32_t number) noexcept nogil
    cdef void hold_stan(self, uint32_t stan) noexcept nogil
    cdef void release_stan(self, uint32_t stan) noexcept nogil
    cdef void note_sent(self, Transaction *transaction, const MessageIndex *sent,
                        const uint64_t *unkept) noexcept nogil
    cdef int mismatch(self, const Transaction *transaction, const MessageIndex *answer, int reason) noexcept nogil
    cdef int extent(self, const Transaction *transaction, const MessageIndex *answer, int reason) noexcept nogil
    cdef void keep_part(self, Transaction *transaction, const MessageIndex *answer) noexcept nogil
    cdef bint _amount_agrees(self, const Transaction *transaction, const MessageIndex *answer,
                             int reason) noexcept nogil
