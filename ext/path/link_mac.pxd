"""Whether the MAC of an issuer's message is right, under the key of its link or the one that was replaced."""

from libc.stdint cimport uint32_t
from switch.machine.link cimport Link
from switch.machine.state cimport State


cdef int link_verdict(State state, Link link) noexcept
"""An ``Authenticity`` of what stands in ``state.answer``; a link without a MAC key takes all for right."""

cdef bint is_under_ended_key(State state, Link link) noexcept nogil
"""Whether it is right under the key that was replaced, however long ago that was."""

cdef void tell_wrong_mac(State state, Link link, int verdict, uint32_t stan) noexcept
"""Count it, and tell an operator."""
