"""The way out: a composed message gets its MAC and its frame, and is queued on a connection."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State
from switch.wire.scan cimport MessageIndex


cdef int frame_for_link(State state, Link link, const MessageIndex *message, int mac_field,
                        const uint8_t *received) noexcept
"""Seal a message that stands in ``state.out`` at the place that the link's framing gives it, ``message`` being its
index, and put its frame around it; the size of that, or -1. ``mac_field`` is 0 where it has no place for a MAC;
``received`` are the headers of the frame that it answers, NULL when we begin."""

cdef int send_to_link(State state, LinkChannel channel, uint32_t frame_size, int64_t position) noexcept
"""Queue the frame in ``state.out`` on a link's connection, to leave when the journal is durable up to ``position``;
0, or -1."""

cdef bint send_to_terminal(State state, TerminalChannel channel, const uint8_t *received, uint32_t size,
                           int64_t position, uint32_t outcome) noexcept
"""Frame the answer that stands in ``state.out`` at the framing's offset, and queue it in the same way; False when that
cannot be done: then the connection is given up. ``received`` are the headers of the request's frame, ``outcome`` the
entry of the duplicate window of an approval that is reversed unless it leaves, or OUTCOME_NONE."""
