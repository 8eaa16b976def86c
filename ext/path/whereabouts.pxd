"""Whether a terminal is the machine that is registered, at the place that is registered, as far as it says so."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef bint notice_whereabouts(State state, TerminalChannel channel) noexcept
"""Bar a terminal that says another serial number than is registered, or that it is elsewhere; true in any case, for a
step to hand on. To be asked of what is new, and not of what it takes back: a repeat says where its terminal was then,
and since then it may have been moved by those who may.

Where the request is proven to be the terminal's, by its MAC or its certificate, it is suspended at once. Where it is
not, only this request is refused: else anybody who knows a terminal's number could have it suspended. Whatever a
request says is compared; to say nothing where it is demanded is suspicious only in the kinds that the dialect names.
"""

cdef bint says_what_it_must(State state, TerminalChannel channel) noexcept
"""Whether a request says all that is demanded of machine and place, whatever its kind, and it is right: what puts a
terminal into service must. A reversal says where its terminal was before."""
