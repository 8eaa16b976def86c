"""The answer to a repeat: a natural key that is known is never forwarded again (I4)."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef void answer_repeat(State state, TerminalChannel channel) noexcept
"""Answer the request in hand, whose outcome (``state.inbound.outcome``) is there already: if that has finished, with
its stored answer, and what was approved and then reversed is told as not approved; else this connection, as the newest,
gets the one answer when it comes. Another request under the same natural key is refused."""
