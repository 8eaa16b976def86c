"""What a recovery puts into the duplicate window: the outcomes of before, as repeats and reversals will find them."""

cimport cython
from libc.stdint cimport uint16_t
from libc.string cimport memcpy, memset
from switch.dialect.kinds cimport KIND_COUNT
from switch.dialect.tables cimport kind_traits
from switch.journal.records cimport FLAG_APPROVED, FLAG_REVERSED, FLAG_STAND_IN, positions_of
from switch.machine.duplicate cimport OUTCOME_NONE, Outcome
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.originals cimport VOIDS
from switch.machine.request_record cimport MERCHANT_BYTES, TERMINAL_BYTES, unpack_digits
from switch.machine.saf_store cimport NO_LISTENER
from switch.machine.transaction cimport NaturalKey
from switch.path.natural_key cimport fingerprint_of
from switch.path.terminal_reversal cimport CLASS_OVERTAKEN
from switch.tables.identifiers cimport TERMINAL_NONE
from switch.tables.registry cimport Registry
from switch.tables.registry_changes cimport enter_merchant, enter_terminal

cdef enum:
    ENTERED_A_PLACE = 2       # of the window: its terminal, and the merchant whose that was


@cython.final
cdef class WindowFiller:
    """Fills the window of a state machine that has not begun.

    Args:
        state: The state machine.
        copies: Mends what earlier versions have kept.
    """

    def __init__(self, State state not None, Mender copies not None):
        self.state = state
        self.copies = copies
        self._untold = PositionTable()

    cdef bint _knows_parties(self, const RequestPart *request, uint32_t *terminal, uint32_t *merchant) except -1:
        cdef State state = self.state
        cdef Registry registry = state.registry
        merchant[0] = registry.find_merchant(request.merchant, MERCHANT_BYTES)
        terminal[0] = registry.find_terminal(request.terminal, TERMINAL_BYTES)
        if merchant[0] == <uint32_t>TERMINAL_NONE and self._entered < ENTERED_A_PLACE * state.duplicates.room:
            merchant[0] = enter_merchant(registry, request.merchant)
            self._entered += 1
        if merchant[0] == <uint32_t>TERMINAL_NONE:
            return False
        if terminal[0] == <uint32_t>TERMINAL_NONE and self._entered < ENTERED_A_PLACE * state.duplicates.room:
            state.terminals.grow(registry.terminal_count + 1)
            terminal[0] = enter_terminal(registry, request.terminal, merchant[0])
            self._entered += 1
        return terminal[0] != <uint32_t>TERMINAL_NONE

    cdef uint32_t open_entry(self, const RequestPart *request, int listener, uint64_t size,
                             bint is_brief) except? 0xFFFFFFFF:
        cdef NaturalKey key
        cdef State state = self.state
        cdef uint32_t terminal, merchant, number
        cdef Outcome *entry
        if not self._knows_parties(request, &terminal, &merchant):
            state.claims.lacks_requests = True
            return OUTCOME_NONE
        memset(&key, 0, sizeof(NaturalKey))
        key.occasion = request.occasion
        key.terminal = terminal
        key.stan = request.stan
        key.message_class = request.message_class
        number = state.duplicates.open_brief(&key) if is_brief else state.duplicates.reopen(&key, size)
        if number == OUTCOME_NONE:
            return OUTCOME_NONE
        entry = state.duplicates.at(number)
        entry.merchant = merchant
        entry.listener = <uint16_t>listener if listener >= 0 else NO_LISTENER
        entry.kind = request.kind
        entry.currency = request.currency
        entry.amount_minor = request.amount_minor
        entry.entry_mode = request.entry_mode
        entry.named_at = request.named_at
        entry.refers_to = request.refers_to
        entry.pan_digits = request.pan_digits
        unpack_digits(request.pan, request.pan_digits, entry.pan)
        entry.fingerprint = fingerprint_of(state, entry.pan, entry.pan_digits, request.kind, request.amount_minor)
        return number

    cdef uint32_t remember(self, const Record *record, const RequestPart *request, int listener, int link,
                           const uint8_t *sent, uint32_t sent_size, int64_t record_ns) except? 0xFFFFFFFF:
        cdef State state = self.state
        cdef bint approved = record.outcome.flags & FLAG_APPROVED
        cdef const uint8_t *answer = record.message
        # Of a listener that is no more nobody knows in what dialect the answer is: it is composed anew.
        cdef uint32_t answer_size = record.message_size if listener >= 0 else 0
        cdef bint is_brief = record.outcome.intent == 0 and request.message_class != CLASS_OVERTAKEN
        cdef uint32_t number
        cdef Outcome *entry
        if not (approved and link >= 0 and request.kind < KIND_COUNT
                and (kind_traits(request.kind).reversible or kind_traits(request.kind).is_advice)):
            sent_size = 0
        number = self.open_entry(request, listener, <uint64_t>record.message_size + sent_size, is_brief)
        if number == OUTCOME_NONE:
            return OUTCOME_NONE
        entry = state.duplicates.at(number)
        entry.position = record.position
        entry.intent = record.outcome.intent
        entry.approved = approved
        entry.reversed = (record.outcome.flags & FLAG_REVERSED) != 0
        if approved:
            self._untold.put(record.position, <uint64_t>entry)
        if link >= 0:
            entry.link = <uint16_t>link
            if record.has_detail:
                memcpy(entry.code, record.detail.code, sizeof(entry.code))
        memcpy(entry.rrn, record.outcome.rrn, sizeof(entry.rrn))
        memcpy(entry.authorization_code, record.outcome.authorization_code, sizeof(entry.authorization_code))
        entry.stood_in = (record.outcome.flags & FLAG_STAND_IN) != 0
        entry.approved_minor = record.approved_minor
        entry.mismatch = record.outcome.mismatch
        if is_brief:
            state.duplicates.finish_brief(number, record.outcome.reason, record_ns)
            return number
        if sent_size:
            sent = self.copies.mended((<Link>state.links[link]).tables, sent, &sent_size, state.aside, False)
            if record.approved_minor:
                sent = self.copies.with_part((<Link>state.links[link]).tables, sent, sent_size, record.approved_minor)
        if answer_size:
            answer = self.copies.mended((<Listener>state.listeners[listener]).tables, record.message, &answer_size,
                                        state.kept, True)
        entry.reason = record.outcome.reason
        if state.duplicates.finish(number, answer, answer_size, sent, sent_size, record_ns) != 0:
            state.duplicates.finish_without_answer(number, record.outcome.reason, record_ns)
        return number

    cdef int note_delivered(self, const Record *record) except -1:
        cdef Outcome *approval
        for position in positions_of(record):
            approval = <Outcome *>self._untold.pop(position)
            if approval != NULL and approval.position == position:        # else the window has forgotten it
                approval.told = True
        return 0

    cdef void complete(self, PositionTable originals, PositionTable referred, PositionTable refers) noexcept:
        cdef uint32_t number
        cdef int64_t taken_back
        cdef Outcome *entry
        for number in range(self.state.duplicates.touched()):
            entry = self.state.duplicates.at(number)
            entry.refers_to = <int64_t>refers.get(entry.intent) or entry.refers_to
            entry.has_ties = referred.get(entry.intent) or (entry.refers_to and VOIDS >> entry.kind & 1)
            taken_back = <int64_t>originals.get(entry.intent)
            if taken_back:
                # A repeat is told so, not what the OUTCOME said: what it waits for must be of the REVERSAL.
                entry.reversed = True
                entry.position = max(entry.position, taken_back)
