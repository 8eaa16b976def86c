"""What this worker has counted lately, kept to be told to other nodes: by card, terminal and merchant.

Entries have numbers that go up by one; the first one is drawn at random, so that nobody takes the numbers of two lives
of a daemon for one another. A worker's log may lie in shared memory: its successor goes on with it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from switch.base.shared_memory cimport SharedMemory
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX

cdef enum:
    COUNTED_PAN_MAX = 19
    COUNTS_KEPT = 65536       # a power of two

cdef struct Counted:
    int64_t amount_minor      # -1: none
    uint64_t moment_ms        # when it was counted, by the monotonic clock of whoever holds this
    int32_t currency          # numeric ISO 4217; 0: none
    uint16_t link             # of its stand-in, where it was counted there
    uint8_t kind
    bint is_stand_in
    bint is_taken_back        # what was counted at that moment is not counted any more
    bint is_declined          # its issuer has declined it: that is what is counted
    uint8_t entry_mode        # how the card was read, by its place in ``ENTRY_MODES``; 0: not known
    uint8_t pan_digits
    uint8_t pan[COUNTED_PAN_MAX]              # ASCII, then zeros
    uint8_t terminal[TERMINAL_ID_MAX]         # blank padded; zeros: none
    uint8_t merchant[MERCHANT_ID_MAX]


cdef struct CountNumbers:
    uint64_t start            # number of the first that there ever was
    uint64_t first            # of the oldest that is kept
    uint64_t next             # which the next one gets


cdef class CountLog:
    cdef CountNumbers *numbers
    cdef Counted *_entries
    cdef SharedMemory _memory                 # None: not shared

    cdef void append(self, const Counted *counted) noexcept nogil
    cdef const Counted *at(self, uint64_t number) noexcept nogil
    """An entry that is kept."""
