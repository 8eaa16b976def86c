"""Finds originals in memory, where no journal is read back: among the outcomes that the duplicate window knows."""

from libc.stdint cimport int64_t, uint8_t
from switch.machine.duplicate cimport Outcome
from switch.machine.original_reference cimport Candidate, Naming
from switch.machine.originals cimport Original
from switch.machine.saf_store cimport SafEntry
from switch.machine.state cimport State


cdef void describe_candidate(State state, const Outcome *entry, Candidate *candidate) noexcept nogil
"""A transaction of the duplicate window as something that may be meant. What ``candidate`` points to is borrowed."""

cdef void describe_advice(State state, const SafEntry *advice, uint8_t *pan, Candidate *candidate) noexcept nogil
"""A payment of which an advice of the store tells, as the same; its card number in digits is kept at ``pan``, which has
room for ``PAN_MAX`` of them and one more."""

cdef void set_moment(State state, int64_t came_ns, Naming *naming) noexcept nogil
"""Set the moment of a message that came then, by the calendar."""

cdef Original recall(State state, const Naming *naming, bint is_sure)
"""The original that is named; None when there is none, or more than one may be meant, among all that there may be
where ``is_sure``. It goes through the whole window."""
