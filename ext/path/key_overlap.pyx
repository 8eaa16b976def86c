"""Terminals whose keys were replaced: they are told to sign in, and served under their former keys meanwhile.

Who has no former keys, nearly all, costs one comparison.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp
from switch.base.stats cimport stats_add
from switch.crypto.mac cimport MacKey
from switch.dialect.authentication cimport MAC_RIGHT, verify_message
from switch.machine.listener cimport Listener
from switch.tables.former_keys cimport FORMER_UNTIL_SIGN_IN, FormerKeys, is_taken

cdef enum:
    SIGN_IN_AGAIN = 3         # the processing requirement of a header


cdef void _put_on(const FormerKeys *former, const Terminal *terminal, Terminal *room) noexcept nogil:
    """A copy of a terminal with its former keys."""
    room[0] = terminal[0]
    room.mac_key = former.mac_key
    room.pin_key = former.pin_key
    room.track_key = former.track_key
    room.has_former = False


cdef bint comes_under_former_key(State state, TerminalChannel channel) noexcept:
    cdef Listener listener = channel.listener
    cdef const FormerKeys *former = NULL
    if state.inbound.terminal.has_former:
        former = state.registry.former.find(state.inbound.terminal_number)
    if not is_taken(former, state.calendar.now_ns):
        return False
    if verify_message(state.macs, listener.tables, &former.mac_key, &state.request) != MAC_RIGHT:
        return False
    stats_add(state.meters.stats, state.meters.listener[listener.number].under_former_key, 1)
    _put_on(former, state.inbound.terminal, &state.inbound.former_self)
    state.inbound.terminal = &state.inbound.former_self
    state.inbound.is_under_former = True
    return True


cdef bint _is_to_sign_in(State state, uint32_t number, const MacKey *under) noexcept nogil:
    """Whether a terminal that is answered under this key is not known to use its new keys."""
    cdef const Terminal *terminal = state.registry.terminal(number)
    cdef const FormerKeys *former = NULL
    if terminal.has_former:
        former = state.registry.former.find(number)
    return former != NULL and (former.until_ns == FORMER_UNTIL_SIGN_IN
                               or memcmp(under, &terminal.mac_key, sizeof(MacKey)) != 0)


cdef void ask_to_sign_in(State state, TerminalChannel channel) noexcept:
    if _is_to_sign_in(state, state.inbound.terminal_number, &state.inbound.terminal.mac_key):
        require_sign_in(state, channel)


cdef void require_sign_in(State state, TerminalChannel channel) noexcept:
    if channel.listener.framing.require(state.inbound.headers, SIGN_IN_AGAIN, state.inbound.marked_headers):
        state.inbound.answer_headers = state.inbound.marked_headers


cdef const uint8_t *headers_of_answer(State state, TerminalChannel channel, const Transaction *transaction,
                                      uint8_t *room) noexcept:
    if (_is_to_sign_in(state, transaction.terminal, &transaction.mac_key)
            and channel.listener.framing.require(transaction.headers, SIGN_IN_AGAIN, room)):
        return room
    return transaction.headers


cdef bint has_new_mac_key(State state) noexcept nogil:
    cdef const FormerKeys *former = state.registry.former.find(state.inbound.terminal_number)
    cdef const Terminal *terminal = state.registry.terminal(state.inbound.terminal_number)
    return former != NULL and memcmp(&former.mac_key, &terminal.mac_key, sizeof(MacKey)) != 0


cdef void note_mac_under_new_key(State state) noexcept nogil:
    if has_new_mac_key(state):
        note_new_keys_in_use(state)


cdef void note_new_keys_in_use(State state) noexcept nogil:
    cdef FormerKeys *former = state.registry.former.find(state.inbound.terminal_number)
    if former != NULL and former.until_ns == FORMER_UNTIL_SIGN_IN:
        former.until_ns = state.calendar.now_ns + state.registry.former.keep_ns


cdef const Terminal *terminal_as_it_was(State state, const Transaction *transaction, Terminal *room) noexcept nogil:
    cdef const Terminal *terminal = state.registry.terminal(transaction.terminal)
    cdef const FormerKeys *former = NULL
    if transaction.is_under_former:
        former = state.registry.former.find(transaction.terminal)
    if former == NULL and memcmp(&transaction.mac_key, &terminal.mac_key, sizeof(MacKey)) == 0:
        return terminal
    if former == NULL:
        room[0] = terminal[0]
    else:
        _put_on(former, terminal, room)
    room.mac_key = transaction.mac_key
    return room
