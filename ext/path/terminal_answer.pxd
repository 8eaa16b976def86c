"""A terminal's answer: composed in its dialect, sealed and sent; and answers that the switch gives itself."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.machine.listener cimport Listener, TerminalChannel
from switch.machine.state cimport State
from switch.tables.registry cimport Terminal
from switch.wire.scan cimport MessageIndex

cdef enum:
    NO_LINK = -1              # in the counters: no issuer was asked


cdef bint has_mac_key(Listener listener, const Terminal *terminal) noexcept nogil
"""Whether answers to a terminal carry a MAC: it has a key, and the listener looks at MACs."""

cdef int compose_answer(State state, Listener listener, object composer, const Terminal *terminal,
                        const MessageIndex *answer) noexcept
"""Write the terminal's answer to ``state.request`` into ``state.out``, where the listener's framing wants it, MAC
included where the composer has a place for it; its size, or -1. The response code's slot must be set; ``answer`` is the
issuer's, or NULL."""

cdef int compose_own_answer(State state, Listener listener, const Terminal *terminal) noexcept
"""The same for an answer that no issuer had a part in; ``terminal`` is NULL when nobody known asked."""

cdef void prepare_answer(State state, Listener listener, int reason) noexcept
"""Set the slots of an answer that the switch gives itself: time, reason, a reference number of its own."""

cdef void set_reason(State state, Listener listener, int reason) noexcept nogil
"""The response code of the answer that is composed next."""

cdef void set_rrn(State state, const uint8_t *rrn) noexcept nogil
"""The retrieval reference number, 12 characters, of the message that is composed next."""

cdef void answer_as_prepared(State state, TerminalChannel channel, int64_t position, uint32_t outcome) noexcept
"""Answer ``state.request`` with the slots as they are set, when the journal is durable up to ``position``; ``outcome``
as in ``send_to_terminal``."""

cdef void answer_with(State state, TerminalChannel channel, int reason, int64_t position, const uint8_t *rrn) noexcept
"""Answer in the switch's own words, under a retrieval reference number that is known already, or (NULL, or zeros) a new
one."""

cdef void refuse(State state, TerminalChannel channel, int reason) noexcept
"""Answer ``state.request`` at once, without storing anything: a repeat of it is looked at anew."""

cdef void answer_overtaken(State state, TerminalChannel channel, int64_t position) noexcept
"""Answer a request that its own terminal's reversal has overtaken, as the journal says at ``position``: whoever waits
for this answer, it must not be charged now. Of an advice no issuer is told then, and its terminal need not send it
again, so it is told yes."""
