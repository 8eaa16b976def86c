"""Grades of rules: exits, by which a rule is left before it decides, and bands, one of which holds what it measures."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t

cdef enum:
    GRADES_ROOM = 512         # of all rules
    NO_GRADE = -1

cdef enum Then:               # what follows, in the order of THENS
    THEN_PASS
    THEN_SHADOW
    THEN_REFUSE
    THEN_CASE
    THEN_EXIT

cdef enum Value:              # what bands are of, in the order of VALUES
    VALUE_AMOUNT
    VALUE_SUM
    VALUE_COUNT
    VALUE_DECLINES
    VALUE_DECLINE_SHARE
    VALUE_MERCHANTS
    VALUE_REFUND_EXCESS

cdef struct Grade:
    int64_t first             # value that a band holds
    int64_t last
    int64_t amount_below      # an exit is taken by smaller amounts only; 0: by any
    uint64_t requests_below   # and while fewer were counted in the window; 0: however many were
    uint32_t categories       # place of the first of its merchants' categories
    uint32_t category_count   # 0: of any
    uint32_t merchants        # place of the first of its merchants' hashes
    uint32_t merchant_count   # 0: any
    int32_t reason            # of refusals
    uint16_t entries          # bit n: entry mode n
    uint8_t then

cdef struct Graded:           # of one rule
    uint16_t first            # its exits are here, and then its bands
    uint16_t exit_count
    uint16_t band_count
    uint8_t value

cdef struct Looked:             # of a request: what exits and bands look at
    int64_t amount
    uint64_t requests         # in the window before this one; of merchants how many others
    uint64_t merchant         # its hash; 0: not known
    int category              # -1: not known
    uint16_t entry


cdef inline int64_t value_of(const Graded *graded, const Looked *looked, int64_t window_sum) noexcept nogil:
    """What a rule measures, of which its bands are."""
    if graded.value == VALUE_AMOUNT:
        return looked.amount
    if graded.value in (VALUE_COUNT, VALUE_MERCHANTS):
        return <int64_t>looked.requests + 1
    if graded.value == VALUE_DECLINES:
        return <int64_t>looked.requests
    if graded.value == VALUE_DECLINE_SHARE:
        return 100 * window_sum // <int64_t>max(looked.requests, <uint64_t>1)
    return window_sum + looked.amount


cdef class Grades:
    cdef readonly int count
    cdef Grade _all[GRADES_ROOM]
    cdef uint16_t *_categories
    cdef uint64_t *_merchants
    cdef uint32_t _category_count
    cdef uint32_t _merchant_count

    cdef int take(self, terms, Graded *graded, list merchants, dict refusals) except -1
    """Lay the grades of one more rule out; ``merchants`` has, for each exit, the hashes of those that it
    names, and ``refusals`` the reasons by their names.

    Raises:
        ValueError: There is no room for them.
    """

    cdef Grade *_next(self, int then) noexcept
    cdef int _take_merchants(self, Grade *grade, categories, list hashes) except -1
    cdef bint _is_category(self, const Grade *grade, int category) noexcept nogil
    cdef bint _is_merchant(self, const Grade *grade, uint64_t merchant) noexcept nogil
    cdef const Grade *at(self, int number) noexcept nogil
    cdef int exit_of(self, const Graded *graded, const Looked *looked) noexcept nogil
    """Number of the first exit whose conditions all hold; NO_GRADE."""

    cdef int band_of(self, const Graded *graded, int64_t value) noexcept nogil
    """Number of the first band that holds the value; NO_GRADE."""
