"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy
from switch.debt cimport reverse, reverse_outcome
from switch.dialect cimport DialectTables
from switch.duplicate cimport OUTCOME_IN_FLIGHT, OUTCOME_NONE, Outcome
from switch.journal cimport POSITION_FAILED, POSITION_NEVER
from switch.kind cimport KIND_REVERSAL
from switch.link cimport Link
from switch.listener cimport Listener
from switch.outcome cimport finish_unsent
from switch.reason cimport (
    REASON_APPROVED, REASON_INVALID_AMOUNT, REASON_NO_SUCH_ISSUER, REASON_ORIGINAL_NOT_FOUND,
    REASON_SYSTEM_MALFUNCTION, REASON_TIMEOUT,
)
from switch.route cimport ROUTE_NONE
from switch.scan cimport read_number, read_text
from switch.sensitive cimport blank_sensitive
from switch.transaction cimport NaturalKey

cdef enum:
    FIELD_AMOUNT = 4
    FIELD_STAN = 11
    FIELD_CURRENCY = 49
    ORIGINAL_ROOM = 64
    ORIGINAL_STAN_AT = 4          # fields 90 (1987) and 56 (1993) begin with MTI and STAN of the original
    ORIGINAL_STAN_DIGITS = 6
    CLASS_GIVEN_UP = 10           # no MTI has it: what a reversal named before it came


cdef void take_back(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                    uint32_t outcome) noexcept:
    cdef uint32_t terminal_number = state.duplicates.at(outcome).key.terminal
    cdef int64_t stan = _original_stan(state, channel.listener.tables)
    cdef uint32_t original = _find_original(state, terminal_number, stan)
    cdef int64_t amount_minor = read_number(channel.listener.tables.spec, &state.request, FIELD_AMOUNT)
    cdef Outcome *entry
    cdef int reason = REASON_APPROVED
    if original == OUTCOME_NONE:
        reason = _give_up(state, channel.listener, terminal_number, stan, amount_minor)
        if reason == REASON_APPROVED:
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


cdef int64_t _original_stan(State state, DialectTables tables) noexcept:
    """The STAN in the original data elements where the dialect has them, else the reversal's own."""
    cdef uint8_t text[ORIGINAL_ROOM]
    cdef int64_t stan = 0
    cdef int i
    cdef int count = -1
    if tables.original_field:
        count = read_text(tables.spec, &state.request, tables.original_field, text, ORIGINAL_ROOM)
    if count < ORIGINAL_STAN_AT + ORIGINAL_STAN_DIGITS:
        return read_number(tables.spec, &state.request, FIELD_STAN)
    for i in range(ORIGINAL_STAN_AT, ORIGINAL_STAN_AT + ORIGINAL_STAN_DIGITS):
        stan = stan * 10 + (text[i] - 0x30)
    return stan


cdef uint32_t _find_original(State state, uint32_t terminal_number, int64_t stan) noexcept:
    cdef int message_class
    cdef uint32_t found = OUTCOME_NONE
    for message_class in (2, 1):
        found = state.duplicates.find_latest(terminal_number, <uint32_t>stan, message_class)
        if found != OUTCOME_NONE:
            break
    return found


cdef int _give_up(State state, Listener listener, uint32_t terminal_number, int64_t stan,
                  int64_t amount_minor) noexcept:
    """Remember that a request was reversed before it came, if it still is to come; REASON_APPROVED or why not."""
    cdef NaturalKey key
    cdef uint32_t number
    cdef Outcome *entry
    cdef int64_t position
    key.occasion = 0
    key.terminal = terminal_number
    key.stan = <uint32_t>stan
    key.message_class = CLASS_GIVEN_UP
    key._padding = 0
    if state.duplicates.find(&key) != OUTCOME_NONE:
        return REASON_APPROVED
    number = state.duplicates.open(&key)
    if number == OUTCOME_NONE:
        return REASON_SYSTEM_MALFUNCTION
    entry = state.duplicates.at(number)
    entry.kind = KIND_REVERSAL
    entry.listener = listener.number
    entry.amount_minor = amount_minor
    state.duplicates.finish_without_answer(number, state.calendar.now_ns)
    position = state.journal.outcome(entry, REASON_TIMEOUT, NULL, 0)
    entry.position = POSITION_NEVER if position == POSITION_FAILED else position
    return REASON_SYSTEM_MALFUNCTION if position == POSITION_FAILED else REASON_APPROVED


cdef int64_t given_up(State state, uint32_t terminal_number, int64_t stan, int64_t amount_minor) noexcept nogil:
    cdef uint32_t number = state.duplicates.find_latest(terminal_number, <uint32_t>stan, CLASS_GIVEN_UP)
    if number == OUTCOME_NONE:
        return POSITION_FAILED
    if state.duplicates.at(number).amount_minor != amount_minor:
        return POSITION_FAILED
    return state.duplicates.at(number).position


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
    state.numbering.write_rrn(state.calendar, state.numbering.take(), state.rrn)
    if reverse(state, link, listener.number, copy, state.request.size, state.pan, state.pan_digits,
               state.rrn, NULL, 0) == POSITION_FAILED:
        return REASON_SYSTEM_MALFUNCTION
    return REASON_APPROVED
