"""What keeps a recovery short: the lowest position still needed, and what is owed for long written down once more."""

from libc.stdint cimport int64_t
from switch.journal.commit cimport JournalFiles
from switch.machine.state cimport State


cdef int64_t lowest_waiting(State state, int64_t lowest)
"""The position of the oldest INTENT without OUTCOME, if it is below ``lowest``: of a request at an issuer, or of one
whose end could not be written down."""

cdef bytes names_of(State state, JournalFiles journal)
"""What the numbers of links and listeners mean, for the beginning of a segment."""
