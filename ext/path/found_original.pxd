"""What follows when the original that something waits for was looked up, or was not in time."""

from switch.machine.originals cimport Original, Wanted
from switch.machine.state cimport State


cdef void settle(State state, Wanted wanted, Original original, bint is_certain)
"""What a look-up has brought, for the request or the reversal that waits for it, if it still does."""

cdef void seek(State state) noexcept
"""Requests that have waited too long go on without their original; and where nobody reads the journal back, originals
are looked for in memory: one at a time, since that goes through all of it."""
