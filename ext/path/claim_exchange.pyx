"""What keepers and claimants tell each other: directly within a worker, over the mesh between workers."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset
from switch.dialect.kinds cimport KIND_COUNT
from switch.dialect.reasons cimport REASON_COUNT
from switch.dialect.tables cimport kind_traits
from switch.machine.claims cimport (
    CLAIMED_GRANTED, EVERYBODY, ClaimAnswer, ClaimBody, ClaimedBody, Claiming, ClaimNotedBody, ClaimStateBody,
    SaidClaim, claim_keeper, claim_position,
)
from switch.machine.state cimport State
from switch.mesh.claim_records cimport claim_body, claim_noted_body, claim_state_body, claimed_body
from switch.mesh.record_encoder cimport write_claim, write_claim_noted, write_claim_state, write_claimed
from switch.mesh.records cimport MESH_CLAIM, MESH_CLAIM_STATE, MESH_CLAIMED
from switch.path.kept_claims cimport expire_claims, remind, take_claim, take_claim_state
from switch.path.own_claims cimport look_at_claims, take_claim_noted, take_claimed

cdef enum:
    ROOM_BYTES = 256          # above the longest of their records

cdef int64_t AGAIN_NS = 500_000_000            # between two times when a claim is asked for that nobody has answered
cdef int64_t TELLING_NS = 60_000_000_000      # between two times when all is said again that nobody has noted
cdef int64_t REMINDER_NS = 1_000_000_000      # between two times when some are asked for that are open


cdef void exchange_claims(Partitions partitions, Mesh mesh) noexcept:
    cdef State state
    for state in partitions.states:
        if not state.claims.is_on() or state.journal.outdated is not None:
            continue
        if state.calendar.now_ns >= state.claims.next_telling_ns:
            state.claims.next_telling_ns = state.calendar.now_ns + TELLING_NS
            state.claims.say_again(EVERYBODY)
            expire_claims(state)
        if state.calendar.now_ns >= state.claims.next_reminder_ns:
            state.claims.next_reminder_ns = state.calendar.now_ns + REMINDER_NS
            remind(state)
        look_at_claims(state)
        if state.claims.said:
            _send_said(partitions, mesh, state)           # first: what is gone is not granted once more
        if state.claims.wanted:
            _send_wanted(partitions, mesh, state)
        if state.claims.answers:
            _send_answers(partitions, mesh, state)
        if state.claims.noted:
            _send_noted(partitions, mesh, state)


cdef void greet_peer(Partitions partitions, Mesh mesh, Peer peer) noexcept:
    cdef State state
    cdef uint32_t partition
    for partition in range(partitions.count):
        if partitions.at(partition) is None and mesh.owner(partition) is peer:
            for state in partitions.states:
                state.claims.say_again(partition)
                state.claims.ask_again(partition)
                state.claims.next_reminder_ns = 0


cdef Peer _peer_of(Mesh mesh, uint32_t partition):
    """Who owns a partition of another worker; None when it is not there."""
    cdef Peer peer = None if mesh is None else mesh.owner(partition)
    return peer if peer is not None and peer.is_up else None


# --- to others --------------------------------------------------------------------------------------------------------

cdef void _send_wanted(Partitions partitions, Mesh mesh, State state) noexcept:
    cdef Claiming claiming
    cdef State there
    cdef Peer peer
    cdef uint8_t *place
    for claiming in list(state.claims.wanted.values()):
        if claiming.is_sent and state.calendar.now_ns < claiming.again_ns:
            continue
        claiming.again_ns = state.calendar.now_ns + AGAIN_NS
        claiming.is_away = False
        there = partitions.at(claiming.keeper)
        if there is not None:
            take_claim(there, &claiming.body)
            claiming.is_sent = True
            continue
        peer = _peer_of(mesh, claiming.keeper)
        if peer is None:
            claiming.is_sent, claiming.is_away = False, True
            continue
        place = peer._find_room(ROOM_BYTES)
        if place != NULL:
            claiming.is_sent = peer._wrote(write_claim(place, ROOM_BYTES, claiming.keeper, &claiming.body))


cdef void _send_answers(Partitions partitions, Mesh mesh, State state) noexcept:
    """Those that may leave; to whom is not there nothing is said, since he asks again."""
    cdef list answers = state.claims.answers
    cdef ClaimAnswer answer
    cdef State there
    cdef Peer peer
    cdef uint8_t *place
    state.claims.answers = []
    for answer in answers:
        if answer.position > state.journal.durable:
            state.claims.answers.append(answer)
            continue
        there = partitions.at(answer.body.claim.partition)
        if there is not None:
            take_claimed(there, &answer.body)
            continue
        peer = _peer_of(mesh, answer.body.claim.partition)
        if peer is None:
            continue
        place = peer._find_room(ROOM_BYTES)
        if place != NULL:                     # else it is asked for again
            peer._wrote(write_claimed(place, ROOM_BYTES, &answer.body))


cdef void _send_said(Partitions partitions, Mesh mesh, State state) noexcept:
    cdef SaidClaim said
    cdef ClaimStateBody body
    cdef State there
    cdef Peer peer
    cdef uint32_t keeper
    cdef uint8_t *place
    for refers_to, said in list(state.claims.said.items()):
        if said.is_sent:
            continue
        keeper = claim_keeper(refers_to)
        memset(&body, 0, sizeof(body))
        body.position = claim_position(refers_to)
        body.approved_minor = said.approved_minor
        body.partition = state.partition
        body.number = said.number
        body.state = <uint8_t>said.state
        if keeper >= partitions.count:
            del state.claims.said[refers_to]      # of before the number of partitions was changed
            continue
        there = partitions.at(keeper)
        if there is not None:
            said.is_sent = True
            take_claim_state(there, &body)
            continue
        peer = _peer_of(mesh, keeper)
        place = NULL if peer is None else peer._find_room(ROOM_BYTES)
        if place != NULL:
            said.is_sent = peer._wrote(write_claim_state(place, ROOM_BYTES, keeper, &body))


cdef void _send_noted(Partitions partitions, Mesh mesh, State state) noexcept:
    cdef list noted = state.claims.noted
    cdef ClaimNotedBody body
    cdef State there
    cdef Peer peer
    cdef uint8_t *place
    cdef uint32_t claimant
    state.claims.noted = []
    for one in noted:
        written_at, claimant, body.position, body.number = one
        body.keeper = state.partition
        if written_at > state.journal.durable:
            state.claims.noted.append(one)
            continue
        there = partitions.at(claimant)
        if there is not None:
            take_claim_noted(there, &body)
            continue
        peer = _peer_of(mesh, claimant)
        if peer is None:
            continue
        place = peer._find_room(ROOM_BYTES)
        if place != NULL:                     # else it is said again
            peer._wrote(write_claim_noted(place, ROOM_BYTES, claimant, &body))


# --- of others --------------------------------------------------------------------------------------------------------

cdef void take_claim_record(Partitions partitions, Mesh mesh, Peer peer, const MeshRecord *record) noexcept:
    cdef State state = partitions.at(record.number) if record.number < partitions.count else None
    if state is None:
        peer.fail("it speaks of a claim to a partition that is not here")
    elif not _is_taken(partitions, mesh, peer, state, record):
        peer.fail("it speaks of a claim that cannot be")


cdef bint _is_owner(Partitions partitions, Mesh mesh, Peer peer, uint32_t partition) noexcept:
    return partition < partitions.count and partitions.at(partition) is None and mesh.owner(partition) is peer


cdef bint _is_taken(Partitions partitions, Mesh mesh, Peer peer, State state, const MeshRecord *record) noexcept:
    """Take what is said to a partition of ours; False when it cannot be."""
    cdef ClaimBody claim
    cdef ClaimedBody claimed
    cdef ClaimStateBody said
    cdef ClaimNotedBody noted
    if record.type == MESH_CLAIM:
        if (claim_body(record, &claim) != 0 or not _is_owner(partitions, mesh, peer, claim.claim.partition)
                or claim.claim.kind >= KIND_COUNT or not kind_traits(claim.claim.kind).refers_to):
            return False
        take_claim(state, &claim)
    elif record.type == MESH_CLAIMED:
        if (claimed_body(record, &claimed) != 0 or not _is_owner(partitions, mesh, peer, claimed.keeper)
                or claimed.claim.partition != state.partition or claimed.link >= state.link_count
                or claimed.claim.kind >= KIND_COUNT or not kind_traits(claimed.claim.kind).refers_to
                or (claimed.reason != CLAIMED_GRANTED and claimed.reason >= REASON_COUNT)):
            return False
        take_claimed(state, &claimed)
    elif record.type == MESH_CLAIM_STATE:
        if claim_state_body(record, &said) != 0 or not _is_owner(partitions, mesh, peer, said.partition):
            return False
        take_claim_state(state, &said)
    else:
        if claim_noted_body(record, &noted) != 0 or not _is_owner(partitions, mesh, peer, noted.keeper):
            return False
        take_claim_noted(state, &noted)
    return True
