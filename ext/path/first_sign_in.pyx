"""A terminal that awaits its first sign-in: it may sign in, load what it needs, and nothing else; its proof puts it
into service.

That it has signed in without a proof is not kept: after a restart it signs in once more.
"""

from switch.dialect.kinds cimport KIND_DOWNLOAD, KIND_ECHO_TEST, KIND_KEY_EXCHANGE, KIND_SIGN_ON
from switch.machine.note_queue cimport NOTE_TERMINAL_IN_SERVICE, STRANGER_AWAITING, STRANGER_OVERDUE
from switch.machine.request_context cimport NOT_BARRED
from switch.path.whereabouts cimport says_what_it_must
from switch.tables.identifiers cimport TERMINAL_ID_MAX
from switch.tables.registry cimport PARTY_AWAITING, Terminal
from switch.tables.registry_changes cimport begin_service


cdef void _admit(State state) noexcept nogil:
    if state.calendar.wall_s < state.registry.terminal(state.inbound.terminal_number).awaited_until_s:
        state.inbound.barred = NOT_BARRED
    else:
        state.inbound.barred = STRANGER_OVERDUE


cdef void _put_into_service(State state, TerminalChannel channel) noexcept:
    """Serve it from now on, and leave word for whoever keeps it so."""
    cdef const Terminal *terminal = state.registry.terminal(state.inbound.terminal_number)
    if not begin_service(state.registry, state.inbound.terminal_number):
        return
    state.terminals.of[state.inbound.terminal_number].is_signed_in = 0
    state.tell_text(NOTE_TERMINAL_IN_SERVICE, channel.listener.number, terminal.id, TERMINAL_ID_MAX, state.inbound.kind)
    state.registry.signed_in.append((terminal.id[:TERMINAL_ID_MAX].decode("ascii").rstrip(), state.calendar.wall_s))


cdef void admit_sign_in(State state) noexcept nogil:
    # What it loads, such as the applications of chips, it needs for its first payment; that puts nobody into service.
    if state.inbound.barred == STRANGER_AWAITING and (
            state.inbound.kind in (KIND_SIGN_ON, KIND_KEY_EXCHANGE)
            or (state.inbound.kind in (KIND_DOWNLOAD, KIND_ECHO_TEST)
                and state.terminals.of[state.inbound.terminal_number].is_signed_in)):
        _admit(state)


cdef void note_sign_in(State state, TerminalChannel channel) noexcept:
    if state.registry.terminal(state.inbound.terminal_number).state != PARTY_AWAITING:
        return
    if state.inbound.is_proven and says_what_it_must(state, channel):
        _put_into_service(state, channel)
    else:
        state.terminals.of[state.inbound.terminal_number].is_signed_in = 1


cdef bint admit_signed_in(State state, TerminalChannel channel) noexcept:
    if (state.inbound.barred != STRANGER_AWAITING or not state.inbound.is_proven
            or not state.terminals.of[state.inbound.terminal_number].is_signed_in
            or not says_what_it_must(state, channel)):
        return True
    _admit(state)
    if state.inbound.barred == NOT_BARRED:
        _put_into_service(state, channel)
    return True
