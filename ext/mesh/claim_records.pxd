"""Reads the mesh's records that speak of claims."""

from switch.machine.claims cimport ClaimBody, ClaimedBody, ClaimNotedBody, ClaimStateBody
from switch.mesh.records cimport MeshFault, MeshRecord
from switch.wire.cursor cimport Reader


cdef int read_claim(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil
cdef int read_claimed(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil
cdef int read_claim_state(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil
cdef int read_claim_noted(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil

cdef int check_claim(const ClaimBody *body, MeshFault *fault) noexcept nogil
"""Whether a body may be said; else a fault."""
cdef int check_claimed(const ClaimedBody *body, MeshFault *fault) noexcept nogil
cdef int check_claim_state(const ClaimStateBody *body, MeshFault *fault) noexcept nogil
cdef int check_claim_noted(const ClaimNotedBody *body, MeshFault *fault) noexcept nogil

cdef int claim_body(const MeshRecord *record, ClaimBody *body) noexcept nogil
"""What a CLAIM says; -1 when it has been changed since it was read."""
cdef int claimed_body(const MeshRecord *record, ClaimedBody *body) noexcept nogil
cdef int claim_state_body(const MeshRecord *record, ClaimStateBody *body) noexcept nogil
cdef int claim_noted_body(const MeshRecord *record, ClaimNotedBody *body) noexcept nogil
