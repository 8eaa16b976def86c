"""The end of a request: one answer, written down, stored for repeats, and sent to whom it belongs."""

from libc.stdint cimport uint8_t, uint32_t
from switch.machine.link cimport Link
from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State
from switch.wire.scan cimport MessageIndex


cdef void finish(State state, uint32_t number, int reason, const uint8_t *code, int code_size,
                 const MessageIndex *answer) noexcept
"""End a transaction that waits: write down, store and send its answer, and reverse an approval that cannot be told.
``code`` is the issuer's response code in ASCII; NULL when the switch itself gives the reason."""

cdef void finish_unsent(State state, TerminalChannel channel, int reason) noexcept
"""Answer ``state.request`` at once and remember what was said: a final outcome that no issuer had a part in."""

cdef void finish_reversal(State state, TerminalChannel channel, int reason) noexcept
"""The same for a terminal's own reversal; a refusal that may pass is not stored, so that its repeats are tried anew."""

cdef void read_authorization_code(State state, Link link, const MessageIndex *answer) noexcept
"""Set ``state.authorization_code`` from an issuer's answer; zeros when it has none, or when ``answer`` is NULL."""
