"""What proves that a request is its terminal's, and what is told to one that may not ask."""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef bint check_mac(State state, TerminalChannel channel) noexcept
"""Whether ``state.request`` carries its terminal's MAC, or may go without one; if not, it was refused, and a wrong MAC
is counted by terminal. ``state.inbound.is_proven`` says whether it carries one."""

cdef bint may_speak_here(State state, TerminalChannel channel) noexcept
"""Whether its terminal may use this listener, or proves to be itself if others were given to it: where nothing is
proven anybody could ask what became of a stranger's payments, and take them back."""

cdef bint refuse_barred(State state, TerminalChannel channel) noexcept
"""Refuse what a terminal asks for that is suspended or closed; False, for a step to hand on."""
