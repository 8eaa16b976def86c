"""The end of a request: one answer, written down, stored for repeats, and sent to whom it belongs."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener, TerminalChannel
from switch.machine.state cimport State
from switch.tables.registry cimport Terminal
from switch.wire.framing cimport Frame
from switch.wire.scan cimport MessageIndex


cdef bint has_mac_key(Listener listener, const Terminal *terminal) noexcept nogil
"""Whether answers to a terminal carry a MAC: it has a key, and the listener looks at MACs."""

cdef int compose_answer(State state, Listener listener, object composer, const Terminal *terminal,
                        const MessageIndex *answer, uint32_t offset) noexcept
"""Write the terminal's answer to ``state.request`` at ``state.out + offset``, MAC included where the composer has a
place for it; its size, or -1. The response code's slot must be set; ``answer`` is the issuer's, or NULL."""

cdef int compose_own_answer(State state, Listener listener, const Terminal *terminal, uint32_t offset) noexcept
"""The same for an answer that no issuer had a part in; ``terminal`` is NULL when nobody known asked."""

cdef enum:
    NO_LINK = -1              # in the counters: no issuer was asked


cdef void prepare_answer(State state, Listener listener, int reason) noexcept
"""Set the slots of an answer that the switch gives itself: time, reason, a reference number of its own."""

cdef void set_reason(State state, Listener listener, int reason) noexcept nogil
"""The response code of the answer that is composed next."""

cdef void refuse(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal, int kind,
                 int reason) noexcept
"""Answer ``state.request`` at once, without storing anything: what was refused before it had a natural key."""

cdef void refuse_at(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal, int kind,
                    int reason, int64_t position) noexcept
"""The same, to leave when the journal is durable up to ``position``."""

cdef void finish_unsent(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                        int kind, int reason, uint32_t outcome) noexcept
"""Answer ``state.request`` at once and remember what was said: a final outcome that no issuer had a part in."""

cdef void finish_reversal(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                          int reason, uint32_t outcome) noexcept
"""The same for a terminal's own reversal; a refusal that may pass is not stored, so that its repeats are tried anew."""

cdef void read_authorization_code(State state, Link link, const MessageIndex *answer) noexcept
"""Set ``state.authorization_code`` from an issuer's answer; zeros when it has none, or when ``answer`` is NULL."""

cdef void answer_unsent(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                        int kind, int reason, uint32_t outcome, uint32_t offset) noexcept
"""The same with the slots already set."""

cdef void set_rrn(State state, const uint8_t *rrn) noexcept nogil
"""The retrieval reference number, 12 characters, of the message that is composed next."""

cdef void finish(State state, uint32_t number, int reason, const uint8_t *code, int code_size,
                 const MessageIndex *answer) noexcept
"""End a transaction that waits: write down, store and send its answer, and reverse an approval that cannot be told.
``code`` is the issuer's response code in ASCII; NULL when the switch itself gives the reason."""

cdef void repeat(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                 uint32_t outcome) noexcept
"""Send the stored answer of a finished outcome again; what was approved and then reversed is told as not approved."""

cdef bint send_answer(State state, TerminalChannel channel, const uint8_t *headers, uint32_t size, int64_t position,
                      uint32_t outcome) noexcept
"""Frame the answer that stands in ``state.out`` at the framing's offset, and queue it; False when that cannot be done:
then the connection is given up."""
