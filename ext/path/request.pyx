"""A terminal's request, from its bytes to the link: scan, identify, MAC, duplicate, risk, route, translate, send.

The steps follow one another as in the design; each either lets the request pass or names the reason of its refusal.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy
from switch.base.stats cimport stats_add
from switch.crypto.mac cimport MAC_NONE
from switch.dialect.authentication cimport MAC_ABSENT, MAC_RIGHT, mac_fault, seal_message, verify_message
from switch.dialect.card_data cimport read_pan
from switch.dialect.kinds cimport (
    KIND_CUT_OVER, KIND_ECHO_TEST, KIND_KEY_EXCHANGE, KIND_PREAUTHORIZATION, KIND_REVERSAL, KIND_SIGN_OFF, KIND_SIGN_ON,
    KIND_UNKNOWN,
)
from switch.dialect.reasons cimport (
    REASON_APPROVED, REASON_DUPLICATE, REASON_FORMAT_ERROR, REASON_INVALID_AMOUNT, REASON_ISSUER_UNAVAILABLE,
    REASON_KIND_NOT_PERMITTED_TO_TERMINAL, REASON_MAC_FAILED, REASON_NO_SUCH_ISSUER, REASON_SYSTEM_MALFUNCTION,
    REASON_TIMEOUT,
)
from switch.dialect.tables cimport DialectTables, is_request, kind_traits, mti_class
from switch.machine.duplicate cimport OUTCOME_FINISHED, OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport Link, LinkChannel
from switch.machine.listener cimport MAC_POLICY_NONE, MAC_POLICY_REQUIRED, Listener
from switch.machine.meters cimport (
    LIMIT_NUMBERS, LIMIT_REVERSALS, LIMIT_STANS, LIMIT_TRANSACTIONS, ORIGINAL_FOUND, ORIGINAL_NOT_FOUND,
    ORIGINAL_UNCERTAIN,
)
from switch.machine.naming cimport Naming, fold, moment_of, occasion_of, read_naming
from switch.machine.note_queue cimport (
    NOTE_CONFLICTING_REPEAT, NOTE_FORMAT_ERROR, NOTE_MAC_FAILURE, NOTE_PIN_NOT_TRANSLATABLE,
    NOTE_REQUEST_NOT_COMPOSABLE, NOTE_REQUEST_REFUSED, NOTE_UNEXPECTED_MESSAGE, NoteEvent,
)
from switch.machine.originals cimport Original
from switch.machine.saf_store cimport NO_LISTENER
from switch.machine.state cimport SCRATCH_BYTES
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_WAITING, NaturalKey, Transaction
from switch.path.advice cimport stand_in_for, take_advice
from switch.path.forwarding cimport (
    LinkTexts, can_say, can_translate_pin, choose_link, fill_link_slots, fill_parts_slot, fill_pin_slot, refuse_kind,
)
from switch.path.identity cimport NOT_REFUSED, identify
from switch.path.network cimport answer_terminal
from switch.path.original_lookup cimport ask_again, refer, stop_waiting, wait_for_original
from switch.path.original_recall cimport recall, set_moment
from switch.path.outcome cimport finish_reversal, finish_unsent, refuse, refuse_at, repeat
from switch.path.terminal_reversal cimport is_overtaken, note_ties, take_terminal_reversal, reverse_found
from switch.saf.limits cimport has_saf_room, count_no_place
from switch.tables.registry cimport TERMINAL_NONE, Merchant, Terminal
from switch.tables.risk cimport RiskRequest, risk_request
from switch.tables.routes cimport ROUTE_NONE, Route
from switch.wire.fields cimport FIELD_AMOUNT, FIELD_CURRENCY, FIELD_PAN, FIELD_PIN, FIELD_STAN
from switch.wire.scan cimport (
    FAULT_AMOUNT, FAULT_CONFLICT, FAULT_KIND, FAULT_KIND_ABROAD, FAULT_MISSING, FAULT_PIN, FAULT_PIN_KEY, fault_at,
    has_field, read_number, scan_message,
)
from switch.wire.translate cimport Composer

cdef enum:
    ANSWER_BYTES_MORE = 128   # in the answer and in the request as sent, above what the terminal's request has twice


cdef void handle_request(State state, TerminalChannel channel, const Frame *frame) noexcept:
    cdef Listener listener = channel.listener
    cdef DialectTables tables = listener.tables
    cdef const Terminal *terminal = NULL
    cdef uint32_t terminal_number = TERMINAL_NONE
    cdef int kind, reason
    stats_add(state.meters.stats, state.meters.listener[listener.number].requests, 1)
    state.has_detail = False
    if scan_message(tables.spec, frame.message, frame.message_size, &state.request, &state.fault) != 0:
        _handle_unreadable(state, channel, frame)
        return
    if not is_request(state.request.mti):
        stats_add(state.meters.stats, state.meters.listener[listener.number].unexpected, 1)
        state.tell(NOTE_UNEXPECTED_MESSAGE, listener.number, state.request.mti)
        return
    if not has_field(&state.request, FIELD_STAN):
        fault_at(tables.spec, &state.request, FIELD_STAN, FAULT_MISSING, &state.fault)
        _handle_unreadable(state, channel, frame)
        return
    kind = tables.classify(&state.request)
    reason = identify(state, channel, True, &terminal_number)
    if reason != NOT_REFUSED:
        refuse(state, channel, frame.headers, NULL, kind, reason)
        return
    terminal = state.registry.terminal(terminal_number)
    if not _mac_is_acceptable(state, listener, terminal, terminal_number, kind):
        refuse(state, channel, frame.headers, terminal, kind, REASON_MAC_FAILED)
    elif kind in (KIND_SIGN_ON, KIND_SIGN_OFF, KIND_ECHO_TEST, KIND_KEY_EXCHANGE, KIND_CUT_OVER):
        answer_terminal(state, channel, frame.headers, terminal, kind)
    else:
        _handle_numbered(state, channel, frame, terminal, terminal_number, kind)


cdef void _handle_unreadable(State state, TerminalChannel channel, const Frame *frame) noexcept:
    """Answer a message that cannot be scanned where its MTI and STAN could be read; else the connection is closed."""
    cdef Listener listener = channel.listener
    stats_add(state.meters.stats, state.meters.listener[listener.number].format_errors, 1)
    state.tell_fault(NOTE_FORMAT_ERROR, listener.number)
    if state.request.mti == 0 or not is_request(state.request.mti) or not has_field(&state.request, FIELD_STAN):
        channel.hang_up("message cannot be read")
        return
    cdef uint32_t terminal_number = TERMINAL_NONE
    cdef const Terminal *terminal = NULL
    if identify(state, channel, False, &terminal_number) == NOT_REFUSED:
        terminal = state.registry.terminal(terminal_number)
    refuse(state, channel, frame.headers, terminal, KIND_UNKNOWN, REASON_FORMAT_ERROR)


cdef bint _mac_is_acceptable(State state, Listener listener, const Terminal *terminal, uint32_t terminal_number,
                             int kind) noexcept:
    """Whether the request carries the terminal's MAC, or may go without one; a wrong one is counted by terminal."""
    cdef int verdict
    if listener.mac_policy == MAC_POLICY_NONE:
        return True
    verdict = verify_message(state.macs, listener.tables, &terminal.mac_key, &state.request)
    if verdict == MAC_RIGHT:
        return True
    if verdict == MAC_ABSENT:
        if listener.mac_policy != MAC_POLICY_REQUIRED or not (listener.tables.mac_kinds >> kind) & 1:
            return True
    mac_fault(listener.tables, &state.request, verdict, &state.fault)
    _tell_fault(state, NOTE_MAC_FAILURE, listener, terminal)
    stats_add(state.meters.stats, state.meters.listener[listener.number].mac_failures, 1)
    state.mac_failures[terminal_number] += 1
    return False


cdef void _tell_fault(State state, NoteEvent event, Listener listener, const Terminal *terminal) noexcept nogil:
    """Tell what is wrong with a request that can be read; its OUTCOME, if it gets one, says so too."""
    state.keep_fault(False)
    state.tell_fault(event, listener.number, terminal.id)


cdef void _tell_field(State state, NoteEvent event, Listener listener, const Terminal *terminal, int field,
                      int code) noexcept nogil:
    fault_at(listener.tables.spec, &state.request, field, code, &state.fault)
    _tell_fault(state, event, listener, terminal)


cdef void _lack(State state, Listener listener, const Terminal *terminal, int field) noexcept:
    """Tell that a request lacks a field that is needed, or that it says nothing."""
    stats_add(state.meters.stats, state.meters.listener[listener.number].format_errors, 1)
    _tell_field(state, NOTE_FORMAT_ERROR, listener, terminal, field, FAULT_MISSING)


cdef void _natural_key(State state, Listener listener, uint32_t terminal_number, int64_t stan,
                       NaturalKey *key) noexcept nogil:
    """The dialect's profile says which fields tell two requests with one STAN apart."""
    key.occasion = occasion_of(listener.tables, &state.request)
    key.terminal = terminal_number
    key.stan = <uint32_t>stan
    key.message_class = mti_class(state.request.mti)
    key._padding = 0


cdef uint64_t fingerprint_of(State state, int kind, int64_t amount_minor) noexcept nogil:
    cdef uint64_t folded = fold(state.fingerprint_secret, state.pan, state.pan_digits)
    folded = (folded ^ <uint64_t>amount_minor) * <uint64_t>0x9E3779B97F4A7C15
    return (folded ^ (folded >> 31) ^ <uint64_t>kind) * <uint64_t>0x9E3779B97F4A7C15


cdef void _handle_numbered(State state, TerminalChannel channel, const Frame *frame, const Terminal *terminal,
                           uint32_t terminal_number, int kind) noexcept:
    """A request that has a natural key: stored answer, joined, or accepted as new."""
    cdef Listener listener = channel.listener
    cdef NaturalKey key
    cdef uint32_t outcome
    cdef uint64_t fingerprint
    cdef int64_t position
    cdef int reason
    cdef int64_t stan = read_number(listener.tables.spec, &state.request, FIELD_STAN)
    cdef int64_t amount_minor = read_number(listener.tables.spec, &state.request, FIELD_AMOUNT)
    if stan < 0:
        _lack(state, listener, terminal, FIELD_STAN)
        refuse(state, channel, frame.headers, terminal, kind, REASON_FORMAT_ERROR)
        return
    state.pan_digits = read_pan(listener.tables.spec, &state.request, state.pan)
    state.inquiries.referred.is_answered = state.inquiries.referred.refers = False
    state.inquiries.referred.is_known = False
    _natural_key(state, listener, terminal_number, stan, &key)
    fingerprint = fingerprint_of(state, kind, amount_minor)
    outcome = state.duplicates.find(&key)
    if outcome != OUTCOME_NONE:
        _handle_duplicate(state, channel, frame, terminal, kind, outcome, fingerprint)
        return
    if kind != KIND_REVERSAL and is_overtaken(state, listener.tables, terminal_number, stan, amount_minor, &position):
        # Its terminal's reversal has overtaken it: whoever waits for this answer, it must not be charged now. Of an
        # advice no issuer is told then, and its terminal need not send it again.
        refuse_at(state, channel, frame.headers, terminal, kind,
                  REASON_APPROVED if kind_traits(kind).is_advice else REASON_TIMEOUT, position)
        return
    reason = _admit(state, &key, kind, &outcome)
    # A reversal or advice that is refused comes again, as the same; a payment that was refused once must not be
    # charged.
    if reason != NOT_REFUSED and (_comes_again(kind) or not state.journal.accepts()):
        refuse(state, channel, frame.headers, terminal, kind, reason)
        return
    if outcome == OUTCOME_NONE:
        outcome = state.duplicates.open_brief(&key)
    _describe(state, state.duplicates.at(outcome), listener, kind, fingerprint, amount_minor)
    if reason == NOT_REFUSED and kind == KIND_REVERSAL:
        take_terminal_reversal(state, channel, frame.headers, terminal, outcome)
        return
    if reason == NOT_REFUSED:
        reason = _forward(state, channel, frame.headers, terminal, terminal_number, kind, outcome, amount_minor)
    if reason != NOT_REFUSED:
        finish_unsent(state, channel, frame.headers, terminal, kind, reason, outcome)


cdef void _describe(State state, Outcome *entry, Listener listener, int kind, uint64_t fingerprint,
                    int64_t amount_minor) noexcept:
    """What the journal and repeats need to know of the request."""
    cdef int64_t currency = read_number(listener.tables.spec, &state.request, FIELD_CURRENCY)
    entry.named_at = moment_of(listener.tables, &state.request)
    entry.fingerprint = fingerprint
    entry.listener = listener.number
    entry.kind = <uint8_t>kind
    entry.amount_minor = amount_minor
    entry.currency = <uint16_t>currency if 0 < currency < 1000 else 0
    entry.pan_digits = <uint8_t>state.pan_digits
    memcpy(entry.pan, state.pan, state.pan_digits)


cdef bint _has_room(State state) noexcept:
    """Whether what is accepted now can also be finished, and reversed."""
    if state.transactions.in_use == state.transactions.room:
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_TRANSACTIONS], 1)
        return False
    if not has_saf_room(state, 1):
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_REVERSALS], 1)
        return False
    return True


cdef int _admit(State state, const NaturalKey *key, int kind, uint32_t *outcome) noexcept:
    """Find a new request its entry of the duplicate window; NOT_REFUSED, or the reason why there is none.

    A terminal's reversal is given none here: it needs no place among what issuers are asked, and whether there is room
    to owe it depends on what it takes back.
    """
    cdef uint64_t size = 2 * state.request.size + ANSWER_BYTES_MORE
    outcome[0] = OUTCOME_NONE
    if state.draining:
        return REASON_ISSUER_UNAVAILABLE
    if not state.journal.accepts():
        return REASON_SYSTEM_MALFUNCTION
    if kind == KIND_REVERSAL:
        return NOT_REFUSED
    if not _has_room(state):
        return REASON_SYSTEM_MALFUNCTION
    outcome[0] = state.duplicates.open(key, size)
    if outcome[0] != OUTCOME_NONE:
        return NOT_REFUSED
    count_no_place(state, key.terminal, size)
    return REASON_SYSTEM_MALFUNCTION


cdef bint _comes_again(int kind) noexcept nogil:
    """Whether a terminal repeats what was refused: its reversals and advices tell of what has happened already."""
    return kind == KIND_REVERSAL or kind_traits(kind).is_advice


cdef bint _suits(State state, const Outcome *entry, Listener listener) noexcept:
    """Whether an answer stored for one listener can be told on another: same dialect, and with a MAC or without. What
    is composed anew suits all."""
    cdef Listener earlier
    if entry.listener == NO_LISTENER:
        return True
    earlier = <Listener>state.listeners[entry.listener]
    return (earlier.tables is listener.tables
            and (earlier.mac_policy == MAC_POLICY_NONE) == (listener.mac_policy == MAC_POLICY_NONE))


cdef void _handle_duplicate(State state, TerminalChannel channel, const Frame *frame, const Terminal *terminal,
                            int kind, uint32_t outcome, uint64_t fingerprint) noexcept:
    """A natural key that is known: the newest connection gets the one answer."""
    cdef Listener listener = channel.listener
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef Transaction *transaction
    cdef TerminalChannel earlier
    if entry.fingerprint != fingerprint or not _suits(state, entry, listener):
        stats_add(state.meters.stats, state.meters.listener[listener.number].conflicting, 1)
        _tell_field(state, NOTE_CONFLICTING_REPEAT, listener, terminal, FIELD_STAN, FAULT_CONFLICT)
        refuse(state, channel, frame.headers, terminal, kind, REASON_DUPLICATE)
        return
    if entry.state == OUTCOME_FINISHED:
        repeat(state, channel, frame.headers, terminal, outcome)
        return
    stats_add(state.meters.stats, state.meters.listener[listener.number].joined, 1)
    transaction = state.transactions.at(entry.transaction)
    earlier = <TerminalChannel>state.channel_at(transaction.origin_slot, transaction.origin_generation)
    if earlier is not None:
        earlier.in_flight -= 1
        state.wake(earlier)               # it may have as many requests in flight as it may: now it can read on
    channel.in_flight += 1
    transaction.listener = listener.number
    transaction.origin_slot = channel.slot
    transaction.origin_generation = channel.generation
    memcpy(transaction.headers, frame.headers, frame.headers_size)


cdef int _forward(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                  uint32_t terminal_number, int kind, uint32_t outcome, int64_t amount_minor) noexcept:
    """Risk, route, translate, intent, send; NOT_REFUSED or the reason why not."""
    cdef Listener listener = channel.listener
    cdef DialectTables tables = listener.tables
    cdef const Merchant *merchant = state.registry.merchant(terminal.merchant)
    cdef uint16_t currency = state.duplicates.at(outcome).currency
    cdef RiskRequest risked
    cdef int reason, found
    cdef Link link
    if kind == KIND_UNKNOWN or not kind_traits(kind).forwarded:
        if kind_traits(kind).is_advice:
            return take_advice(state, channel, headers, terminal, outcome)
        return refuse_kind(state, listener, terminal, FAULT_KIND)
    if not (terminal.kinds_allowed & merchant.kinds_allowed) >> kind & 1:
        return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
    if state.pan_digits == 0:
        _lack(state, listener, terminal, FIELD_PAN)
        return REASON_FORMAT_ERROR
    if (kind_traits(kind).money or kind == KIND_PREAUTHORIZATION) and amount_minor <= 0:
        _tell_field(state, NOTE_REQUEST_REFUSED, listener, terminal, FIELD_AMOUNT, FAULT_AMOUNT)
        return REASON_INVALID_AMOUNT
    if kind_traits(kind).refers_to and not state.inquiries.referred.is_answered:
        if state.journal.is_searched or not state.inquiries.may_scan(state.calendar.now_ns,
                                                                     state.duplicates.touched()):
            return wait_for_original(state, channel, headers, terminal_number, kind, outcome, amount_minor)
        reason = _recall(state, tables, kind, outcome)
        if reason != NOT_REFUSED:
            return reason
    if state.risk is not None:
        risked = risk_request(kind, currency, amount_minor, state.pan, state.pan_digits, terminal_number,
                              terminal.merchant, state.calendar.now_ns)
        reason = state.risk.check(&risked)
        if reason != REASON_APPROVED:
            return reason
    found = state.routes.find(state.pan, state.pan_digits, kind, currency, amount_minor)
    if found == ROUTE_NONE:
        reason = REASON_NO_SUCH_ISSUER
    elif not can_say(state, state.routes.route(found), kind):
        reason = refuse_kind(state, listener, terminal, FAULT_KIND_ABROAD)
    else:
        link = _link_for(state, state.routes.route(found), kind)
        if link is None:
            reason = stand_in_for(state, channel, headers, terminal, outcome, state.routes.route(found))
        else:
            reason = _send(state, channel, headers, terminal, terminal_number, kind, outcome, amount_minor, link)
    if reason != NOT_REFUSED and state.risk is not None:
        state.risk.uncount(&risked)
    return reason


cdef Link _link_for(State state, const Route *route, int kind):
    """Whom to ask: the issuer who knows the original, where there is one, else as the route says."""
    cdef Link link
    if not state.inquiries.referred.is_known:
        return choose_link(state, route, kind)
    link = <Link>state.links[state.inquiries.referred.link]
    return link if link.can_take() else None


cdef int _recall(State state, DialectTables tables, int kind, uint32_t outcome) noexcept:
    """Look the original up in memory, where no journal is read back; NOT_REFUSED or why it may not refer to it."""
    cdef Naming naming
    read_naming(state.registry, tables, &state.request, &state.duplicates.at(outcome).key, kind, state.pan,
                state.pan_digits, &naming)
    set_moment(state, state.calendar.now_ns, &naming)
    return _refer(state, outcome, recall(state, &naming, False), True)


cdef int _refer(State state, uint32_t outcome, Original original, bint is_certain) noexcept:
    """Let a request refer to its original; NOT_REFUSED or why not."""
    cdef int reason = refer(state, state.duplicates.at(outcome), original, is_certain)
    cdef int result = ORIGINAL_FOUND
    if original is None:
        result = ORIGINAL_NOT_FOUND if is_certain else ORIGINAL_UNCERTAIN
    stats_add(state.meters.stats, state.meters.originals[result], 1)
    state.duplicates.at(outcome).refers_to = state.inquiries.referred.position
    if reason == NOT_REFUSED and original is not None:
        note_ties(state, state.duplicates.at(outcome), original)
    return reason


cdef void resume_request(State state, uint32_t number, Original original, bint is_certain) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef const Terminal *terminal = state.registry.terminal(transaction.terminal)
    cdef TerminalChannel channel
    cdef uint32_t outcome = transaction.outcome
    cdef int kind = transaction.kind
    cdef int reason
    if original is not None and state.inquiries.is_outdated(transaction.position, original):
        ask_again(state, number)
        return
    channel = <TerminalChannel>state.channel_at(transaction.origin_slot, transaction.origin_generation)
    stop_waiting(state, number)
    if channel is None or not state.journal.accepts():
        # Nobody was asked, and its terminal is told nothing: if it comes again it is new.
        state.duplicates.forget(outcome)
        if channel is not None:
            channel.hang_up("journal cannot be written")
        state.transactions.close(number)
        return
    state.transactions.recall_request(transaction, &state.request)
    state.pan_digits = transaction.pan_digits
    memcpy(state.pan, transaction.pan, sizeof(transaction.pan))
    if kind == KIND_REVERSAL:
        if original is None and not is_certain:
            reason = REASON_SYSTEM_MALFUNCTION
        else:
            reason = reverse_found(state, original, transaction.amount_minor)
        finish_reversal(state, channel, transaction.headers, terminal, reason, outcome)
    else:
        reason = REASON_TIMEOUT           # its terminal has taken it back meanwhile: no issuer hears of it
        if not transaction.reversal_wanted:
            reason = _refer(state, outcome, original, is_certain)
            if reason == NOT_REFUSED:
                reason = _forward(state, channel, transaction.headers, terminal, transaction.terminal, kind, outcome,
                                  transaction.amount_minor)
        if reason != NOT_REFUSED:
            finish_unsent(state, channel, transaction.headers, terminal, kind, reason, outcome)
    state.transactions.close(number)        # which wipes the PIN block and the tracks in it


cdef Composer _composer_for(State state, Listener listener, Link link):
    """How the request is written: with what names its original, where that is known or the terminal says something."""
    if state.inquiries.referred.refers and (
            state.inquiries.referred.is_known or has_field(&state.request, listener.tables.reference.field)):
        return <Composer>link.reference_composers[listener.number]
    return <Composer>link.request_composers[listener.number]


cdef int _compose(State state, Listener listener, Link link, const Terminal *terminal, int kind, uint32_t stan,
                  uint32_t offset) noexcept:
    """Write the request in the link's dialect at ``state.out + offset``; its size, or minus a reason, less one."""
    cdef LinkTexts texts
    cdef int reason, size
    cdef Composer composer = _composer_for(state, listener, link)
    fill_link_slots(state, listener, link, kind, stan, &texts)
    if composer.marks_parts:
        fill_parts_slot(state, listener, link, composer, kind, &texts)
    if has_field(&state.request, FIELD_PIN):
        reason = fill_pin_slot(state, listener, link, terminal, &texts)
        if reason != NOT_REFUSED:
            _tell_field(state, NOTE_PIN_NOT_TRANSLATABLE, listener, terminal, FIELD_PIN,
                        FAULT_PIN if can_translate_pin(link, terminal) else FAULT_PIN_KEY)
            return -reason - 1
    size = composer.compose(&state.request, NULL, &state.slots, state.out + offset, SCRATCH_BYTES - offset,
                            &state.composed, &state.fault)
    if size < 0:
        state.keep_fault(True)
        state.tell_fault(NOTE_REQUEST_NOT_COMPOSABLE, link.number)
        return -REASON_FORMAT_ERROR - 1
    if composer.mac_field and link.mac_key.algorithm != MAC_NONE:
        if seal_message(state.macs, link.tables, &link.mac_key, state.out + offset, &state.composed,
                        composer.mac_field) != 0:
            return -REASON_SYSTEM_MALFUNCTION - 1
    return size


cdef int _send(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
               uint32_t terminal_number, int kind, uint32_t outcome, int64_t amount_minor, Link link) noexcept:
    """Translate, write the intent down, and queue the request on a connection of the link."""
    cdef Listener listener = channel.listener
    cdef LinkChannel carrier = link.next_channel()
    cdef uint32_t offset = <uint32_t>link.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef uint32_t stan = link.take_stan(state.numbering)
    cdef uint32_t number
    cdef int size, total
    cdef int64_t position
    cdef const uint64_t *unkept
    cdef Transaction *transaction
    if carrier is None:
        return REASON_ISSUER_UNAVAILABLE
    if stan == 0:
        stats_add(state.meters.stats, state.meters.refused_at_limit[
            LIMIT_NUMBERS if state.numbering.is_spent() else LIMIT_STANS], 1)
        return REASON_ISSUER_UNAVAILABLE
    size = _compose(state, listener, link, terminal, kind, stan, offset)
    if size < 0:
        return -size - 1
    number = state.transactions.open()
    if number == TRANSACTION_NONE:
        return REASON_SYSTEM_MALFUNCTION
    unkept = _composer_for(state, listener, link).unkept
    if state.transactions.keep_messages(number, listener.tables.spec, &state.request, listener.request_unkept,
                                        link.tables.spec, &state.composed, unkept) != 0:
        state.transactions.close(number)
        return REASON_SYSTEM_MALFUNCTION
    transaction = state.transactions.at(number)
    _fill(state, transaction, channel, carrier, headers, link, kind, terminal_number, outcome, amount_minor, stan)
    link.note_sent(transaction, &state.composed, unkept)
    total = link.framing.close_frame(state.out, SCRATCH_BYTES, NULL, <uint32_t>size)
    position = POSITION_FAILED if total < 0 else state.journal.intent(transaction, state.duplicates.at(outcome))
    if position == POSITION_FAILED or state.depart(carrier, state.out, <uint32_t>total, position, OUTCOME_NONE) != 0:
        state.transactions.close(number)
        if position != POSITION_FAILED:
            # The refusal ends this INTENT: nothing is to be reversed, nobody was asked.
            state.duplicates.at(outcome).intent = position
            state.duplicates.at(outcome).link = link.number
        return REASON_SYSTEM_MALFUNCTION
    transaction.position = position
    transaction.refers_to = state.duplicates.at(outcome).refers_to
    if transaction.refers_to:
        state.inquiries.note_reference(position, transaction.refers_to)
        state.duplicates.note_asked(outcome)
    transaction.departure = carrier.departed
    state.duplicates.at(outcome).asked_ns = state.calendar.now_ns
    link.put_stan(stan, number)
    state.duplicates.at(outcome).transaction = number
    state.transactions.append(link.waiting, number)
    channel.in_flight += 1
    carrier.last_sent_ns = state.calendar.now_ns
    stats_add(state.meters.stats, state.meters.link[link.number].requests, 1)
    return NOT_REFUSED


cdef void _fill(State state, Transaction *transaction, TerminalChannel channel, LinkChannel carrier,
                const uint8_t *headers, Link link, int kind, uint32_t terminal_number, uint32_t outcome,
                int64_t amount_minor, uint32_t stan) noexcept:
    """What the transaction must know to match the answer and to bring it home."""
    transaction.state = TRANSACTION_WAITING
    transaction.kind = <uint8_t>kind
    transaction.link = link.number
    transaction.listener = channel.listener.number
    transaction.origin_slot = channel.slot
    transaction.origin_generation = channel.generation
    transaction.carrier_slot = carrier.slot
    transaction.carrier_generation = carrier.generation
    transaction.terminal = terminal_number
    transaction.outcome = outcome
    transaction.stan = stan
    transaction.received_ns = state.calendar.now_ns
    transaction.sent_ns = state.calendar.now_ns
    transaction.deadline_ns = state.calendar.now_ns + link.timeout_ns
    transaction.amount_minor = amount_minor
    transaction.pan_digits = <uint8_t>state.pan_digits
    memcpy(transaction.pan, state.pan, sizeof(transaction.pan))
    memcpy(transaction.rrn, state.rrn, sizeof(transaction.rrn))
    memcpy(transaction.transmission_time, state.calendar.transmission_time, 10)
    memcpy(transaction.headers, headers, channel.listener.framing.headers_size)
