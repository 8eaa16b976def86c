"""An issuer's message, from its bytes to the end of the request that it answers; and what happens when none comes."""

from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkChannel
from switch.machine.state cimport State
from switch.wire.framing cimport Frame


cdef void handle_link_message(State state, LinkChannel channel, const Frame *frame) noexcept
"""Take one message of an issuer: match it to its request, or count why it matches none."""

cdef void expire(State state, Link link) noexcept
"""End what has waited too long on a link: requests, our 0800s, and what was kept for late answers."""
