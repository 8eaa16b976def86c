"""Room in the store of reversals and advices: who may take some, so that what is ours to reverse always finds it.

A payment under way has its place reserved; so have approvals that wait to leave. One place in eight is for payments
that their terminals take back. What is not known here gets a quarter of the store, and no link or terminal all of that.
"""

from libc.stdint cimport uint32_t, uint64_t
from switch.machine.link cimport Link
from switch.machine.state cimport State


cdef bint has_saf_room(State state, uint32_t more) noexcept nogil
"""Whether there is room for a reversal of everything that is under way, and of so many payments more."""

cdef bint has_room_for_reversal(State state) noexcept
"""Whether a terminal may take back a payment that is known here. A refusal is counted."""

cdef bint link_has_room(State state, Link link, uint32_t more) noexcept nogil
"""Whether a link's part of the store has room for a reversal of what it was asked, and of so many payments more."""

cdef bint has_advice_room(State state, Link link, uint32_t terminal) noexcept
"""Whether an advice of a terminal's payment, and its reversal, have room. A refusal is counted."""

cdef bint has_room_for_unknown_reversal(State state, Link link, uint32_t terminal) noexcept
"""Whether a terminal's reversal of what is not known here has room. A refusal is counted."""

cdef void count_no_place(State state, uint32_t terminal, uint64_t size) noexcept
"""Count that a terminal's new outcome, with so many bytes to store, found no place in the duplicate window."""
