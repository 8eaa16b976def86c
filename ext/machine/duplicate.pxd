"""The duplicate window: what became of each natural key, so that no request is forwarded twice."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.machine.handles cimport OUTCOME_NONE, OutcomeHandle, SafHandle, TransactionHandle
from switch.machine.open_references cimport OpenReferences
from switch.machine.terminal_counts cimport TerminalCounts
from switch.machine.transaction cimport NaturalKey
from switch.wire.fields cimport PAN_MAX

cdef enum:
    PLACE_BYTES = 512         # of stored messages in one place; an outcome with more of them takes several

cdef enum Admission:
    ADMITTED
    ADMISSION_FULL            # all places are taken
    ADMISSION_SHARE           # its terminal holds as many as it may

cdef enum OutcomeState:
    OUTCOME_FREE
    OUTCOME_IN_FLIGHT         # its transaction waits for the issuer
    OUTCOME_FINISHED          # its answer is stored

cdef struct Outcome:
    NaturalKey key
    uint64_t fingerprint      # of amount, kind and card: a repeat must be the same request, not just the same number
    int64_t finished_ns
    int64_t position          # in the journal, of its OUTCOME or what was stored with it: a repeat waits for it too
    int64_t intent            # position of its INTENT or ADVICE in the journal; 0: there is none
    int64_t asked_ns          # when its limits counted it, and an issuer was asked; 0: nothing is counted
    int64_t named_at          # date and time by which a reversal names it, their digits as a number; 0: it has none
    int64_t refers_to         # position of the INTENT or ADVICE of its original; 0: it refers to none that is known
    int64_t amount_minor
    int64_t approved_minor    # the part of it that the issuer approved; 0: all, or nothing
    uint64_t stored_at        # position in the ring of stored bytes
    uint32_t answer_size
    uint32_t places           # taken; none when it is brief
    OutcomeHandle next_same_hash
    OutcomeHandle next        # of its list, finished after it
    OutcomeHandle previous
    OutcomeHandle next_own    # brief: its terminal's, finished after it; the newest one's is the oldest
    uint32_t own_count        # brief, the newest of its terminal: how many these are
    uint32_t merchant         # whose the terminal was when it asked
    uint32_t serial           # tells a reused entry from the outcome that it held before
    TransactionHandle transaction     # while in flight
    uint16_t link             # that was asked, or would have been
    uint16_t listener         # in whose dialect the answer is stored; NO_LISTENER: one that is no more, and none is
    uint16_t currency         # ISO 4217, numeric; 0: the request named none
    uint8_t state
    uint8_t kind
    uint8_t entry_mode        # how its card was read, by its place in ``ENTRY_MODES``; 0: not known
    uint8_t brief             # nothing of it is at an issuer: its answer is not stored, but composed anew
    uint8_t reason            # what its answer says, where that is not stored
    uint8_t approved          # its terminal is told so
    uint8_t reversed          # a reversal of it has been stored
    uint8_t closed_by_operator    # that reversal, unacknowledged: whether the payment stands, only he knows
    uint8_t told              # the approval has left to its terminal
    uint8_t stood_in          # the stand-in rule of its link approved it
    uint8_t unbooked          # approved here, and its issuer has not taken note of that
    uint8_t mismatch          # field by which an answer was not to it; 0: none came
    uint8_t is_counted        # in flight at an issuer: among its terminal's, and in ``referring`` where it refers
    uint8_t has_ties          # something refers to it, or it is the void of what refers to something itself
    uint8_t pan_digits
    uint8_t pan[PAN_MAX + 1]
    uint8_t rrn[12]
    uint8_t authorization_code[6]     # zeros: the issuer gave none
    uint8_t code[4]           # by which it declined, as its answer says it beside the reason; zeros: none
    uint32_t queued           # frames that tell the approval and have not left: it is kept until one of them has
    uint32_t claim_tag        # of the claim that it has asked another partition for; 0: none that is known
    uint32_t sent_size        # of the message as the link got it, stored after the answer; only when approved
    SafHandle advice_entry    # what tells its issuer of it, if that is still owed; or SAF_NONE


cdef enum Ties:               # to an approval, of what refers to it, or is counted because of it
    TIES_NONE
    TIES_OPEN                 # something is in flight that may be approved
    TIES_STAND                # something was approved, and stands


cdef struct OutcomeList:      # finished outcomes, oldest first
    OutcomeHandle head
    OutcomeHandle tail
    uint32_t count


cdef class DuplicateWindow:
    """Bounded in count, in age and in bytes. What an issuer was asked is kept until its time is over: where no place is
    left, or a terminal holds its share, nothing new is admitted. What the switch refused by itself has room of its own,
    in which the oldest make room, a terminal's own ones first."""
    cdef Outcome *_entries
    cdef OutcomeHandle *_buckets
    cdef uint32_t _bucket_mask
    cdef OutcomeList _kept
    cdef OutcomeList _brief
    cdef TerminalCounts _terminals
    cdef uint32_t _free
    cdef uint32_t _untouched          # from this entry on none was ever used
    cdef uint32_t _entry_count
    cdef uint32_t _serial
    cdef uint8_t *_stored            # a ring of bytes
    cdef uint64_t _stored_room
    cdef uint64_t _stored_end        # position after the newest; positions never wrap, offsets do
    cdef uint64_t _secret[2]
    cdef OpenReferences referring             # what issuers are asked, by what it refers to
    cdef readonly uint32_t room               # places
    cdef readonly uint32_t held               # of them, taken
    cdef readonly uint32_t brief_room
    cdef readonly uint32_t brief_share        # of it, for one terminal
    cdef readonly uint32_t brief_open         # brief ones that are in flight
    cdef readonly uint32_t share_percent      # of the places that are free, for one terminal
    cdef readonly uint32_t in_use             # outcomes, brief ones included
    cdef readonly uint32_t untold             # approvals that wait to leave to their terminals
    cdef readonly int64_t age_max_ns
    cdef readonly uint64_t forgotten_early     # outcomes that a recovery found no place for
    cdef readonly uint64_t brief_forgotten_early       # brief ones that made room before their time

    cdef OutcomeHandle find(self, const NaturalKey *key) noexcept nogil
    cdef OutcomeHandle find_like(self, const NaturalKey *key, int64_t named_at, const uint8_t *pan, int pan_digits,
                                 int64_t amount_minor) noexcept nogil
    cdef OutcomeHandle first_of(self, uint32_t terminal, uint32_t stan, uint32_t message_class) noexcept nogil
    cdef uint32_t touched(self) noexcept nogil
    cdef int admits(self, uint32_t terminal, uint64_t size) noexcept nogil
    cdef OutcomeHandle open(self, const NaturalKey *key, uint64_t size) noexcept nogil
    cdef OutcomeHandle open_brief(self, const NaturalKey *key) noexcept nogil
    cdef OutcomeHandle reopen(self, const NaturalKey *key, uint64_t size) noexcept nogil
    cdef Outcome *at(self, OutcomeHandle number) noexcept nogil
    cdef bint has_room(self, OutcomeHandle number, uint64_t size) noexcept nogil
    cdef int finish(self, OutcomeHandle number, const uint8_t *answer, uint32_t answer_size,
                    const uint8_t *sent, uint32_t sent_size, int64_t now_ns) noexcept nogil
    cdef void finish_without_answer(self, OutcomeHandle number, int reason, int64_t now_ns) noexcept nogil
    cdef void finish_brief(self, OutcomeHandle number, int reason, int64_t now_ns) noexcept nogil
    cdef const uint8_t *answer(self, OutcomeHandle number) noexcept nogil
    cdef const uint8_t *sent(self, OutcomeHandle number) noexcept nogil
    cdef void forget(self, OutcomeHandle number) noexcept nogil
    cdef void note_asked(self, OutcomeHandle number) noexcept nogil
    cdef void _note_end(self, Outcome *entry) noexcept nogil
    cdef uint32_t will_tell(self, OutcomeHandle number) noexcept nogil
    cdef bint holds(self, OutcomeHandle number, uint32_t serial) noexcept nogil
    cdef void tell(self, OutcomeHandle number, uint32_t serial) noexcept nogil
    cdef bint fail_to_tell(self, OutcomeHandle number) noexcept nogil
    cdef int ties(self, OutcomeHandle number) noexcept nogil
    cdef int _references(self, int64_t position, int64_t but, uint32_t after) noexcept nogil
    cdef OutcomeHandle begun_at(self, int64_t position) noexcept nogil
    cdef void expire(self, int64_t now_ns) noexcept nogil
    cdef void shift(self, int64_t by_ns) noexcept nogil
    cdef void _shift(self, const OutcomeList *finished, int64_t by_ns) noexcept nogil
    cdef uint64_t _start_of(self, uint64_t size) noexcept nogil
    cdef OutcomeHandle _take(self, const NaturalKey *key) noexcept nogil
    cdef void _hold(self, Outcome *entry, uint32_t places) noexcept nogil
    cdef bint _forget_oldest(self) noexcept nogil
    cdef void _make_room_for_brief(self, uint32_t terminal) noexcept nogil
    cdef void _forget_brief(self, OutcomeHandle number) noexcept nogil
    cdef void _finish(self, OutcomeHandle number, OutcomeList *finished, int64_t now_ns) noexcept nogil
    cdef void _remove(self, OutcomeList *finished, OutcomeHandle number) noexcept nogil
    cdef void _unlink(self, OutcomeHandle number) noexcept nogil
    cdef uint32_t _bucket(self, uint32_t terminal, uint32_t stan, uint32_t message_class) noexcept nogil


cdef inline bint stands(const Outcome *entry) noexcept nogil:
    """Whether it was approved, or may still be, and nothing has taken it back for sure."""
    return entry.closed_by_operator or (not entry.reversed and (entry.approved or entry.state == OUTCOME_IN_FLIGHT))
