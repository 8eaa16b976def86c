"""The terminal side: what a listener expects of those who speak to it, and one terminal connection."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.dialect.tables cimport DialectTables
from switch.machine.channel cimport Channel
from switch.machine.note_queue cimport NOTE_PEER_BYTES
from switch.wire.framing cimport Framing
from switch.wire.scan cimport MessageIndex
from switch.wire.translate cimport Composer

cdef enum MacPolicy:
    MAC_POLICY_NONE           # not looked at, not made
    MAC_POLICY_OPTIONAL       # verified where it is present
    MAC_POLICY_REQUIRED


cdef enum PartialPolicy:      # who is told of the approval of a part
    PARTIAL_NEVER
    PARTIAL_MARKED            # terminals that say in their request that they can take it
    PARTIAL_ALWAYS


cdef class Listener:
    cdef readonly uint16_t number             # in order of the configuration
    cdef readonly str name
    cdef readonly DialectTables tables
    cdef uint64_t request_unkept[3]           # fields of a request that are not kept until it is answered
    cdef readonly Framing framing
    cdef readonly uint8_t mac_policy
    cdef readonly uint8_t partial_policy
    cdef readonly bint binds_identity         # terminals are who their certificate says
    cdef readonly int64_t first_message_timeout_ns
    cdef readonly int64_t idle_timeout_ns     # 0: none
    cdef readonly int64_t partial_timeout_ns
    cdef readonly uint32_t in_flight_max      # requests of one connection under way; then its reading pauses
    cdef readonly uint32_t connections_max
    cdef public uint32_t connections          # open now
    cdef readonly Composer answer_composer    # answers that no issuer had a part in
    cdef readonly Composer network_answer_composer    # answers to sign-on, echo test and their like
    cdef readonly object downloads            # switch.dialect.downloads.DownloadAnswers
    cdef readonly Composer unsigned_answer_composer    # the same without a MAC, for those whom no key belongs to

    cdef inline bint tells_part(self, const MessageIndex *request) noexcept nogil:
        """Whether the terminal of a request may be told of the approval of a part."""
        if self.partial_policy == PARTIAL_MARKED:
            return self.tables.takes_part(request)
        return self.partial_policy == PARTIAL_ALWAYS


cdef class TerminalChannel(Channel):
    cdef readonly Listener listener
    cdef uint8_t peer[NOTE_PEER_BYTES]        # IP address as text, NUL behind it; empty: not known
    cdef bint has_spoken                      # a whole frame has come
    cdef bytes certificate_name               # common name of the client's certificate; None without one
