"""The journal's seam: what the state machine writes down, and how far it is durable."""

cimport cython


cdef class Journal:
    """Base of every journal. A subclass writes the records; the state machine only sees positions."""

    cdef void attach(self, Calendar calendar, Registry registry):
        """The state machine says by which clock it lives and what its terminals' numbers mean."""

    def live(self, dict lives not None):
        """It has begun once more: these are its lives by their epochs, this one first."""
        self.lives = lives
        self.epoch, (self.life, self.began) = next(iter(lives.items()))

    def outlive(self, str why not None):
        """It is an older copy: nothing is decided by it any more, nothing written and nobody told."""
        self.outdated = self.outdated or why
        self.failed = True

    cpdef str why_outdated(self, uint64_t epoch, uint32_t life, int64_t position):
        """Why it is no successor of a journal that was heard of, in words; None where it is, or is the same.

        It is when it has had that life, and all that was durable in it: the next life began behind that.
        """
        if self.epoch == 0 or epoch == 0:
            return None
        if epoch > self.epoch:
            return f"epoch {epoch} was heard of, and this is {self.epoch}"
        if epoch in self.lives and self.lives[epoch][0] != life:
            return f"another journal was heard of in epoch {epoch}"
        later = [began for known, (_, began) in self.lives.items() if known > epoch]
        if later and position > later[-1]:
            return f"position {position} of epoch {epoch} was heard of, and it had {later[-1]} at most"
        return None

    cdef bint accepts(self) noexcept:
        """Whether new work may begin: there is room to write down all that it may need."""
        return not self.failed

    cdef bint has_room(self, uint64_t size) noexcept:
        """Whether records of ``size`` bytes find room just now; where nothing can be written any more nobody waits."""
        return True

    cdef int64_t newest(self) noexcept:
        """The position of the last record."""
        return self.durable

    cdef void kick(self) noexcept:
        """The loop's turn is over: what was written down in it may be made durable."""

    cdef int64_t intent(self, const Transaction *transaction, const Outcome *outcome) noexcept:
        """INTENT: the issuer is about to be asked; ``outcome`` is the request's entry of the duplicate window."""
        return POSITION_FAILED

    cdef int64_t outcome(self, const Outcome *outcome, int reason, const uint8_t *answer, uint32_t size,
                         const Detail *detail) noexcept:
        """OUTCOME: the terminal is about to be told ``answer``; ``detail`` says more on the reason, NULL nothing."""
        return POSITION_FAILED

    cdef int64_t reversal(self, const SafEntry *reversal) noexcept:
        """REVERSAL: from here on the switch owes the issuer this reversal."""
        return POSITION_FAILED

    cdef int64_t attempt(self, const SafEntry *entry) noexcept:
        """ATTEMPT: the reversal is sent once more; ``attempts`` counts this one."""
        return POSITION_FAILED

    cdef int64_t reversed(self, const SafEntry *entry, int reason) noexcept:
        """REVERSED: the issuer has acknowledged the reversal, or the advice."""
        return POSITION_FAILED

    cdef int64_t advice(self, const SafEntry *advice) noexcept:
        """ADVICE: the switch will owe the issuer this advice, from the OUTCOME on that follows."""
        return POSITION_FAILED

    cdef int64_t cancelled(self, int64_t advice, int64_t original, int cause) noexcept:
        """CANCELLED: the advice of that position is never sent; ``cause`` is a ``ReversalCause``."""
        return POSITION_FAILED

    cdef int64_t unfound(self, const SafEntry *reversal) noexcept:
        """UNFOUND: the issuer does not know what the reversal takes back, and will be asked again."""
        return POSITION_FAILED

    cdef int64_t claim(self, const ClaimPart *claim, int64_t original, int64_t undoes) noexcept:
        """CLAIM: a request of another partition refers to ``original``; ``undoes`` is what that refers to itself, where
        the request is a void and that a claim, else 0."""
        return POSITION_FAILED

    cdef int64_t claim_state(self, int64_t claim, int64_t original, int state, int64_t approved_minor) noexcept:
        """CLAIM_STATE: what has become of the request that a CLAIM is of; ``original`` is 0 where it is not known."""
        return POSITION_FAILED

    cdef int64_t refers(self, int64_t request, int64_t refers_to) noexcept:
        """REFERS: what begins at ``request`` was granted a claim when it had gone on without."""
        return POSITION_FAILED

    cdef int64_t ruled(self, int64_t request, const RuleWords *words) noexcept:
        """RULED: what a band of a rule says of the request that begins there, and goes on."""
        return POSITION_FAILED

    cdef int64_t numbers(self, const NumberBlock *block) noexcept:
        """NUMBERS: once it is durable, numbers of this block may be given."""
        return POSITION_FAILED

    cdef void delivered(self, int64_t position) noexcept:
        """DELIVERED: the answer that waited for ``position`` has left to its terminal. Nothing waits for it."""

    cdef int64_t late(self, int64_t intent, int reason, const uint8_t *authorization_code,
                      int64_t approved_minor) noexcept:
        """LATE: the issuer answered after the request had ended, and approved a part of it, or, 0, all or nothing."""
        return POSITION_FAILED

    cdef int64_t closed(self, const SafEntry *entry, bytes name, bytes reason) noexcept:
        """CLOSED: an operator gives up a reversal, which the issuer has not acknowledged."""
        return POSITION_FAILED


@cython.final
cdef class JournalOff(Journal):
    """Writes nothing, so nothing waits and nothing survives a crash; its positions only tell records apart."""

    cdef int64_t _count(self) noexcept:
        self._written += 1
        self.durable = self._written
        return self._written

    cdef int64_t intent(self, const Transaction *transaction, const Outcome *outcome) noexcept:
        return self._count()

    cdef int64_t outcome(self, const Outcome *outcome, int reason, const uint8_t *answer, uint32_t size,
                         const Detail *detail) noexcept:
        return self._count()

    cdef int64_t reversal(self, const SafEntry *reversal) noexcept:
        return self._count()

    cdef int64_t attempt(self, const SafEntry *entry) noexcept:
        return self._count()

    cdef int64_t reversed(self, const SafEntry *entry, int reason) noexcept:
        return self._count()

    cdef int64_t late(self, int64_t intent, int reason, const uint8_t *authorization_code,
                      int64_t approved_minor) noexcept:
        return self._count()

    cdef int64_t closed(self, const SafEntry *entry, bytes name, bytes reason) noexcept:
        return self._count()

    cdef int64_t advice(self, const SafEntry *advice) noexcept:
        return self._count()

    cdef int64_t cancelled(self, int64_t advice, int64_t original, int cause) noexcept:
        return self._count()

    cdef int64_t unfound(self, const SafEntry *reversal) noexcept:
        return self._count()

    cdef int64_t numbers(self, const NumberBlock *block) noexcept:
        return self._count()

    cdef int64_t claim(self, const ClaimPart *claim, int64_t original, int64_t undoes) noexcept:
        return self._count()

    cdef int64_t claim_state(self, int64_t claim, int64_t original, int state, int64_t approved_minor) noexcept:
        return self._count()

    cdef int64_t refers(self, int64_t request, int64_t refers_to) noexcept:
        return self._count()

    cdef int64_t ruled(self, int64_t request, const RuleWords *words) noexcept:
        return self._count()
