"""The journal's seam: what the state machine writes down, and how far it is durable.

A record's position is a number that only grows. Bytes which depend on a record leave the process when ``durable`` has
reached its position. Position 0 waits for nothing.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.base.calendar cimport Calendar
from switch.machine.claims cimport ClaimPart
from switch.machine.duplicate cimport Outcome
from switch.machine.numbering cimport NumberBlock
from switch.machine.saf_store cimport SafEntry
from switch.machine.transaction cimport Transaction
from switch.tables.registry cimport Registry
from switch.tables.rules cimport RuleWords
from switch.wire.scan cimport Fault

cdef enum:
    POSITION_FAILED = -1      # the record could not be written: nothing that depends on it may leave

cdef extern from "stdint.h":
    const int64_t POSITION_NEVER "INT64_MAX"      # what waits for it never leaves


cdef struct Detail:           # why a request was not approved, where its reason does not say all
    uint8_t code[4]           # the issuer's response code; zeros: none
    bint of_link              # whose message the fault is in, and so in whose dialect: the link's, else the listener's
    Fault fault               # FAULT_NONE: none
    RuleWords rule            # that refused it; without an identifier: none did


cdef class Journal:
    """Base of every journal. Each method returns the record's position, or POSITION_FAILED."""
    cdef readonly int64_t durable
    cdef readonly bint failed
    cdef readonly bint is_searched        # somebody reads it back to find originals; else memory must do
    cdef readonly int64_t elapsed_offset_ns   # from the calendar's time to the journal's own
    cdef readonly uint64_t epoch          # how often it was begun: tells its owners apart; 0: nothing of it survives
    cdef readonly uint32_t life           # a random number, beside it
    cdef readonly int64_t began           # this life, behind that position
    cdef readonly dict lives              # by epoch: life, and where it began; this one first; None: epoch 0
    cdef readonly str outdated            # why it decides nothing any more: a newer one was heard of; None: it decides

    cdef void attach(self, Calendar calendar, Registry registry)
    cpdef str why_outdated(self, uint64_t epoch, uint32_t life, int64_t position)
    cdef bint accepts(self) noexcept
    cdef bint has_room(self, uint64_t size) noexcept
    cdef int64_t newest(self) noexcept
    cdef void kick(self) noexcept
    cdef int64_t intent(self, const Transaction *transaction, const Outcome *outcome) noexcept
    cdef int64_t outcome(self, const Outcome *outcome, int reason, const uint8_t *answer, uint32_t size,
                         const Detail *detail) noexcept
    cdef int64_t reversal(self, const SafEntry *reversal) noexcept
    cdef int64_t attempt(self, const SafEntry *entry) noexcept
    cdef int64_t reversed(self, const SafEntry *entry, int reason) noexcept
    cdef void delivered(self, int64_t position) noexcept
    cdef int64_t late(self, int64_t intent, int reason, const uint8_t *authorization_code,
                      int64_t approved_minor) noexcept
    cdef int64_t closed(self, const SafEntry *entry, bytes name, bytes reason) noexcept
    cdef int64_t advice(self, const SafEntry *advice) noexcept
    cdef int64_t cancelled(self, int64_t advice, int64_t original, int cause) noexcept
    cdef int64_t unfound(self, const SafEntry *reversal) noexcept
    cdef int64_t claim(self, const ClaimPart *claim, int64_t original, int64_t undoes) noexcept
    cdef int64_t claim_state(self, int64_t claim, int64_t original, int state, int64_t approved_minor) noexcept
    cdef int64_t refers(self, int64_t request, int64_t refers_to) noexcept
    cdef int64_t ruled(self, int64_t request, const RuleWords *words) noexcept
    cdef int64_t numbers(self, const NumberBlock *block) noexcept


cdef class JournalOff(Journal):
    """Writes nothing, so nothing waits and nothing survives a crash. For trials and measurements only."""
    cdef int64_t _written
    cdef int64_t _count(self) noexcept
