"""Keys of terminals that others have replaced: taken until their terminal has the new ones, and a while longer."""

from libc.stdint cimport int64_t, uint32_t
from switch.crypto.mac cimport MacKey
from switch.crypto.pin_block cimport PinKey
from switch.tables.identifiers cimport Index

cdef enum:
    FORMER_UNTIL_SIGN_IN = 0          # it has not used the new ones since
    FORMER_DROPPED = -1

cdef struct FormerKeys:
    int64_t until_ns                  # as the calendar counts, or one of the two above
    MacKey mac_key
    PinKey pin_key
    PinKey track_key


cdef class FormerKeyTable:
    """By number of the terminal in the registry. Wiped when it goes."""
    cdef FormerKeys *_entries
    cdef uint32_t _room
    cdef uint32_t _count              # entries, dropped ones too: these are taken again for the same terminal
    cdef Index _index
    cdef readonly uint32_t in_use     # entries that are not dropped
    cdef public int64_t keep_ns       # from the first use of the new ones on

    cdef uint32_t _place_of(self, uint32_t terminal) noexcept nogil
    cdef int _grow(self) except -1

    cdef FormerKeys *find(self, uint32_t terminal) noexcept nogil
    """What a terminal had before, whether it is still taken or not; NULL where nothing is known, or it was dropped."""

    cdef FormerKeys *put(self, uint32_t terminal) except NULL
    """The place for a terminal's former keys, which its caller fills; valid until the next ``put``."""

    cdef void drop(self, uint32_t terminal) noexcept nogil
    """Wipe what a terminal had before."""


cdef inline bint is_taken(const FormerKeys *former, int64_t now_ns) noexcept nogil:
    """Whether messages under former keys are taken at this moment."""
    return former != NULL and (former.until_ns == FORMER_UNTIL_SIGN_IN or now_ns < former.until_ns)
