"""An issuer's message, from its bytes to the end of the request that it answers; and what happens when none comes."""

from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkChannel
from switch.machine.state cimport State
from switch.wire.framing cimport Frame
from switch.wire.scan cimport MessageIndex


cdef void handle_link_message(State state, LinkChannel channel, const Frame *frame) noexcept
"""Take one message of an issuer: match it to its request, or count why it matches none."""

cdef void handle_answer(State state, LinkChannel channel) noexcept
"""The same of an answer that stands in ``state.answer``."""

cdef bint awaits(State state, LinkChannel channel, const MessageIndex *answer) noexcept
"""Whether an answer on a link's connection has a number under which something waits, or has waited, here."""

cdef void expire(State state, Link link) noexcept
"""End what has waited too long on a link: requests, our 0800s, and what was kept for late answers."""
