"""Tracks that a terminal has enciphered: opened before anything is read of them."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef bint open_tracks(State state, TerminalChannel channel) noexcept
"""Decipher the tracks of ``state.request``, in a copy of the message which the request means from then on. One that
stays shut is noted in ``state.inbound``, and the copy has no tracks then. False when the request was refused."""

cdef bint may_lack_tracks(State state, TerminalChannel channel) noexcept
"""Whether what is new can do without a track that stayed shut, as a reversal can; if not, it was refused."""

cdef void forget_tracks(State state) noexcept nogil
"""Wipe that copy."""
