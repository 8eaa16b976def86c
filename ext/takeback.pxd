"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.dialect cimport DialectTables
from switch.listener cimport TerminalChannel
from switch.registry cimport Terminal
from switch.state cimport State

cdef enum:
    CLASS_GIVEN_UP = 10           # no MTI has it: what a reversal named before it came


cdef void take_back(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                    uint32_t outcome) noexcept
"""Take the reversal in ``state.request``, whose own outcome is open, and answer it."""

cdef int64_t named_at(State state, DialectTables tables) noexcept nogil
"""Date and time by which a reversal of ``state.request`` would name it, their digits as a number; 0 when it has none or
the dialect does not name originals by them."""

cdef int64_t given_up(State state, DialectTables tables, uint32_t terminal_number, int64_t stan,
                      int64_t amount_minor) noexcept nogil
"""Whether a terminal has reversed a request before it came: the journal position of that, or POSITION_FAILED."""
