"""What the switch owes issuers: reversals and advices, sent until they are acknowledged (I2)."""

from libc.stdint cimport uint8_t, uint32_t, int64_t
from libc.string cimport memcpy, memset
from switch.base.calendar cimport write_digits
from switch.base.stats cimport stats_add
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.reasons cimport (
    REASON_CUT_OVER, REASON_ISSUER_UNAVAILABLE, REASON_MAC_FAILED, REASON_ORIGINAL_NOT_FOUND, REASON_SYSTEM_MALFUNCTION,
    REASON_TIMEOUT, takes_note,
)
from switch.dialect.tables cimport RESPONSE_CODE_MAX, DialectTables, mti_class, repeat_mti
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport STAN_COUNT
from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_ADVICE_DECLINED, NOTE_REVERSAL_NOT_COMPOSABLE, NOTE_REVERSAL_NOT_FOUND
from switch.machine.request_record cimport RequestPart
from switch.machine.saf_store cimport APPROVED_CAUSES, CAUSE_TERMINAL, NO_LISTENER, SAF_NONE, SafEntry
from switch.machine.sending cimport frame_for_link, send_to_link
from switch.machine.state cimport SCRATCH_BYTES
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_REVERSAL, Transaction
from switch.saf.reversal cimport ReversalOrder, close_advice, note_taken_back, release_stans, reverse
from switch.tables.routes cimport ROUTE_NONE, Route
from switch.wire.fields cimport FIELD_AMOUNT, FIELD_CURRENCY, FIELD_RESPONSE_CODE, FIELD_RRN, FIELD_STAN, RRN_SIZE
from switch.wire.scan cimport FAULT_KIND_ABROAD, FAULT_VALUE, read_number, read_text, scan_message
from switch.wire.spec cimport FIELD_TYPE
from switch.wire.transcode cimport fail
from switch.wire.translate cimport (
    SLOT_AUTHORIZATION_CODE, SLOT_ORIGINAL_DATA, SLOT_PAN, SLOT_RESPONSE_CODE, SLOT_RRN, SLOT_SAID_RRN, SLOT_STAN,
    Composer, Sources, fill_slot, sources_of,
)

cdef enum:
    ORIGINAL_DATA_ROOM = 64


cdef void send_due(State state, Link link) noexcept:
    cdef LinkChannel channel
    cdef uint32_t number
    while link.connections.takes_owed() and state.transactions.in_use < state.transactions.room:
        channel = link.connections.next_channel()
        if channel is None:
            return
        number = state.saf.next_ready(link.saf, state.calendar.now_ns)
        if number == SAF_NONE:
            return
        if _must_wait(state, state.saf.at(number)):
            state.saf.defer(link.saf, number, state.calendar.now_ns)
            continue
        if _send(state, link, channel, number) != 0:
            state.saf.pause(link.saf, number, state.calendar.now_ns, state.random())


cdef bint _must_wait(State state, const SafEntry *reversal) noexcept nogil:
    """Whether something refers to what a reversal takes back, and has not ended: a void whose own reversal came after
    this one would make its sale stand again."""
    return not reversal.is_advice and (state.saf.referring.has(reversal.original)
                                       or state.duplicates.referring.has(reversal.original)
                                       or (state.claims.open
                                           and state.claims.referring.has(reversal.original)))


cdef int _refuse_to_send(State state, Link link, SafEntry *reversal) noexcept:
    """An attempt cannot be composed, as ``state.fault`` says: an operator is told, and it is listed as such until one
    can; -1."""
    if not reversal.unsendable:
        state.tell_fault(NOTE_REVERSAL_NOT_COMPOSABLE, link.number)
    reversal.unsendable = True
    reversal.fault_field = <short>state.fault.field
    return -1


cdef int _compose(State state, Link link, const SafEntry *reversal, uint8_t *out, uint32_t room,
                  int *mac_field) noexcept:
    """Compose one attempt, with the place of its MAC; its size, or -1."""
    cdef uint8_t original[ORIGINAL_DATA_ROOM]
    cdef uint32_t mti = link.reversal_mti
    cdef Composer composer = link.reversal_composer
    cdef DialectTables source_tables = link.tables
    cdef uint8_t said_rrn[RRN_SIZE]
    cdef uint8_t said_code[RESPONSE_CODE_MAX]
    cdef int original_size, code_size, said_size
    if reversal.is_advice:
        return _compose_advice(state, link, reversal, out, room, mac_field)
    if reversal.listener != NO_LISTENER:
        composer = <Composer>link.unknown_reversal_composers[reversal.listener]
        source_tables = (<Listener>state.listeners[reversal.listener]).tables
    if scan_message(source_tables.spec, reversal.source, reversal.source_size, &state.sent, &state.fault) != 0:
        return -1
    state.clear_slots()
    if reversal.listener == NO_LISTENER:
        original_size = link.tables.original_data(&link.tables.original, &state.sent, NULL, original,
                                                  ORIGINAL_DATA_ROOM)
        if original_size > 0:
            fill_slot(&state.slots, SLOT_ORIGINAL_DATA, original, original_size)
    elif (read_text(source_tables.spec, &state.sent, FIELD_RRN, said_rrn, sizeof(said_rrn)) == sizeof(said_rrn)
            and not link.match_by_rrn):
        fill_slot(&state.slots, SLOT_SAID_RRN, said_rrn, sizeof(said_rrn))
    fill_slot(&state.slots, SLOT_PAN, reversal.pan, reversal.pan_digits)
    fill_slot(&state.slots, SLOT_RRN, reversal.rrn, 12)
    if reversal.stan:
        write_digits(state.stan_text, 6, reversal.stan)
        fill_slot(&state.slots, SLOT_STAN, state.stan_text, 6)
    if reversal.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, reversal.authorization_code, 6)
    code_size = link.tables.reason_to_code(REASON_TIMEOUT, state.code)
    if reversal.listener != NO_LISTENER:
        said_size = read_text(source_tables.spec, &state.sent, FIELD_RESPONSE_CODE, said_code, sizeof(said_code))
        if said_size > 0:
            code_size = link.tables.answer_code(source_tables, said_code, said_size, state.code)
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, code_size)
    state.set_mti(repeat_mti(mti) if reversal.attempts else mti)
    mac_field[0] = composer.mac_field
    sources = sources_of(&state.sent, NULL, &state.slots)
    return composer.compose(&sources, out, room, NULL, &state.fault)


cdef int _compose_advice(State state, Link link, const SafEntry *advice, uint8_t *out, uint32_t room,
                         int *mac_field) noexcept:
    """The same of an advice: as it is kept, said again by its MTI after the first attempt."""
    cdef Composer composer = link.advice_attempt_composer
    cdef Sources sources
    if scan_message(link.tables.spec, advice.source, advice.source_size, &state.sent, &state.fault) != 0:
        return -1
    if mti_class(state.sent.mti) == 0:
        # Of a version that took on what its link cannot say: it is listed as such, and an operator closes it.
        fail(&state.fault, FAULT_KIND_ABROAD, FIELD_TYPE, 0, 0, 0)
        return -1
    state.clear_slots()
    # After a restart nobody knows whether one has left that was not written down.
    state.set_mti(repeat_mti(state.sent.mti) if advice.attempts or advice.resumed else state.sent.mti)
    mac_field[0] = composer.mac_field
    sources = sources_of(&state.sent, NULL, &state.slots)
    return composer.compose(&sources, out, room, NULL, &state.fault)


cdef uint32_t _open_carrier(State state, Link link, uint32_t number, uint32_t match) noexcept:
    """A transaction that waits for the answer to the attempt in ``state.sent``, which will come under the number
    ``match``; TRANSACTION_NONE when there is no memory for it."""
    cdef const SafEntry *reversal = state.saf.at(number)
    cdef uint32_t carrier = state.transactions.open()
    cdef Transaction *transaction = state.transactions.at(carrier)
    transaction.state = TRANSACTION_REVERSAL
    transaction.kind = reversal.kind if reversal.is_advice else <uint8_t>KIND_REVERSAL
    transaction.link = link.number
    transaction.stan = match
    transaction.reversal = number
    memcpy(transaction.rrn, reversal.rrn, sizeof(transaction.rrn))
    transaction.sent_ns = state.calendar.now_ns
    transaction.deadline_ns = state.calendar.now_ns + link.timeout_ns
    if state.transactions.keep_messages(carrier, None, NULL, NULL, link.tables.spec, &state.sent,
                                        link.tables.unkept) != 0:
        state.transactions.close(carrier)
        return TRANSACTION_NONE
    link.note_sent(transaction, &state.sent, link.tables.unkept)
    return carrier


cdef int _send(State state, Link link, LinkChannel channel, uint32_t number) noexcept:
    """Send one attempt, with a transaction that waits for its answer; 0, or -1 when it cannot leave."""
    cdef SafEntry *reversal = state.saf.at(number)
    cdef uint32_t offset = <uint32_t>link.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef uint8_t *message = state.out + offset
    cdef int mac_field = 0
    cdef uint32_t carrier
    cdef int total
    cdef int64_t match
    cdef uint32_t other
    cdef int size = _compose(state, link, reversal, message, SCRATCH_BYTES - offset, &mac_field)
    if size < 0 or scan_message(link.tables.spec, message, <size_t>size, &state.sent, &state.fault) != 0:
        return _refuse_to_send(state, link, reversal)
    match = link.match_number(state.numbering, &state.sent)
    if not 0 < match < STAN_COUNT:
        fail(&state.fault, FAULT_VALUE, FIELD_RRN if link.match_by_rrn else FIELD_STAN, 0, 0, 0)
        return _refuse_to_send(state, link, reversal)
    reversal.unsendable = False
    other = link.at_issuer(<uint32_t>match) if reversal.is_advice else link.reversal_at_issuer(<uint32_t>match)
    if other != TRANSACTION_NONE:
        # Something else with this number is at the issuer: first that, then this.
        state.saf.pause(link.saf, number, state.calendar.now_ns, state.random())
        return 0
    total = frame_for_link(state, link, &state.sent, mac_field, NULL)
    carrier = _open_carrier(state, link, number, <uint32_t>match) if total > 0 else TRANSACTION_NONE
    if carrier == TRANSACTION_NONE:
        return -1
    if send_to_link(state, channel, <uint32_t>total, reversal.leaves_at) != 0:
        state.transactions.close(carrier)
        return -1
    if reversal.is_advice:
        link.put_stan(<uint32_t>match, carrier)
    else:
        link.put_reversal(<uint32_t>match, carrier)
    state.transactions.append(link.waiting, carrier)
    state.saf.at_issuer(link.saf, number)
    state.journal.attempt(reversal)
    if reversal.is_advice:
        stats_add(state.meters.stats, state.meters.link[link.number].advice_attempts, 1)
    else:
        stats_add(state.meters.stats, state.meters.link[link.number].reversal_attempts, 1)
    return 0


cdef int64_t _reverse_elsewhere(State state, Link link, const SafEntry *reversal) noexcept:
    """Owe another link what a terminal takes back."""
    cdef ReversalOrder order
    memset(&order, 0, sizeof(ReversalOrder))
    order.terminal = reversal.terminal
    order.listener = reversal.listener
    order.source = reversal.source
    order.source_size = reversal.source_size
    order.pan = reversal.pan
    order.pan_digits = reversal.pan_digits
    order.cause = reversal.cause
    return reverse(state, link, &order)


cdef int64_t _pass_on(State state, Link link, const SafEntry *reversal) noexcept:
    """An issuer does not know what a terminal takes back: ask the next one of the card's route. The position of the
    new reversal, 0 when there is no other issuer, or POSITION_FAILED."""
    cdef DialectTables tables = (<Listener>state.listeners[reversal.listener]).tables
    cdef const Route *route
    cdef int64_t currency
    cdef int found, target
    if scan_message(tables.spec, reversal.source, reversal.source_size, &state.sent, &state.fault) != 0:
        return 0
    currency = read_number(tables.spec, &state.sent, FIELD_CURRENCY)
    found = state.routes.find(reversal.pan, reversal.pan_digits, KIND_REVERSAL, <int>max(currency, 0),
                              read_number(tables.spec, &state.sent, FIELD_AMOUNT))
    if found == ROUTE_NONE:
        return 0
    route = state.routes.route(found)
    for target in range(<int>route.target_count - 1, 0, -1):
        if route.target[target - 1].link == link.number:
            return _reverse_elsewhere(state, <Link>state.links[route.target[target].link], reversal)
    return 0


cdef void acknowledge(State state, Link link, uint32_t number, int reason) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef Transaction *late
    cdef uint32_t owed = transaction.reversal
    cdef SafEntry *reversal = state.saf.at(owed)
    cdef int64_t passed_on
    cdef bint is_kept
    if reversal.is_advice:
        _acknowledge_advice(state, link, number, reason)
        return
    if not takes_note(reason) and reason != REASON_ORIGINAL_NOT_FOUND:
        postpone(state, link, number)
        return
    if reason == REASON_ORIGINAL_NOT_FOUND:
        if reversal.unfound == 0 and not reversal.is_unbooked and (reversal.cause == CAUSE_TERMINAL
                                                                   or _is_known_approval(reversal)):
            # Its terminal was told that it is taken back, or its issuer contradicts itself: somebody must see to it.
            state.tell_of(NOTE_REVERSAL_NOT_FOUND, link.number, reversal.rrn, reversal.attempts)
            stats_add(state.meters.stats, state.meters.link[link.number].promises_unfound, 1)
        if transaction.sent_ns < reversal.bookable_until_ns or _is_known_approval(reversal):
            _note_unfound(state, link, reversal)
            postpone(state, link, number)
            return
        if reversal.listener != NO_LISTENER:
            passed_on = _pass_on(state, link, reversal)
            is_kept = state.calendar.now_ns - reversal.stored_ns < link.saf.horizon_ns
            if passed_on == 0 and is_kept:
                _note_unfound(state, link, reversal)      # nobody else can be asked: it is kept, and asked again
            if passed_on == POSITION_FAILED or (passed_on == 0 and is_kept):
                postpone(state, link, number)
                return
    if reversal.late_request != TRANSACTION_NONE:
        late = state.transactions.at(reversal.late_request)
        late.reversal = SAF_NONE
        late.settled = reason != REASON_ORIGINAL_NOT_FOUND
    state.journal.reversed(reversal, reason)
    link.free_reversal(transaction.stan)
    release_stans(link, reversal)
    state.saf.close(link.saf, owed)
    stats_add(state.meters.stats, state.meters.link[link.number].reversals_acknowledged, 1)
    if reason == REASON_ORIGINAL_NOT_FOUND:
        stats_add(state.meters.stats, state.meters.link[link.number].reversals_not_found, 1)
    state.transactions.close(number)


cdef bint _is_known_approval(const SafEntry *reversal) noexcept nogil:
    """Whether its issuer has approved what is taken back: whatever it says then, only an operator gives that up."""
    cdef bint is_approved
    is_approved = reversal.is_approved or APPROVED_CAUSES >> reversal.cause & 1
    return is_approved and reversal.listener == NO_LISTENER and not reversal.is_unbooked


cdef void _note_unfound(State state, Link link, SafEntry *reversal) noexcept:
    """Its original may still be on its way to the issuer: what it has not found now it may book later."""
    reversal.unfound += 1
    state.journal.unfound(reversal)
    stats_add(state.meters.stats, state.meters.link[link.number].reversals_unfound, 1)


cdef void _note_booked(State state, const SafEntry *advice) noexcept nogil:
    """The issuer has taken note: from here on it must find what takes that back."""
    if advice.followed_by != SAF_NONE:
        state.saf.at(advice.followed_by).is_unbooked = False
    if state.duplicates.holds(advice.outcome, advice.outcome_serial):
        state.duplicates.at(advice.outcome).unbooked = False


cdef void _acknowledge_advice(State state, Link link, uint32_t number, int reason) noexcept:
    cdef uint32_t owed = state.transactions.at(number).reversal
    cdef SafEntry *advice = state.saf.at(owed)
    if reason in (REASON_ISSUER_UNAVAILABLE, REASON_SYSTEM_MALFUNCTION, REASON_CUT_OVER, REASON_TIMEOUT,
                  REASON_MAC_FAILED):
        postpone(state, link, number)
        return
    link.free_stan(state.transactions.at(number).stan)
    state.journal.reversed(advice, reason)
    stats_add(state.meters.stats, state.meters.link[link.number].advices_acknowledged, 1)
    if takes_note(reason):
        _note_booked(state, advice)
    else:
        # What was told to the terminal stands; the issuer does not pay for it, nor for what refers to it.
        note_taken_back(state, state.journal.newest(), (<const RequestPart *>advice.request).kind, advice.original)
        stats_add(state.meters.stats, state.meters.link[link.number].advices_declined, 1)
        state.tell_of(NOTE_ADVICE_DECLINED, link.number, advice.rrn, reason, advice.stood_in)
    close_advice(state, link, owed)
    state.transactions.close(number)


cdef void postpone(State state, Link link, uint32_t number) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    if state.saf.at(transaction.reversal).is_advice:
        link.free_stan(transaction.stan)
    else:
        link.free_reversal(transaction.stan)
    state.saf.pause(link.saf, transaction.reversal, state.calendar.now_ns, state.random())
    state.transactions.close(number)
