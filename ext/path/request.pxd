"""A terminal's request, from its bytes to the link: scan, identify, MAC, duplicate, risk, route, translate, send."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from switch.machine.listener cimport TerminalChannel
from switch.machine.originals cimport Original
from switch.machine.state cimport State
from switch.wire.framing cimport Frame


cdef void handle_request(State state, TerminalChannel channel, const Frame *frame) noexcept
"""Take one message of a terminal as far as it goes at once: to the link, or to its answer."""

cdef void resume_request(State state, uint32_t number, Original original, bint is_certain) noexcept
"""The original of a request that waited for it (transaction ``number``) was looked up: go on with it. ``is_certain``
says whether None means that there is no such original."""

cdef uint64_t fingerprint_of(State state, int kind, int64_t amount_minor) noexcept nogil
"""Stands for kind, amount and card (``state.pan``) of a request, within this process."""
