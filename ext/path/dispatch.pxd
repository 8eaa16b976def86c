"""Which partition's a message is: a terminal's by its field 41, an issuer's by the number that we gave it."""

from libc.stdint cimport uint32_t
from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport Listener, TerminalChannel
from switch.machine.partitions cimport Partitions
from switch.machine.state cimport State
from switch.mesh.mesh cimport Mesh
from switch.mesh.records cimport Span
from switch.path.issuer_answer cimport handle_link_message
from switch.path.request cimport handle_request
from switch.wire.framing cimport Frame


cdef inline void take_request(Partitions partitions, Mesh mesh, TerminalChannel channel, const Frame *frame) noexcept:
    """Hand one message of a terminal to the partition that decides about it; what names none is refused here."""
    if partitions.count == 1:
        handle_request(partitions.host, channel, frame)
    else:
        take_request_of_several(partitions, mesh, channel, frame)


cdef inline void take_link_message(Partitions partitions, Mesh mesh, LinkChannel channel, const Frame *frame) noexcept:
    """Hand one message of an issuer to the partition that waits for it; what answers nothing is the host's."""
    if partitions.count == 1:
        handle_link_message(partitions.host, channel, frame)
    else:
        take_link_message_of_several(partitions, mesh, channel, frame)


cdef enum:
    SCAN_UNREADABLE = -1          # not a message, as ``state.fault`` says
    SCAN_NOBODYS = -2             # names no terminal


cdef int scan_partition(State state, Listener listener, Span message, uint32_t partitions) noexcept
"""The partition of a terminal's message, which then stands in ``state.request``; or why it has none."""

cdef void take_request_of_several(Partitions partitions, Mesh mesh, TerminalChannel channel,
                                  const Frame *frame) noexcept
"""``take_request`` where there are several partitions."""

cdef void take_link_message_of_several(Partitions partitions, Mesh mesh, LinkChannel channel,
                                       const Frame *frame) noexcept
"""``take_link_message`` where there are several partitions."""

cdef void take_answer(Partitions partitions, LinkChannel elsewhere, const Frame *frame) noexcept
"""The same of an answer that came on a connection of another worker, for a partition of ours."""
