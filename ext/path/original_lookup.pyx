"""Look-ups of originals: asked by what waits for one, and handed to whoever drives the state machine."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from switch.base.calendar cimport date_of, write_digits
from switch.base.stats cimport stats_add
from switch.dialect.kinds cimport KIND_COMPLETION, KIND_PREAUTHORIZATION_VOID, KIND_REFUND, KIND_REVERSAL
from switch.dialect.reasons cimport (
    REASON_INVALID_AMOUNT, REASON_INVALID_TRANSACTION, REASON_ORIGINAL_NOT_FOUND, REASON_SYSTEM_MALFUNCTION,
)
from switch.dialect.tables cimport DialectTables
from switch.machine.claims cimport is_claim, is_final_claim
from switch.machine.duplicate cimport Outcome
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.meters cimport LIMIT_ORIGINALS, LIMIT_TRANSACTIONS
from switch.machine.original_reference cimport occasion_of, read_naming
from switch.machine.originals cimport Inquiries, Referred, Wanted
from switch.machine.request_context cimport Inbound
from switch.machine.saf_store cimport SAF_NONE, SafEntry
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_SEEKING, NaturalKey, Transaction
from switch.path.identity cimport NOT_REFUSED
from switch.path.original_in_memory cimport set_moment
from switch.tables.identifiers cimport TERMINAL_NONE
from switch.wire.fields cimport DATE_DIGITS, FIELD_STAN, FIELD_TERMINAL
from switch.wire.scan cimport read_number, read_text, scan_message

cdef enum:
    TERMINAL_ID_DIGITS = 8


cdef int wait_for_original(State state, TerminalChannel channel) noexcept:
    cdef const Inbound *inbound = &state.inbound
    cdef uint32_t number
    cdef Transaction *transaction
    cdef uint64_t nothing[3]
    if (not state.inquiries.admits(inbound.terminal_number)
            or state.duplicates.brief_open > state.duplicates.brief_room):
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_ORIGINALS], 1)
        return REASON_SYSTEM_MALFUNCTION
    number = state.transactions.open()
    if number == TRANSACTION_NONE:
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_TRANSACTIONS], 1)
        return REASON_SYSTEM_MALFUNCTION
    # As a whole, since it has not been sent: with what only its issuer may have.
    memset(nothing, 0, sizeof(nothing))
    if state.transactions.keep_messages(number, channel.listener.tables.spec, &state.request, nothing, None, NULL,
                                        nothing) != 0:
        state.transactions.close(number)
        return REASON_SYSTEM_MALFUNCTION
    transaction = state.transactions.at(number)
    transaction.state = TRANSACTION_SEEKING
    transaction.kind = <uint8_t>inbound.kind
    transaction.listener = channel.listener.number
    transaction.origin_slot = channel.slot
    transaction.origin_generation = channel.generation
    transaction.terminal = inbound.terminal_number
    transaction.is_under_former = inbound.is_under_former
    transaction.mac_key = inbound.terminal.mac_key
    transaction.outcome = inbound.outcome
    transaction.received_ns = state.calendar.now_ns
    transaction.deadline_ns = state.calendar.now_ns + state.inquiries.patience_ns
    transaction.amount_minor = inbound.amount_minor
    transaction.pan_digits = <uint8_t>inbound.pan_digits
    memcpy(transaction.pan, inbound.pan, sizeof(transaction.pan))
    memcpy(transaction.headers, inbound.headers, channel.listener.framing.headers_size)
    ask_again(state, number)
    state.duplicates.at(inbound.outcome).transaction = number
    state.transactions.append(state.inquiries.waiting, number)
    state.inquiries.hold(inbound.terminal_number)
    channel.in_flight += 1
    return NOT_REFUSED


cdef void ask_again(State state, uint32_t number) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    transaction.position = state.journal.newest()
    transaction.departure = state.inquiries.next_serial()
    transaction.is_asked = False


cdef void stop_waiting(State state, uint32_t number) noexcept:
    cdef const Transaction *transaction = state.transactions.at(number)
    cdef TerminalChannel channel = <TerminalChannel>state.channels.at(transaction.origin_slot,
                                                                      transaction.origin_generation)
    state.transactions.remove(state.inquiries.waiting, number)
    state.claims.wanted.pop(number, None)
    state.inquiries.let_go(transaction.terminal)
    if channel is not None:
        channel.in_flight -= 1
        state.channels.wake(channel)


# --- handed over ------------------------------------------------------------------------------------------------------

cdef list take_wanted(State state):
    cdef list found = []
    cdef Link link
    cdef uint32_t number
    cdef Py_ssize_t most
    cdef Transaction *transaction
    cdef int64_t durable = state.journal.durable
    number = state.inquiries.waiting.head
    while number != <uint32_t>TRANSACTION_NONE and len(found) < ASKED_AT_ONCE_MAX:
        transaction = state.transactions.at(number)
        if (not transaction.is_asked and transaction.position <= durable
                and state.inquiries.ask(transaction.terminal)):
            transaction.is_asked = True
            found.append(wanted_by_request(state, number))
        number = transaction.next
    # Of requests and of reversals so many each: neither keeps the other waiting.
    most = len(found) + ASKED_AT_ONCE_MAX
    for link in state.links:
        while len(found) < most:
            number = state.saf.next_sought(link.saf, state.calendar.now_ns, durable)
            if number == SAF_NONE:
                break
            state.saf.take_sought(link.saf, number)
            found.append(wanted_by_reversal(state, number))
    return found


cdef Wanted wanted_by_reversal(State state, uint32_t number):
    cdef SafEntry *reversal = state.saf.at(number)
    cdef DialectTables tables = (<Listener>state.listeners[reversal.listener]).tables
    cdef Wanted wanted = Wanted.__new__(Wanted)
    cdef uint8_t terminal[TERMINAL_ID_DIGITS]
    cdef NaturalKey key
    cdef int size
    reversal.inquiry = state.inquiries.next_serial()
    wanted.partition = state.partition
    wanted.is_of_request = False
    wanted.number = number
    wanted.serial = reversal.inquiry
    wanted.asked_at = state.journal.durable
    # What cannot be read names nothing: it is passed on as it is.
    if scan_message(tables.spec, reversal.source, reversal.source_size, &state.sent, &state.fault) != 0:
        return wanted
    size = read_text(tables.spec, &state.sent, FIELD_TERMINAL, terminal, TERMINAL_ID_DIGITS)
    key.terminal = state.registry.find_terminal(terminal, size) if size > 0 else TERMINAL_NONE
    if key.terminal == <uint32_t>TERMINAL_NONE:
        return wanted
    key.stan = <uint32_t>max(read_number(tables.spec, &state.sent, FIELD_STAN), 0)
    key.occasion = occasion_of(tables, &state.sent)
    read_naming(state.registry, tables, &state.sent, &key, KIND_REVERSAL, reversal.pan, reversal.pan_digits,
                &wanted.naming)
    set_moment(state, reversal.stored_ns, &wanted.naming)
    return wanted


cdef Wanted wanted_by_request(State state, uint32_t number):
    cdef const Transaction *transaction = state.transactions.at(number)
    cdef DialectTables tables = (<Listener>state.listeners[transaction.listener]).tables
    cdef Wanted wanted = Wanted.__new__(Wanted)
    wanted.partition = state.partition
    wanted.is_of_request = True
    wanted.number = number
    wanted.serial = transaction.departure
    wanted.terminal = transaction.terminal
    wanted.asked_at = transaction.position
    state.transactions.recall_request(transaction, &state.request)
    read_naming(state.registry, tables, &state.request, &state.duplicates.at(transaction.outcome).key,
                transaction.kind, transaction.pan, transaction.pan_digits, &wanted.naming)
    set_moment(state, state.calendar.now_ns, &wanted.naming)
    return wanted


# --- what follows -----------------------------------------------------------------------------------------------------

cdef object link_named(State state, str name):
    cdef Link link
    for link in state.links:
        if link.name == name:
            return link
    return None


cdef int check_excess(State state, int kind, int64_t amount_minor, int currency, Original original) noexcept:
    cdef int64_t whole = original.worth()
    # What was not approved, by its issuer in the end, or was taken back, is nothing to refer to.
    if not original.stands() or not (original.has_ended or original.is_torn) or original.is_unbooked:
        return REASON_ORIGINAL_NOT_FOUND
    if original.voids or original.is_crowded:
        return REASON_INVALID_TRANSACTION
    if currency and original.request.currency and currency != original.request.currency:
        return REASON_INVALID_AMOUNT              # nothing says how much of it that is
    if kind == KIND_REFUND:
        return REASON_INVALID_AMOUNT if original.refunded_minor + amount_minor > whole else NOT_REFUSED
    if kind == KIND_COMPLETION:
        if original.completed_minor + amount_minor > whole * state.inquiries.completion_percent // 100:
            return REASON_INVALID_AMOUNT
        return NOT_REFUSED
    if original.refunded_minor or (kind == KIND_PREAUTHORIZATION_VOID and original.completions):
        return REASON_INVALID_TRANSACTION
    # A void undoes all of it: whatever else its terminal says, nobody could tell what is left.
    return REASON_INVALID_AMOUNT if amount_minor > 0 and amount_minor != whole else NOT_REFUSED


cdef int check_taking_back(State state, Original original) noexcept:
    cdef Original undone = original.referred_to
    if not state.inquiries.refuses_excess or not original.stands():
        return NOT_REFUSED
    if original.is_referred():
        return REASON_INVALID_TRANSACTION         # else the customer would get both
    if is_final_claim(original.request.refers_to) and original.has_ended:
        return REASON_INVALID_TRANSACTION         # what it has set free may have been granted to others
    if undone is not None and is_claim(undone.request.refers_to) and undone.stands() and original.has_ended:
        return REASON_INVALID_TRANSACTION         # the same, of another partition
    if undone is None or undone.referred_to is None or not undone.stands() or not original.has_ended:
        return NOT_REFUSED
    # Without this void its original counts once more: as if it came only now.
    return check_excess(state, undone.request.kind, undone.worth(), undone.request.currency, undone.referred_to)


cdef int refer(State state, const Outcome *entry, Original original, bint is_certain) noexcept:
    cdef Inquiries inquiries = state.inquiries
    cdef Referred *referred = &inquiries.referred
    cdef Link link = None
    cdef int reason
    if original is not None:
        link = <Link>link_named(state, original.link)
    referred.is_answered = True
    referred.refers = True
    referred.is_known = False
    # Also where its link is gone: it counts among what refers to that original.
    referred.position = 0 if original is None else original.position
    if original is not None and original.is_torn and state.inquiries.refuses_unknown:
        return REASON_SYSTEM_MALFUNCTION
    if original is not None and state.inquiries.refuses_excess:
        reason = check_excess(state, entry.kind, entry.amount_minor, entry.currency, original)
        if reason != NOT_REFUSED:
            return reason
    if link is None:
        if not state.inquiries.refuses_unknown or original is not None:
            return NOT_REFUSED
        return REASON_ORIGINAL_NOT_FOUND if is_certain else REASON_SYSTEM_MALFUNCTION
    name_original(state, link, original, referred)
    referred.is_known = True
    return NOT_REFUSED


cdef void name_original(State state, Link link, Original original, Referred *referred) noexcept:
    cdef uint8_t date[DATE_DIGITS]
    cdef int size
    referred.link = link.number
    memcpy(referred.rrn, original.rrn, sizeof(referred.rrn))
    memcpy(referred.authorization_code, original.authorization_code, sizeof(referred.authorization_code))
    referred.size = 0
    if scan_message(link.tables.spec, <const uint8_t *><const char *>original.message, len(original.message),
                    &state.sent, &state.fault) == 0:
        write_digits(date, DATE_DIGITS, date_of(original.wall_us // 1_000_000 + state.calendar.local_offset_s))
        size = link.tables.original_data(&link.tables.reference, &state.sent, date, referred.data,
                                         sizeof(referred.data))
        referred.size = <uint8_t>size if size > 0 else 0
