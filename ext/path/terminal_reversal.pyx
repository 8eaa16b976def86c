"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from switch.base.stats cimport stats_add
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.reasons cimport (
    REASON_APPROVED, REASON_INVALID_AMOUNT, REASON_NO_SUCH_ISSUER, REASON_ORIGINAL_NOT_FOUND, REASON_SYSTEM_MALFUNCTION,
    REASON_TIMEOUT,
)
from switch.dialect.tables cimport NO_FIELD, DialectTables
from switch.machine.duplicate cimport OUTCOME_IN_FLIGHT, OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.message_mending cimport Mender
from switch.machine.meters cimport ORIGINAL_FOUND, ORIGINAL_NOT_FOUND, ORIGINAL_UNCERTAIN
from switch.machine.note_queue cimport NOTE_REVERSAL_WITHHELD, NOTE_REVERSAL_WITHOUT_LINK
from switch.machine.original_reference cimport LIKE_EXACT, LIKE_NOT, Candidate, Naming, fold, likeness, read_naming
from switch.machine.originals cimport VOIDS, Wanted
from switch.machine.request_context cimport Inbound
from switch.machine.request_record cimport TERMINAL_BYTES, RequestPart, unpack_digits
from switch.machine.saf_store cimport (
    CAUSE_SETTLED, CAUSE_TERMINAL, CAUSE_WITHHELD, NO_LISTENER, SAF_NONE, SOUGHT_AGAIN, SOUGHT_NOW, SOUGHT_RARELY,
    SafEntry,
)
from switch.machine.transaction cimport TRANSACTION_SEEKING, NaturalKey
from switch.path.identity cimport NOT_REFUSED
from switch.path.original_in_memory cimport describe_advice, describe_candidate, recall, set_moment
from switch.path.original_lookup cimport check_taking_back, link_named, wait_for_original, wanted_by_reversal
from switch.path.outcome cimport finish_reversal
from switch.saf.delivery cimport send_due
from switch.saf.reversal cimport (
    ReversalOrder, drop_entry, note_taken_back, reverse, reverse_advice, reverse_outcome, take_back_advice,
)
from switch.saf.room cimport has_room_for_unknown_reversal, has_room_for_reversal, count_no_place
from switch.tables.identifiers cimport TERMINAL_NONE
from switch.tables.routes cimport ROUTE_NONE
from switch.wire.fields cimport (
    AMOUNT_DIGITS, CLASS_AUTHORIZATION, CLASS_FINANCIAL, FIELD_AMOUNT, FIELD_CURRENCY, PAN_MAX,
)
from switch.wire.kept_copy cimport keep_copy
from switch.wire.scan cimport MessageIndex, read_number, read_text, scan_message

cdef enum:
    REPLACEMENT_BYTES = 64        # at least those of field 95: the amount, and what else is replaced
    WAITS = -2                    # beside the reasons: its answer waits for the look-up
    RECORDS_SPARE = 4096          # heads and parts of a REVERSAL and a CANCELLED
    UNSURE_SECONDS = 60           # so long a look-up that brings neither yes nor no is tried again


cdef void take_terminal_reversal(State state, TerminalChannel channel) noexcept:
    cdef const NaturalKey *key = &state.inbound.key
    cdef Naming naming
    cdef uint32_t original, advice
    cdef Outcome *entry
    cdef int reason = REASON_APPROVED
    read_naming(state.registry, channel.listener.tables, &state.request, key, KIND_REVERSAL,
                state.inbound.pan, state.inbound.pan_digits, &naming)
    set_moment(state, state.calendar.now_ns, &naming)
    if _is_of_a_part(channel.listener.tables, &state.request):
        finish_reversal(state, channel, REASON_INVALID_AMOUNT)
        return
    original = _find_original(state, key, &naming)
    advice = _find_advice(state, key, &naming) if original == OUTCOME_NONE else SAF_NONE
    if advice != SAF_NONE:
        if _differs(&naming, (<const RequestPart *>state.saf.at(advice).request).amount_minor):
            reason = REASON_INVALID_AMOUNT
        elif state.inquiries.refuses_excess and state.saf.at(advice).is_referred:
            reason = _look_first(state, channel, &naming)
        elif not has_room_for_reversal(state) or reverse_advice(state, advice, CAUSE_TERMINAL) == POSITION_FAILED:
            reason = REASON_SYSTEM_MALFUNCTION
    elif original == OUTCOME_NONE:
        reason = _give_up(state, channel.listener, &naming)
        if reason == REASON_APPROVED:
            reason = _accept_unknown(state, channel, &naming)
    else:
        entry = state.duplicates.at(original)
        if _differs(&naming, entry.amount_minor) and naming.amount_minor != entry.approved_minor:
            reason = REASON_INVALID_AMOUNT
        elif entry.state == OUTCOME_IN_FLIGHT:
            state.transactions.at(entry.transaction).reversal_wanted = True
            if state.transactions.at(entry.transaction).state == TRANSACTION_SEEKING:
                # Nothing of it is written down yet: a crash, or its line's end, must not make it new.
                reason = _give_up(state, channel.listener, &naming)
        elif _has_ties(state, entry):
            reason = _look_first(state, channel, &naming)
        elif ((entry.approved and not entry.reversed and not has_room_for_reversal(state))
                or reverse_outcome(state, original, CAUSE_TERMINAL) == POSITION_FAILED):
            reason = REASON_SYSTEM_MALFUNCTION
    if reason != WAITS:
        finish_reversal(state, channel, reason)


cdef bint _is_of_a_part(DialectTables tables, const MessageIndex *reversal) noexcept nogil:
    """Whether a part of the original is to stand; all of it would be taken back."""
    cdef uint8_t replacing[REPLACEMENT_BYTES]
    cdef int i
    if (tables.replacement_field == NO_FIELD
            or read_text(tables.spec, reversal, tables.replacement_field, replacing, REPLACEMENT_BYTES)
            < AMOUNT_DIGITS):
        return False
    for i in range(AMOUNT_DIGITS):
        if replacing[i] != c"0":
            return True
    return False


cdef bint _differs(const Naming *naming, int64_t amount_minor) noexcept nogil:
    """Whether a reversal is of another amount than its original."""
    return naming.amount_minor >= 0 and amount_minor > 0 and naming.amount_minor != amount_minor


cdef bint _has_ties(State state, const Outcome *entry) noexcept nogil:
    """Whether what stands besides may forbid to take an approval back: it is looked up then."""
    return state.inquiries.refuses_excess and entry.approved and not entry.reversed and entry.has_ties


# --- finding ----------------------------------------------------------------------------------------------------------

cdef uint32_t _find_original(State state, const NaturalKey *own, const Naming *naming) noexcept nogil:
    """The outcome of the duplicate window that is named for sure; OUTCOME_NONE when there is none."""
    cdef Candidate candidate
    cdef const Outcome *entry
    cdef uint32_t number, message_class
    cdef uint32_t found = OUTCOME_NONE
    cdef int best = LIKE_EXACT - 1
    cdef int like
    for message_class in range(CLASS_FINANCIAL, CLASS_AUTHORIZATION - 1, -1):
        number = state.duplicates.first_of(own.terminal, naming.stan, message_class)
        while number != OUTCOME_NONE:
            entry = state.duplicates.at(number)
            if (entry.key.stan == naming.stan and entry.key.terminal == own.terminal
                    and entry.key.message_class == message_class):
                describe_candidate(state, entry, &candidate)
                like = likeness(naming, &candidate)
                if like > best:               # chains are newest first
                    best = like
                    found = number
            number = entry.next_same_hash
    return found


cdef uint32_t _find_advice(State state, const NaturalKey *own, const Naming *naming) noexcept nogil:
    """The advice of a payment that is named, and that the duplicate window has forgotten; SAF_NONE when there is
    none, or when the journal has to say which payment is meant."""
    cdef const uint8_t *terminal = state.registry.terminal(own.terminal).id
    cdef uint32_t number = state.saf.first_advice(terminal, naming.stan)
    cdef uint32_t found = SAF_NONE
    cdef uint32_t alike = 0
    cdef int best = LIKE_NOT
    cdef int like
    cdef uint8_t pan[PAN_MAX + 1]
    cdef Candidate candidate
    cdef const SafEntry *advice
    while number != SAF_NONE:
        advice = state.saf.at(number)
        describe_advice(state, advice, pan, &candidate)
        like = likeness(naming, &candidate)
        # As where the journal is asked: what is only loosely alike, and was taken back, is not what is meant.
        if like >= LIKE_EXACT or (like != LIKE_NOT and advice.followed_by == SAF_NONE):
            alike += 1
            if like > best:
                best = like
                found = number
        number = advice.next_advice
    if best < LIKE_EXACT and (alike > 1 or state.journal.is_searched):
        return SAF_NONE
    return found


cdef uint32_t _find_advice_at(State state, Original original) noexcept nogil:
    """The advice of the store that tells of an original; SAF_NONE when none is owed."""
    cdef uint32_t number = state.saf.first_advice(original.request.terminal, original.request.stan)
    while number != SAF_NONE and state.saf.at(number).original != original.position:
        number = state.saf.at(number).next_advice
    return number


cdef uint32_t _find_outcome_at(State state, Original original) noexcept nogil:
    """The entry of the duplicate window of an original; OUTCOME_NONE when that has forgotten it."""
    cdef NaturalKey key
    cdef uint32_t number
    key.terminal = state.registry.find_terminal(original.request.terminal, TERMINAL_BYTES)
    if key.terminal == <uint32_t>TERMINAL_NONE:
        return OUTCOME_NONE
    key.stan = original.request.stan
    key.message_class = original.request.message_class
    key.occasion = original.request.occasion
    key._padding = 0
    number = state.duplicates.find(&key)
    if number == OUTCOME_NONE:
        return OUTCOME_NONE
    if state.duplicates.at(number).state == OUTCOME_IN_FLIGHT:
        if state.transactions.at(state.duplicates.at(number).transaction).position != original.position:
            return OUTCOME_NONE
    elif state.duplicates.at(number).intent != original.position:
        return OUTCOME_NONE
    return number


cdef void note_ties(State state, Outcome *entry, Original original) noexcept:
    entry.has_ties = VOIDS >> entry.kind & 1 and original.request.refers_to != 0
    note_referred(state, original)


cdef void note_referred(State state, Original original) noexcept:
    cdef uint32_t number = _find_outcome_at(state, original)
    if number != OUTCOME_NONE:
        state.duplicates.at(number).has_ties = True
    number = _find_advice_at(state, original)
    if number != SAF_NONE:
        state.saf.at(number).is_referred = True


# --- accepting --------------------------------------------------------------------------------------------------------

cdef int _give_up(State state, Listener listener, const Naming *naming) noexcept:
    """Remember that a request was reversed before it came, if it still is to come; REASON_APPROVED or why not."""
    cdef NaturalKey key
    cdef uint32_t number
    cdef Outcome *entry
    cdef int64_t position
    # One entry for each payment that may be meant: under one STAN there may be others, of another card or amount.
    key.occasion = fold(<uint64_t>naming.named_at, naming.pan, naming.pan_digits)
    key.occasion = fold(key.occasion, <const uint8_t *>&naming.amount_minor, sizeof(naming.amount_minor))
    key.terminal = state.inbound.terminal_number
    key.stan = naming.stan
    key.message_class = CLASS_OVERTAKEN
    key._padding = 0
    if state.duplicates.find(&key) != OUTCOME_NONE:
        return REASON_APPROVED
    number = state.duplicates.open(&key, 0)
    if number == OUTCOME_NONE:
        count_no_place(state, key.terminal, 0)
        return REASON_SYSTEM_MALFUNCTION
    entry = state.duplicates.at(number)
    entry.kind = KIND_REVERSAL
    entry.merchant = state.inbound.terminal.merchant
    entry.listener = listener.number
    entry.amount_minor = naming.amount_minor
    entry.named_at = naming.named_at
    entry.pan_digits = naming.pan_digits
    memcpy(entry.pan, naming.pan, naming.pan_digits)
    state.duplicates.finish_without_answer(number, REASON_TIMEOUT, state.calendar.now_ns)
    position = state.journal.outcome(entry, REASON_TIMEOUT, NULL, 0, NULL)
    entry.position = POSITION_NEVER if position == POSITION_FAILED else position
    return REASON_SYSTEM_MALFUNCTION if position == POSITION_FAILED else REASON_APPROVED


cdef bint is_overtaken(State state, int64_t *position) noexcept nogil:
    cdef const Inbound *inbound = &state.inbound
    cdef NaturalKey key = inbound.key
    cdef uint32_t number
    key.message_class = CLASS_OVERTAKEN
    number = state.duplicates.find_like(&key, inbound.named_at, inbound.pan, inbound.pan_digits,
                                        inbound.amount_minor)
    if number == OUTCOME_NONE:
        return False
    position[0] = state.duplicates.at(number).position
    return True


cdef int _look_first(State state, TerminalChannel channel, const Naming *naming) noexcept:
    """Look the original of a reversal up before it is answered; WAITS, or the reason of its answer."""
    cdef int reason
    if not state.journal.is_searched and state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched()):
        return reverse_found(state, recall(state, naming, False), naming.amount_minor)
    reason = wait_for_original(state, channel)
    return WAITS if reason == NOT_REFUSED else reason


cdef int _accept_unknown(State state, TerminalChannel channel, const Naming *naming) noexcept:
    """Take a reversal whose original memory does not know: it is looked up before it is sent. Without an issuer to
    whom it could be passed on if that brings nothing, its answer waits for the look-up."""
    cdef const Inbound *inbound = &state.inbound
    cdef Listener listener = channel.listener
    cdef DialectTables tables = listener.tables
    cdef ReversalOrder order
    cdef Link link
    cdef int found = ROUTE_NONE
    cdef int64_t currency = read_number(tables.spec, &state.request, FIELD_CURRENCY)
    if inbound.pan_digits:
        found = state.routes.find(inbound.pan, inbound.pan_digits, KIND_REVERSAL, <int>max(currency, 0),
                                  naming.amount_minor)
    if found == ROUTE_NONE:
        return _look_first(state, channel, naming)
    link = <Link>state.links[state.routes.route(found).target[0].link]
    if not has_room_for_unknown_reversal(state, link, inbound.terminal_number):
        return REASON_SYSTEM_MALFUNCTION
    memset(&order, 0, sizeof(ReversalOrder))
    order.terminal = inbound.terminal_number
    order.listener = listener.number
    order.source = state.aside
    order.source_size = keep_copy(tables.spec, &state.request, tables.unkept, state.aside)
    order.pan = inbound.pan
    order.pan_digits = inbound.pan_digits
    order.cause = CAUSE_TERMINAL
    if reverse(state, link, &order) == POSITION_FAILED:
        return REASON_SYSTEM_MALFUNCTION
    state.saf.seek(link.saf, state.stored_reversal, state.calendar.now_ns, SOUGHT_NOW)
    if not state.journal.is_searched:
        recall_reversal(state, link)
    return REASON_APPROVED


# --- when it was looked up --------------------------------------------------------------------------------------------

cdef int64_t _take_back_original(State state, Original original) noexcept:
    """Take an original back, wherever it is known; the journal position of that, 0 when there is nothing to take back,
    or POSITION_FAILED."""
    cdef uint32_t number = _find_outcome_at(state, original)
    cdef int64_t position
    if number != OUTCOME_NONE:
        if state.duplicates.at(number).state == OUTCOME_IN_FLIGHT:
            state.transactions.at(state.duplicates.at(number).transaction).reversal_wanted = True
            return 0
        return reverse_outcome(state, number, CAUSE_TERMINAL)
    if not original.stands():
        return 0
    position = _take_back_stored(state, original)
    if position != POSITION_FAILED:
        note_taken_back(state, position, original.request.kind, original.position)
    return position


cdef int64_t _take_back_stored(State state, Original original) noexcept:
    """The same of one that stands, and that the duplicate window has forgotten."""
    cdef uint32_t number = _find_advice_at(state, original)
    cdef uint32_t size = <uint32_t>len(original.message)
    cdef const uint8_t *source
    cdef uint8_t pan[PAN_MAX + 1]
    cdef ReversalOrder order
    cdef Mender mender
    cdef Link link
    if number != SAF_NONE:
        return take_back_advice(state, number, CAUSE_TERMINAL)
    link = <Link>link_named(state, original.link)
    if link is None:
        # It must not pass for taken back; the operator brings the link back, or settles it by hand.
        state.tell_of(NOTE_REVERSAL_WITHOUT_LINK, -1, original.rrn)
        return POSITION_FAILED
    unpack_digits(original.request.pan, original.request.pan_digits, pan)
    mender = Mender(state)
    source = mender.mended(link.tables, <const uint8_t *><const char *>original.message, &size, state.aside, False)
    if original.approved_minor:
        source = mender.with_part(link.tables, source, size, original.approved_minor)
    order.terminal = state.registry.find_terminal(original.request.terminal, TERMINAL_BYTES)
    order.listener = NO_LISTENER
    order.source = source
    order.source_size = size
    order.pan = pan
    order.pan_digits = original.request.pan_digits
    order.rrn = original.rrn
    order.authorization_code = original.authorization_code
    order.original = original.position
    order.refers_to = original.request.refers_to
    order.cause = CAUSE_TERMINAL
    order.is_unbooked = original.is_unbooked
    return reverse(state, link, &order)


cdef void _seek_again(State state, uint32_t number, int when) noexcept:
    """Look the original of a reversal of the store up once more."""
    state.saf.seek((<Link>state.links[state.saf.at(number).link]).saf, number, state.calendar.now_ns, when)


cdef void _withhold(State state, uint32_t number, Original original, int reason) noexcept:
    """Never send a reversal that its terminal was promised: what stands besides forbids it."""
    cdef const SafEntry *reversal = state.saf.at(number)
    if state.journal.cancelled(reversal.position, original.position, CAUSE_WITHHELD) == POSITION_FAILED:
        _seek_again(state, number, SOUGHT_AGAIN)
        return
    state.tell_of(NOTE_REVERSAL_WITHHELD, reversal.link, original.rrn, reason)
    stats_add(state.meters.stats, state.meters.link[reversal.link].promises_withheld, 1)
    stats_add(state.meters.stats, state.meters.originals[ORIGINAL_FOUND], 1)
    drop_entry(state, number)


cdef bint _is_unsure_for_short(State state, SafEntry *reversal) noexcept:
    """Whether look-ups could not tell all for no longer than one is waited for that can."""
    if reversal.unsure_since_ns == 0:
        reversal.unsure_since_ns = state.calendar.now_ns
    return state.calendar.now_ns - reversal.unsure_since_ns < <int64_t>UNSURE_SECONDS * 1_000_000_000


cdef bint _seek_the_unsure(State state, uint32_t number) noexcept:
    """Look once more for what a look-up could not tell of: for a while, and for ever where one has found it before.
    False when that has been tried for long enough."""
    cdef SafEntry *reversal = state.saf.at(number)
    if _is_unsure_for_short(state, reversal):
        _seek_again(state, number, SOUGHT_AGAIN)
    elif reversal.was_found:
        _seek_again(state, number, SOUGHT_RARELY)
    else:
        return False
    return True


cdef void settle_reversal(State state, uint32_t number, Original original, bint is_certain, int64_t asked_at) noexcept:
    cdef SafEntry *reversal = state.saf.at(number)
    cdef Link link = <Link>state.links[reversal.link]
    cdef DialectTables tables = (<Listener>state.listeners[reversal.listener]).tables
    cdef int64_t amount_minor = -1
    cdef bint is_new = state.calendar.now_ns - reversal.stored_ns < <int64_t>UNSURE_SECONDS * 1_000_000_000
    cdef int reason
    if original is not None and original.is_torn and _is_unsure_for_short(state, reversal):
        _seek_again(state, number, SOUGHT_AGAIN)
        return
    if original is not None:
        is_certain = reversal.was_found = True
        if state.inquiries.is_outdated(asked_at, original):
            _seek_again(state, number, SOUGHT_NOW)
            return
    if is_certain and not (original is not None and original.is_torn):
        reversal.unsure_since_ns = 0
    if scan_message(tables.spec, reversal.source, reversal.source_size, &state.sent, &state.fault) == 0:
        amount_minor = read_number(tables.spec, &state.sent, FIELD_AMOUNT)
    if original is not None and amount_minor >= 0 and amount_minor not in (original.request.amount_minor,
                                                                           original.worth()):
        original = None                   # it cannot be the whole of it: its issuer is asked in the terminal's words
    if original is None:
        # Its issuer would not know it by the terminal's words, and say that there is nothing to take back.
        if not is_certain and _seek_the_unsure(state, number):
            return
        stats_add(state.meters.stats, state.meters.originals[ORIGINAL_NOT_FOUND if is_certain else ORIGINAL_UNCERTAIN],
                  1)
        state.saf.release(link.saf, number)
        send_due(state, link)
        return
    reason = check_taking_back(state, original)
    if reason != NOT_REFUSED:
        if original.is_undecided:
            _seek_again(state, number, SOUGHT_AGAIN)       # what refers to it may be declined yet, or time out
        else:
            _withhold(state, number, original, reason)
        return
    # Both of them or none: what is tried once more would be taken back by a second reversal.
    if (not state.journal.has_room(2 * (<uint64_t>len(original.message) + reversal.source_size) + RECORDS_SPARE)
            or _take_back_original(state, original) == POSITION_FAILED
            or state.journal.cancelled(reversal.position, original.position, CAUSE_SETTLED) == POSITION_FAILED):
        # Nothing could be stored just now: once more, later. Where its link is gone an operator is told each time.
        _seek_again(state, number, SOUGHT_AGAIN if is_new else SOUGHT_RARELY)
        return
    stats_add(state.meters.stats, state.meters.originals[ORIGINAL_FOUND], 1)
    drop_entry(state, number)
    for link in state.links:
        if link.saf.depth > link.saf.at_issuer:
            send_due(state, link)


cdef void recall_reversal(State state, Link link) noexcept:
    cdef Wanted wanted
    cdef uint32_t number = state.saf.next_sought(link.saf, state.calendar.now_ns, state.journal.newest())
    if (number == SAF_NONE
            or not state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched())):
        return
    state.saf.take_sought(link.saf, number)
    wanted = wanted_by_reversal(state, number)
    settle_reversal(state, wanted.number, recall(state, &wanted.naming, False), True, state.journal.newest())


cdef int reverse_found(State state, Original original, int64_t amount_minor) noexcept:
    cdef int reason
    if original is None:
        stats_add(state.meters.stats, state.meters.originals[ORIGINAL_NOT_FOUND], 1)
        return REASON_NO_SUCH_ISSUER if state.inbound.pan_digits else REASON_ORIGINAL_NOT_FOUND
    stats_add(state.meters.stats, state.meters.originals[ORIGINAL_FOUND], 1)
    if amount_minor >= 0 and amount_minor not in (original.request.amount_minor, original.worth()):
        return REASON_INVALID_AMOUNT
    reason = check_taking_back(state, original)
    if reason != NOT_REFUSED:
        return reason
    if original.stands() and not has_room_for_reversal(state):
        return REASON_SYSTEM_MALFUNCTION
    return REASON_SYSTEM_MALFUNCTION if _take_back_original(state, original) == POSITION_FAILED else REASON_APPROVED
