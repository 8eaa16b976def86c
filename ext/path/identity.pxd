"""Who speaks: terminal (41) and merchant (42) registered, allowed here, and who the certificate says."""

from libc.stdint cimport uint8_t, uint32_t
from switch.dialect.tables cimport DialectTables
from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State

cdef enum:
    NOT_REFUSED = -1          # beside the reasons, which count from 0


cdef int identify(State state, TerminalChannel channel, bint tells) noexcept
"""Find the registered terminal that sent ``state.request``, for ``state.inbound``; NOT_REFUSED or the reason why it may
not speak, told where ``tells``: of what is unreadable the fault is told already, and what stands behind it cannot be
known. One that is suspended or closed, or has other listeners, is found, and barred."""

cdef int tell_barred(State state, TerminalChannel channel) noexcept
"""Tell that a barred terminal asked for something; the reason why it is refused."""

cdef bint may_ask_for_kind(State state) noexcept nogil
"""Whether the terminal of ``state.inbound`` and its merchant are both allowed its kind of transaction."""

cdef uint32_t terminal_of(State state, DialectTables tables, const uint8_t *message, uint32_t size) noexcept
"""The registered terminal whose message this is; TERMINAL_NONE when none is, or it cannot be read."""
