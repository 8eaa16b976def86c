"""Requests whose partition is another worker's: handed over, kept a short while when it is not there, then refused."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State
from switch.mesh.mesh cimport Mesh
from switch.wire.framing cimport Frame


cdef void hand_over(State host, Mesh mesh, TerminalChannel channel, const Frame *frame, int partition) noexcept
"""Give a request, which stands in ``host.request``, to the worker that owns its partition."""

cdef void give_what_waits(State host, Mesh mesh) noexcept
"""Hand over what waited for a worker that is there now, and refuse what has waited too long."""
