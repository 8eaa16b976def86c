"""Who speaks: terminal (41) and merchant (42) registered, active, allowed here, and who the certificate says."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset
from switch.dialect.reasons cimport REASON_UNKNOWN_MERCHANT, REASON_UNKNOWN_TERMINAL
from switch.dialect.tables cimport mti_class
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport (
    NOTE_TERMINAL_REFUSED, STRANGER_AWAITING, STRANGER_BINDING, STRANGER_CERTIFICATE, STRANGER_LISTENER,
    STRANGER_MERCHANT, STRANGER_MERCHANT_CLOSED, STRANGER_OTHER_MERCHANT, STRANGER_TERMINAL,
    STRANGER_TERMINAL_CLOSED, Stranger,
)
from switch.machine.request_context cimport NOT_BARRED
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX, TERMINAL_NONE
from switch.tables.registry cimport Merchant, PARTY_ACTIVE, PARTY_AWAITING, Terminal
from switch.wire.fields cimport CLASS_NETWORK, FIELD_MERCHANT, FIELD_TERMINAL
from switch.wire.scan cimport has_field, read_text, scan_message

cdef enum:
    ID_ROOM = 64


cdef int identify(State state, TerminalChannel channel, bint tells) noexcept:
    cdef uint8_t terminal_id[ID_ROOM]
    cdef uint8_t merchant_id[ID_ROOM]
    cdef Listener listener = channel.listener
    cdef uint32_t merchant_number = TERMINAL_NONE
    cdef uint32_t number = TERMINAL_NONE
    cdef bint is_merchant_closed = False
    cdef const Terminal *terminal
    cdef int size = read_text(listener.tables.spec, &state.request, FIELD_MERCHANT, merchant_id, ID_ROOM)
    # Network management messages may leave the merchant out: the terminal says whose it is.
    cdef bint merchant_may_lack = mti_class(state.request.mti) == CLASS_NETWORK \
        and not has_field(&state.request, FIELD_MERCHANT)
    state.inbound.barred = NOT_BARRED
    if size > 0:
        merchant_number = state.registry.find_merchant(merchant_id, size)
    if not merchant_may_lack:
        if merchant_number == TERMINAL_NONE:
            return _refused(state, channel, tells, STRANGER_MERCHANT)
        is_merchant_closed = state.registry.merchant(merchant_number).state != PARTY_ACTIVE
    size = read_text(listener.tables.spec, &state.request, FIELD_TERMINAL, terminal_id, ID_ROOM)
    if size > 0:
        number = state.registry.find_terminal(terminal_id, size)
    if number == TERMINAL_NONE:
        return _refused(state, channel, tells, STRANGER_MERCHANT_CLOSED if is_merchant_closed else STRANGER_TERMINAL)
    terminal = state.registry.terminal(number)
    if merchant_may_lack:
        merchant_number = terminal.merchant
        is_merchant_closed = state.registry.merchant(merchant_number).state != PARTY_ACTIVE
    if terminal.merchant != merchant_number:
        return _refused(state, channel, tells,
                        STRANGER_MERCHANT_CLOSED if is_merchant_closed else STRANGER_OTHER_MERCHANT)
    state.inbound.is_proven = listener.binds_identity and _certificate_fits(state, channel, number)
    if listener.binds_identity and not state.inbound.is_proven:
        if not terminal.is_unregistered:
            return _refused(state, channel, tells, STRANGER_CERTIFICATE)
        state.inbound.barred = STRANGER_CERTIFICATE
    elif terminal.is_unregistered:
        state.inbound.barred = STRANGER_TERMINAL
    elif not (terminal.listeners_allowed >> listener.number) & 1:
        state.inbound.barred = STRANGER_LISTENER
    elif is_merchant_closed:
        state.inbound.barred = STRANGER_MERCHANT_CLOSED
    elif terminal.state != PARTY_ACTIVE and terminal.state != PARTY_AWAITING:
        state.inbound.barred = STRANGER_TERMINAL_CLOSED
    elif not _is_bound(terminal, state.registry.merchant(merchant_number)):
        state.inbound.barred = STRANGER_BINDING
    elif terminal.state == PARTY_AWAITING:
        state.inbound.barred = STRANGER_AWAITING
    state.inbound.terminal_number = number
    state.inbound.terminal = terminal
    return NOT_REFUSED


cdef inline bint _is_bound(const Terminal *terminal, const Merchant *merchant) noexcept nogil:
    """Whether a terminal is bound to what its merchant is now, or need not be: who may not be unbound is suspended."""
    if terminal.bound_to[0] == merchant.elements[0] and terminal.bound_to[1] == merchant.elements[1]:
        return True
    if terminal.bound_to[0] == 0 and terminal.bound_to[1] == 0:
        return True
    # Its turn to be bound anew comes, in a change that is under way.
    return terminal.bound_to[0] == merchant.elements_before[0] and terminal.bound_to[1] == merchant.elements_before[1]


cdef int tell_barred(State state, TerminalChannel channel) noexcept:
    return _refused(state, channel, True, <Stranger>state.inbound.barred)


cdef void _say(State state, Listener listener, int field, uint8_t *out, int room) noexcept nogil:
    """What a request says in a field that is no secret, cut at ``room`` characters."""
    cdef uint8_t text[ID_ROOM]
    cdef int size = read_text(listener.tables.spec, &state.request, field, text, ID_ROOM)
    if size > 0:
        memcpy(out, text, min(size, room))


cdef int _refused(State state, TerminalChannel channel, bint tells, Stranger why) noexcept:
    """Tell why somebody is not who may speak here; the reason of the refusal, for a caller to hand on."""
    cdef int reason = (REASON_UNKNOWN_MERCHANT if why == STRANGER_MERCHANT or why == STRANGER_MERCHANT_CLOSED
                       else REASON_UNKNOWN_TERMINAL)
    cdef uint8_t said[TERMINAL_ID_MAX + MERCHANT_ID_MAX]
    if not tells:
        return reason
    memset(said, 0, sizeof(said))
    _say(state, channel.listener, FIELD_TERMINAL, said, TERMINAL_ID_MAX)
    _say(state, channel.listener, FIELD_MERCHANT, said + TERMINAL_ID_MAX, MERCHANT_ID_MAX)
    state.tell_text(NOTE_TERMINAL_REFUSED, channel.listener.number, said, sizeof(said), why)
    return reason


cdef bint _certificate_fits(State state, TerminalChannel channel, uint32_t number) noexcept:
    """Whether the connection's client certificate names this terminal."""
    if channel.certificate_name is None:
        return False
    return state.registry.certificate_is(number, <const uint8_t *><const char *>channel.certificate_name,
                                         <int>len(channel.certificate_name))


cdef bint may_ask_for_kind(State state) noexcept nogil:
    cdef const Terminal *terminal = state.inbound.terminal
    cdef uint64_t merchant_kinds = state.registry.merchant(terminal.merchant).kinds_allowed
    if (terminal.kinds_allowed & merchant_kinds) >> state.inbound.kind & 1:
        return True
    if state.risk is not None:
        state.risk.refuse_kind(merchant_kinds, state.inbound.kind)
        state.note_rule(state.risk.words_of_refusal())
    return False


cdef uint32_t terminal_of(State state, DialectTables tables, const uint8_t *message, uint32_t size) noexcept:
    cdef uint8_t text[TERMINAL_ID_MAX]
    cdef int length
    if scan_message(tables.spec, message, size, &state.sent, &state.fault) != 0:
        return TERMINAL_NONE
    length = read_text(tables.spec, &state.sent, FIELD_TERMINAL, text, TERMINAL_ID_MAX)
    return TERMINAL_NONE if length <= 0 else state.registry.find_terminal(text, length)
