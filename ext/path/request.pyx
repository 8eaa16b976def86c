"""A terminal's request on its way to the link: scan, identify, MAC, duplicate, risk, route, translate, intent, send.

The steps follow one another as in the design. Each lets the request go on, or says False: it has been answered, waits,
or is nothing that has an answer.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy
from switch.base.invariant cimport ensure
from switch.base.stats cimport stats_add
from switch.dialect.kinds cimport KIND_PREAUTHORIZATION, KIND_REVERSAL, KIND_SCRIPT_NOTICE, KIND_UNKNOWN
from switch.dialect.reasons cimport (
    REASON_APPROVED, REASON_FORMAT_ERROR, REASON_INVALID_AMOUNT, REASON_ISSUER_UNAVAILABLE,
    REASON_KIND_NOT_PERMITTED_TO_TERMINAL, REASON_NO_SUCH_ISSUER, REASON_SYSTEM_MALFUNCTION,
)
from switch.dialect.tables cimport DialectTables, is_request, kind_traits
from switch.dialect.track_rules cimport say_in_clear
from switch.machine.claims cimport is_claim
from switch.machine.duplicate cimport OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport Listener
from switch.machine.meters cimport (
    LIMIT_REVERSALS, LIMIT_TRANSACTIONS, ORIGINAL_FOUND, ORIGINAL_NOT_FOUND, ORIGINAL_UNCERTAIN,
)
from switch.machine.note_queue cimport (
    NOTE_FORMAT_ERROR, NOTE_REQUEST_NOT_COMPOSABLE, NOTE_REQUEST_REFUSED, NOTE_UNEXPECTED_MESSAGE,
)
from switch.machine.original_reference cimport Naming, read_naming
from switch.machine.originals cimport VOIDS, Original
from switch.machine.request_context cimport Inbound, NOT_BARRED
from switch.machine.sending cimport frame_for_link, send_to_link
from switch.machine.state cimport SCRATCH_BYTES
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_WAITING, Transaction
from switch.path.advice cimport stand_in_for, take_advice
from switch.path.claiming cimport names_elsewhere
from switch.path.first_sign_in cimport admit_sign_in, admit_signed_in
from switch.path.forwarding cimport (
    LinkTexts, can_say, choose_link, fill_link_slots, fill_parts_slot, fill_pin_slot, leaves_places,
    refuse_kind, take_stan, this_link,
)
from switch.path.identity cimport NOT_REFUSED, identify, may_ask_for_kind
from switch.path.key_overlap cimport ask_to_sign_in
from switch.path.natural_key cimport comes_again, read_natural_key
from switch.path.original_in_memory cimport recall, set_moment
from switch.path.original_lookup cimport refer, wait_for_original
from switch.path.outcome cimport finish_unsent
from switch.path.proof cimport check_mac, may_speak_here, refuse_barred
from switch.path.repeat cimport answer_repeat
from switch.path.request_faults cimport tell_field, tell_missing
from switch.path.terminal_answer cimport answer_overtaken, refuse
from switch.path.terminal_management cimport answer_network_management, is_network_management
from switch.path.terminal_reversal cimport is_overtaken, note_ties, take_terminal_reversal
from switch.path.tracks cimport forget_tracks, may_lack_tracks, open_tracks
from switch.path.whereabouts cimport notice_whereabouts
from switch.saf.room cimport has_saf_room, count_no_place
from switch.tables.identifiers cimport TERMINAL_NONE
from switch.tables.rules cimport risk_request
from switch.tables.routes cimport ROUTE_NONE, Route
from switch.wire.fields cimport FIELD_AMOUNT, FIELD_CURRENCY, FIELD_PAN, FIELD_PIN, FIELD_STAN
from switch.wire.scan cimport (
    FAULT_AMOUNT, FAULT_KIND, FAULT_KIND_ABROAD, FAULT_MISSING, fault_at, has_field,
    read_number, scan_message,
)
from switch.wire.translate cimport Composer, Sources, sources_of

cdef enum:
    ANSWER_BYTES_MORE = 128   # in the answer and in the request as sent, above what the terminal's request has twice


# --- the steps --------------------------------------------------------------------------------------------------------

cdef void handle_request(State state, TerminalChannel channel, const Frame *frame) noexcept:
    cdef int fault = scan_message(channel.listener.tables.spec, frame.message, frame.message_size, &state.request,
                                  &state.fault)
    handle_scanned(state, channel, frame.headers, fault == 0)


cdef void handle_scanned(State state, TerminalChannel channel, const uint8_t *headers, bint is_readable) noexcept:
    if state.journal.outdated is not None:
        return                                # a newer journal has the answer: whatever this one says may be wrong
    count_request(state, channel)
    begin_inbound(state, headers)
    if (_classify(state, channel, is_readable)
            and _identify(state, channel)
            and check_mac(state, channel)
            and may_speak_here(state, channel)
            and _is_transaction(state, channel)
            and open_tracks(state, channel)
            and _is_new(state, channel)
            and notice_whereabouts(state, channel)
            and admit_signed_in(state, channel)
            and _is_served(state, channel)
            and may_lack_tracks(state, channel)
            and _admit(state, channel)
            and _is_for_issuer(state, channel)):
        forward_request(state, channel)
    forget_tracks(state)


cdef void count_request(State state, TerminalChannel channel) noexcept nogil:
    stats_add(state.meters.stats, state.meters.listener[channel.listener.number].requests, 1)


cdef bint is_genuine(State state, TerminalChannel channel, const uint8_t *headers) noexcept:
    begin_inbound(state, headers)
    return (_classify(state, channel, True) and _identify(state, channel) and check_mac(state, channel)
            and may_speak_here(state, channel))


cdef void refuse_unreachable(State state, TerminalChannel channel, const uint8_t *headers) noexcept:
    count_request(state, channel)
    # What was approved before, and whose answer was lost, would be told as declined: its terminal is left to ask again.
    if is_genuine(state, channel, headers) and not _asks_an_issuer(state):
        refuse(state, channel, REASON_ISSUER_UNAVAILABLE)


cdef inline bint _asks_an_issuer(State state) noexcept nogil:
    """Whether an answer says if money moves. Reversals and advices tell of what has happened; the kind says which is
    which, for some dialects ask for refunds and completions with an 0220."""
    return kind_traits(state.inbound.kind).forwarded


cdef void forward_request(State state, TerminalChannel channel) noexcept:
    cdef Link link = None
    if (_is_permitted(state, channel)
            and _knows_original(state, channel)
            and _check_risk(state, channel)):
        link = _route(state, channel)
        if link is None:
            _raise_cases(state, state.duplicates.at(state.inbound.outcome).intent)        # of an approval by stand-in
    if (link is not None
            and _translate(state, channel, link)
            and _write_intent(state, channel, link)):
        _send(state, channel, link)


cdef void begin_inbound(State state, const uint8_t *headers) noexcept nogil:
    state.has_detail = False
    state.inbound.headers = state.inbound.answer_headers = headers
    state.inbound.terminal = NULL
    state.inbound.terminal_number = TERMINAL_NONE
    state.inbound.kind = KIND_UNKNOWN
    state.inbound.outcome = OUTCOME_NONE
    state.inbound.entry_mode = 0
    state.inbound.is_counted = False
    state.inbound.is_proven = False
    state.inbound.is_under_former = False
    state.inbound.shut_track = 0


cdef bint _refuse_for_good(State state, TerminalChannel channel, int reason) noexcept:
    """Refuse what has an outcome of its own: its repeats are told the same. False, for a step to hand on."""
    if state.inbound.is_counted:
        state.risk.uncount(&state.inbound.risked)
    finish_unsent(state, channel, reason)
    return False


# --- classify ---------------------------------------------------------------------------------------------------------

cdef bint _classify(State state, TerminalChannel channel, bint is_readable) noexcept:
    cdef Listener listener = channel.listener
    if not is_readable:
        return _refuse_unreadable(state, channel)
    if not is_request(state.request.mti):
        stats_add(state.meters.stats, state.meters.listener[listener.number].unexpected, 1)
        state.tell(NOTE_UNEXPECTED_MESSAGE, listener.number, state.request.mti)
        return False
    if not has_field(&state.request, FIELD_STAN):
        fault_at(listener.tables.spec, &state.request, FIELD_STAN, FAULT_MISSING, &state.fault)
        return _refuse_unreadable(state, channel)
    state.inbound.kind = listener.tables.classify(&state.request)
    return True


cdef bint _refuse_unreadable(State state, TerminalChannel channel) noexcept:
    """Answer a message that cannot be scanned where its MTI and STAN could be read; else the connection is closed."""
    cdef Listener listener = channel.listener
    stats_add(state.meters.stats, state.meters.listener[listener.number].format_errors, 1)
    state.tell_fault(NOTE_FORMAT_ERROR, listener.number)
    if state.request.mti == 0 or not is_request(state.request.mti) or not has_field(&state.request, FIELD_STAN):
        channel.hang_up("message cannot be read")
        return False
    identify(state, channel, False)
    refuse(state, channel, REASON_FORMAT_ERROR)
    return False


# --- identify, MAC ----------------------------------------------------------------------------------------------------

cdef bint _identify(State state, TerminalChannel channel) noexcept:
    cdef int reason = identify(state, channel, True)
    if reason != NOT_REFUSED:
        refuse(state, channel, reason)
        return False
    return True


cdef bint _is_transaction(State state, TerminalChannel channel) noexcept:
    """Network management has no outcome: it is answered here."""
    if not is_network_management(state.inbound.kind):
        if state.inbound.is_under_former or state.inbound.terminal.has_former:
            ask_to_sign_in(state, channel)
        return True
    notice_whereabouts(state, channel)
    admit_sign_in(state)
    if state.inbound.barred != NOT_BARRED:
        return refuse_barred(state, channel)
    answer_network_management(state, channel)
    return False


# --- duplicate --------------------------------------------------------------------------------------------------------

cdef bint _is_new(State state, TerminalChannel channel) noexcept:
    """Whether its natural key is not known: a repeat is answered here, and what was reversed before it came."""
    cdef int64_t position
    if not read_natural_key(state, channel.listener):
        refuse(state, channel, REASON_FORMAT_ERROR)
        return False
    state.inbound.outcome = state.duplicates.find(&state.inbound.key)
    if state.inbound.outcome != OUTCOME_NONE:
        answer_repeat(state, channel)
        return False
    if state.inbound.kind != KIND_REVERSAL and is_overtaken(state, &position):
        answer_overtaken(state, channel, position)
        return False
    return True


cdef bint _is_served(State state, TerminalChannel channel) noexcept:
    """Whether its terminal may ask for something new.

    One that was suspended or closed, or given other listeners, is told what became of what it asked for before, and may
    take it back: else a payment whose answer was lost would be told as declined, and its card stay charged.
    """
    if state.inbound.barred == NOT_BARRED or state.inbound.kind == KIND_REVERSAL:
        return True
    return refuse_barred(state, channel)


# --- an outcome of its own --------------------------------------------------------------------------------------------

cdef bint _admit(State state, TerminalChannel channel) noexcept:
    """Give it an outcome of its own, by which a refusal is remembered too: from here on it ends once."""
    cdef int kind = state.inbound.kind
    cdef int reason
    state.inquiries.referred.is_answered = state.inquiries.referred.refers = False
    state.inquiries.referred.is_known = False
    reason = _open_outcome(state)
    # A reversal or advice that is refused comes again, as the same; a payment that was refused once must not be
    # charged.
    if reason != NOT_REFUSED and (comes_again(kind) or not state.journal.accepts()):
        refuse(state, channel, reason)
        return False
    if state.inbound.outcome == OUTCOME_NONE:
        state.inbound.outcome = state.duplicates.open_brief(&state.inbound.key)
    _describe(state, state.duplicates.at(state.inbound.outcome), channel.listener)
    return _refuse_for_good(state, channel, reason) if reason != NOT_REFUSED else True


cdef int _open_outcome(State state) noexcept:
    """Find a new request its entry of the duplicate window; NOT_REFUSED, or the reason why there is none.

    A terminal's reversal is given none here: it needs no place among what issuers are asked, and whether there is room
    to owe it depends on what it takes back.
    """
    cdef uint64_t size = 2 * state.request.size + ANSWER_BYTES_MORE
    state.inbound.outcome = OUTCOME_NONE
    if state.draining:
        return REASON_ISSUER_UNAVAILABLE
    if not state.journal.accepts():
        return REASON_SYSTEM_MALFUNCTION
    if state.inbound.kind == KIND_REVERSAL:
        return NOT_REFUSED
    if not _has_room(state):
        return REASON_SYSTEM_MALFUNCTION
    state.inbound.outcome = state.duplicates.open(&state.inbound.key, size)
    if state.inbound.outcome != OUTCOME_NONE:
        return NOT_REFUSED
    count_no_place(state, state.inbound.terminal_number, size)
    return REASON_SYSTEM_MALFUNCTION


cdef bint _has_room(State state) noexcept:
    """Whether what is accepted now can also be finished, and reversed."""
    if state.transactions.in_use == state.transactions.room:
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_TRANSACTIONS], 1)
        return False
    if not has_saf_room(state, 1):
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_REVERSALS], 1)
        return False
    return True


cdef void _describe(State state, Outcome *entry, Listener listener) noexcept:
    """What the journal and repeats need to know of the request."""
    cdef const Inbound *inbound = &state.inbound
    cdef int64_t currency = read_number(listener.tables.spec, &state.request, FIELD_CURRENCY)
    entry.named_at = inbound.named_at
    entry.fingerprint = inbound.fingerprint
    entry.merchant = inbound.terminal.merchant
    entry.listener = listener.number
    entry.kind = <uint8_t>inbound.kind
    entry.amount_minor = inbound.amount_minor
    entry.currency = <uint16_t>currency if 0 < currency < 1000 else 0
    entry.entry_mode = <uint8_t>max(listener.tables.read_entry_mode(&state.request), 0)
    entry.pan_digits = <uint8_t>inbound.pan_digits
    memcpy(entry.pan, inbound.pan, inbound.pan_digits)
    state.inbound.currency = entry.currency
    state.inbound.entry_mode = entry.entry_mode


cdef bint _is_for_issuer(State state, TerminalChannel channel) noexcept:
    """What no issuer is asked about is taken here: a terminal's reversal, or its advice of what has happened."""
    cdef int kind = state.inbound.kind
    cdef int reason
    if kind == KIND_REVERSAL:
        take_terminal_reversal(state, channel)
        return False
    if kind != KIND_UNKNOWN and kind_traits(kind).forwarded:
        return True
    if kind_traits(kind).is_advice:
        reason = take_advice(state, channel)
    else:
        reason = refuse_kind(state, channel.listener, FAULT_KIND)
    return _refuse_for_good(state, channel, reason) if reason != NOT_REFUSED else False


cdef bint _is_permitted(State state, TerminalChannel channel) noexcept:
    """Whether its terminal and merchant may do that, and it says of which card and how much."""
    cdef Listener listener = channel.listener
    cdef int kind = state.inbound.kind
    if not may_ask_for_kind(state):
        return _refuse_for_good(state, channel, REASON_KIND_NOT_PERMITTED_TO_TERMINAL)
    if state.inbound.pan_digits == 0:
        tell_missing(state, listener, FIELD_PAN)
        return _refuse_for_good(state, channel, REASON_FORMAT_ERROR)
    if (kind_traits(kind).money or kind == KIND_PREAUTHORIZATION) and state.inbound.amount_minor <= 0:
        tell_field(state, NOTE_REQUEST_REFUSED, listener, FIELD_AMOUNT, FAULT_AMOUNT)
        return _refuse_for_good(state, channel, REASON_INVALID_AMOUNT)
    return True


# --- the original that it refers to -----------------------------------------------------------------------------------

cdef bint _knows_original(State state, TerminalChannel channel) noexcept:
    """Whether it can go on with what is known of the original that it refers to, if its kind does; else it waits until
    that was looked up, or was refused."""
    cdef int reason
    if not kind_traits(state.inbound.kind).refers_to or state.inquiries.referred.is_answered:
        return True
    if (not state.journal.is_searched and state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched())
            and _recall(state, channel.listener.tables, &reason)):
        return True if reason == NOT_REFUSED else _refuse_for_good(state, channel, reason)
    reason = wait_for_original(state, channel)
    return _refuse_for_good(state, channel, reason) if reason != NOT_REFUSED else False


cdef bint _recall(State state, DialectTables tables, int *reason) noexcept:
    """Look the original up in memory, where no journal is read back; NOT_REFUSED or why it may not refer to it. False
    when another partition may have it."""
    cdef Naming naming
    cdef Original original
    read_naming(state.registry, tables, &state.request, &state.duplicates.at(state.inbound.outcome).key,
                state.inbound.kind, state.inbound.pan, state.inbound.pan_digits, &naming)
    set_moment(state, state.calendar.now_ns, &naming)
    original = recall(state, &naming, False)
    if original is None and names_elsewhere(state, &naming):
        return False
    reason[0] = refer_to_original(state, original, True)
    return True


cdef int refer_to_original(State state, Original original, bint is_certain) noexcept:
    cdef Outcome *entry = state.duplicates.at(state.inbound.outcome)
    cdef int reason = refer(state, entry, original, is_certain)
    cdef int result = ORIGINAL_FOUND
    if original is None:
        result = ORIGINAL_NOT_FOUND if is_certain else ORIGINAL_UNCERTAIN
    stats_add(state.meters.stats, state.meters.originals[result], 1)
    entry.refers_to = state.inquiries.referred.position
    if reason == NOT_REFUSED and original is not None:
        note_ties(state, entry, original)
        if VOIDS >> entry.kind & 1 and is_claim(original.request.refers_to):
            state.claims.note_undoing(original.request.refers_to, state.inbound.outcome, entry.serial)
    return reason


# --- risk, route ------------------------------------------------------------------------------------------------------

cdef bint _check_risk(State state, TerminalChannel channel) noexcept:
    cdef Inbound *inbound = &state.inbound
    cdef int reason
    if state.risk is None:
        return True
    if inbound.kind == KIND_SCRIPT_NOTICE:        # it tells of a payment that was counted
        return True
    inbound.risked = risk_request(inbound.kind, inbound.currency, inbound.amount_minor, inbound.pan,
                                  inbound.pan_digits, inbound.terminal_number, inbound.terminal.merchant,
                                  inbound.entry_mode, state.calendar.now_ns)
    reason = state.risk.check(&inbound.risked)
    inbound.is_counted = reason == REASON_APPROVED
    if reason == REASON_APPROVED:
        return True
    state.note_rule(state.risk.words_of_refusal())
    return _refuse_for_good(state, channel, reason)


cdef void _raise_cases(State state, int64_t position) noexcept:
    """Write down which bands want somebody to look at the request that begins there; 0: it did not go on."""
    cdef int place
    if position == 0 or not state.inbound.is_counted or state.risk.case_count == 0:
        return
    for place in range(state.risk.case_count):
        state.journal.ruled(position, state.risk.words_of_case(place))
        state.risk.raise_case(place, position, state.partition)


cdef Link _route(State state, TerminalChannel channel):
    """The link on which its issuer is asked; None when it was refused, or approved by stand-in."""
    cdef const Inbound *inbound = &state.inbound
    cdef const Route *route
    cdef Link link = None
    cdef int reason = REASON_NO_SUCH_ISSUER
    cdef int found = state.routes.find(inbound.pan, inbound.pan_digits, inbound.kind, inbound.currency,
                                       inbound.amount_minor)
    if found != ROUTE_NONE:
        route = state.routes.route(found)
        if not can_say(state, route, inbound.kind) and inbound.kind == KIND_SCRIPT_NOTICE:
            finish_unsent(state, channel, REASON_APPROVED)         # nobody wants to know it
            return None
        if not can_say(state, route, inbound.kind):
            reason = refuse_kind(state, channel.listener, FAULT_KIND_ABROAD)
        else:
            link = _link_for(state, route, inbound.kind)
            if link is None:
                reason = stand_in_for(state, channel, route)
            elif not leaves_places(state, link):
                link = None
                reason = REASON_SYSTEM_MALFUNCTION
    if link is None and reason != NOT_REFUSED:
        _refuse_for_good(state, channel, reason)
    return link


cdef Link _link_for(State state, const Route *route, int kind):
    """Whom to ask: the issuer who knows the original, where there is one, else as the route says."""
    if not state.inquiries.referred.is_known:
        return choose_link(state, route, kind)
    return this_link(state, <Link>state.links[state.inquiries.referred.link], kind)


# --- translate --------------------------------------------------------------------------------------------------------

cdef bint _translate(State state, TerminalChannel channel, Link link) noexcept:
    """Write the request in the link's dialect, and keep both in a transaction."""
    cdef Listener listener = channel.listener
    cdef Composer composer = _composer_for(state, listener, link)
    cdef uint32_t stan = take_stan(state, link)
    cdef int reason, total
    cdef uint32_t number
    cdef Transaction *transaction
    if stan == 0:
        return _refuse_for_good(state, channel, REASON_ISSUER_UNAVAILABLE)
    reason = _compose(state, listener, link, composer, stan)
    if reason != NOT_REFUSED:
        return _refuse_for_good(state, channel, reason)
    total = frame_for_link(state, link, &state.composed, composer.mac_field, NULL)
    number = state.transactions.open() if total > 0 else TRANSACTION_NONE
    if number == TRANSACTION_NONE:
        return _refuse_for_good(state, channel, REASON_SYSTEM_MALFUNCTION)
    if state.transactions.keep_messages(number, listener.tables.spec, &state.request, listener.request_unkept,
                                        link.tables.spec, &state.composed, composer.unkept) != 0:
        state.transactions.close(number)
        return _refuse_for_good(state, channel, REASON_SYSTEM_MALFUNCTION)
    transaction = state.transactions.at(number)
    _fill(state, transaction, channel, link, stan)
    link.note_sent(transaction, &state.composed, composer.unkept)
    state.inbound.transaction = transaction
    state.inbound.number = number
    state.inbound.frame_size = <uint32_t>total
    return True


cdef Composer _composer_for(State state, Listener listener, Link link):
    """How the request is written: with what names its original, where that is known or the terminal says something."""
    if state.inquiries.referred.refers and (
            state.inquiries.referred.is_known or has_field(&state.request, listener.tables.reference.field)):
        return <Composer>link.reference_composers[listener.number]
    return <Composer>link.request_composers[listener.number]


cdef int _compose(State state, Listener listener, Link link, Composer composer, uint32_t stan) noexcept:
    """Write the request in the link's dialect, but for its MAC; NOT_REFUSED, or the reason why it cannot be."""
    cdef LinkTexts texts
    cdef uint32_t offset = <uint32_t>link.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef int kind = state.inbound.kind
    cdef Sources sources
    cdef int reason
    fill_link_slots(state, listener, link, kind, stan, &texts)
    if composer.marks_parts:
        fill_parts_slot(state, listener, link, composer, kind, &texts)
    if has_field(&state.request, FIELD_PIN):
        reason = fill_pin_slot(state, listener, link, &texts)
        if reason != NOT_REFUSED:
            return reason
    sources = sources_of(&state.request, NULL, &state.slots)
    if composer.compose(&sources, state.out + offset, SCRATCH_BYTES - offset, &state.composed, &state.fault) < 0:
        state.keep_fault(True)
        state.tell_fault(NOTE_REQUEST_NOT_COMPOSABLE, link.number)
        return REASON_FORMAT_ERROR
    say_in_clear(&link.tables.tracks, link.tables.spec, &state.composed, state.out + offset)
    return NOT_REFUSED


cdef void _fill(State state, Transaction *transaction, TerminalChannel channel, Link link, uint32_t stan) noexcept:
    """What the transaction must know to match the answer and to bring it home."""
    cdef const Inbound *inbound = &state.inbound
    transaction.state = TRANSACTION_WAITING
    transaction.kind = <uint8_t>inbound.kind
    transaction.link = link.number
    transaction.listener = channel.listener.number
    transaction.origin_slot = channel.slot
    transaction.origin_generation = channel.generation
    transaction.terminal = inbound.terminal_number
    transaction.is_under_former = inbound.is_under_former
    transaction.mac_key = inbound.terminal.mac_key
    transaction.outcome = inbound.outcome
    transaction.stan = stan
    transaction.received_ns = state.calendar.now_ns
    transaction.sent_ns = state.calendar.now_ns
    transaction.deadline_ns = state.calendar.now_ns + link.timeout_ns
    transaction.amount_minor = inbound.amount_minor
    transaction.pan_digits = <uint8_t>inbound.pan_digits
    memcpy(transaction.pan, inbound.pan, sizeof(transaction.pan))
    memcpy(transaction.rrn, state.rrn, sizeof(transaction.rrn))
    memcpy(transaction.transmission_time, state.calendar.transmission_time, 10)
    memcpy(transaction.headers, inbound.headers, channel.listener.framing.headers_size)


# --- intent, send -----------------------------------------------------------------------------------------------------

cdef bint _write_intent(State state, TerminalChannel channel, Link link) noexcept:
    """Write down that the issuer is asked, before it is."""
    cdef Transaction *transaction = state.inbound.transaction
    cdef Outcome *entry = state.duplicates.at(state.inbound.outcome)
    cdef int64_t position = state.journal.intent(transaction, entry)
    if position == POSITION_FAILED:
        state.transactions.close(state.inbound.number)
        return _refuse_for_good(state, channel, REASON_SYSTEM_MALFUNCTION)
    _raise_cases(state, position)
    transaction.position = position
    transaction.refers_to = entry.refers_to
    return True


cdef void _send(State state, TerminalChannel channel, Link link) noexcept:
    """Queue it on its link, to leave when its INTENT is durable; from here on it is under way."""
    cdef LinkChannel carrier = link.connections.next_channel()
    cdef uint32_t number = state.inbound.number
    cdef Transaction *transaction = state.inbound.transaction
    cdef Outcome *entry = state.duplicates.at(state.inbound.outcome)
    ensure(carrier is not None, b"a link that is up has a connection")
    if send_to_link(state, carrier, state.inbound.frame_size, transaction.position) != 0:
        # The refusal ends this INTENT: nothing is to be reversed, nobody was asked.
        entry.intent = transaction.position
        entry.link = link.number
        state.transactions.close(number)
        _refuse_for_good(state, channel, REASON_SYSTEM_MALFUNCTION)
        return
    if transaction.refers_to:
        state.inquiries.note_reference(transaction.position, transaction.refers_to)
    state.duplicates.note_asked(transaction.outcome)
    transaction.carrier_slot = carrier.slot
    transaction.carrier_generation = carrier.generation
    transaction.departure = carrier.departed
    entry.asked_ns = state.calendar.now_ns
    entry.transaction = number
    link.put_stan(transaction.stan, number)
    state.transactions.append(link.waiting, number)
    channel.in_flight += 1
    stats_add(state.meters.stats, state.meters.link[link.number].requests, 1)
