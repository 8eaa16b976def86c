"""A request whose original is another partition's: that one is asked, and it goes on with what it was granted."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset
from switch.base.stats cimport stats_add
from switch.dialect.reasons cimport REASON_SYSTEM_MALFUNCTION
from switch.machine.claims cimport (
    CLAIMED_FINAL, CLAIMED_GRANTED, CLAIMED_KNOWN, Claiming, ClaimPart, claim_reference, is_final_claim,
)
from switch.machine.meters cimport ORIGINAL_FOUND, ORIGINAL_UNCERTAIN
from switch.machine.numbering cimport instance_of, is_dated
from switch.machine.original_reference cimport fold
from switch.machine.originals cimport VOIDS, Referred
from switch.machine.request_record cimport MERCHANT_BYTES, TERMINAL_BYTES
from switch.machine.transaction cimport Transaction
from switch.path.identity cimport NOT_REFUSED
from switch.wire.fields cimport RRN_SIZE


cdef int _keeper_of(State state, const Naming *naming) noexcept:
    """The other partition whose payment the reference number in a request names; -1 when it names none."""
    cdef int64_t partition
    # Of what another terminal has paid, its number alone is no name: the card must be there, too.
    if (not state.claims.is_on() or naming.is_whole or not naming.pan_digits or not naming.rrn[0]
            or not is_dated(naming.rrn)):
        return -1
    partition = instance_of(naming.rrn) - (<int64_t>state.numbering.instance - state.partition)
    return <int>partition if 0 <= partition < state.claims.partitions and partition != state.partition else -1


cdef bint names_elsewhere(State state, const Naming *naming) noexcept:
    return _keeper_of(state, naming) >= 0


cdef bint ask_keeper(State state, uint32_t number, const Naming *naming, bint is_certain) noexcept:
    cdef int keeper = _keeper_of(state, naming)
    if keeper >= 0:
        _claim(state, number, <uint32_t>keeper, naming).is_certain = is_certain
    return keeper >= 0


cdef uint32_t _tag_of(const Naming *naming) noexcept nogil:
    cdef uint64_t folded = fold(fold(0, naming.rrn, RRN_SIZE), naming.pan, naming.pan_digits)
    return <uint32_t>(folded ^ folded >> 32) | 1


cdef Claiming _claim(State state, uint32_t number, uint32_t keeper, const Naming *naming):
    cdef Transaction *transaction = state.transactions.at(number)
    cdef const Outcome *entry = state.duplicates.at(transaction.outcome)
    cdef Claiming claiming = Claiming.__new__(Claiming)
    cdef ClaimPart *part = &claiming.body.claim
    memset(&claiming.body, 0, sizeof(claiming.body))
    memcpy(part.terminal, naming.terminal, TERMINAL_BYTES)
    part.occasion = entry.key.occasion
    part.stan = entry.key.stan
    part.message_class = <uint8_t>entry.key.message_class
    part.kind = transaction.kind
    part.amount_minor = transaction.amount_minor
    part.currency = entry.currency
    part.partition = state.partition
    part.tag = state.duplicates.at(transaction.outcome).claim_tag = _tag_of(naming)
    memcpy(claiming.body.rrn, naming.rrn, RRN_SIZE)
    memcpy(claiming.body.merchant, naming.merchant, MERCHANT_BYTES)
    claiming.body.pan_digits = naming.pan_digits
    memcpy(claiming.body.pan, naming.pan, naming.pan_digits)
    claiming.keeper = keeper
    transaction.is_asked = True
    claiming.serial = transaction.departure
    state.claims.wanted[number] = claiming
    return claiming


cdef int64_t reference_in(const ClaimedBody *claimed) noexcept nogil:
    if claimed.position == 0:
        return 0
    return claim_reference(claimed.keeper, claimed.position, claimed.flags & CLAIMED_FINAL)


cdef void note_claim_ties(Outcome *entry) noexcept nogil:
    entry.has_ties = entry.has_ties or (VOIDS >> entry.kind & 1 and is_final_claim(entry.refers_to))


cdef int refer_to_claim(State state, const ClaimedBody *claimed) noexcept:
    cdef Referred *referred = &state.inquiries.referred
    cdef Outcome *entry = state.duplicates.at(state.inbound.outcome)
    referred.is_answered = referred.refers = True
    referred.is_known = claimed.flags & CLAIMED_KNOWN != 0
    referred.position = entry.refers_to = reference_in(claimed)
    referred.link = claimed.link
    referred.size = claimed.data_size
    memcpy(referred.data, claimed.data, claimed.data_size)
    memcpy(referred.rrn, claimed.rrn, sizeof(referred.rrn))
    memcpy(referred.authorization_code, claimed.authorization_code, sizeof(referred.authorization_code))
    note_claim_ties(entry)
    stats_add(state.meters.stats, state.meters.originals[
        ORIGINAL_UNCERTAIN if claimed.reason == REASON_SYSTEM_MALFUNCTION else ORIGINAL_FOUND], 1)
    if claimed.reason != CLAIMED_GRANTED:
        return claimed.reason
    return NOT_REFUSED
