"""Originals that are asked for by other partitions: looked up, claimed, and what becomes of who claims (the keeper)."""

from itertools import islice

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset
from switch.dialect.kinds cimport KIND_COMPLETION_VOID, KIND_REFUND_VOID
from switch.dialect.reasons cimport REASON_SYSTEM_MALFUNCTION
from switch.dialect.tables cimport kind_traits
from switch.machine.claims cimport (
    CLAIM_GONE, CLAIM_STANDS, CLAIMED_CERTAIN, CLAIMED_FINAL, CLAIMED_GRANTED, CLAIMED_KNOWN,
    CLAIMED_REMINDER, AskedClaim, Asker, ClaimAnswer, ClaimPart, KeptClaim, SaidState, undone_claim,
)
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport Link
from switch.machine.originals cimport ANY_ORIGINAL, LOOK_UPS_MAX, Referred
from switch.machine.partitioning cimport partition_of_id
from switch.machine.request_record cimport MERCHANT_BYTES, TERMINAL_BYTES
from switch.path.identity cimport NOT_REFUSED
from switch.path.original_in_memory cimport recall, set_moment
from switch.path.original_lookup cimport ASKED_AT_ONCE_MAX, check_excess, link_named, name_original
from switch.path.terminal_reversal cimport note_referred
from switch.tables.identifiers cimport TERMINAL_NONE
from switch.wire.fields cimport RRN_SIZE

cdef enum:
    NS_A_US = 1_000
    US_A_SECOND = 1_000_000
    AGE_MAX_S = 0x7FFFFFFF
    ALIKE_MAX = 64            # claims on one payment that are decided with one look-up
    REMINDED_MAX = 64         # claims that are asked for in one pass
    FINAL_KINDS = 1 << KIND_REFUND_VOID | 1 << KIND_COMPLETION_VOID       # what they void refers to something itself

cdef int64_t REMINDER_NS = 60_000_000_000     # between two times when one that is open is asked for


cdef int64_t _elapsed_ns(State state) noexcept nogil:
    """The present moment by the journal's own time."""
    return state.calendar.now_ns + state.journal.elapsed_offset_ns


# --- looking up -------------------------------------------------------------------------------------------------------

cdef void take_claim(State state, const ClaimBody *body) noexcept:
    cdef AskedClaim asked
    cdef Asker asker = state.claims.asker(_name_of_asker(state, &body.claim))
    if (state.claims.key_of(&body.claim) in state.claims.asked or len(state.claims.kept) >= state.claims.room
            or not state.inquiries.has_share(len(state.claims.asked), asker.waiting)):
        return
    asked = AskedClaim.__new__(AskedClaim)
    asked.body = body[0]
    asked.asker = asker
    asked.wish = _wish(body)
    asked.asked_at = state.journal.newest()
    state.claims.hold(asked)


cdef bytes _name_of_asker(State state, const ClaimPart *part):
    """Whose places a claim takes: its terminal's; of those that its partition cannot have, that one's all together."""
    if (state.registry.find_terminal(part.terminal, TERMINAL_BYTES) == <uint32_t>TERMINAL_NONE
            or partition_of_id(part.terminal, TERMINAL_BYTES, state.claims.partitions) != part.partition):
        return (<const char *>&part.partition)[:sizeof(part.partition)]
    return part.terminal[:TERMINAL_BYTES]


cdef Wanted _wanted_by(State state, AskedClaim asked):
    cdef Wanted wanted = Wanted.__new__(Wanted)
    cdef const ClaimPart *part = &asked.body.claim
    asked.is_asked = True
    asked.asker.looked_up += 1
    wanted.partition = state.partition
    wanted.is_of_request = True
    wanted.claim = asked
    wanted.asked_at = asked.asked_at
    memset(&wanted.naming, 0, sizeof(wanted.naming))
    memcpy(wanted.naming.terminal, part.terminal, TERMINAL_BYTES)
    memcpy(wanted.naming.merchant, asked.body.merchant, MERCHANT_BYTES)
    wanted.naming.kinds = wanted.naming.likely_kinds = kind_traits(part.kind).refers_to
    wanted.naming.stan = part.stan
    wanted.naming.amount_minor = part.amount_minor
    wanted.naming.pan_digits = asked.body.pan_digits
    memcpy(wanted.naming.pan, asked.body.pan, asked.body.pan_digits)
    memcpy(wanted.naming.rrn, asked.body.rrn, RRN_SIZE)
    set_moment(state, state.calendar.now_ns, &wanted.naming)
    return wanted


cdef bytes _wish(const ClaimBody *body):
    """What is claimed, whoever claims it: of those that are alike one is looked up, and the others are decided with
    what it has found."""
    cdef bytes payment = body.rrn[:RRN_SIZE] + body.merchant[:MERCHANT_BYTES] + body.pan[:body.pan_digits]
    return payment + bytes((body.claim.kind,))


cdef list take_wanted_claims(State state):
    cdef list found = []
    cdef AskedClaim asked
    cdef SaidState said
    cdef set looked_up
    looked_up = {(<AskedClaim>one).wish for one in state.claims.asked.values() if (<AskedClaim>one).is_asked}
    for asked in state.claims.asked.values():
        if len(found) == ASKED_AT_ONCE_MAX:
            break
        if asked.is_asked or asked.asked_at > state.journal.durable or asked.asker.looked_up >= LOOK_UPS_MAX:
            continue
        if asked.wish not in looked_up:
            looked_up.add(asked.wish)
            found.append(_wanted_by(state, asked))
    for said in state.claims.unknown.values():
        if said.is_asked:
            break                         # one at a time: nobody waits for it
        if said.asked_at <= state.journal.durable:
            found.append(_wanted_of(state, said))
            break
    return found


cdef void recall_claims(State state) noexcept:
    cdef Wanted wanted
    cdef AskedClaim asked
    for asked in list(state.claims.asked.values()):
        if state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched()):
            wanted = _wanted_by(state, asked)
            wanted.asked_at = asked.asked_at = state.journal.newest()
            settle_claim(state, wanted, recall(state, &wanted.naming, False), True)
        return


# --- deciding ---------------------------------------------------------------------------------------------------------

cdef void settle_claim(State state, Wanted wanted, Original original, bint is_certain):
    cdef AskedClaim asked = <AskedClaim>wanted.claim
    asked.asker.looked_up -= 1
    if original is not None and state.inquiries.is_outdated(wanted.asked_at, original):
        asked.asked_at = state.journal.newest()
        asked.is_asked = False
        return
    _settle_one(state, asked, original, is_certain)
    if original is not None:
        _settle_alike(state, asked, original)


cdef void _settle_alike(State state, AskedClaim settled, Original original):
    """Others that claim the same: with what was granted of it now they are decided at once, in the order in which they
    came, so that very many of one payment cost one look-up and not one each."""
    cdef int left = ALIKE_MAX
    cdef AskedClaim asked
    for asked in list(state.claims.asked.values()):
        if left == 0:
            break
        if not asked.is_asked and asked.wish == settled.wish:
            left -= 1
            _settle_one(state, asked, original, True)


cdef void _settle_one(State state, AskedClaim asked, Original original, bint is_certain):
    cdef const ClaimPart *part = &asked.body.claim
    cdef ClaimAnswer answer = _answer_to(state, part)
    state.claims.let_go(asked)
    if original is None:
        answer.body.flags = CLAIMED_CERTAIN if is_certain else 0
    elif not _decide(state, part, original, answer):
        return                            # nothing could be written down: nobody is told anything
    state.claims.answers.append(answer)


cdef ClaimAnswer _answer_to(State state, const ClaimPart *part):
    """An answer that grants nothing yet."""
    cdef ClaimAnswer answer = ClaimAnswer.__new__(ClaimAnswer)
    memset(&answer.body, 0, sizeof(answer.body))
    answer.body.claim = part[0]
    answer.body.keeper = state.partition
    answer.body.reason = CLAIMED_GRANTED
    return answer


cdef bint _decide(State state, const ClaimPart *part, Original original, ClaimAnswer answer):
    """Grant a claim, or say why not; False when it could not be written down."""
    cdef int64_t age_ns = state.duplicates.age_max_ns
    cdef KeptClaim claim = state.claims.same(part, original.position, _elapsed_ns(state) - age_ns,
                                             state.calendar.wall_us - age_ns // NS_A_US)
    cdef int reason = NOT_REFUSED
    if claim is None:
        if original.is_torn and state.inquiries.refuses_unknown:
            reason = REASON_SYSTEM_MALFUNCTION
        elif state.inquiries.refuses_excess:
            reason = check_excess(state, part.kind, part.amount_minor, part.currency, original)
        if reason != NOT_REFUSED:
            answer.body.reason = <uint8_t>reason
            return True
        claim = _grant(state, part, original)
        if claim is None:
            return False
    _promise(state, claim, answer)
    answer.body.flags |= CLAIMED_FINAL if original.request.refers_to else 0
    _describe(state, original, answer)
    return True


cdef KeptClaim _grant(State state, const ClaimPart *part, Original original):
    """Write a claim down; None when that cannot be."""
    cdef KeptClaim claim
    cdef int64_t undoes = undone_claim(part.kind, original.request.refers_to)
    cdef int64_t position = POSITION_FAILED
    if state.journal.accepts():
        position = state.journal.claim(part, original.position, undoes)
    if position == POSITION_FAILED:
        return None
    claim = state.claims.keep(part, position, original.position, undoes)
    claim.again_ns = state.calendar.now_ns + REMINDER_NS
    claim.elapsed_ns = _elapsed_ns(state)
    claim.wall_us = state.calendar.wall_us
    original.count(part.kind, part.amount_minor, 0)
    state.inquiries.note_reference(position, original.position)
    note_referred(state, original)
    return claim


cdef int64_t _age_s(State state, KeptClaim claim) noexcept:
    """Seconds since a claim was granted, by the clock that says more."""
    cdef int64_t age_us = max(state.calendar.wall_us - claim.wall_us,
                              (_elapsed_ns(state) - claim.elapsed_ns) // NS_A_US)
    return max(age_us, <int64_t>0) // US_A_SECOND


cdef void _promise(State state, KeptClaim claim, ClaimAnswer answer) noexcept:
    """What an answer says of a claim; it leaves when that is durable."""
    answer.position = claim.position
    answer.body.position = claim.position
    answer.body.age_s = <uint32_t>min(_age_s(state, claim) + 1, <int64_t>AGE_MAX_S)


cdef void _describe(State state, Original original, ClaimAnswer answer) noexcept:
    """How its issuer knows the original; nothing where the configuration has its link no more."""
    cdef Referred referred
    cdef Link link = <Link>link_named(state, original.link)
    if link is None:
        return
    memset(&referred, 0, sizeof(Referred))
    name_original(state, link, original, &referred)
    answer.body.flags |= CLAIMED_KNOWN
    answer.body.link = referred.link
    answer.body.data_size = referred.size
    memcpy(answer.body.data, referred.data, referred.size)
    memcpy(answer.body.rrn, referred.rrn, sizeof(referred.rrn))
    memcpy(answer.body.authorization_code, referred.authorization_code, sizeof(referred.authorization_code))


# --- what becomes of it -----------------------------------------------------------------------------------------------

cdef void take_claim_state(State state, const ClaimStateBody *body) noexcept:
    cdef KeptClaim claim = state.claims.kept.get(body.position)
    cdef int64_t written_at
    if claim is None and state.journal.is_searched and body.position <= state.journal.newest():
        _ask_journal(state, body)
        return
    if claim is None or claim.part.partition != body.partition:
        _answer_without(state, body)
        return
    if claim.state == body.state and claim.approved_minor == body.approved_minor:
        written_at = claim.written_at
    else:
        written_at = state.journal.claim_state(body.position, claim.original, body.state, body.approved_minor)
        if written_at == POSITION_FAILED:
            return                        # it is said again
        state.inquiries.note_reference(written_at, ANY_ORIGINAL if claim.undoes else claim.original)
        state.claims.note(claim, body.state, body.approved_minor, written_at)
    state.claims.noted.append((written_at, body.partition, body.position, body.number))
    if claim.undoes and body.state == CLAIM_STANDS:
        state.claims.say(claim.undoes, CLAIM_GONE, 0)


cdef void _answer_without(State state, const ClaimStateBody *body) noexcept:
    """Let a claimant stop saying what nothing is written down of."""
    state.claims.noted.append((0, body.partition, body.position, body.number))


cdef void _ask_journal(State state, const ClaimStateBody *body) noexcept:
    """Look up a claim that memory does not know, or not any more: whoever says so may be no claimant of it."""
    cdef tuple key = (body.partition, body.position)
    cdef SaidState said = state.claims.unknown.get(key)
    if said is None:
        if len(state.claims.unknown) >= state.inquiries.room:
            return                        # it is said again
        said = state.claims.unknown[key] = SaidState.__new__(SaidState)
        said.asked_at = state.journal.newest()
    said.body = body[0]


cdef Wanted _wanted_of(State state, SaidState said):
    cdef Wanted wanted = Wanted.__new__(Wanted)
    said.is_asked = True
    wanted.partition = state.partition
    wanted.said = said
    wanted.asked_at = said.asked_at
    return wanted


cdef void settle_claim_state(State state, Wanted wanted, bint is_certain) noexcept:
    cdef SaidState said = <SaidState>wanted.said
    cdef KeptClaim found = <KeptClaim>wanted.kept
    cdef KeptClaim claim
    cdef uint32_t claimant = said.body.partition
    state.claims.unknown.pop((claimant, said.body.position), None)
    if found is None and not is_certain:
        return                            # it is said again
    if found is None or found.part.partition != claimant:
        _answer_without(state, &said.body)
        return
    if found.position not in state.claims.kept and len(state.claims.kept) < state.claims.room:
        claim = state.claims.keep(&found.part, found.position, found.original, found.undoes)
        claim.elapsed_ns, claim.wall_us = found.elapsed_ns, found.wall_us
        state.claims.note(claim, found.state, found.approved_minor, found.written_at)
    if found.position in state.claims.kept:
        take_claim_state(state, &said.body)


cdef void remind(State state) noexcept:
    cdef KeptClaim claim
    cdef ClaimAnswer answer
    for claim in list(islice(state.claims.open.values(), REMINDED_MAX)):
        if claim.again_ns > state.calendar.now_ns:
            continue
        claim.again_ns = state.calendar.now_ns + REMINDER_NS
        del state.claims.open[claim.position]
        state.claims.open[claim.position] = claim         # behind the others
        if claim.part.partition < state.claims.partitions:            # else of before their number was changed
            answer = _answer_to(state, &claim.part)
            answer.body.flags = CLAIMED_REMINDER | (CLAIMED_FINAL if FINAL_KINDS >> claim.part.kind & 1 else 0)
            _promise(state, claim, answer)
            state.claims.answers.append(answer)


cdef void expire_claims(State state) noexcept:
    state.claims.forget_ended(_elapsed_ns(state) - state.duplicates.age_max_ns)


cdef int64_t oldest_claim_s(State state) noexcept:
    cdef KeptClaim claim
    cdef int64_t oldest_s = 0
    for claim in state.claims.open.values():
        oldest_s = max(oldest_s, _age_s(state, claim))
    return oldest_s
