"""The store of what issuers are owed, reversals and advices: kept until acknowledged, sent again with pauses."""

from libc.stdint cimport uint8_t, uint16_t, int16_t, uint32_t, uint64_t, int64_t
from switch.machine.handles cimport SAF_NONE, HandleSlot, OutcomeHandle, SafHandle, TransactionHandle
from switch.machine.open_references cimport OpenReferences
from switch.machine.terminal_counts cimport TerminalCounts
from switch.wire.fields cimport PAN_MAX

cdef enum:
    SAF_LEVELS = 16      # doublings of the pause between attempts, at most
    NO_LISTENER = 0xFFFF
    READY_LANES = 32          # among which the terminals of a queue are spread
    DEFERRED_NS = 1_000_000_000           # after which it is seen whether what refers to an original has ended

cdef enum SafState:
    SAF_FREE
    SAF_READY            # to be sent as soon as the link's window allows
    SAF_AT_ISSUER
    SAF_PAUSED           # waits for its next attempt
    SAF_SOUGHT           # a terminal's own: its original is looked up first
    SAF_BEHIND           # waits until the advice that it takes back is acknowledged
    SAF_DEFERRED         # waits until nothing that refers to its original is at an issuer, or owed

cdef enum Sought:             # when an original is looked up
    SOUGHT_NOW
    SOUGHT_AGAIN              # a second after a look-up that brought nothing certain
    SOUGHT_RARELY             # a minute after one of what cannot be taken back for longer than that
    SOUGHT_END

cdef enum ReversalCause:      # why it is owed; the numbers stand in the journal
    CAUSE_UNKNOWN
    CAUSE_TIMEOUT             # the issuer did not answer in time
    CAUSE_UNTOLD              # the terminal could not be told of the approval
    CAUSE_TERMINAL            # the terminal took it back
    CAUSE_RESTART             # nobody knew the outcome after a crash
    CAUSE_LATE                # the issuer approved after its time-out, and knew of no reversal by then
    CAUSE_PARTIAL             # the issuer approved a part, which cannot be carried through
    CAUSE_UNUSABLE            # no answer could be made of the issuer's approval, or none be kept
    CAUSE_SETTLED             # of CANCELLED: its original was found, and what takes that back, if anything, is another
    CAUSE_MISMATCH            # the issuer's answers were not to it, by a field that must agree
    CAUSE_WITHHELD            # of CANCELLED: its original was found, and what refers to that forbids to take it back

cdef bint takes_back(int cause) noexcept nogil
"""Whether a CANCELLED of this cause takes its original back; else it ends a terminal's reversal, and no more."""

cdef enum:
    # Of what the issuer has approved for sure.
    APPROVED_CAUSES = (1 << CAUSE_UNTOLD | 1 << CAUSE_TERMINAL | 1 << CAUSE_LATE | 1 << CAUSE_PARTIAL
                       | 1 << CAUSE_UNUSABLE)

cdef struct SafEntry:
    uint8_t state
    uint8_t level             # of the pause that it is in; sought: of its list
    uint8_t cause             # ReversalCause
    uint8_t is_advice         # it tells of a payment; else it takes one back
    uint8_t kind              # advice: what it is sent as
    uint8_t stood_in          # advice: of an approval by stand-in
    uint8_t resumed           # its record is of an earlier process: attempts that are not counted may have left
    uint8_t raised            # an operator was told that it is overdue
    uint8_t unsendable        # the last attempt could not be composed
    uint8_t is_stranger       # a terminal's own, of a request that is not known here
    uint8_t is_unbooked       # what it takes back was approved here, and its issuer has not taken note of that
    uint8_t is_referred       # advice: something may refer to its payment
    uint8_t was_found         # sought: a look-up has found its original for certain
    uint8_t is_approved       # its issuer has approved what it takes back, and said so late
    uint16_t link
    uint32_t terminal         # registry index of whose request it is; TERMINAL_NONE: not registered any more
    uint32_t attempts
    uint32_t stan             # the same in every attempt; 0: its original's
    uint32_t original_stan    # of the request that it takes back, as the link knows it; 0: not known, or an advice
    uint32_t unfound          # how often its issuer has not found the original, which did not end it
    SafHandle next
    SafHandle previous        # in its list of those that are ready or paused
    uint32_t source_size
    OutcomeHandle outcome     # advice: its entry of the duplicate window, as long as that has the serial
    uint32_t outcome_serial
    SafHandle followed_by     # advice: the reversal that waits for its end, or SAF_NONE
    SafHandle next_advice     # advice: the next one of those that share a bucket
    int16_t fault_field       # of what is unsendable: the field that is at fault
    TransactionHandle late_request        # that it takes back, as long as its answer is waited for; or TRANSACTION_NONE
    uint64_t inquiry          # sought: its number, 0 as long as nobody was asked
    int64_t unsure_since_ns   # sought: since when no look-up has brought anything certain; 0: the last one has
    int64_t stored_ns
    int64_t due_ns
    # Until then its original may still be booked: what is not found in an attempt sent before may yet be charged.
    int64_t bookable_until_ns
    int64_t position          # of its record in the journal
    int64_t leaves_at         # journal position that must be durable before an attempt leaves
    # Position of the INTENT or ADVICE that it takes back; 0: not known here. Of an advice: of its first record, by
    # which others name it; 0 while that is being written.
    int64_t original
    int64_t refers_to         # position of the INTENT or ADVICE that its original refers to; 0: none that is known
    int64_t replaces          # position of its record before, when it is written down once more; else 0
    uint16_t listener         # whose terminal sent the source; NO_LISTENER: the source is what the link was sent
    uint8_t pan_digits
    uint8_t pan[PAN_MAX + 1]
    uint8_t rrn[12]
    uint8_t authorization_code[6]     # zeros: none is known
    # What attempts are composed from: the request as sent, or the terminal's own reversal, or the advice as kept.
    uint8_t *source
    uint8_t *request          # advice: the RequestPart of its record, behind the source; else NULL

cdef struct SafList:
    SafHandle head
    SafHandle tail


cdef struct ReadyLanes:       # what is ready, by terminal: lanes take turns, so that none waits for all of another's
    SafList lane[READY_LANES]
    uint32_t filled           # bit n: there is something in lane n
    uint32_t turn             # the lane that was last


cdef class SafQueue:
    """What one link is owed."""
    cdef ReadyLanes ready                         # of requests that are known here
    cdef ReadyLanes strangers_ready
    cdef uint32_t _picks
    cdef SafList sought[SOUGHT_END]               # those of which nobody was asked yet
    cdef SafList paused[SAF_LEVELS]               # one list a pause: equal pauses expire in order
    cdef SafList deferred
    cdef readonly uint32_t depth                  # all that are not acknowledged
    cdef readonly uint32_t advices                # of them, advices
    cdef readonly uint32_t strangers              # of them, reversals of what is not known here
    cdef readonly uint32_t at_issuer
    cdef readonly uint32_t strangers_at_issuer
    cdef readonly uint32_t window
    cdef readonly int64_t pause_ns
    cdef readonly int64_t pause_max_ns
    cdef readonly int64_t alert_ns                # what is owed for longer than this is overdue
    cdef readonly int64_t horizon_ns              # how long a request may be on its way until the issuer books it

    cdef ReadyLanes *_next_lanes(self) noexcept nogil
    cdef int64_t _pause_of(self, uint32_t level) noexcept nogil


cdef class SafStore:
    cdef SafEntry *_pool
    cdef HandleSlot *_advice_buckets          # by terminal and STAN of the request: the newest
    cdef uint32_t _advice_mask
    cdef uint32_t _free
    cdef readonly uint32_t room
    cdef readonly uint32_t in_use
    cdef readonly uint32_t advices            # of them, advices
    cdef readonly uint32_t strangers          # of them, reversals of what is not known here
    cdef readonly uint32_t all_at_issuer      # of every link
    cdef TerminalCounts _terminals
    cdef uint32_t top                         # entries from here on were never used
    cdef OpenReferences referring             # what is owed, by what it refers to

    cdef SafHandle add(self, SafQueue queue, uint16_t link, uint32_t terminal, bint is_stranger,
                       const uint8_t *source, uint32_t size, int64_t now_ns) noexcept nogil
    cdef SafHandle add_advice(self, SafQueue queue, uint16_t link, uint32_t terminal, const uint8_t *source,
                              uint32_t size, const void *request, uint32_t request_size, int64_t now_ns) noexcept nogil
    cdef SafHandle _take(self, SafQueue queue, uint16_t link, uint32_t terminal, bint is_stranger,
                         const uint8_t *source, uint32_t size, uint32_t extra, int64_t now_ns) noexcept nogil
    cdef uint32_t asked(self, uint32_t terminal) noexcept nogil
    cdef void _count(self, const SafEntry *entry, int more) noexcept nogil
    cdef SafEntry *at(self, SafHandle number) noexcept nogil
    cdef SafHandle first_advice(self, const uint8_t *terminal, uint32_t stan) noexcept nogil
    cdef HandleSlot *_bucket(self, const uint8_t *terminal, uint32_t stan) noexcept nogil
    cdef void _unchain(self, SafHandle number) noexcept nogil
    cdef SafHandle next_ready(self, SafQueue queue, int64_t now_ns) noexcept nogil
    cdef void at_issuer(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void pause(self, SafQueue queue, SafHandle number, int64_t now_ns, uint64_t random) noexcept nogil
    cdef void _leave_issuer(self, SafQueue queue, const SafEntry *entry) noexcept nogil
    cdef bint hasten(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void seek(self, SafQueue queue, SafHandle number, int64_t now_ns, int when) noexcept nogil
    cdef SafHandle next_sought(self, SafQueue queue, int64_t now_ns, int64_t durable) noexcept nogil
    cdef void take_sought(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void release(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void refer(self, SafHandle number, int64_t original) noexcept nogil
    cdef void defer(self, SafQueue queue, SafHandle number, int64_t now_ns) noexcept nogil
    cdef void follow(self, SafQueue queue, SafHandle number, SafHandle advice) noexcept nogil
    cdef void remove(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void close(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void _make_ready(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void _unready(self, SafQueue queue, SafHandle number) noexcept nogil
    cdef void _call_due(self, SafQueue queue, SafList *waiting, int64_t now_ns) noexcept nogil
    cdef SafHandle _pop_ready(self, ReadyLanes *lanes) noexcept nogil
    cdef void _append(self, SafList *entries, SafHandle number) noexcept nogil
    cdef void _unlink(self, SafList *entries, SafHandle number) noexcept nogil
