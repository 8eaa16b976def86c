"""A terminal's request on its way to the link: scan, identify, MAC, duplicate, risk, route, translate, intent, send."""

from libc.stdint cimport uint8_t
from switch.machine.listener cimport TerminalChannel
from switch.machine.originals cimport Original
from switch.machine.state cimport State
from switch.wire.framing cimport Frame


cdef void handle_request(State state, TerminalChannel channel, const Frame *frame) noexcept
"""Take one message of a terminal as far as it goes at once: to the link, or to its answer."""

cdef void handle_scanned(State state, TerminalChannel channel, const uint8_t *headers, bint is_readable) noexcept
"""The same of one that stands in ``state.request``, or whose fault in ``state.fault``, with its frame's headers."""

cdef void count_request(State state, TerminalChannel channel) noexcept nogil
"""One more request of this listener."""

cdef bint is_genuine(State state, TerminalChannel channel, const uint8_t *headers) noexcept
"""Whether what stands in ``state.request`` is a request of a terminal that may make it; else it was answered."""

cdef void refuse_unreachable(State state, TerminalChannel channel, const uint8_t *headers) noexcept
"""Give up what stands in ``state.request``: the worker that decides about its terminal cannot be reached. Only that one
knows whether a payment was asked for before, so its terminal gets no answer; all else is refused. Nothing is remembered
of it: what comes again may find it there."""

cdef void begin_inbound(State state, const uint8_t *headers) noexcept nogil
"""Nothing is known yet of the request that came with these frame headers."""

cdef void forward_request(State state, TerminalChannel channel) noexcept
"""What a new request goes through on its way to the issuer, and one whose original had to be looked up first."""

cdef int refer_to_original(State state, Original original, bint is_certain) noexcept
"""Let the request in hand refer to its original; NOT_REFUSED or why not. ``is_certain`` says whether None means that
there is no such original."""
