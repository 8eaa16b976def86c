"""Network management (0800, 0820) with terminals: sign-on and its keys, sign-off, echo test, downloads."""

from libc.stdint cimport uint8_t, uint32_t
from switch.dialect.kinds cimport (
    KIND_CUT_OVER, KIND_DOWNLOAD, KIND_ECHO_TEST, KIND_KEY_EXCHANGE, KIND_SIGN_OFF, KIND_SIGN_ON,
)
from switch.dialect.reasons cimport REASON_APPROVED, REASON_INVALID_TRANSACTION
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_ANSWER_NOT_COMPOSABLE
from switch.machine.sending cimport send_to_terminal
from switch.path.first_sign_in cimport note_sign_in
from switch.path.sign_in cimport SignInAnswer, fill_sign_in, take_sign_in
from switch.path.terminal_answer cimport NO_LINK, compose_answer, prepare_answer
from switch.wire.scan cimport has_field, read_text
from switch.wire.translate cimport SLOT_DOWNLOAD, fill_slot

cdef enum:
    CODE_FIELD_ROOM = 1024    # characters of the field that says what is to be loaded


cdef bint is_network_management(int kind) noexcept nogil:
    return kind in (KIND_SIGN_ON, KIND_SIGN_OFF, KIND_ECHO_TEST, KIND_KEY_EXCHANGE, KIND_CUT_OVER, KIND_DOWNLOAD)


cdef bytes _loaded(State state, Listener listener):
    """Hex digits of what the terminal loads, none where it only reports; None where nothing of that is offered."""
    cdef uint8_t text[CODE_FIELD_ROOM]
    cdef int size, field
    cdef bytes asked = b""
    if listener.downloads is None:
        return None
    size = read_text(listener.tables.spec, &state.request, listener.downloads.code_place.field, text, CODE_FIELD_ROOM)
    field = listener.downloads.field
    if has_field(&state.request, field):
        asked = (state.request.data + state.request.offset[field])[:state.request.length[field]]
    told = listener.downloads.answer(text[:max(size, 0)].decode("ascii", "replace"), asked)
    return None if told is None else told.hex().upper().encode()


cdef void answer_network_management(State state, TerminalChannel channel) noexcept:
    cdef Listener listener = channel.listener
    cdef int kind = state.inbound.kind
    cdef bint signs_in = kind in (KIND_SIGN_ON, KIND_KEY_EXCHANGE)
    cdef int reason = REASON_INVALID_TRANSACTION if kind == KIND_CUT_OVER else REASON_APPROVED
    cdef SignInAnswer answer
    cdef bytes loaded = b""
    cdef int size
    if signs_in:
        reason = take_sign_in(state, listener, &answer)
    elif kind == KIND_DOWNLOAD:
        loaded = _loaded(state, listener)
        reason = REASON_INVALID_TRANSACTION if loaded is None else REASON_APPROVED
    prepare_answer(state, listener, reason)
    if signs_in and reason == REASON_APPROVED:
        fill_sign_in(state, &answer)
    if loaded:
        fill_slot(&state.slots, SLOT_DOWNLOAD, loaded, <int>len(loaded))
    size = compose_answer(state, listener, listener.network_answer_composer, state.inbound.terminal, NULL)
    state.meters.transaction(listener.number, NO_LINK, kind, reason, 0)
    if size < 0:
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        channel.hang_up("answer cannot be composed")
        return
    if signs_in and reason == REASON_APPROVED:
        note_sign_in(state, channel)
    send_to_terminal(state, channel, state.inbound.answer_headers, <uint32_t>size, 0, OUTCOME_NONE)
