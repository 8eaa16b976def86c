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
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_ADVICE_NOT_COMPOSABLE
from switch.machine.request_context cimport Inbound
from switch.machine.request_record cimport RequestPart, fill_request
from switch.machine.saf_store cimport CAUSE_UNUSABLE, NO_LISTENER, SAF_NONE, SafEntry
from switch.machine.sending cimport send_to_terminal
from switch.machine.state cimport SCRATCH_BYTES
from switch.path.forwarding cimport LinkTexts, choose_link, fill_link_slots, first_link, refuse_kind, take_stan
from switch.path.identity cimport NOT_REFUSED, may_ask_for_kind
from switch.path.terminal_answer cimport compose_own_answer, refuse, set_reason, set_rrn
from switch.saf.reversal cimport reverse_untold
from switch.saf.room cimport has_advice_room
from switch.tables.routes cimport ROUTE_NONE
from switch.tables.rules cimport RiskRequest, risk_request
from switch.tables.stand_in cimport STAND_IN_ALLOWED
from switch.wire.fields cimport (
    AUTHORIZATION_CODE_SIZE, FIELD_AUTHORIZATION_CODE, FIELD_PIN, FIELD_PROCESSING_CODE, PROCESSING_CODE_DIGITS,
)
from switch.wire.scan cimport FAULT_KIND_ABROAD, has_field, read_text
from switch.wire.translate cimport (
    SLOT_AUTHORIZATION_CODE, SLOT_PROCESSING_CODE, SLOT_RESPONSE_CODE, SLOT_STAND_IN, Composer, Sources, fill_slot,
    sources_of,
)

cdef enum:
    AUTHORIZATION_CODE_MARK = 2       # characters of it that say whose it is
    BASE = 36


cdef struct Advice:           # of which an issuer is to be told
    int told_as               # the kind that it is sent as
    bint stands_in            # it was approved here; else its terminal says what has happened
    uint32_t stan
    uint32_t size             # as it is kept, at ``State.aside``
    uint32_t number           # entry of the store


cdef int take_advice(State state, TerminalChannel channel) noexcept:
    cdef const Inbound *inbound = &state.inbound
    cdef Link link
    cdef int found, reason
    if not may_ask_for_kind(state):
        return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
    if inbound.pan_digits == 0:
        return REASON_FORMAT_ERROR
    if inbound.amount_minor <= 0:
        return REASON_INVALID_AMOUNT
    found = state.routes.find(inbound.pan, inbound.pan_digits, inbound.kind, inbound.currency, inbound.amount_minor)
    if found == ROUTE_NONE:
        return REASON_NO_SUCH_ISSUER
    link = choose_link(state, state.routes.route(found), inbound.kind)
    if link is None:
        link = first_link(state, state.routes.route(found), inbound.kind)
    if link is None:
        return refuse_kind(state, channel.listener, FAULT_KIND_ABROAD)
    reason = _accept(state, channel, link, inbound.kind, False)
    if reason == NOT_REFUSED:
        _count_risk(state)
    elif reason in (REASON_SYSTEM_MALFUNCTION, REASON_ISSUER_UNAVAILABLE):
        state.duplicates.forget(inbound.outcome)
        refuse(state, channel, reason)
        reason = NOT_REFUSED
    return reason


cdef void _count_risk(State state) noexcept:
    """It has happened, so no limit forbids it; but what its card, terminal and merchant did is counted."""
    cdef const Inbound *inbound = &state.inbound
    cdef RiskRequest risked
    if state.risk is None:
        return
    risked = risk_request(inbound.kind, inbound.currency, inbound.amount_minor, inbound.pan, inbound.pan_digits,
                          inbound.terminal_number, inbound.terminal.merchant, inbound.entry_mode,
                          state.calendar.now_ns)
    state.risk.count(&risked)
    state.duplicates.at(inbound.outcome).asked_ns = state.calendar.now_ns


cdef int stand_in_for(State state, TerminalChannel channel, const Route *route) noexcept:
    cdef const Inbound *inbound = &state.inbound
    cdef int told_as = kind_traits(inbound.kind).told_as
    cdef bint has_pin = has_field(&state.request, FIELD_PIN)
    cdef Link link
    cdef int i, reason
    for i in range(route.target_count):
        link = <Link>state.links[route.target[i].link]
        if link.connections.takes_requests() and link.says(inbound.kind):
            return REASON_ISSUER_UNAVAILABLE          # busy: the issuer can be asked, though not at this moment
    for i in range(route.target_count):
        link = <Link>state.links[route.target[i].link]
        if link.stand_in is None:
            continue
        if link.stand_in.claim(inbound.kind, inbound.currency, inbound.amount_minor, inbound.pan, inbound.pan_digits,
                               has_pin, state.calendar.now_ns) != STAND_IN_ALLOWED:
            continue
        reason = _accept(state, channel, link, told_as, True) if link.says(told_as) else REASON_ISSUER_UNAVAILABLE
        if not state.duplicates.at(inbound.outcome).approved:
            _unclaim(state, link)
        if link.says(told_as):
            return reason
    return REASON_ISSUER_UNAVAILABLE


cdef void _unclaim(State state, Link link) noexcept:
    """It was claimed, and cannot be approved after all."""
    cdef const Inbound *inbound = &state.inbound
    link.stand_in.settle(inbound.currency, inbound.amount_minor)
    link.stand_in.uncount(inbound.currency, inbound.amount_minor, inbound.pan, inbound.pan_digits,
                          state.calendar.now_ns)


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


cdef int _compose_advice(State state, Listener listener, Link link, const Advice *advice) noexcept:
    """Write the advice as the link gets it at ``state.aside``, its MAC left open; its size, or -1. Sets ``state.rrn``
    and ``state.authorization_code``."""
    cdef Composer composer = <Composer>link.advice_composers[listener.number]
    cdef LinkTexts texts
    cdef Sources sources
    cdef int size
    fill_link_slots(state, listener, link, advice.told_as, advice.stan, &texts)
    if has_field(&state.request, FIELD_PROCESSING_CODE):
        # What was done: as the link writes it where its request was one, else as the terminal's advice says it.
        if advice.stands_in:
            link.tables.kind_processing_code(state.inbound.kind, texts.processing_code)
        fill_slot(&state.slots, SLOT_PROCESSING_CODE, texts.processing_code, PROCESSING_CODE_DIGITS)
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code,
              link.tables.accepted_code(<uint32_t>link.tables.kind_mti(advice.told_as), state.code))
    if advice.stands_in:
        _write_authorization_code(state, advice.stan)
        if link.stand_in_mark:
            fill_slot(&state.slots, SLOT_STAND_IN, <const uint8_t *><const char *>link.stand_in_mark,
                      <int>len(link.stand_in_mark))
    elif read_text(listener.tables.spec, &state.request, FIELD_AUTHORIZATION_CODE, state.authorization_code,
                   AUTHORIZATION_CODE_SIZE) != AUTHORIZATION_CODE_SIZE:
        memset(state.authorization_code, 0, AUTHORIZATION_CODE_SIZE)
    if state.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    sources = sources_of(&state.request, NULL, &state.slots)
    size = composer.compose(&sources, state.aside, SCRATCH_BYTES, NULL, &state.fault)
    if size < 0:
        state.keep_fault(True)
        state.tell_fault(NOTE_ADVICE_NOT_COMPOSABLE, link.number)
    return size


cdef int _compose_yes(State state, Listener listener, bint stands_in) noexcept:
    """Write the terminal's answer, which says yes, into ``state.out``; its size, or -1."""
    state.clear_slots()
    set_reason(state, listener, REASON_APPROVED)
    set_rrn(state, state.rrn)
    if stands_in:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    return compose_own_answer(state, listener, state.inbound.terminal)


cdef int _store(State state, Link link, Advice *advice) noexcept:
    """Put the advice at ``state.aside`` into the store and write it down; 0, or -1 when that cannot be."""
    cdef const Outcome *outcome = state.duplicates.at(state.inbound.outcome)
    cdef RequestPart request
    cdef SafEntry *entry
    cdef int64_t position
    fill_request(&request, state.registry, outcome)
    advice.number = state.saf.add_advice(link.saf, link.number, outcome.key.terminal, state.aside, advice.size,
                                         &request, sizeof(RequestPart), state.calendar.now_ns)
    if advice.number == SAF_NONE:
        return -1
    entry = state.saf.at(advice.number)
    entry.stan = advice.stan
    entry.stood_in = advice.stands_in
    entry.kind = <uint8_t>advice.told_as
    entry.listener = NO_LISTENER
    entry.outcome = state.inbound.outcome
    entry.outcome_serial = outcome.serial
    memcpy(entry.rrn, state.rrn, sizeof(entry.rrn))
    memcpy(entry.authorization_code, state.authorization_code, sizeof(entry.authorization_code))
    position = state.journal.advice(entry)
    if position == POSITION_FAILED:
        state.saf.remove(link.saf, advice.number)
        return -1
    entry.position = entry.original = position
    link.hold_stan(advice.stan)
    return 0


cdef int _accept(State state, TerminalChannel channel, Link link, int told_as, bint stands_in) noexcept:
    """Owe ``link`` the advice of ``state.request``, and answer the terminal; NOT_REFUSED, or the reason why not."""
    cdef Listener listener = channel.listener
    cdef Advice advice
    cdef int size
    advice.told_as = told_as
    advice.stands_in = stands_in
    if not has_advice_room(state, link, state.inbound.terminal_number):
        return REASON_SYSTEM_MALFUNCTION
    advice.stan = take_stan(state, link)
    if advice.stan == 0:
        return REASON_ISSUER_UNAVAILABLE
    size = _compose_advice(state, listener, link, &advice)
    if size < 0:
        return REASON_FORMAT_ERROR
    advice.size = <uint32_t>size
    size = _compose_yes(state, listener, stands_in)
    if size < 0 or not state.duplicates.has_room(state.inbound.outcome, <uint64_t>size + advice.size):
        return REASON_SYSTEM_MALFUNCTION
    if _store(state, link, &advice) != 0:
        return REASON_SYSTEM_MALFUNCTION
    if _record_outcome(state, link, &advice):
        _tell(state, channel, link, &advice, <uint32_t>size)
    return NOT_REFUSED


cdef bint _record_outcome(State state, Link link, const Advice *advice) noexcept:
    """Write down that it is approved; False when that cannot be, and then it never was."""
    cdef uint32_t outcome = state.inbound.outcome
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int64_t written
    entry.link = link.number
    entry.advice_entry = advice.number
    entry.approved = True
    entry.stood_in = advice.stands_in
    entry.unbooked = True
    entry.intent = state.saf.at(advice.number).position
    entry.position = POSITION_NEVER
    memcpy(entry.rrn, state.rrn, sizeof(entry.rrn))
    memcpy(entry.authorization_code, state.authorization_code, sizeof(entry.authorization_code))
    state.duplicates.finish(outcome, state.stored_answer, state.stored_size, state.aside, advice.size,
                            state.calendar.now_ns)
    written = state.journal.outcome(entry, REASON_APPROVED, state.stored_answer, state.stored_size, NULL)
    if written == POSITION_FAILED:
        # Nothing may be told that is not written down, neither to the terminal nor to the issuer.
        entry.approved = False
        entry.unbooked = False
        entry.advice_entry = SAF_NONE
        state.journal.cancelled(entry.intent, entry.intent, CAUSE_UNUSABLE)
        state.saf.remove(link.saf, advice.number)
        link.release_stan(advice.stan)
        return False
    entry.position = written
    state.saf.at(advice.number).leaves_at = written
    return True


cdef void _tell(State state, TerminalChannel channel, Link link, const Advice *advice, uint32_t size) noexcept:
    """Count what was approved, and answer the terminal: of stand-in only what it was told stands."""
    cdef uint32_t outcome = state.inbound.outcome
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int listener = channel.listener.number
    stats_add(state.meters.stats, state.meters.link[link.number].advices, 1)
    state.meters.transaction(listener, link.number, entry.kind, REASON_APPROVED, 0)
    if advice.stands_in:
        entry.asked_ns = state.calendar.now_ns
        link.stand_in.approve(entry.currency, entry.amount_minor)
    if not send_to_terminal(state, channel, state.inbound.answer_headers, size, entry.position,
                            outcome if advice.stands_in else OUTCOME_NONE):
        stats_add(state.meters.stats, state.meters.listener[listener].undelivered, 1)
        if advice.stands_in:
            reverse_untold(state, outcome)
