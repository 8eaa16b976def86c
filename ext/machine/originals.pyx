"""What is asked of the journal, what it knows, and the choice among what may be meant."""

cimport cython
from switch.base.invariant cimport ensure
from switch.dialect.kinds cimport KIND_COMPLETION, KIND_REFUND
from switch.machine.original_reference cimport LIKE_EXACT, LIKE_LOOSE, LIKE_NOT
from switch.machine.terminal_counts cimport TerminalCount, share_of


cdef enum:
    ENTRY_SCAN_NS = 50
    SCAN_SHARE = 10           # one part in so many of the time
    SCANS_AHEAD_NS = 1_000_000_000
    SHARE_LEAST = 4           # places that a terminal may have, however few are free


@cython.final
cdef class Inquiries:
    """Empty when it is made.

    Args:
        room: Requests that may wait for their original at one time.
        terminals: Where what terminals hold is counted.
        share_percent: Of the places that are free, those that one terminal may have; 100: all of them.
        patience_ms: How long one waits at most.
        refuses_unknown: Refuse a request whose original is not found, instead of sending it as its terminal says it.
        refuses_excess: Refuse a request that goes beyond its original.
        completion_percent: How much of a hold its completions may come to.
    """

    def __init__(self, *, TerminalCounts terminals not None, uint32_t room=1_000, uint32_t share_percent=100,
                 double patience_ms=5_000, bint refuses_unknown=False, bint refuses_excess=True,
                 int64_t completion_percent=115):
        self._terminals = terminals
        self.room = room
        self.share_percent = share_percent
        self.patience_ns = <int64_t>(patience_ms * 1e6)
        self.refuses_unknown = refuses_unknown
        self.refuses_excess = refuses_excess
        self.completion_percent = completion_percent
        self.waiting = DeadlineList()

    cdef bint has_share(self, uint64_t taken, uint64_t own) noexcept nogil:
        return taken < self.room and own < share_of(self.room - taken, self.share_percent, SHARE_LEAST)

    cdef bint admits(self, uint32_t terminal) noexcept nogil:
        # Those of terminals that are nobody's are counted together only.
        return self.has_share(self.waiting.count,
                              self._terminals.of[terminal].waiting if terminal < self._terminals.count else 0)

    cdef void hold(self, uint32_t terminal) noexcept nogil:
        cdef TerminalCount *count = &self._terminals.of[terminal]
        if terminal < self._terminals.count:
            count.waiting += 1

    cdef void let_go(self, uint32_t terminal) noexcept nogil:
        cdef TerminalCount *count = &self._terminals.of[terminal]
        if terminal < self._terminals.count:
            ensure(count.waiting > 0, b"a request that waited for its original is counted")
            count.waiting -= 1

    cdef bint ask(self, uint32_t terminal) noexcept nogil:
        cdef TerminalCount *count = &self._terminals.of[terminal]
        if terminal >= self._terminals.count:
            return True
        if count.looked_up >= LOOK_UPS_MAX:
            return False
        count.looked_up += 1
        return True

    cdef void note_answer(self, uint32_t terminal) noexcept nogil:
        cdef TerminalCount *count = &self._terminals.of[terminal]
        if terminal < self._terminals.count and count.looked_up:
            count.looked_up -= 1

    cdef bint may_scan(self, int64_t now_ns, uint32_t entries) noexcept nogil:
        if self._scanned_until_ns > now_ns + SCANS_AHEAD_NS:
            return False
        self._scanned_until_ns = max(self._scanned_until_ns, now_ns) + <int64_t>entries * ENTRY_SCAN_NS * SCAN_SHARE
        return True

    cdef uint64_t next_serial(self) noexcept nogil:
        self.serial += 1
        return self.serial

    cdef void note_reference(self, int64_t position, int64_t original) noexcept nogil:
        self._recent[self._recent_count % RECENT_MAX].position = position
        self._recent[self._recent_count % RECENT_MAX].original = original
        self._recent_count += 1

    cdef bint is_outdated(self, int64_t asked_at, Original original) noexcept:
        while original is not None:
            if self._is_changed(asked_at, original.position):
                return True
            original = original.referred_to
        return False

    cdef bint _is_changed(self, int64_t asked_at, int64_t original) noexcept nogil:
        cdef uint64_t kept = min(self._recent_count, <uint64_t>RECENT_MAX)
        cdef const Reference *reference
        cdef uint64_t i
        if kept == RECENT_MAX and self._recent[self._recent_count % RECENT_MAX].position > asked_at:
            return True                   # there were so many that some are not known any more
        for i in range(kept):
            reference = &self._recent[i]
            if reference.original in (original, ANY_ORIGINAL) and reference.position > asked_at:
                return True
        return False


@cython.final
cdef class Wanted:
    """A look-up that waits for its answer."""


@cython.final
cdef class Original:
    """Made by whoever finds it."""

    cdef void count(self, int kind, int64_t amount_minor, int64_t approved_minor) noexcept nogil:
        cdef int64_t worth_minor = approved_minor if approved_minor else amount_minor
        if kind == KIND_REFUND:
            self.refunded_minor += worth_minor
        elif kind == KIND_COMPLETION:
            self.completions += 1
            self.completed_minor += worth_minor
        elif VOIDS >> kind & 1:
            self.voids += 1

    cdef bint is_referred(self) noexcept nogil:
        return (self.voids != 0 or self.completions != 0 or self.completed_minor != 0 or self.refunded_minor != 0
                or self.is_crowded)

    cdef int64_t worth(self) noexcept nogil:
        return self.approved_minor if self.approved_minor else self.request.amount_minor

    cdef bint stands(self) noexcept nogil:
        return not self.is_taken_back and (self.is_approved or not self.has_ended)


@cython.final
cdef class Choice:
    """Empty when it is made."""

    cdef int offer(self, object candidate, int likeness, bint stands, int64_t order) except -1:
        # What is only loosely alike, and does not stand, is not what is meant: the issuer may know better.
        if likeness == LIKE_NOT or (likeness < LIKE_EXACT and not stands):
            return 0
        if likeness < LIKE_EXACT and self._best is not None and self._likeness < LIKE_EXACT:
            if (likeness >= LIKE_LOOSE) == (self._likeness >= LIKE_LOOSE):
                self._standing += 1
        if self._best is None or likeness > self._likeness or (likeness == self._likeness and order > self._order):
            if self._best is None or (likeness >= LIKE_LOOSE) != (self._likeness >= LIKE_LOOSE):
                self._standing = 1
            self._best = candidate
            self._likeness = likeness
            self._order = order
        return 0

    cdef bint is_exact(self) noexcept:
        return self._best is not None and self._likeness >= LIKE_EXACT

    cdef object chosen(self):
        """None when there is none, or more than one may be meant."""
        if self._best is None or (self._likeness < LIKE_EXACT and self._standing > 1):
            return None
        return self._best
