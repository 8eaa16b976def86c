"""Terminals whose keys were replaced: they are told to sign in, and served under their former keys meanwhile."""

from libc.stdint cimport uint8_t
from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State
from switch.machine.transaction cimport Transaction
from switch.tables.registry cimport Terminal


cdef bint comes_under_former_key(State state, TerminalChannel channel) noexcept
"""Whether the MAC of ``state.request`` is right under the former key of its terminal, where that is still taken. If so
it is answered under that key, and its PIN is taken to be under the former one."""

cdef void ask_to_sign_in(State state, TerminalChannel channel) noexcept
"""Have the answer to ``state.request`` tell its terminal to sign in, where that has former keys and needs it."""

cdef void require_sign_in(State state, TerminalChannel channel) noexcept
"""Have the answer to ``state.request`` tell its terminal to sign in, where the framing has a place for that."""

cdef const uint8_t *headers_of_answer(State state, TerminalChannel channel, const Transaction *transaction,
                                      uint8_t *room) noexcept
"""What the answer to a transaction's request has in front, turned round: as keys are when it is written, not as they
were when it was asked; ``room`` is for a copy."""

cdef bint has_new_mac_key(State state) noexcept nogil
"""Whether a MAC of the terminal of ``state.request`` tells its new keys from the former ones."""

cdef void note_mac_under_new_key(State state) noexcept nogil
"""Where that is so: the MAC of ``state.request`` is right under the new key."""

cdef void note_new_keys_in_use(State state) noexcept nogil
"""The terminal of ``state.request`` has its new keys: the time of its former ones begins to run out."""

cdef const Terminal *terminal_as_it_was(State state, const Transaction *transaction, Terminal *room) noexcept nogil
"""Who sent the request of a transaction, with the keys under which that came, and the MAC key of its newest repeat;
``room`` is for a copy."""
