"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver."""

from libc.stdint cimport uint8_t, uint32_t
from switch.listener cimport TerminalChannel
from switch.registry cimport Terminal
from switch.state cimport State


cdef void take_back(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                    uint32_t outcome) noexcept
"""Take the reversal in ``state.request``, whose own outcome is open, and answer it."""
