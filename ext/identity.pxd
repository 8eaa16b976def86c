"""Who speaks: terminal (41) and merchant (42) registered, active, allowed here, and who the certificate says."""

from libc.stdint cimport uint32_t
from switch.listener cimport TerminalChannel
from switch.state cimport State

cdef enum:
    NOT_REFUSED = -1          # beside the reasons, which count from 0


cdef int identify(State state, TerminalChannel channel, int kind, uint32_t *terminal_number) noexcept
"""The registered terminal that sent ``state.request``; NOT_REFUSED or the reason why it may not speak."""
