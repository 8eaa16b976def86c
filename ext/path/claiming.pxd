"""A request whose original is another partition's: that one is asked, and it goes on with what it was granted."""

from libc.stdint cimport int64_t, uint32_t
from switch.machine.claims cimport ClaimedBody
from switch.machine.duplicate cimport Outcome
from switch.machine.original_reference cimport Naming
from switch.machine.state cimport State


cdef bint names_elsewhere(State state, const Naming *naming) noexcept
"""Whether the reference number in a request is one of another partition."""

cdef bint ask_keeper(State state, uint32_t number, const Naming *naming, bint is_certain) noexcept
"""Let transaction ``number``, whose original was not found here, ask the partition that its reference number names;
False when that names none. ``is_certain`` says whether it is not here for sure."""

cdef int64_t reference_in(const ClaimedBody *claimed) noexcept nogil
"""What the request refers to that was granted a claim; 0 when none was."""

cdef int refer_to_claim(State state, const ClaimedBody *claimed) noexcept
"""Let the request that is being handled refer to what its keeper has granted; NOT_REFUSED, or why it was not."""

cdef void note_claim_ties(Outcome *entry) noexcept nogil
"""An entry of the duplicate window refers to a claim: a void of what refers to something itself is not taken back."""
