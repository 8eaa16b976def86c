"""Who speaks: terminal (41) and merchant (42) registered, active, allowed here, and who the certificate says."""

from libc.stdint cimport uint8_t
from switch.dialect cimport mti_class
from switch.listener cimport Listener
from switch.reason cimport REASON_UNKNOWN_MERCHANT, REASON_UNKNOWN_TERMINAL
from switch.registry cimport PARTY_ACTIVE, TERMINAL_NONE, Terminal
from switch.scan cimport has_field, read_text

cdef enum:
    FIELD_TERMINAL = 41
    FIELD_MERCHANT = 42
    ID_ROOM = 64
    CLASS_NETWORK = 8


cdef int identify(State state, TerminalChannel channel, int kind, uint32_t *terminal_number) noexcept:
    cdef uint8_t terminal_id[ID_ROOM]
    cdef uint8_t merchant_id[ID_ROOM]
    cdef Listener listener = channel.listener
    cdef uint32_t merchant_number = TERMINAL_NONE
    cdef uint32_t number = TERMINAL_NONE
    cdef const Terminal *terminal
    cdef int size = read_text(listener.tables.spec, &state.request, FIELD_MERCHANT, merchant_id, ID_ROOM)
    # Network management messages may leave the merchant out: the terminal says whose it is.
    cdef bint merchant_may_lack = mti_class(state.request.mti) == CLASS_NETWORK \
        and not has_field(&state.request, FIELD_MERCHANT)
    if size > 0:
        merchant_number = state.registry.find_merchant(merchant_id, size)
    if not merchant_may_lack:
        if merchant_number == TERMINAL_NONE or state.registry.merchant(merchant_number).state != PARTY_ACTIVE:
            return REASON_UNKNOWN_MERCHANT
    size = read_text(listener.tables.spec, &state.request, FIELD_TERMINAL, terminal_id, ID_ROOM)
    if size > 0:
        number = state.registry.find_terminal(terminal_id, size)
    if number == TERMINAL_NONE:
        return REASON_UNKNOWN_TERMINAL
    terminal = state.registry.terminal(number)
    if merchant_may_lack:
        merchant_number = terminal.merchant
        if state.registry.merchant(merchant_number).state != PARTY_ACTIVE:
            return REASON_UNKNOWN_MERCHANT
    if (terminal.merchant != merchant_number or terminal.state != PARTY_ACTIVE
            or not (terminal.listeners_allowed >> listener.number) & 1):
        return REASON_UNKNOWN_TERMINAL
    if listener.binds_identity and not _certificate_fits(state, channel, number):
        return REASON_UNKNOWN_TERMINAL
    terminal_number[0] = number
    return NOT_REFUSED


cdef bint _certificate_fits(State state, TerminalChannel channel, uint32_t number) noexcept:
    """Whether the connection's client certificate names this terminal."""
    if channel.certificate_name is None:
        return False
    return state.registry.certificate_is(number, <const uint8_t *><const char *>channel.certificate_name,
                                         <int>len(channel.certificate_name))
