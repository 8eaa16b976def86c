"""Which partition's a message is: a terminal's by its field 41, an issuer's by the number that we gave it."""

from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport TerminalChannel
from switch.machine.partitions cimport Partitions
from switch.mesh.mesh cimport Mesh
from switch.wire.framing cimport Frame


cdef void take_request(Partitions partitions, Mesh mesh, TerminalChannel channel, const Frame *frame) noexcept
"""Hand one message of a terminal to the partition that decides about it; what names none is refused here."""

cdef void take_link_message(Partitions partitions, Mesh mesh, LinkChannel channel, const Frame *frame) noexcept
"""Hand one message of an issuer to the partition that waits for it; what answers nothing is the host's."""

cdef void take_answer(Partitions partitions, LinkChannel elsewhere, const Frame *frame) noexcept
"""The same of an answer that came on a connection of another worker, for a partition of ours."""
