"""What names a request, and what tells it from another of the same name."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from switch.machine.listener cimport Listener
from switch.machine.state cimport State


cdef bint read_natural_key(State state, Listener listener) noexcept
"""Read the request's natural key and fingerprint into ``state.inbound``; False when it has no STAN, which was told. The
dialect's profile says which fields tell two requests with one STAN apart."""

cdef uint64_t fingerprint_of(State state, const uint8_t *pan, int pan_digits, int kind,
                             int64_t amount_minor) noexcept nogil
"""Stands for kind, amount and card of a request, within this process."""

cdef bint comes_again(int kind) noexcept nogil
"""Whether a terminal repeats what was refused: its reversals and advices tell of what has happened already."""
