"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy
from switch.calendar cimport write_digits
from switch.debt cimport reverse, reverse_outcome
from switch.dialect cimport DialectTables
from switch.duplicate cimport OUTCOME_IN_FLIGHT, OUTCOME_NONE, Outcome
from switch.journal cimport POSITION_FAILED
from switch.kind cimport KIND_REVERSAL
from switch.link cimport Link
from switch.listener cimport Listener
from switch.outcome cimport finish_unsent
from switch.reason cimport (
    REASON_APPROVED, REASON_INVALID_AMOUNT, REASON_NO_SUCH_ISSUER, REASON_ORIGINAL_NOT_FOUND,
    REASON_SYSTEM_MALFUNCTION,
)
from switch.route cimport ROUTE_NONE
from switch.scan cimport read_number, read_text
from switch.sensitive cimport blank_sensitive

cdef enum:
    FIELD_AMOUNT = 4
    FIELD_STAN = 11
    FIELD_CURRENCY = 49
    ORIGINAL_ROOM = 64
    ORIGINAL_STAN_AT = 4          # fields 90 (1987) and 56 (1993) begin with MTI and STAN of the original
    ORIGINAL_STAN_DIGITS = 6


cdef void take_back(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                    uint32_t outcome) noexcept:
    cdef uint32_t terminal_number = state.duplicates.at(outcome).key.terminal
    cdef uint32_t original = _find_original(state, channel.listener.tables, terminal_number)
    cdef int64_t amount_minor = read_number(channel.listener.tables.spec, &state.request, FIELD_AMOUNT)
    cdef Outcome *entry
    cdef int reason = REASON_APPROVED
    if original == OUTCOME_NONE:
        reason = _reverse_unknown(state, channel.listener)
    else:
        entry = state.duplicates.at(original)
        if amount_minor >= 0 and entry.amount_minor > 0 and amount_minor != entry.amount_minor:
            reason = REASON_INVALID_AMOUNT
        elif entry.state == OUTCOME_IN_FLIGHT:
            state.transactions.at(entry.transaction).reversal_wanted = True
        elif reverse_outcome(state, original) == POSITION_FAILED:
            reason = REASON_SYSTEM_MALFUNCTION
    finish_unsent(state, channel, headers, terminal, KIND_REVERSAL, reason, outcome)


cdef uint32_t _find_original(State state, DialectTables tables, uint32_t terminal_number) noexcept:
    """By the STAN in the original data elements where the dialect has them, else by the reversal's own STAN."""
    cdef uint8_t text[ORIGINAL_ROOM]
    cdef int64_t stan = 0
    cdef int i, message_class
    cdef uint32_t found = OUTCOME_NONE
    cdef int count = -1
    if tables.original_field:
        count = read_text(tables.spec, &state.request, tables.original_field, text, ORIGINAL_ROOM)
    if count >= ORIGINAL_STAN_AT + ORIGINAL_STAN_DIGITS:
        for i in range(ORIGINAL_STAN_AT, ORIGINAL_STAN_AT + ORIGINAL_STAN_DIGITS):
            stan = stan * 10 + (text[i] - 0x30)
    else:
        stan = read_number(tables.spec, &state.request, FIELD_STAN)
    for message_class in (2, 1):
        found = state.duplicates.find_latest(terminal_number, <uint32_t>stan, message_class)
        if found != OUTCOME_NONE:
            break
    return found


cdef int _reverse_unknown(State state, Listener listener) noexcept:
    """A reversal whose original is not known here goes where the card's route says: the issuer may know it."""
    cdef DialectTables tables = listener.tables
    cdef uint8_t *copy = state.aside
    cdef Link link
    cdef int found
    cdef int64_t currency = read_number(tables.spec, &state.request, FIELD_CURRENCY)
    if state.pan_digits == 0:
        return REASON_ORIGINAL_NOT_FOUND
    found = state.routes.find(state.pan, state.pan_digits, KIND_REVERSAL, <int>currency if currency > 0 else 0,
                              read_number(tables.spec, &state.request, FIELD_AMOUNT))
    if found == ROUTE_NONE:
        return REASON_NO_SUCH_ISSUER
    link = <Link>state.links[state.routes.route(found).target[0].link]
    memcpy(copy, state.request.data, state.request.size)
    blank_sensitive(tables, &state.request, copy)
    memcpy(state.rrn, state.calendar.rrn_prefix, 6)
    write_digits(state.rrn + 6, 6, state.next_reference)
    if reverse(state, link, listener.number, copy, state.request.size, state.pan, state.pan_digits,
               state.rrn, NULL, 0) == POSITION_FAILED:
        return REASON_SYSTEM_MALFUNCTION
    return REASON_APPROVED
