"""Network management (0800): sign-on, sign-off and echo test with issuers in both directions."""

from libc.stdint cimport uint8_t, uint32_t
from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkChannel, LinkConnections
from switch.machine.state cimport State


cdef void begin_link(State state, LinkChannel channel) noexcept
"""A link's connection stands: sign on, or take it into use at once where the link does without."""

cdef void note_elsewhere(State state, LinkChannel elsewhere, bint is_up) noexcept
"""Whether another worker has connections of a link that this one may use when it has none itself."""

cdef void test_doubted_links(State state) noexcept
"""Send an echo test on every connection of each link that was suspended just now."""

cdef void end_link(State state, LinkChannel channel) noexcept
"""A link's connection is gone."""

cdef void hang_up_link(State state, LinkChannel channel, str reason) noexcept
"""Hang a connection up: from here on it gets no more work, though it is there until its output has left."""

cdef void sign_off_link(State state, LinkChannel channel) noexcept
"""Take a connection out of use and sign off where the link does that; then it hangs up."""

cdef void retire_link(State state, LinkChannel channel) noexcept
"""Give a connection nothing new, and sign off on it when what it was given has been answered or timed out."""

cdef void send_network(State state, LinkChannel channel, int kind) noexcept
"""Send our own 0800 of a kind; one at a time on a connection."""

cdef void handle_network_answer(State state, LinkChannel channel, uint32_t number, int reason) noexcept
"""The issuer answered our 0800, which transaction ``number``, in no list any more, stands for."""

cdef void handle_network_timeout(State state, Link link, uint32_t number) noexcept
"""Our 0800 was not answered: the connection is given up."""

cdef void answer_issuer(State state, LinkChannel channel, const uint8_t *headers) noexcept
"""Answer the issuer's own 0800, which stands in ``state.answer``."""

cdef int answer_with(State state, LinkChannel channel, const uint8_t *headers, int reason) noexcept
"""Answer it with a reason; 0, or -1 where no answer can be composed or sent."""

cdef int answer_key_offer(State state, LinkChannel channel, bytes headers, bytes message, int reason) except -1
"""Answer the key that an issuer sent, as the link's key desk was given it; whether the answer is on its way."""

cdef bint ask_for_key(State state, LinkConnections connections, bytes choice) noexcept
"""Ask the issuer for a key on one of our own connections; False when there is none, or none that is free."""
