"""Network management (0800, 0820) with terminals: sign-on and its keys, sign-off, echo test, downloads."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef bint is_network_management(int kind) noexcept nogil
"""Whether a terminal's message of a kind is answered by ``answer_network_management``."""

cdef void answer_network_management(State state, TerminalChannel channel) noexcept
"""Answer a terminal's sign-on, sign-off, echo test or key exchange; working keys go out under its master key, and what
it loads as the dialect has it. A cut-over is the issuers' to say: it is refused."""
