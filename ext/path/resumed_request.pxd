"""Requests that waited for their original: taken up again when that was looked up."""

from libc.stdint cimport uint32_t
from switch.machine.claims cimport ClaimedBody
from switch.machine.originals cimport Original
from switch.machine.state cimport State


cdef void resume_request(State state, uint32_t number, Original original, bint is_certain) noexcept
"""The original of a request that waited for it (transaction ``number``) was looked up: go on with it. ``is_certain``
says whether None means that there is no such original."""

cdef void resume_claimed(State state, uint32_t number, const ClaimedBody *claimed) noexcept
"""The same of one whose original another partition has: what that has granted, or why it has not."""
