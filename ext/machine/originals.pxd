"""What is asked of the journal (``Wanted``), what it knows (``Original``), and the choice among what may be meant."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.dialect.kinds cimport KIND_COMPLETION_VOID, KIND_PREAUTHORIZATION_VOID, KIND_REFUND_VOID, KIND_VOID
from switch.machine.original_reference cimport Naming
from switch.machine.request_record cimport RequestPart
from switch.machine.terminal_counts cimport TerminalCounts
from switch.machine.transaction cimport DeadlineList

cdef enum:
    LOOK_UPS_MAX = 2          # of one terminal at one time: those of others take their turns between them
    RECENT_MAX = 256
    REFERENCE_ROOM = 64       # characters of what names an original
    # Kinds that undo what they refer to.
    VOIDS = (1 << KIND_VOID | 1 << KIND_REFUND_VOID | 1 << KIND_PREAUTHORIZATION_VOID | 1 << KIND_COMPLETION_VOID)
    ANY_ORIGINAL = 0

cdef struct Reference:        # what was written down a short while ago, and has changed what stands of an original
    int64_t position
    int64_t original          # ANY_ORIGINAL: a void was taken back, and what it had undone counts again

cdef struct Referred:         # what the request that is being handled refers to
    bint is_answered          # it was looked for
    bint refers               # its kind has an original
    bint is_known
    int64_t position
    uint16_t link             # whose issuer knows it
    uint8_t size              # of ``data``
    uint8_t data[REFERENCE_ROOM]      # as its link's dialect names it
    uint8_t rrn[12]
    uint8_t authorization_code[6]     # zeros: none


cdef class Original


cdef class Inquiries:
    """What waits for an original to be looked up, and what follows when it is found or not."""
    cdef readonly uint32_t room               # requests that may wait at one time
    cdef readonly int64_t patience_ns         # a request waits no longer
    cdef readonly bint refuses_unknown        # what refers to an original that is not found
    cdef readonly bint refuses_excess         # what goes beyond its original
    cdef readonly int64_t completion_percent  # of a hold, that its completions may come to
    cdef readonly DeadlineList waiting        # transactions of requests
    cdef readonly uint32_t share_percent      # of the places that are free, for one terminal
    cdef TerminalCounts _terminals
    cdef readonly uint64_t serial             # of the last inquiry
    cdef Referred referred
    cdef Reference _recent[RECENT_MAX]
    cdef uint64_t _recent_count

    cdef bint has_share(self, uint64_t taken, uint64_t own) noexcept nogil
    """Whether somebody who has ``own`` of so many places that are taken may have one more."""
    cdef bint admits(self, uint32_t terminal) noexcept nogil
    """Whether one more request of a terminal may wait."""
    cdef void hold(self, uint32_t terminal) noexcept nogil
    cdef void let_go(self, uint32_t terminal) noexcept nogil
    cdef bint ask(self, uint32_t terminal) noexcept nogil
    """Take one of the few look-ups that a terminal may have at one time; whether there was one left."""
    cdef void note_answer(self, uint32_t terminal) noexcept nogil

    cdef int64_t _scanned_until_ns            # when what memory was gone through for is paid
    cdef bint may_scan(self, int64_t now_ns, uint32_t entries) noexcept nogil
    """Whether memory may be gone through now, ``entries`` of it; it takes no more than a tenth of the time for long."""
    cdef uint64_t next_serial(self) noexcept nogil
    cdef void note_reference(self, int64_t position, int64_t original) noexcept nogil
    """A request that refers to ``original``, or what takes that back, was written down."""
    cdef bint is_outdated(self, int64_t asked_at, Original original) noexcept
    """Whether something that changes what stands of an original, or of what that refers to, may have been written down
    behind ``asked_at``."""
    cdef bint _is_changed(self, int64_t asked_at, int64_t original) noexcept nogil


cdef class Wanted:
    """A look-up: made by the state machine, answered by whoever drives it."""
    cdef Naming naming
    cdef readonly int64_t asked_at        # the answer must know the journal up to this position
    cdef readonly uint32_t partition      # whose state machine wants it
    cdef readonly bint is_of_request      # a transaction waits for it; else an entry of the store of what is owed
    cdef uint32_t number          # of the entry or transaction
    cdef uint32_t terminal        # of the transaction
    cdef uint64_t serial          # of the inquiry: tells a reused entry from the one that asked
    cdef readonly object sought   # what a keeper asks of a request of this partition, a SoughtClaim; None: an original
    cdef object claim             # whoever of another partition wants it, an AskedClaim; None: it is of this one
    # What a claimant says of a CLAIM, a SaidState, where that CLAIM is wanted instead of an original; else None.
    cdef object said
    cdef object kept              # the CLAIM, a KeptClaim, when it was found


cdef class Original:
    """A transaction that others refer to, with what has become of it."""
    cdef RequestPart request
    cdef readonly int64_t position        # of its INTENT or ADVICE
    cdef readonly int64_t wall_us
    cdef int64_t elapsed_ns               # the same by the journal's own time, where the journal was asked
    cdef readonly str link                # its name
    cdef readonly bytes message           # as the link got it
    cdef uint8_t rrn[12]
    cdef uint8_t authorization_code[6]    # zeros: the issuer gave none
    cdef readonly int64_t approved_minor  # the part of it that the issuer approved; 0: all, or nothing
    cdef readonly bint is_advice          # its issuer was not asked, but is told of it
    cdef readonly bint is_unbooked        # an advice that its issuer has declined, or that an operator has given up
    cdef readonly bint has_ended
    cdef readonly bint is_approved
    cdef readonly bint is_taken_back      # a reversal of it is, or was, owed
    # What refers to it, and stands or may yet stand:
    cdef readonly uint32_t voids
    cdef readonly uint32_t completions
    cdef readonly int64_t completed_minor
    cdef readonly int64_t refunded_minor
    cdef readonly bint is_crowded         # more refers to it than is looked at
    cdef readonly bint is_undecided       # of what is counted something has not ended yet
    cdef readonly bint is_torn            # what became of it, and what refers to it, may stand where nobody could read
    # Where a reversal wants it, and it is one of VOIDS: what it undoes, with what that refers to; else None.
    cdef readonly Original referred_to

    cdef void count(self, int kind, int64_t amount_minor, int64_t approved_minor) noexcept nogil
    """Something of this kind and amount refers to it, stands, and is not undone itself; ``approved_minor`` is the part
    of it that was approved, 0 for all of it."""

    cdef bint is_referred(self) noexcept nogil
    """Whether something that stands, or may yet stand, refers to it."""

    cdef int64_t worth(self) noexcept nogil
    """What was approved of it."""

    cdef bint stands(self) noexcept nogil
    """Whether it was approved, or may still be, and nothing has taken it back."""


cdef class Choice:
    """The best of the candidates that were offered: of the same likeness the newest where nobody else can be meant,
    else the only one that stands."""
    cdef object _best             # whatever stands for it
    cdef int _likeness
    cdef int64_t _order
    cdef uint32_t _standing       # of the best sort, if that is not exact

    cdef int offer(self, object candidate, int likeness, bint stands, int64_t order) except -1
    cdef bint is_exact(self) noexcept
    cdef object chosen(self)
