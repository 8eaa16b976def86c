"""What other partitions have granted to requests of this one, and what becomes of these (the claimant)."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp, memset
from switch.dialect.reasons cimport REASON_SYSTEM_MALFUNCTION
from switch.machine.claims cimport (
    CLAIM_GONE, CLAIM_OPEN, CLAIM_STANDS, CLAIMED_CERTAIN, CLAIMED_GRANTED, CLAIMED_REMINDER, Claiming, ClaimPart,
    KeptClaim, SaidClaim, SoughtClaim, claim_reference, is_claim, is_same_claim,
)
from switch.machine.duplicate cimport OUTCOME_FINISHED, OUTCOME_FREE, OUTCOME_IN_FLIGHT, OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.originals cimport VOIDS
from switch.machine.request_record cimport TERMINAL_BYTES, RequestPart
from switch.machine.saf_store cimport SAF_FREE, SafEntry
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_SEEKING, NaturalKey
from switch.path.claiming cimport note_claim_ties, reference_in
from switch.path.original_in_memory cimport set_moment
from switch.path.original_lookup cimport ASKED_AT_ONCE_MAX
from switch.path.resumed_request cimport resume_claimed, resume_request
from switch.tables.identifiers cimport TERMINAL_NONE

cdef enum:
    SOUGHT_MAX = 64           # requests of which the journal is asked at one time

cdef int64_t NS_A_SECOND = 1_000_000_000
cdef int64_t LOOK_NS = 1_000_000_000      # between two looks whether reversals are still owed


# --- what is granted --------------------------------------------------------------------------------------------------

cdef void take_claimed(State state, const ClaimedBody *claimed) noexcept:
    cdef int64_t refers_to = reference_in(claimed)
    cdef uint32_t number = _outcome_of(state, &claimed.claim)
    cdef const Outcome *entry
    cdef SaidClaim said
    if number != OUTCOME_NONE and is_same_claim(state.duplicates.at(number).refers_to, refers_to):
        refers_to = state.duplicates.at(number).refers_to
    said = state.claims.said.get(refers_to)
    # What is older than memory knows of may be another request of the same name: it counts as open, and so as standing.
    cdef bint is_sure = refers_to != 0 and _is_known_for_sure(state, &claimed.claim, claimed.age_s)
    if said is not None:
        said.is_sent = False
        return
    if number == OUTCOME_NONE:
        if is_sure:
            state.claims.say(refers_to, CLAIM_GONE, 0)        # it was never sent, or was refused
        else:
            _seek(state, refers_to, claimed)
        return
    entry = state.duplicates.at(number)
    if (entry.state == OUTCOME_IN_FLIGHT and entry.transaction != TRANSACTION_NONE
            and state.transactions.at(entry.transaction).state == TRANSACTION_SEEKING):
        _go_on(state, entry.transaction, claimed)
    elif refers_to and entry.refers_to == refers_to or is_sure and _went_on_without(entry, claimed):
        state.claims.follow(refers_to, number, entry.serial)
    elif is_sure:
        state.claims.say(refers_to, CLAIM_GONE, 0)            # of one of its name that came before, and never was sent
    else:
        _seek(state, refers_to, claimed)


cdef bint _went_on_without(const Outcome *entry, const ClaimedBody *claimed) noexcept nogil:
    """Whether a request was granted a claim when that had taken too long."""
    return (entry.refers_to == 0 and entry.kind == claimed.claim.kind
            and entry.amount_minor == claimed.claim.amount_minor
            and entry.claim_tag in (0, claimed.claim.tag))        # 0: of before a restart


cdef int64_t _attach(State state, Outcome *entry, int64_t refers_to) noexcept:
    """Let a request that went on without its claim, and has ended, refer to it from now on, and what is owed because of
    it; the position of what says so, or POSITION_FAILED."""
    cdef int64_t position = POSITION_FAILED
    if state.journal.accepts():
        position = state.journal.refers(entry.intent, refers_to)
    if position != POSITION_FAILED:
        entry.refers_to = refers_to
        note_claim_ties(entry)
        _refer_what_is_owed(state, entry.intent, refers_to)
    return position


cdef void _refer_what_is_owed(State state, int64_t original, int64_t refers_to) noexcept:
    """Let what issuers are owed because of a request refer to its claim."""
    cdef SafEntry *owed
    cdef uint32_t number
    for number in range(state.saf.top):
        owed = state.saf.at(number)
        if owed.state == SAF_FREE or owed.original != original or owed.refers_to != 0:
            continue
        state.saf.refer(number, refers_to)
        if owed.is_advice:
            (<RequestPart *>owed.request).refers_to = refers_to
        else:
            state.claims.note_owed(refers_to)


cdef void _go_on(State state, uint32_t number, const ClaimedBody *claimed) noexcept:
    """The request waits: for this, or for a look-up here, behind which it asks once more."""
    cdef Claiming claiming = state.claims.wanted.get(number)
    cdef uint32_t outcome = state.transactions.at(number).outcome
    if (claiming is None or claimed.flags & CLAIMED_REMINDER or claiming.keeper != claimed.keeper
            or memcmp(&claiming.body.claim, &claimed.claim, sizeof(ClaimPart)) != 0
            or not state.transactions.still_seeks(number, claiming.serial)):
        return
    if claimed.position:
        state.claims.follow(reference_in(claimed), outcome, state.duplicates.at(outcome).serial)
    if claimed.position == 0 and claimed.reason == CLAIMED_GRANTED:
        resume_request(state, number, None, claimed.flags & CLAIMED_CERTAIN != 0 and claiming.is_certain)
    else:
        resume_claimed(state, number, claimed)


cdef bint refuse_unclaimed(State state, uint32_t number) noexcept:
    cdef Claiming claiming = state.claims.wanted.get(number)
    cdef ClaimedBody refused
    if claiming is None or claiming.is_away or not state.inquiries.refuses_excess:
        return False
    memset(&refused, 0, sizeof(refused))
    refused.claim = claiming.body.claim
    refused.keeper = claiming.keeper
    refused.reason = REASON_SYSTEM_MALFUNCTION
    resume_claimed(state, number, &refused)
    return True


cdef uint32_t _outcome_of(State state, const ClaimPart *part) noexcept:
    """The request that claims; OUTCOME_NONE where it is not known, or not any more."""
    cdef NaturalKey key
    memset(&key, 0, sizeof(NaturalKey))
    key.terminal = state.registry.find_terminal(part.terminal, TERMINAL_BYTES)
    if key.terminal == <uint32_t>TERMINAL_NONE:
        return OUTCOME_NONE
    key.occasion = part.occasion
    key.stan = part.stan
    key.message_class = part.message_class
    return state.duplicates.find(&key)


cdef bint _is_known_for_sure(State state, const ClaimPart *part, uint32_t age_s) noexcept nogil:
    """Whether a request of that age would be known if an issuer had been asked."""
    return (age_s < state.duplicates.age_max_ns // NS_A_SECOND and state.duplicates.forgotten_early == 0
            and not state.claims.lacks_requests
            and state.registry.find_terminal(part.terminal, TERMINAL_BYTES) != <uint32_t>TERMINAL_NONE)


# --- what only the journal knows --------------------------------------------------------------------------------------

cdef void _seek(State state, int64_t refers_to, const ClaimedBody *claimed) noexcept:
    """Let the journal be asked what became of a request; where too much is asked, its keeper reminds of it again."""
    cdef SoughtClaim sought
    if (not claimed.flags & CLAIMED_REMINDER or refers_to == 0 or not state.journal.is_searched
            or refers_to in state.claims.sought or len(state.claims.sought) >= SOUGHT_MAX):
        return
    sought = SoughtClaim.__new__(SoughtClaim)
    sought.body = claimed[0]
    sought.refers_to = refers_to
    sought.asked_at = state.journal.newest()
    state.claims.sought[refers_to] = sought


cdef list take_sought_claims(State state):
    cdef list found = []
    cdef SoughtClaim sought
    cdef Wanted wanted
    for sought in state.claims.sought.values():
        if len(found) == ASKED_AT_ONCE_MAX:
            break
        if sought.is_asked or sought.asked_at > state.journal.durable:
            continue
        sought.is_asked = True
        wanted = Wanted.__new__(Wanted)
        wanted.partition = state.partition
        wanted.sought = sought
        wanted.asked_at = sought.asked_at
        memset(&wanted.naming, 0, sizeof(wanted.naming))
        set_moment(state, state.calendar.now_ns, &wanted.naming)
        found.append(wanted)
    return found


cdef void settle_sought_claim(State state, Wanted wanted, bint is_certain) noexcept:
    cdef SoughtClaim sought = <SoughtClaim>wanted.sought
    cdef int64_t refers_to = sought.refers_to
    cdef const Outcome *entry = NULL
    cdef uint32_t number = _outcome_of(state, &sought.body.claim)
    state.claims.sought.pop(refers_to, None)
    if sought.known_as:
        refers_to = sought.known_as
    if _is_told_of(state, refers_to):
        return
    if number != OUTCOME_NONE:
        entry = state.duplicates.at(number)
        if entry.state == OUTCOME_IN_FLIGHT or is_same_claim(entry.refers_to, refers_to):
            return                        # memory knows it, and tells of it
    if sought.request == 0:
        if is_certain:
            state.claims.say(refers_to, CLAIM_GONE, 0)        # it was never sent
    elif sought.known_as == 0:
        # It went on without its claim; what became of it is told with the next reminder.
        if entry != NULL and entry.intent == sought.request:
            state.claims.follow(refers_to, number, entry.serial)
        elif state.journal.accepts() and state.journal.refers(sought.request, refers_to) != POSITION_FAILED:
            _refer_what_is_owed(state, sought.request, refers_to)
    elif sought.state != CLAIM_OPEN and not state.saf.referring.has(refers_to):
        # Else it may be approved or taken back yet, or its issuer does not know that it was taken back.
        state.claims.say(refers_to, sought.state, sought.approved_minor)


cdef bint _is_told_of(State state, int64_t refers_to) noexcept:
    """Whether what became of a request is said already, or will be when it has ended."""
    return (refers_to in state.claims.said or refers_to in state.claims.followed or refers_to in state.claims.owed
            or any([undone == refers_to for _, undone in state.claims.undoing.values()]))


cdef void take_claim_noted(State state, const ClaimNotedBody *body) noexcept:
    cdef SaidClaim said
    cdef bint is_final
    for is_final in (False, True):
        said = state.claims.said.get(claim_reference(body.keeper, body.position, is_final))
        if said is not None and said.number == body.number:
            del state.claims.said[claim_reference(body.keeper, body.position, is_final)]


# --- what becomes of it -----------------------------------------------------------------------------------------------

cdef void look_at_claims(State state) noexcept:
    if state.claims.followed:
        for refers_to, (outcome, serial, may_stand, written_at) in list(state.claims.followed.items()):
            if written_at <= state.journal.durable:
                _look_at_request(state, refers_to, outcome, serial, may_stand)
    if state.claims.undoing:
        for outcome, (serial, refers_to) in list(state.claims.undoing.items()):
            _look_at_void(state, outcome, serial, refers_to)
    if state.claims.owed and state.calendar.now_ns >= state.claims.next_look_ns:
        state.claims.next_look_ns = state.calendar.now_ns + LOOK_NS
        for refers_to in list(state.claims.owed):
            if not state.saf.referring.has(refers_to):
                # Only now: until its issuer knows of the reversal, the original is not taken back either.
                state.claims.owed.discard(refers_to)
                state.claims.say(refers_to, CLAIM_GONE, 0)


cdef void _look_at_request(State state, int64_t refers_to, uint32_t outcome, uint32_t serial,
                           bint may_stand) noexcept:
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int64_t written_at
    if not state.duplicates.holds(outcome, serial):
        # It is as if it had not come; but an approved void that nobody has heard of stands.
        state.claims.say(refers_to, CLAIM_STANDS if may_stand else CLAIM_GONE, 0)
    elif entry.state == OUTCOME_IN_FLIGHT:
        return
    elif entry.refers_to != refers_to and entry.intent:
        written_at = _attach(state, entry, refers_to)
        # Told when that is durable: else a crash could part it again from what others were granted because of it.
        state.claims.followed[refers_to] = (outcome, serial, True, max(written_at, <int64_t>0))
        return
    elif entry.closed_by_operator or (entry.position == POSITION_NEVER and not entry.brief):
        state.claims.say(refers_to, CLAIM_OPEN, 0)
    elif entry.reversed:
        state.claims.say(refers_to, CLAIM_OPEN if state.saf.referring.has(refers_to) else CLAIM_GONE, 0)
    elif not entry.approved:
        state.claims.say(refers_to, CLAIM_GONE, 0)
    elif VOIDS >> entry.kind & 1 and not entry.told:
        state.claims.followed[refers_to] = (outcome, serial, True, 0)
        return                            # it may be taken back yet, and what it undoes counts until then
    else:
        state.claims.say(refers_to, CLAIM_STANDS, entry.approved_minor)
    del state.claims.followed[refers_to]


cdef void _look_at_void(State state, uint32_t outcome, uint32_t serial, int64_t refers_to) noexcept:
    """What a void undoes refers to a claim: it is gone when the void stands, and is told. From then on nothing takes
    the void back: others may have been granted what it has set free."""
    cdef const Outcome *entry = state.duplicates.at(outcome)
    if state.duplicates.holds(outcome, serial):
        if entry.state == OUTCOME_IN_FLIGHT or (entry.approved and not entry.reversed and not entry.told):
            return
        if entry.approved and not entry.reversed:
            state.claims.say(refers_to, CLAIM_GONE, 0)
    del state.claims.undoing[outcome]


cdef void resume_claims(State state, set closed) noexcept:
    cdef Outcome *entry
    cdef const SafEntry *owed
    cdef KeptClaim claim
    cdef dict voids = {}          # by position of what they undo
    cdef uint32_t number
    if not state.claims.is_on():
        return
    for claim in state.claims.kept.values():
        if claim.undoes and claim.state == CLAIM_STANDS:
            state.claims.say(claim.undoes, CLAIM_GONE, 0)
    for number in range(state.saf.top):
        owed = state.saf.at(number)
        if owed.state != SAF_FREE and not owed.is_advice and is_claim(owed.refers_to):
            state.claims.note_owed(owed.refers_to)
    for number in range(state.duplicates.touched()):
        entry = state.duplicates.at(number)
        if (entry.state == OUTCOME_FINISHED and VOIDS >> entry.kind & 1 and entry.refers_to and entry.approved
                and not entry.reversed):
            voids[entry.refers_to] = number
    for number in range(state.duplicates.touched()):
        entry = state.duplicates.at(number)
        if entry.state == OUTCOME_FREE or not is_claim(entry.refers_to):
            continue
        if entry.intent and entry.intent in closed:
            entry.closed_by_operator = True
            state.claims.note_closed(entry.refers_to)
        elif _is_undone_elsewhere(state, entry.intent):
            state.claims.say(entry.refers_to, CLAIM_GONE, 0)
        elif entry.intent in voids and not entry.reversed:
            state.claims.note_undoing(entry.refers_to, voids[entry.intent],
                                      state.duplicates.at(voids[entry.intent]).serial)
        else:
            state.claims.follow(entry.refers_to, number, entry.serial)


cdef bint _is_undone_elsewhere(State state, int64_t position) noexcept:
    """Whether the void of another partition stands that refers to what begins at a position, and is not taken back."""
    cdef KeptClaim claim
    for claim in state.claims.on(position):
        if claim.state == CLAIM_STANDS and claim.undoes:
            return True
    return False
