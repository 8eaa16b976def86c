"""Writes the mesh's records where the caller has room, each in one go.

Each function gives the bytes that it wrote, a multiple of 8; or -1 when there is less room, or when a part is longer
than the protocol allows or has what it must not have: then nothing can be read there.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.machine.claims cimport ClaimBody, ClaimedBody, ClaimNotedBody, ClaimStateBody
from switch.mesh.records cimport MeshHello, MeshJournal, MeshTerminal, Span
from switch.tables.count_log cimport Counted


cdef int write_hello(uint8_t *out, size_t room, const MeshHello *hello) noexcept nogil

cdef int write_terminal_open(uint8_t *out, size_t room, const MeshTerminal *terminal, uint16_t listener, Span peer,
                             Span name) noexcept nogil
"""``peer``: IP address as text, empty when it is not known; ``name``: the certificate's common name, empty: none."""

cdef int write_terminal_frame(uint8_t *out, size_t room, const MeshTerminal *terminal, uint16_t partition, Span headers,
                              Span message) noexcept nogil

cdef int write_terminal_closed(uint8_t *out, size_t room, const MeshTerminal *terminal, uint64_t told) noexcept nogil

cdef int write_answer(uint8_t *out, size_t room, const MeshTerminal *terminal, Span frame) noexcept nogil

cdef int write_told(uint8_t *out, size_t room, const MeshTerminal *terminal, uint64_t told) noexcept nogil

cdef int write_handled(uint8_t *out, size_t room, const MeshTerminal *terminal, uint64_t handled,
                       uint32_t in_flight) noexcept nogil

cdef int write_hang_up(uint8_t *out, size_t room, const MeshTerminal *terminal, Span reason) noexcept nogil
"""A reason that is too long is cut, and a control character of it becomes a question mark: it fails for want of room
alone."""

cdef int write_link_send(uint8_t *out, size_t room, uint16_t link, Span frame) noexcept nogil

cdef int write_link_frame(uint8_t *out, size_t room, uint16_t link, Span headers, Span message) noexcept nogil

cdef int write_link_state(uint8_t *out, size_t room, uint16_t link, uint8_t state, uint32_t connections) noexcept nogil

cdef int write_ping(uint8_t *out, size_t room, uint64_t token) noexcept nogil

cdef int write_pong(uint8_t *out, size_t room, uint64_t token) noexcept nogil

cdef int write_counted(uint8_t *out, size_t room, uint64_t number, const Counted *counted,
                       uint64_t now_ms) noexcept nogil

cdef int write_counts_taken(uint8_t *out, size_t room, uint64_t next) noexcept nogil

cdef int write_outstanding(uint8_t *out, size_t room, uint16_t link, int currency, int64_t amount_minor) noexcept nogil

cdef int write_claim(uint8_t *out, size_t room, uint32_t keeper, const ClaimBody *body) noexcept nogil

cdef int write_claimed(uint8_t *out, size_t room, const ClaimedBody *body) noexcept nogil

cdef int write_claim_state(uint8_t *out, size_t room, uint32_t keeper, const ClaimStateBody *body) noexcept nogil

cdef int write_claim_noted(uint8_t *out, size_t room, uint32_t claimant, const ClaimNotedBody *body) noexcept nogil

cdef int write_journal(uint8_t *out, size_t room, const MeshJournal *journal) noexcept nogil
