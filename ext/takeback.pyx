"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.allowance cimport can_pass_on, can_take_back
from switch.debt cimport find_advice, reverse, reverse_outcome, take_back_advice
from switch.dialect cimport DialectTables, mti_class
from switch.duplicate cimport OUTCOME_IN_FLIGHT, OUTCOME_NONE, Outcome
from switch.journal cimport POSITION_FAILED, POSITION_NEVER
from switch.kept cimport keep_copy
from switch.kind cimport KIND_REVERSAL
from switch.link cimport Link
from switch.listener cimport Listener
from switch.outcome cimport finish_reversal
from switch.reason cimport (
    REASON_APPROVED, REASON_INVALID_AMOUNT, REASON_NO_SUCH_ISSUER, REASON_ORIGINAL_NOT_FOUND,
    REASON_SYSTEM_MALFUNCTION, REASON_TIMEOUT,
)
from switch.record cimport RequestPart
from switch.reversal cimport CAUSE_TERMINAL, REVERSAL_NONE
from switch.route cimport ROUTE_NONE
from switch.scan cimport read_number, read_text
from switch.transaction cimport NaturalKey

cdef enum:
    FIELD_AMOUNT = 4
    FIELD_STAN = 11
    FIELD_CURRENCY = 49
    ORIGINAL_ROOM = 64
    ORIGINAL_STAN_AT = 4          # fields 90 (1987) and 56 (1993) begin with MTI and STAN of the original,
    ORIGINAL_STAN_DIGITS = 6
    ORIGINAL_AT = 10              # and then have its date and time: field 7 in 1987, field 12 in 1993
    ORIGINAL_TIME_PART = 2
    CLASS_AUTHORIZATION = 1
    CLASS_FINANCIAL = 2


cdef struct Named:            # what a reversal says of its original
    int64_t stan
    int64_t at                # date and time, their digits as a number; 0: it does not say
    uint32_t message_class    # 0: it does not say


cdef void take_back(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                    uint32_t outcome) noexcept:
    cdef const NaturalKey *key = &state.duplicates.at(outcome).key
    cdef DialectTables tables = channel.listener.tables
    cdef int64_t amount_minor = read_number(tables.spec, &state.request, FIELD_AMOUNT)
    cdef bint others = False
    cdef Named named
    cdef uint32_t original, advice
    cdef Outcome *entry
    cdef int reason = REASON_APPROVED
    _read_named(state, tables, &named)
    original = _find_original(state, key, &named, &others)
    advice = _find_advice(state, key, &named) if original == OUTCOME_NONE else REVERSAL_NONE
    if advice != REVERSAL_NONE:
        if amount_minor >= 0 and amount_minor != (<const RequestPart *>state.reversals.at(advice).request).amount_minor:
            reason = REASON_INVALID_AMOUNT
        elif (not can_take_back(state)
                or take_back_advice(state, advice, CAUSE_TERMINAL) == POSITION_FAILED):
            reason = REASON_SYSTEM_MALFUNCTION
    elif original == OUTCOME_NONE:
        reason = _give_up(state, channel.listener, key.terminal, &named, amount_minor)
        if reason == REASON_APPROVED:
            # What has that number here is another payment: it stays, and no issuer is told to look for it.
            reason = (REASON_ORIGINAL_NOT_FOUND if others
                      else _reverse_unknown(state, channel.listener, key.terminal))
    else:
        entry = state.duplicates.at(original)
        if (amount_minor >= 0 and entry.amount_minor > 0
                and amount_minor not in (entry.amount_minor, entry.approved_minor)):
            reason = REASON_INVALID_AMOUNT
        elif entry.state == OUTCOME_IN_FLIGHT:
            state.transactions.at(entry.transaction).reversal_wanted = True
        elif ((entry.approved and not entry.reversed and not can_take_back(state))
                or reverse_outcome(state, original, CAUSE_TERMINAL) == POSITION_FAILED):
            reason = REASON_SYSTEM_MALFUNCTION
    finish_reversal(state, channel, headers, terminal, reason, outcome)


cdef int64_t _number_at(const uint8_t *text, int start, int size) noexcept nogil:
    cdef int64_t number = 0
    cdef int i
    for i in range(start, start + size):
        number = number * 10 + (text[i] - 0x30)
    return number


cdef void _read_named(State state, DialectTables tables, Named *named) noexcept nogil:
    """From the original data elements where the dialect has them and the reversal too, else its own STAN."""
    cdef uint8_t text[ORIGINAL_ROOM]
    cdef int size
    cdef int count = -1
    named.at = 0
    named.message_class = 0
    if tables.original_field:
        count = read_text(tables.spec, &state.request, tables.original_field, text, ORIGINAL_ROOM)
    if count < ORIGINAL_AT:
        named.stan = read_number(tables.spec, &state.request, FIELD_STAN)
        return
    named.stan = _number_at(text, ORIGINAL_STAN_AT, ORIGINAL_STAN_DIGITS)
    named.message_class = mti_class(<uint32_t>_number_at(text, 0, ORIGINAL_STAN_AT))
    if tables.original_part_count > ORIGINAL_TIME_PART:
        size = tables.original_part[ORIGINAL_TIME_PART].size
        if count >= ORIGINAL_AT + size:
            named.at = _number_at(text, ORIGINAL_AT, size)


cdef int64_t named_at(State state, DialectTables tables) noexcept nogil:
    cdef int64_t number
    if tables.original_part_count <= ORIGINAL_TIME_PART:
        return 0
    number = read_number(tables.spec, &state.request, tables.original_part[ORIGINAL_TIME_PART].field)
    return number if number > 0 else 0


cdef uint32_t _find_original(State state, const NaturalKey *own, const Named *named, bint *others) noexcept nogil:
    """The outcome that a reversal names; of the MTI class that it tells, else a payment before an authorization."""
    cdef NaturalKey key = own[0]
    cdef uint32_t found = OUTCOME_NONE
    cdef uint32_t message_class
    key.stan = <uint32_t>named.stan
    for message_class in range(CLASS_FINANCIAL, CLASS_AUTHORIZATION - 1, -1):
        if named.message_class in (CLASS_FINANCIAL, CLASS_AUTHORIZATION) and named.message_class != message_class:
            continue
        key.message_class = message_class
        found = state.duplicates.find_named(&key, named.at, state.pan, state.pan_digits, others)
        if found != OUTCOME_NONE:
            break
    return found


cdef uint32_t _find_advice(State state, const NaturalKey *own, const Named *named) noexcept nogil:
    """A payment that a reversal names and the duplicate window has forgotten, though its issuer was not told of it."""
    cdef NaturalKey key = own[0]
    key.stan = <uint32_t>named.stan
    key.message_class = named.message_class
    return find_advice(state, &key, named.at, state.pan, state.pan_digits)


cdef int _give_up(State state, Listener listener, uint32_t terminal_number, const Named *named,
                  int64_t amount_minor) noexcept:
    """Remember that a request was reversed before it came, if it still is to come; REASON_APPROVED or why not."""
    cdef NaturalKey key
    cdef uint32_t number
    cdef Outcome *entry
    cdef int64_t position
    key.occasion = <uint64_t>named.at
    key.terminal = terminal_number
    key.stan = <uint32_t>named.stan
    key.message_class = CLASS_GIVEN_UP
    key._padding = 0
    if state.duplicates.find(&key) != OUTCOME_NONE:
        return REASON_APPROVED
    number = state.duplicates.open(&key, 0)
    if number == OUTCOME_NONE:
        return REASON_SYSTEM_MALFUNCTION
    entry = state.duplicates.at(number)
    entry.kind = KIND_REVERSAL
    entry.listener = listener.number
    entry.amount_minor = amount_minor
    entry.named_at = named.at
    entry.pan_digits = <uint8_t>state.pan_digits
    memcpy(entry.pan, state.pan, state.pan_digits)
    state.duplicates.finish_without_answer(number, state.calendar.now_ns)
    position = state.journal.outcome(entry, REASON_TIMEOUT, NULL, 0, NULL)
    entry.position = POSITION_NEVER if position == POSITION_FAILED else position
    return REASON_SYSTEM_MALFUNCTION if position == POSITION_FAILED else REASON_APPROVED


cdef int64_t given_up(State state, DialectTables tables, uint32_t terminal_number, int64_t stan,
                      int64_t amount_minor) noexcept nogil:
    cdef NaturalKey key
    cdef bint others = False
    cdef uint32_t number
    key.occasion = <uint64_t>named_at(state, tables)
    key.terminal = terminal_number
    key.stan = <uint32_t>stan
    key.message_class = CLASS_GIVEN_UP
    key._padding = 0
    number = state.duplicates.find_named(&key, <int64_t>key.occasion, state.pan, state.pan_digits, &others)
    if number == OUTCOME_NONE:
        return POSITION_FAILED
    if state.duplicates.at(number).amount_minor != amount_minor:
        return POSITION_FAILED
    return state.duplicates.at(number).position


cdef int _reverse_unknown(State state, Listener listener, uint32_t terminal_number) noexcept:
    """A reversal whose original is not known here goes where the card's route says: the issuer may know it."""
    cdef DialectTables tables = listener.tables
    cdef uint8_t *copy = state.aside
    cdef uint32_t size
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
    if not can_pass_on(state, link, terminal_number):
        return REASON_SYSTEM_MALFUNCTION
    size = keep_copy(tables.spec, &state.request, tables.unkept, copy)
    if reverse(state, link, terminal_number, listener.number, copy, size, state.pan, state.pan_digits, NULL, NULL,
               0, CAUSE_TERMINAL) == POSITION_FAILED:
        return REASON_SYSTEM_MALFUNCTION
    return REASON_APPROVED
