"""Finds originals in memory, where no journal is read back: among the outcomes that the duplicate window knows."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy
from switch.base.calendar cimport date_of
from switch.machine.claims cimport CLAIM_OPEN, CLAIM_STANDS, KeptClaim
from switch.machine.duplicate cimport OUTCOME_FINISHED, OUTCOME_FREE, OUTCOME_IN_FLIGHT, OUTCOME_NONE, stands
from switch.machine.link cimport Link
from switch.machine.original_reference cimport LIKE_NOT, describe_request, likeness
from switch.machine.originals cimport VOIDS, Choice
from switch.machine.request_record cimport RequestPart, fill_request
from switch.machine.saf_store cimport SAF_NONE
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_SEEKING, Transaction
from switch.saf.reversal cimport advice_of
from switch.tables.registry cimport Terminal


cdef void describe_candidate(State state, const Outcome *entry, Candidate *candidate) noexcept nogil:
    cdef const Terminal *terminal = state.registry.terminal(entry.key.terminal)
    cdef int64_t since_ns = entry.finished_ns if entry.finished_ns else entry.asked_ns
    candidate.terminal = terminal.id
    candidate.merchant = state.registry.merchant(entry.merchant).id
    candidate.rrn = entry.rrn
    candidate.pan = entry.pan
    candidate.pan_digits = entry.pan_digits
    candidate.kind = entry.kind
    candidate.stan = entry.key.stan
    candidate.message_class = entry.key.message_class
    candidate.date = 0
    candidate.named_at = entry.named_at
    candidate.occasion = entry.key.occasion
    candidate.age_s = (state.calendar.now_ns - since_ns) // 1_000_000_000 if since_ns else 0
    candidate.amount_minor = entry.amount_minor
    candidate.approved_minor = entry.approved_minor


cdef void describe_advice(State state, const SafEntry *advice, uint8_t *pan, Candidate *candidate) noexcept nogil:
    cdef const RequestPart *request = <const RequestPart *>advice.request
    describe_request(request, pan, candidate)
    candidate.rrn = advice.rrn
    candidate.age_s = (state.calendar.now_ns - advice.stored_ns) // 1_000_000_000
    candidate.date = date_of(state.calendar.wall_s - candidate.age_s + state.calendar.local_offset_s)
    candidate.approved_minor = 0


cdef void set_moment(State state, int64_t came_ns, Naming *naming) noexcept nogil:
    naming.wall_s = state.calendar.wall_s - (state.calendar.now_ns - came_ns) // 1_000_000_000
    naming.elapsed_ns = came_ns + state.journal.elapsed_offset_ns


cdef Original _original_of(State state, uint32_t number):
    """An entry of the window as an original; None when no issuer had a part in it."""
    cdef Outcome *entry = state.duplicates.at(number)
    cdef const Transaction *transaction
    cdef Candidate candidate
    cdef Original original = Original.__new__(Original)
    fill_request(&original.request, state.registry, entry)
    memcpy(original.rrn, entry.rrn, sizeof(original.rrn))
    memcpy(original.authorization_code, entry.authorization_code, sizeof(original.authorization_code))
    original.position = entry.intent
    original.link = (<Link>state.links[entry.link]).name
    original.message = b""
    describe_candidate(state, entry, &candidate)
    original.wall_us = (state.calendar.wall_s - candidate.age_s) * 1_000_000
    if entry.state == OUTCOME_IN_FLIGHT:
        if entry.transaction == TRANSACTION_NONE:
            return None
        transaction = state.transactions.at(entry.transaction)
        if transaction.state == TRANSACTION_SEEKING:
            return None
        original.position = transaction.position
        original.link = (<Link>state.links[transaction.link]).name
        memcpy(original.rrn, transaction.rrn, sizeof(original.rrn))
        original.message = (<const char *>transaction.sent)[:transaction.sent_size]
    elif entry.sent_size:
        original.message = (<const char *>state.duplicates.sent(number))[:entry.sent_size]
    if original.position == 0:
        return None
    original.has_ended = entry.state == OUTCOME_FINISHED
    original.is_approved = entry.approved
    original.is_unbooked = entry.unbooked and advice_of(state, number) == SAF_NONE
    original.approved_minor = entry.approved_minor
    original.is_taken_back = entry.reversed
    _count_references(state, original)
    return original


cdef int _count_references(State state, Original original) except -1:
    """Add what refers to an original, and stands: what a void that has not ended may undo counts still."""
    cdef const Outcome *other
    cdef uint32_t number
    cdef dict standing = {}       # by position: its entry
    cdef KeptClaim claim
    for number in range(state.duplicates.touched()):
        other = state.duplicates.at(number)
        if other.state != OUTCOME_FREE and other.refers_to == original.position and stands(other):
            standing[other.intent or -1 - <int64_t>number] = number       # not in the journal yet: by a name of its own
    for number in range(state.duplicates.touched() if standing else 0):
        other = state.duplicates.at(number)
        if (other.state != OUTCOME_FREE and other.refers_to in standing and VOIDS >> other.kind & 1 and stands(other)
                and not VOIDS >> state.duplicates.at(standing[other.refers_to]).kind & 1):
            if other.state == OUTCOME_FINISHED and not other.closed_by_operator:
                del standing[other.refers_to]
            else:
                original.is_undecided = True
    for position in list(standing):
        if not VOIDS >> state.duplicates.at(standing[position]).kind & 1:
            for claim in state.claims.on(position):
                if VOIDS >> claim.part.kind & 1 and claim.state == CLAIM_STANDS:
                    standing.pop(position, None)
                elif VOIDS >> claim.part.kind & 1:
                    original.is_undecided = True
    for claim in state.claims.on(original.position):
        original.count(claim.part.kind, claim.part.amount_minor, claim.approved_minor)
        original.is_undecided |= claim.state == CLAIM_OPEN
    for number in standing.values():
        other = state.duplicates.at(number)
        original.count(other.kind, other.amount_minor, other.approved_minor)
        original.is_undecided |= other.state == OUTCOME_IN_FLIGHT or other.closed_by_operator
    return 0


cdef Original _original_at(State state, int64_t position):
    """What begins at a position; None where memory does not know it, or not any more."""
    cdef uint32_t number = state.duplicates.begun_at(position)
    return None if number == OUTCOME_NONE else _original_of(state, number)


cdef Original recall(State state, const Naming *naming, bint is_sure):
    cdef Choice choice = Choice()
    cdef Candidate candidate
    cdef const Outcome *entry
    cdef uint32_t number
    cdef int like
    cdef object chosen
    cdef Original original, undone
    for number in range(state.duplicates.touched()):
        entry = state.duplicates.at(number)
        if entry.state == OUTCOME_FREE or not naming.kinds >> entry.kind & 1:
            continue
        describe_candidate(state, entry, &candidate)
        like = likeness(naming, &candidate)
        if like != LIKE_NOT:
            choice.offer(number, like, stands(entry), entry.serial)
    chosen = None if is_sure and not choice.is_exact() else choice.chosen()
    original = None if chosen is None else _original_of(state, <uint32_t>chosen)
    if original is not None and naming.is_whole and VOIDS >> original.request.kind & 1:
        undone = original.referred_to = _original_at(state, original.request.refers_to)
        if undone is not None:
            undone.referred_to = _original_at(state, undone.request.refers_to)
    return original
