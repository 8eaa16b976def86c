"""Reads the mesh's records that speak of claims."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from switch.machine.claims cimport (
    CLAIM_AMOUNT_MAX, CLAIM_POSITION_MAX, CLAIM_STATE_COUNT, CLAIMED_FLAGS, ClaimPart,
)
from switch.machine.originals cimport REFERENCE_ROOM
from switch.mesh.record_checks cimport at_most, check_digits, refuse, take_body, zeros
from switch.mesh.records cimport (
    MESH_COMPLETE, MESH_CURRENCY_MAX, MESH_FAULT_SUM, MESH_FAULT_TEXT, MESH_FAULT_TOO_SMALL, MESH_FAULTY, MESH_KINDS,
    MESH_PARTITIONS_MAX, MESH_STAN_MAX, MESH_TAKEN,
)
from switch.wire.fields cimport PAN_MAX, RRN_SIZE


cdef int check_claim_part(const ClaimPart *part, MeshFault *fault) noexcept nogil:
    if part.amount_minor < -1:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 24, 0, 0)
    if at_most(<uint64_t>max(part.amount_minor, <int64_t>0), CLAIM_AMOUNT_MAX, 24, fault) < 0:
        return MESH_FAULTY
    if at_most(part.stan, MESH_STAN_MAX, 32, fault) < 0:
        return MESH_FAULTY
    if at_most(part.partition, MESH_PARTITIONS_MAX - 1, 36, fault) < 0:
        return MESH_FAULTY
    if at_most(part.currency, MESH_CURRENCY_MAX, 40, fault) < 0:
        return MESH_FAULTY
    return at_most(part.kind, MESH_KINDS - 1, 43, fault)


cdef int check_claim(const ClaimBody *body, MeshFault *fault) noexcept nogil:
    cdef size_t i
    if check_claim_part(&body.claim, fault) < 0:
        return MESH_FAULTY
    for i in range(<size_t>RRN_SIZE):
        if not 0x21 <= body.rrn[i] <= 0x7E:
            return refuse(fault, MESH_FAULT_TEXT, 48 + i, 0, body.rrn[i])
    if at_most(body.pan_digits, PAN_MAX, 75, fault) < 0:
        return MESH_FAULTY
    if check_digits(body.pan, body.pan_digits, PAN_MAX, 76, fault) < 0:
        return MESH_FAULTY
    return zeros(body.padding, sizeof(body.padding), 95, fault)


cdef int check_claimed(const ClaimedBody *body, MeshFault *fault) noexcept nogil:
    if check_claim_part(&body.claim, fault) < 0:
        return MESH_FAULTY
    if body.position < 0:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 48, 0, 0)
    if at_most(<uint64_t>body.position, CLAIM_POSITION_MAX, 48, fault) < 0:
        return MESH_FAULTY
    if at_most(body.keeper, MESH_PARTITIONS_MAX - 1, 56, fault) < 0:
        return MESH_FAULTY
    if at_most(body.flags, CLAIMED_FLAGS, 67, fault) < 0:
        return MESH_FAULTY
    if at_most(body.data_size, REFERENCE_ROOM, 68, fault) < 0:
        return MESH_FAULTY
    if zeros(body.data + body.data_size, REFERENCE_ROOM - body.data_size, 87 + body.data_size, fault) < 0:
        return MESH_FAULTY
    return zeros(body.padding, sizeof(body.padding), 151, fault)


cdef int check_claim_state(const ClaimStateBody *body, MeshFault *fault) noexcept nogil:
    if body.position < 1:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 8, 1, 0)
    if at_most(<uint64_t>body.position, CLAIM_POSITION_MAX, 8, fault) < 0:
        return MESH_FAULTY
    if body.approved_minor < 0:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 16, 0, 0)
    if at_most(<uint64_t>body.approved_minor, CLAIM_AMOUNT_MAX, 16, fault) < 0:
        return MESH_FAULTY
    if at_most(body.partition, MESH_PARTITIONS_MAX - 1, 24, fault) < 0:
        return MESH_FAULTY
    if at_most(body.state, CLAIM_STATE_COUNT - 1, 32, fault) < 0:
        return MESH_FAULTY
    return zeros(body.reserved, sizeof(body.reserved), 33, fault)


cdef int check_claim_noted(const ClaimNotedBody *body, MeshFault *fault) noexcept nogil:
    if body.position < 1:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 8, 1, 0)
    return at_most(body.keeper, MESH_PARTITIONS_MAX - 1, 16, fault)


cdef int read_claim(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef ClaimBody body
    record.claim = reader.at
    take_body(reader, &body, sizeof(body))
    return check_claim(&body, fault)


cdef int read_claimed(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef ClaimedBody body
    record.claim = reader.at
    take_body(reader, &body, sizeof(body))
    if body.claim.partition != record.number:
        return refuse(fault, MESH_FAULT_SUM, 36, record.number, body.claim.partition)
    return check_claimed(&body, fault)


cdef int read_claim_state(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef ClaimStateBody body
    record.claim = reader.at
    take_body(reader, &body, sizeof(body))
    return check_claim_state(&body, fault)


cdef int read_claim_noted(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef ClaimNotedBody body
    record.claim = reader.at
    take_body(reader, &body, sizeof(body))
    return check_claim_noted(&body, fault)


cdef int claim_body(const MeshRecord *record, ClaimBody *body) noexcept nogil:
    cdef MeshFault fault
    memcpy(body, record.claim, sizeof(ClaimBody))
    MESH_TAKEN()
    return 0 if check_claim(body, &fault) == MESH_COMPLETE else -1


cdef int claimed_body(const MeshRecord *record, ClaimedBody *body) noexcept nogil:
    cdef MeshFault fault
    memcpy(body, record.claim, sizeof(ClaimedBody))
    MESH_TAKEN()
    return 0 if check_claimed(body, &fault) == MESH_COMPLETE else -1


cdef int claim_state_body(const MeshRecord *record, ClaimStateBody *body) noexcept nogil:
    cdef MeshFault fault
    memcpy(body, record.claim, sizeof(ClaimStateBody))
    MESH_TAKEN()
    return 0 if check_claim_state(body, &fault) == MESH_COMPLETE else -1


cdef int claim_noted_body(const MeshRecord *record, ClaimNotedBody *body) noexcept nogil:
    cdef MeshFault fault
    memcpy(body, record.claim, sizeof(ClaimNotedBody))
    MESH_TAKEN()
    return 0 if check_claim_noted(body, &fault) == MESH_COMPLETE else -1
