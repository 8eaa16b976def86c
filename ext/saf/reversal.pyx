"""What is taken back: reversals, stored for their issuers, and advices that are cancelled (I2)."""

from libc.stdint cimport uint16_t
from libc.string cimport memcpy, memset
from switch.base.stats cimport stats_add
from switch.dialect.tables cimport kind_traits
from switch.machine.claims cimport is_claim
from switch.machine.duplicate cimport TIES_NONE, TIES_STAND, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.link cimport STAN_COUNT
from switch.machine.note_queue cimport (
    NOTE_REVERSAL_STORE_FULL, NOTE_REVERSAL_WITHOUT_REQUEST, NOTE_REVERSAL_WITHOUT_STAN,
)
from switch.machine.originals cimport ANY_ORIGINAL, VOIDS
from switch.machine.request_record cimport RequestPart, unpack_digits
from switch.machine.saf_store cimport CAUSE_UNTOLD, NO_LISTENER, SAF_FREE, SAF_NONE, SafEntry
from switch.machine.transaction cimport TRANSACTION_NONE, Transaction
from switch.tables.rules cimport RiskRequest, risk_request
from switch.wire.fields cimport FIELD_STAN, PAN_MAX
from switch.wire.scan cimport read_number, scan_message


cdef ReversalOrder order_reversal(const Transaction *transaction, int cause) noexcept nogil:
    cdef ReversalOrder order
    memset(&order, 0, sizeof(ReversalOrder))
    order.terminal = transaction.terminal
    order.listener = NO_LISTENER
    order.source = transaction.sent
    order.source_size = transaction.sent_size
    order.pan = transaction.pan
    order.pan_digits = transaction.pan_digits
    order.rrn = transaction.rrn
    order.authorization_code = transaction.authorization_code
    order.original = transaction.position
    order.refers_to = transaction.refers_to
    order.cause = cause
    return order


cdef int64_t reverse(State state, Link link, const ReversalOrder *order) noexcept:
    cdef bint is_stranger = order.listener != NO_LISTENER
    cdef uint32_t stan = 0
    cdef uint32_t number
    cdef SafEntry *reversal
    if is_stranger or not link.reversals_keep_stan:
        stan = link.take_stan(state.numbering)
        if stan == 0:
            state.tell(NOTE_REVERSAL_WITHOUT_STAN, link.number)
            return POSITION_FAILED
    number = state.saf.add(link.saf, link.number, order.terminal, is_stranger, order.source, order.source_size,
                           state.calendar.now_ns)
    state.stored_reversal = number
    if number == SAF_NONE:
        state.tell(NOTE_REVERSAL_STORE_FULL, link.number)
        return POSITION_FAILED
    reversal = state.saf.at(number)
    reversal.stan = stan
    _fill(state, reversal, order)
    if not is_stranger:
        reversal.bookable_until_ns = state.calendar.now_ns + link.saf.horizon_ns
    hold_stans(state, link, reversal)
    state.saf.refer(number, order.refers_to)
    reversal.position = reversal.leaves_at = state.journal.reversal(reversal)
    if reversal.position == POSITION_FAILED:
        # Nothing that is not written down may leave, nor stand in the way of what may.
        state.stored_reversal = SAF_NONE
        release_stans(link, reversal)
        state.saf.remove(link.saf, number)
        return POSITION_FAILED
    if is_claim(order.refers_to):
        state.claims.note_owed(order.refers_to)
    stats_add(state.meters.stats, state.meters.link[link.number].reversals, 1)
    return reversal.position


cdef void _fill(State state, SafEntry *reversal, const ReversalOrder *order) noexcept nogil:
    """What its attempts, its record and its answer need, beside its source."""
    reversal.cause = <uint8_t>order.cause
    reversal.is_unbooked = order.is_unbooked
    reversal.listener = <uint16_t>order.listener
    reversal.original = order.original
    reversal.pan_digits = <uint8_t>order.pan_digits
    memcpy(reversal.pan, order.pan, order.pan_digits)
    if order.rrn == NULL:
        state.numbering.write_rrn(reversal.rrn)                            # its answer may be matched by it
    else:
        memcpy(reversal.rrn, order.rrn, sizeof(reversal.rrn))
    if order.authorization_code != NULL:
        memcpy(reversal.authorization_code, order.authorization_code, sizeof(reversal.authorization_code))


cdef void hold_stans(State state, Link link, SafEntry *reversal) noexcept:
    cdef int64_t original = -1
    if (reversal.listener == NO_LISTENER and scan_message(link.tables.spec, reversal.source, reversal.source_size,
                                                          &state.sent, &state.fault) == 0):
        original = read_number(link.tables.spec, &state.sent, FIELD_STAN)
    reversal.original_stan = <uint32_t>original if 0 < original < STAN_COUNT else 0
    link.hold_stan(reversal.stan)
    link.hold_stan(reversal.original_stan)


cdef void release_stans(Link link, const SafEntry *reversal) noexcept nogil:
    link.release_stan(reversal.stan)
    link.release_stan(reversal.original_stan)


cdef uint32_t advice_of(State state, uint32_t outcome) noexcept nogil:
    cdef const Outcome *entry = state.duplicates.at(outcome)
    cdef const SafEntry *advice
    if entry.advice_entry == SAF_NONE:
        return SAF_NONE
    advice = state.saf.at(entry.advice_entry)
    if (advice.state == SAF_FREE or not advice.is_advice or advice.outcome != outcome
            or advice.outcome_serial != entry.serial):
        return SAF_NONE
    return entry.advice_entry


cdef ReversalOrder _order_of_advice(const SafEntry *advice, const uint8_t *pan, int cause) noexcept nogil:
    cdef ReversalOrder order
    order.terminal = advice.terminal
    order.listener = NO_LISTENER
    order.source = advice.source
    order.source_size = advice.source_size
    order.pan = pan
    order.pan_digits = (<const RequestPart *>advice.request).pan_digits
    order.rrn = advice.rrn
    order.authorization_code = advice.authorization_code
    order.original = advice.original
    order.refers_to = advice.refers_to
    order.cause = cause
    order.is_unbooked = True
    return order


cdef int64_t take_back_advice(State state, uint32_t number, int cause) noexcept:
    cdef SafEntry *advice = state.saf.at(number)
    cdef const RequestPart *request = <const RequestPart *>advice.request
    cdef Link link = <Link>state.links[advice.link]
    cdef uint8_t pan[PAN_MAX + 1]
    cdef ReversalOrder order
    cdef int64_t position
    if advice.followed_by != SAF_NONE:
        return state.saf.at(advice.followed_by).position       # taken back before
    unpack_digits(request.pan, request.pan_digits, pan)
    if advice.attempts == 0 and not advice.resumed:
        position = state.journal.cancelled(advice.position, advice.original, cause)
    else:
        order = _order_of_advice(advice, pan, cause)
        position = reverse(state, link, &order)
    if position == POSITION_FAILED:
        return position
    if advice.stood_in and link.stand_in is not None:
        link.stand_in.uncount(request.currency, request.amount_minor, pan, request.pan_digits, advice.stored_ns)
    if advice.attempts == 0 and not advice.resumed:
        stats_add(state.meters.stats, state.meters.link[link.number].advices_cancelled, 1)
        close_advice(state, link, number)
    else:
        state.saf.follow(link.saf, state.stored_reversal, number)
    return position


cdef void drop_entry(State state, uint32_t number) noexcept:
    cdef SafEntry *reversal = state.saf.at(number)
    cdef Link link = <Link>state.links[reversal.link]
    if reversal.is_advice:
        close_advice(state, link, number)
        return
    if reversal.late_request != TRANSACTION_NONE:
        state.transactions.at(reversal.late_request).reversal = SAF_NONE
    release_stans(link, reversal)
    state.saf.remove(link.saf, number)


cdef void close_advice(State state, Link link, uint32_t number) noexcept:
    cdef SafEntry *advice = state.saf.at(number)
    cdef const RequestPart *request = <const RequestPart *>advice.request
    if advice.stood_in and link.stand_in is not None:
        link.stand_in.settle(request.currency, request.amount_minor)
    release_stans(link, advice)
    state.saf.remove(link.saf, number)


cdef ReversalOrder _order_of_outcome(State state, uint32_t outcome, int cause) noexcept nogil:
    cdef const Outcome *entry = state.duplicates.at(outcome)
    cdef ReversalOrder order
    order.terminal = entry.key.terminal
    order.listener = NO_LISTENER
    order.source = state.duplicates.sent(outcome)
    order.source_size = entry.sent_size
    order.pan = entry.pan
    order.pan_digits = entry.pan_digits
    order.rrn = entry.rrn
    order.authorization_code = entry.authorization_code
    order.original = entry.intent
    order.refers_to = entry.refers_to
    order.cause = cause
    order.is_unbooked = entry.unbooked
    return order


cdef int64_t reverse_outcome(State state, uint32_t outcome, int cause) noexcept:
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef ReversalOrder order
    cdef int64_t position
    cdef uint32_t advice
    cdef Link link
    if entry.position == POSITION_NEVER and not entry.reversed:
        return POSITION_FAILED            # its own outcome could not be written down
    if not entry.approved or entry.reversed:
        return 0
    advice = advice_of(state, outcome)
    if advice == SAF_NONE and entry.sent_size == 0:
        if not (kind_traits(entry.kind).reversible or kind_traits(entry.kind).is_advice):
            return 0
        # Of before a restart, and of a link that the configuration has no more: it must not pass for taken back.
        state.tell_of(NOTE_REVERSAL_WITHOUT_REQUEST, -1, entry.rrn)
        return POSITION_FAILED
    if advice != SAF_NONE:
        position = take_back_advice(state, advice, cause)
    else:
        link = <Link>state.links[entry.link]
        order = _order_of_outcome(state, outcome, cause)
        position = reverse(state, link, &order)
        if position != POSITION_FAILED and entry.stood_in and entry.asked_ns and link.stand_in is not None:
            link.stand_in.uncount(entry.currency, entry.amount_minor, entry.pan, entry.pan_digits, entry.asked_ns)
    if position == POSITION_FAILED:
        return position                   # it stands as it was: whoever asks for its reversal again may get it
    entry.reversed = True
    uncount(state, entry, False)
    note_taken_back(state, position, entry.kind, entry.intent)
    if position > entry.position:
        entry.position = position         # a repeat is told so when the reversal is durable
    return position


cdef int64_t reverse_advice(State state, uint32_t number, int cause) noexcept:
    cdef const SafEntry *advice = state.saf.at(number)
    cdef int64_t original = advice.original
    cdef int kind = (<const RequestPart *>advice.request).kind
    cdef int64_t position
    if state.duplicates.holds(advice.outcome, advice.outcome_serial):
        return reverse_outcome(state, advice.outcome, cause)
    position = take_back_advice(state, number, cause)
    if position != POSITION_FAILED:
        note_taken_back(state, position, kind, original)
    return position


cdef void note_taken_back(State state, int64_t position, int kind, int64_t original) noexcept nogil:
    state.inquiries.note_reference(position, ANY_ORIGINAL if VOIDS >> kind & 1 else original)


cdef int _ties(State state, uint32_t outcome) noexcept:
    """What stands, or may yet stand, because of an approval, in this partition or others."""
    cdef const Outcome *entry = state.duplicates.at(outcome)
    cdef int found = state.duplicates.ties(outcome)
    return max(found, state.claims.ties(entry.intent)) if entry.has_ties else found


cdef void reverse_untold(State state, uint32_t outcome) noexcept:
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int ties = _ties(state, outcome) if state.inquiries.refuses_excess else TIES_NONE
    if ties == TIES_STAND:
        entry.told = True                 # its terminal has gone on from it: the customer would get both
        return
    if ties == TIES_NONE and reverse_outcome(state, outcome, CAUSE_UNTOLD) != POSITION_FAILED:
        return
    if entry.sent_size or advice_of(state, outcome) != SAF_NONE:
        # As if it still were to be told: it is not forgotten meanwhile, and room for its reversal is kept.
        state.unreversed.append((outcome, state.duplicates.will_tell(outcome)))


cdef void reverse_unreversed(State state) noexcept:
    cdef list outcomes = state.unreversed
    state.unreversed = []
    for outcome, serial in outcomes:
        if state.duplicates.at(outcome).has_ties and not state.inquiries.may_scan(state.calendar.now_ns,
                                                                                  state.duplicates.touched()):
            state.unreversed.append((outcome, serial))        # its ties are looked for in all of the window
            continue
        # Else a repeat has told it, or may yet; what was told may have been forgotten since, its place another's.
        if state.duplicates.holds(outcome, serial) and state.duplicates.fail_to_tell(outcome):
            reverse_untold(state, outcome)


cdef void uncount(State state, Outcome *entry, bint is_declined) noexcept nogil:
    cdef RiskRequest counted
    if state.risk is None or entry.asked_ns == 0:
        return
    counted = risk_request(entry.kind, entry.currency, entry.amount_minor, entry.pan, entry.pan_digits,
                           entry.key.terminal, entry.merchant, entry.entry_mode, entry.asked_ns)
    state.risk.uncount(&counted)
    if is_declined:
        state.risk.count_decline(&counted)
    entry.asked_ns = 0
