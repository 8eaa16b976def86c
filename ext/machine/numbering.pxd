"""The switch's own numbers: STANs towards issuers, and the retrieval reference numbers that go with them.

All of them come from one count, which never goes back: numbers are reserved in blocks, and none is given before its
block is durable (NUMBERS in the journal), so that a restart begins behind all that may have been given.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from switch.machine.stan_holds cimport StanHolds

cdef enum:
    NUMBER_COUNT = 1_000_000      # of STANs: six digits; 000000 is never used
    INSTANCE_COUNT = 176

cdef struct NumberBlock:      # what is written down before any number of it is given
    uint64_t end              # the first number that does not belong to it
    int32_t day_max           # days since 1970: no reference number bears a later date, of this block or before
    int32_t day_floor         # nor an earlier one, from this block on
    uint16_t instance


cdef int instance_of(const uint8_t *rrn) noexcept nogil
"""Which instance has given a reference number; -1 when it is written as none of ours is."""

cdef bint is_dated(const uint8_t *rrn) noexcept nogil
"""Whether a reference number begins as ours do: a digit of the year, and the day of it."""


cdef class Numbering:
    cdef readonly uint16_t instance
    cdef readonly uint16_t instances
    cdef readonly uint32_t stan_first         # of this instance
    cdef readonly uint32_t stan_count
    cdef readonly StanHolds holds             # STANs that are not given now
    cdef readonly uint64_t next               # the number that is taken next; 0: it has not begun
    cdef readonly uint64_t limit              # the first number that may not be given yet
    cdef public uint64_t ceiling              # nothing is reserved from here on
    cdef readonly int64_t position            # of the record that reserves a block and is not durable yet; -1: none
    cdef readonly int32_t day                 # of reference numbers, in days since 1970
    cdef readonly int learned_instance        # whose numbers the journal has; -1: it has none
    cdef uint32_t _learned_stan               # the last one that it tells; 0: none
    cdef bint _has_learned_stan               # of a record
    cdef NumberBlock _granted                 # while the journal is read, all that it reserved
    cdef NumberBlock _asked
    cdef uint64_t _asked_from
    cdef uint64_t _base                       # of the eight characters: where those of this instance begin,
    cdef uint64_t _span                       # and how many there are
    cdef uint32_t _next_stan
    cdef uint8_t _day_text[4]                 # YDDD

    cdef uint32_t take(self) noexcept nogil
    cdef uint32_t take_free(self) noexcept nogil
    cdef void write_rrn(self, uint8_t *rrn) noexcept nogil
    cdef uint32_t stan_of(self, const uint8_t *rrn) noexcept nogil
    cdef bint is_spent(self) noexcept nogil
    cdef void begin(self, int64_t wall_us) noexcept
    cdef void learn_stan(self, uint32_t stan) noexcept nogil
    cdef void learn(self, uint64_t reserved_to, int32_t day_max, int32_t day_floor, int instance) noexcept nogil
    cdef int learn_names(self, dict numbers) except -1
    cdef void go_on(self, int64_t wall_us) noexcept
    cdef uint32_t last_stan(self) noexcept nogil
    cdef bint wants(self, int64_t wall_s, NumberBlock *block) noexcept nogil
    cdef void ask(self, const NumberBlock *block, int64_t position) noexcept nogil
    cdef void grant(self, int64_t wall_s) noexcept nogil
    cdef void newest(self, NumberBlock *block) noexcept nogil
    cdef void _pass_held(self) noexcept nogil
    cdef uint64_t _left(self) noexcept nogil
    cdef void _start(self, uint64_t number) noexcept nogil
    cdef void _set_day(self, int64_t wall_s) noexcept nogil
    cdef uint32_t _stan(self, uint64_t value) noexcept nogil
