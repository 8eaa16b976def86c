"""What the switch owes issuers: reversals of approvals that no terminal was told, sent until acknowledged (I2)."""

from switch.authentication cimport seal_message
from switch.calendar cimport write_digits
from switch.dialect cimport DialectTables, repeat_mti
from switch.duplicate cimport OUTCOME_NONE, Outcome
from switch.journal cimport POSITION_FAILED, POSITION_NEVER
from switch.kind cimport KIND_REVERSAL
from switch.link cimport LINK_UP, STAN_COUNT, STAN_FREE, STAN_HELD
from switch.listener cimport Listener
from switch.mac cimport MAC_NONE
from switch.reason cimport REASON_APPROVED, REASON_DUPLICATE, REASON_ORIGINAL_NOT_FOUND, REASON_TIMEOUT
from switch.reversal cimport NO_LISTENER, REVERSAL_NONE, Reversal
from switch.risk cimport RiskRequest, risk_request
from switch.route cimport ROUTE_NONE, Route
from switch.scan cimport read_number, scan_message
from switch.state cimport SCRATCH_BYTES
from switch.stats cimport stats_add
from switch.transaction cimport TRANSACTION_REVERSAL, Transaction
from switch.translate cimport (
    SLOT_AUTHORIZATION_CODE, SLOT_ORIGINAL_DATA, SLOT_PAN, SLOT_RESPONSE_CODE, SLOT_RRN, SLOT_STAN, Composer, fill_slot,
)
from libc.string cimport memcpy

cdef enum:
    FIELD_AMOUNT = 4
    FIELD_CURRENCY = 49
    ORIGINAL_DATA_ROOM = 64


cdef bint can_owe(State state) noexcept nogil:
    # All that may yet have to be reversed: what is at issuers, and approvals that wait to leave to their terminals.
    return state.reversals.in_use + state.transactions.in_use + state.duplicates.untold < state.reversals.room


cdef int64_t reverse(State state, Link link, int listener, const uint8_t *source, uint32_t source_size,
                     const uint8_t *pan, int pan_digits, const uint8_t *rrn,
                     const uint8_t *authorization_code,
                     int64_t original, int cause) noexcept:
    cdef uint32_t stan = 0
    if listener != NO_LISTENER or not link.reversals_keep_stan:
        stan = link.take_stan(state.numbering)
        if stan == 0:
            state.tell("reversal_without_stan", {"link": link.name})
            return POSITION_FAILED
    cdef uint32_t number = state.reversals.add(link.reversals, link.number, source, source_size, state.calendar.now_ns)
    state.stored_reversal = number
    if number == REVERSAL_NONE:
        state.tell("reversal_store_full", {"link": link.name})
        return POSITION_FAILED
    if stan:
        link.by_stan[stan] = STAN_HELD
    cdef Reversal *reversal = state.reversals.at(number)
    reversal.stan = stan
    reversal.cause = <uint8_t>cause
    reversal.listener = listener
    reversal.pan_digits = <uint8_t>pan_digits
    memcpy(reversal.pan, pan, pan_digits)
    memcpy(reversal.rrn, rrn, sizeof(reversal.rrn))
    if listener != NO_LISTENER:
        write_digits(reversal.rrn + 6, 6, stan)        # as in every request: its answer may be matched by it
    if authorization_code != NULL:
        memcpy(reversal.authorization_code, authorization_code, sizeof(reversal.authorization_code))
    reversal.original = original
    reversal.position = state.journal.reversal(reversal)
    stats_add(state.meters.stats, state.meters.link[link.number].reversals, 1)
    return reversal.position


cdef int64_t reverse_outcome(State state, uint32_t outcome, int cause) noexcept:
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int64_t position
    if entry.position == POSITION_NEVER and not entry.reversed:
        return POSITION_FAILED            # its own outcome could not be written down
    if not entry.approved or entry.reversed or entry.sent_size == 0:
        return 0
    position = reverse(state, <Link>state.links[entry.link], NO_LISTENER, state.duplicates.sent(outcome),
                       entry.sent_size, entry.pan, entry.pan_digits, entry.rrn, entry.authorization_code, entry.intent,
                       cause)
    if position == POSITION_FAILED:
        return position                   # it stands as it was: whoever asks for its reversal again may get it
    entry.reversed = True
    uncount(state, entry)
    if position > entry.position:
        entry.position = position         # a repeat is told so when the reversal is durable
    return position


cdef void uncount(State state, Outcome *entry) noexcept nogil:
    cdef RiskRequest counted
    if state.risk is None or entry.asked_ns == 0:
        return
    counted = risk_request(entry.kind, entry.currency, entry.amount_minor, entry.pan, entry.pan_digits,
                           entry.key.terminal, state.registry.terminal(entry.key.terminal).merchant, entry.asked_ns)
    state.risk.uncount(&counted)
    entry.asked_ns = 0


cdef void pay(State state, Link link) noexcept:
    cdef LinkChannel channel
    cdef uint32_t number
    while link.state == LINK_UP and state.transactions.in_use < state.transactions.room:
        channel = link.next_channel()
        if channel is None:
            return
        number = state.reversals.next_ready(link.reversals, state.calendar.now_ns)
        if number == REVERSAL_NONE:
            return
        if _send(state, link, channel, number) != 0:
            state.tell("reversal_not_composable", {"link": link.name, "field": state.fault.field})
            state.reversals.pause(link.reversals, number, state.calendar.now_ns)


cdef int _compose(State state, Link link, const Reversal *reversal, uint8_t *out, uint32_t room,
                  int *mac_field) noexcept:
    """Compose one attempt, with the place of its MAC; its size, or -1."""
    cdef uint8_t original[ORIGINAL_DATA_ROOM]
    cdef uint32_t mti = link.reversal_mti
    cdef Composer composer = link.reversal_composer
    cdef DialectTables source_tables = link.tables
    cdef int original_size
    if reversal.listener != NO_LISTENER:
        composer = <Composer>link.request_composers[reversal.listener]
        source_tables = (<Listener>state.listeners[reversal.listener]).tables
    if scan_message(source_tables.spec, reversal.source, reversal.source_size, &state.sent, &state.fault) != 0:
        return -1
    state.clear_slots()
    if reversal.listener == NO_LISTENER:
        original_size = link.tables.original_data(&state.sent, original, ORIGINAL_DATA_ROOM)
        if original_size > 0:
            fill_slot(&state.slots, SLOT_ORIGINAL_DATA, original, original_size)
    fill_slot(&state.slots, SLOT_PAN, reversal.pan, reversal.pan_digits)
    fill_slot(&state.slots, SLOT_RRN, reversal.rrn, 12)
    if reversal.stan:
        write_digits(state.stan_text, 6, reversal.stan)
        fill_slot(&state.slots, SLOT_STAN, state.stan_text, 6)
    if reversal.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, reversal.authorization_code, 6)
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, link.tables.reason_to_code(REASON_TIMEOUT, state.code))
    state.set_mti(repeat_mti(mti) if reversal.attempts else mti)
    mac_field[0] = composer.mac_field
    return composer.compose(&state.sent, NULL, &state.slots, out, room, NULL, &state.fault)


cdef int _send(State state, Link link, LinkChannel channel, uint32_t number) noexcept:
    """Send one attempt, with a transaction that waits for its answer; 0, or -1 when it cannot be composed."""
    cdef Reversal *reversal = state.reversals.at(number)
    cdef uint32_t offset = <uint32_t>link.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef uint8_t *message = state.out + offset
    cdef int mac_field = 0
    cdef uint32_t carrier
    cdef int total
    cdef Transaction *transaction
    cdef int64_t match
    cdef int size = _compose(state, link, reversal, message, SCRATCH_BYTES - offset, &mac_field)
    if size < 0 or scan_message(link.tables.spec, message, <size_t>size, &state.sent, &state.fault) != 0:
        return -1
    match = link.match_number(&state.sent)
    if not 0 < match < STAN_COUNT:
        return -1
    if link.reversal_by_number[match] != STAN_FREE:
        # Another reversal with this number is at the issuer: first that one, then this.
        state.reversals.pause(link.reversals, number, state.calendar.now_ns)
        return 0
    if mac_field and link.mac_key.algorithm != MAC_NONE:
        if seal_message(state.macs, link.tables, &link.mac_key, message, &state.sent, mac_field) != 0:
            return -1
    carrier = state.transactions.open()
    transaction = state.transactions.at(carrier)
    transaction.state = TRANSACTION_REVERSAL
    transaction.kind = KIND_REVERSAL
    transaction.link = link.number
    transaction.stan = <uint32_t>match
    transaction.reversal = number
    transaction.sent_ns = state.calendar.now_ns
    transaction.deadline_ns = state.calendar.now_ns + link.timeout_ns
    if state.transactions.keep_messages(carrier, NULL, message, <uint32_t>size) != 0:
        state.transactions.close(carrier)
        return -1
    link.note_sent(transaction, &state.sent)
    total = link.framing.close_frame(state.out, SCRATCH_BYTES, NULL, <uint32_t>size)
    if total < 0 or state.depart(channel, state.out, <uint32_t>total, reversal.position, OUTCOME_NONE) != 0:
        state.transactions.close(carrier)
        return -1
    link.reversal_by_number[match] = carrier + 1
    channel.last_sent_ns = state.calendar.now_ns
    state.transactions.append(link.waiting, carrier)
    state.reversals.at_issuer(link.reversals, number)
    state.journal.attempt(reversal)
    stats_add(state.meters.stats, state.meters.link[link.number].reversal_attempts, 1)
    return 0


cdef int64_t _pass_on(State state, Link link, const Reversal *reversal) noexcept:
    """An issuer does not know what a terminal takes back: ask the next one of the card's route. The position of the
    new reversal, 0 when there is no other issuer, or POSITION_FAILED."""
    cdef DialectTables tables = (<Listener>state.listeners[reversal.listener]).tables
    cdef const Route *route
    cdef Link following
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
            following = <Link>state.links[route.target[target].link]
            return reverse(state, following, reversal.listener, reversal.source, reversal.source_size, reversal.pan,
                           reversal.pan_digits, reversal.rrn, NULL, 0, reversal.cause)
    return 0


cdef void acknowledge(State state, Link link, uint32_t number, int reason) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef Transaction *late
    cdef uint32_t owed = transaction.reversal
    cdef Reversal *reversal = state.reversals.at(owed)
    if reason not in (REASON_APPROVED, REASON_ORIGINAL_NOT_FOUND, REASON_DUPLICATE):
        postpone(state, link, number)
        return
    if reason == REASON_ORIGINAL_NOT_FOUND:
        if reversal.overtook:
            reversal.overtook = False
            postpone(state, link, number)
            return
        if reversal.listener != NO_LISTENER and _pass_on(state, link, reversal) == POSITION_FAILED:
            postpone(state, link, number)
            return
    if reversal.late:
        late = state.transactions.at(reversal.late - 1)
        late.reversal = REVERSAL_NONE
        late.settled = reason != REASON_ORIGINAL_NOT_FOUND
    state.journal.reversed(reversal, reason)
    link.reversal_by_number[transaction.stan] = STAN_FREE
    if state.reversals.at(owed).stan:
        link.free_stan(state.reversals.at(owed).stan)
    state.reversals.close(link.reversals, owed)
    stats_add(state.meters.stats, state.meters.link[link.number].reversals_acknowledged, 1)
    state.transactions.close(number)


cdef void postpone(State state, Link link, uint32_t number) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    link.reversal_by_number[transaction.stan] = STAN_FREE
    state.reversals.pause(link.reversals, transaction.reversal, state.calendar.now_ns)
    state.transactions.close(number)
