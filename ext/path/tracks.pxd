"""Tracks that a terminal has enciphered: opened before anything is read of them."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef bint open_tracks(State state, TerminalChannel channel) noexcept
"""Whether the tracks of ``state.request`` are in clear, or were made so, in a copy of the message which the request
means from then on; if not, it was refused."""

cdef void forget_tracks(State state) noexcept nogil
"""Wipe that copy."""
