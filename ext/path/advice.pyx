"""Payments of which an issuer is told afterwards: advices (0120, 0220) of terminals, and approvals by stand-in."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy, memset
from switch.base.stats cimport stats_add
from switch.dialect.reasons cimport (
    REASON_APPROVED, REASON_FORMAT_ERROR, REASON_INVALID_AMOUNT, REASON_ISSUER_UNAVAILABLE,
    REASON_KIND_NOT_PERMITTED_TO_TERMINAL, REASON_NO_SUCH_ISSUER, REASON_SYSTEM_MALFUNCTION,
)
from switch.dialect.tables cimport kind_traits
from switch.machine.duplicate cimport OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.link cimport LINK_UP, Link
from switch.machine.listener cimport Listener
from switch.machine.meters cimport LIMIT_NUMBERS, LIMIT_STANS
from switch.machine.note_queue cimport NOTE_ADVICE_NOT_COMPOSABLE
from switch.machine.request_part cimport RequestPart, fill_request
from switch.machine.saf_store cimport CAUSE_UNUSABLE, NO_LISTENER, SAF_NONE, SafEntry
from switch.machine.state cimport SCRATCH_BYTES
from switch.path.forwarding cimport LinkTexts, choose_link, fill_link_slots, first_link, refuse_kind
from switch.path.identity cimport NOT_REFUSED
from switch.path.outcome cimport compose_own_answer, refuse, send_answer, set_reason, set_rrn
from switch.saf.delivery cimport reverse_untold
from switch.saf.limits cimport has_advice_room
from switch.tables.registry cimport Merchant
from switch.tables.risk cimport RiskRequest, risk_request
from switch.tables.routes cimport ROUTE_NONE
from switch.tables.stand_in cimport STAND_IN_ALLOWED
from switch.wire.fields cimport (
    AUTHORIZATION_CODE_SIZE, FIELD_AUTHORIZATION_CODE, FIELD_PIN, FIELD_PROCESSING_CODE, PROCESSING_CODE_DIGITS,
)
from switch.wire.scan cimport FAULT_KIND_ABROAD, has_field, read_text
from switch.wire.translate cimport (
    SLOT_AUTHORIZATION_CODE, SLOT_PROCESSING_CODE, SLOT_RESPONSE_CODE, SLOT_STAND_IN, Composer, fill_slot,
)

cdef enum:
    AUTHORIZATION_CODE_MARK = 2       # characters of it that say whose it is
    BASE = 36


cdef int take_advice(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                     uint32_t outcome) noexcept:
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int kind = entry.kind
    cdef const Merchant *merchant = state.registry.merchant(terminal.merchant)
    cdef RiskRequest risked
    cdef Link link
    cdef int found, reason
    if not (terminal.kinds_allowed & merchant.kinds_allowed) >> kind & 1:
        return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
    if state.pan_digits == 0:
        return REASON_FORMAT_ERROR
    if entry.amount_minor <= 0:
        return REASON_INVALID_AMOUNT
    found = state.routes.find(state.pan, state.pan_digits, kind, entry.currency, entry.amount_minor)
    if found == ROUTE_NONE:
        return REASON_NO_SUCH_ISSUER
    link = choose_link(state, state.routes.route(found), kind)
    if link is None:
        link = first_link(state, state.routes.route(found), kind)
    if link is None:
        return refuse_kind(state, channel.listener, terminal, FAULT_KIND_ABROAD)
    reason = _accept(state, channel, headers, terminal, outcome, link, kind, False)
    if reason == NOT_REFUSED:
        if state.risk is not None:
            # It has happened, so no limit forbids it; but what its card, terminal and merchant did is counted.
            risked = risk_request(kind, entry.currency, entry.amount_minor, state.pan, state.pan_digits,
                                  entry.key.terminal, terminal.merchant, state.calendar.now_ns)
            state.risk.count(&risked)
            entry.asked_ns = state.calendar.now_ns
    elif reason in (REASON_SYSTEM_MALFUNCTION, REASON_ISSUER_UNAVAILABLE):
        state.duplicates.forget(outcome)
        refuse(state, channel, headers, terminal, kind, reason)
        reason = NOT_REFUSED
    return reason


cdef int stand_in_for(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                      uint32_t outcome, const Route *route) noexcept:
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int told_as = kind_traits(entry.kind).told_as
    cdef bint has_pin = has_field(&state.request, FIELD_PIN)
    cdef Link link
    cdef int i
    for i in range(route.target_count):
        link = <Link>state.links[route.target[i].link]
        if link.state == LINK_UP and link.says(entry.kind):
            return REASON_ISSUER_UNAVAILABLE          # busy: the issuer can be asked, though not at this moment
    for i in range(route.target_count):
        link = <Link>state.links[route.target[i].link]
        if link.stand_in is None:
            continue
        if link.stand_in.check(entry.kind, entry.currency, entry.amount_minor, state.pan, state.pan_digits, has_pin,
                               state.calendar.now_ns) == STAND_IN_ALLOWED and link.says(told_as):
            return _accept(state, channel, headers, terminal, outcome, link, told_as, True)
    return REASON_ISSUER_UNAVAILABLE


cdef void _write_authorization_code(State state, uint32_t stan) noexcept nogil:
    """SI, and the STAN on the link in four digits of base 36."""
    cdef int i
    cdef uint32_t digit
    state.authorization_code[0] = b"S"
    state.authorization_code[1] = b"I"
    for i in range(AUTHORIZATION_CODE_SIZE - 1, AUTHORIZATION_CODE_MARK - 1, -1):
        digit = stan % BASE
        state.authorization_code[i] = <uint8_t>(0x30 + digit if digit < 10 else 0x41 + digit - 10)
        stan //= BASE


cdef int _compose_advice(State state, Listener listener, Link link, int kind, int told_as, uint32_t stan,
                         bint stands_in) noexcept:
    """Write the advice as the link gets it at ``state.aside``, its MAC left open; its size, or -1. Sets ``state.rrn``
    and ``state.authorization_code``."""
    cdef Composer composer = <Composer>link.advice_composers[listener.number]
    cdef LinkTexts texts
    cdef int size
    fill_link_slots(state, listener, link, told_as, stan, &texts)
    if has_field(&state.request, FIELD_PROCESSING_CODE):
        # What was done: as the link writes it where its request was one, else as the terminal's advice says it.
        if stands_in:
            link.tables.kind_processing_code(kind, texts.processing_code)
        fill_slot(&state.slots, SLOT_PROCESSING_CODE, texts.processing_code, PROCESSING_CODE_DIGITS)
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code,
              link.tables.accepted_code(<uint32_t>link.tables.kind_mti(told_as), state.code))
    if stands_in:
        _write_authorization_code(state, stan)
        if link.stand_in_mark:
            fill_slot(&state.slots, SLOT_STAND_IN, <const uint8_t *><const char *>link.stand_in_mark,
                      <int>len(link.stand_in_mark))
    elif read_text(listener.tables.spec, &state.request, FIELD_AUTHORIZATION_CODE, state.authorization_code,
                   AUTHORIZATION_CODE_SIZE) != AUTHORIZATION_CODE_SIZE:
        memset(state.authorization_code, 0, AUTHORIZATION_CODE_SIZE)
    if state.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    size = composer.compose(&state.request, NULL, &state.slots, state.aside, SCRATCH_BYTES, NULL, &state.fault)
    if size < 0:
        state.keep_fault(True)
        state.tell_fault(NOTE_ADVICE_NOT_COMPOSABLE, link.number)
    return size


cdef int _compose_yes(State state, Listener listener, const Terminal *terminal, bint stands_in,
                      uint32_t offset) noexcept:
    """Write the terminal's answer, which says yes, at ``state.out + offset``; its size, or -1."""
    state.clear_slots()
    set_reason(state, listener, REASON_APPROVED)
    set_rrn(state, state.rrn)
    if stands_in:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    return compose_own_answer(state, listener, terminal, offset)


cdef uint32_t _store(State state, Outcome *entry, uint32_t outcome, Link link, uint32_t source_size, uint32_t stan,
                     int told_as, bint stands_in) noexcept:
    """Put the advice at ``state.aside`` into the store and write it down; SAF_NONE when that cannot be."""
    cdef RequestPart request
    cdef SafEntry *advice
    cdef uint32_t number
    cdef int64_t position
    fill_request(&request, state.registry, entry)
    number = state.saf.add_advice(link.saf, link.number, entry.key.terminal, state.aside, source_size,
                                  &request, sizeof(RequestPart), state.calendar.now_ns)
    if number == SAF_NONE:
        return SAF_NONE
    advice = state.saf.at(number)
    advice.stan = stan
    advice.stood_in = stands_in
    advice.kind = <uint8_t>told_as
    advice.listener = NO_LISTENER
    advice.outcome = outcome
    advice.outcome_serial = entry.serial
    memcpy(advice.rrn, state.rrn, sizeof(advice.rrn))
    memcpy(advice.authorization_code, state.authorization_code, sizeof(advice.authorization_code))
    position = state.journal.advice(advice)
    if position == POSITION_FAILED:
        state.saf.remove(link.saf, number)
        return SAF_NONE
    advice.position = advice.original = position
    link.hold_stan(stan)
    return number


cdef int _accept(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                 uint32_t outcome, Link link, int told_as, bint stands_in) noexcept:
    """Owe ``link`` the advice of ``state.request``, and answer the terminal; NOT_REFUSED, or the reason why not."""
    cdef Listener listener = channel.listener
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef uint32_t offset = <uint32_t>listener.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef uint32_t stan, number
    cdef int source_size, size
    cdef int64_t written
    if not has_advice_room(state, link, entry.key.terminal):
        return REASON_SYSTEM_MALFUNCTION
    stan = link.take_stan(state.numbering)
    if stan == 0:
        stats_add(state.meters.stats, state.meters.refused_at_limit[
            LIMIT_NUMBERS if state.numbering.is_spent() else LIMIT_STANS], 1)
        return REASON_ISSUER_UNAVAILABLE
    source_size = _compose_advice(state, listener, link, entry.kind, told_as, stan, stands_in)
    if source_size < 0:
        return REASON_FORMAT_ERROR
    size = _compose_yes(state, listener, terminal, stands_in, offset)
    if size < 0 or not state.duplicates.has_room(outcome, <uint64_t>size + source_size):
        return REASON_SYSTEM_MALFUNCTION
    number = _store(state, entry, outcome, link, <uint32_t>source_size, stan, told_as, stands_in)
    if number == SAF_NONE:
        return REASON_SYSTEM_MALFUNCTION
    entry.link = link.number
    entry.advice = number + 1
    entry.approved = True
    entry.stood_in = stands_in
    entry.unbooked = True
    entry.intent = state.saf.at(number).position
    entry.position = POSITION_NEVER
    memcpy(entry.rrn, state.rrn, sizeof(entry.rrn))
    memcpy(entry.authorization_code, state.authorization_code, sizeof(entry.authorization_code))
    state.duplicates.finish(outcome, state.stored_answer, state.stored_size, state.aside, <uint32_t>source_size,
                            state.calendar.now_ns)
    written = state.journal.outcome(entry, REASON_APPROVED, state.stored_answer, state.stored_size, NULL)
    if written == POSITION_FAILED:
        # Nothing may be told that is not written down, neither to the terminal nor to the issuer.
        entry.approved = False
        entry.unbooked = False
        entry.advice = 0
        state.journal.cancelled(entry.intent, entry.intent, CAUSE_UNUSABLE)
        state.saf.remove(link.saf, number)
        link.release_stan(stan)
        return NOT_REFUSED
    entry.position = written
    state.saf.at(number).leaves_at = written
    stats_add(state.meters.stats, state.meters.link[link.number].advices, 1)
    state.meters.transaction(listener.number, link.number, entry.kind, REASON_APPROVED, 0)
    if stands_in:
        entry.asked_ns = state.calendar.now_ns
        link.stand_in.count(entry.currency, entry.amount_minor, entry.pan, entry.pan_digits, True,
                            state.calendar.now_ns)
    if not send_answer(state, channel, headers, <uint32_t>size, written, outcome if stands_in else OUTCOME_NONE):
        stats_add(state.meters.stats, state.meters.listener[listener.number].undelivered, 1)
        if stands_in:
            reverse_untold(state, outcome)
    return NOT_REFUSED
