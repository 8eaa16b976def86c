"""Claims: what refers to an original of another partition, as both sides know it."""

cimport cython
from libc.string cimport memcmp
from switch.base.invariant cimport ensure
from switch.machine.duplicate cimport TIES_NONE, TIES_OPEN, TIES_STAND

CLAIM_STATES = ("open", "stands", "gone")
"""Names by number."""


@cython.final
cdef class KeptClaim:
    """Made by ``Claims.keep``."""


@cython.final
cdef class SoughtClaim:
    """Made where a keeper asks."""


@cython.final
cdef class Asker:
    """Made by ``Claims.asker``."""


@cython.final
cdef class AskedClaim:
    """A look-up for another partition."""


@cython.final
cdef class SaidState:
    """Made where it is said."""


@cython.final
cdef class ClaimAnswer:
    """Made where a claim is decided."""


@cython.final
cdef class Claiming:
    """Made where a request begins to wait."""


@cython.final
cdef class SaidClaim:
    """Made by ``Claims.say``."""


@cython.final
cdef class Claims:
    """Empty when it is made.

    Args:
        partition: Whose they are.
        partitions: Of the whole switch.
        room: Claims of others that are kept at one time.
    """

    def __init__(self, uint32_t partition=0, uint32_t partitions=1, uint32_t room=1):
        self.partition = partition
        self.partitions = partitions
        self.room = room
        self.kept, self.by_original, self.asked, self.unknown = {}, {}, {}, {}
        self.answers, self.noted, self.askers = [], [], {}
        self._is_on = partitions > 1
        self.wanted, self.said, self.followed, self.undoing = {}, {}, {}, {}
        self.owed, self.sought, self.open = set(), {}, {}

    cdef bint is_on(self) noexcept nogil:
        return self._is_on

    # --- as a keeper ----------------------------------------------------------------------------------------------

    cdef bytes key_of(self, const ClaimPart *part):
        return (part.terminal[:TERMINAL_BYTES] + (<const char *>&part.occasion)[:sizeof(part.occasion)]
                + (<const char *>&part.stan)[:sizeof(part.stan)] + bytes([part.message_class]))

    cdef Asker asker(self, bytes name):
        cdef Asker asker = self.askers.get(name)
        if asker is None:
            asker = Asker.__new__(Asker)
            asker.name = name
        return asker

    cdef void hold(self, AskedClaim asked) noexcept:
        self.asked[self.key_of(&asked.body.claim)] = asked
        self.askers[asked.asker.name] = asked.asker
        asked.asker.waiting += 1

    cdef void let_go(self, AskedClaim asked) noexcept:
        del self.asked[self.key_of(&asked.body.claim)]
        ensure(asked.asker.waiting > 0, b"a claim that waits is counted")
        asked.asker.waiting -= 1
        if asked.asker.waiting == 0:
            del self.askers[asked.asker.name]

    cdef KeptClaim keep(self, const ClaimPart *part, int64_t position, int64_t original, int64_t undoes):
        cdef KeptClaim claim = KeptClaim.__new__(KeptClaim)
        claim.part = part[0]
        claim.position = claim.written_at = position
        claim.original = original
        claim.undoes = undoes
        claim.state = CLAIM_OPEN
        self._is_on = True            # also of a time in which there were several partitions
        if self.referring is None:
            self.referring = OpenReferences(self.room)
        self.kept[position] = claim
        self.by_original.setdefault(original, []).append(claim)
        self.referring.begin(original)
        self.open[position] = claim
        return claim

    cdef void note(self, KeptClaim claim, int state, int64_t approved_minor, int64_t position) noexcept:
        if (claim.state == CLAIM_OPEN) != (state == CLAIM_OPEN):
            if state == CLAIM_OPEN:
                self.referring.begin(claim.original)
                self.open[claim.position] = claim
            else:
                self.referring.end(claim.original)
                del self.open[claim.position]
        claim.state = state
        claim.approved_minor = approved_minor
        claim.written_at = position

    cdef void forget(self, KeptClaim claim) noexcept:
        cdef list others = self.by_original[claim.original]
        ensure(claim.state != CLAIM_OPEN, b"a claim that is open is not forgotten")
        del self.kept[claim.position]
        others.remove(claim)
        if not others:
            del self.by_original[claim.original]

    cdef void forget_ended(self, int64_t since_elapsed_ns) noexcept:
        cdef KeptClaim claim
        for claim in list(self.kept.values()):
            if claim.state != CLAIM_OPEN and claim.elapsed_ns < since_elapsed_ns:
                self.forget(claim)

    cdef KeptClaim same(self, const ClaimPart *part, int64_t original, int64_t since_elapsed_ns, int64_t since_wall_us):
        cdef KeptClaim claim
        for claim in self.by_original.get(original, ()):
            # An older one may be of another request: the claimant knows that one no more.
            if (claim.state == CLAIM_OPEN and memcmp(&claim.part, part, sizeof(ClaimPart)) == 0
                    and claim.elapsed_ns >= since_elapsed_ns and claim.wall_us >= since_wall_us):
                return claim
        return None

    cdef void ask_again(self, uint32_t claimant) noexcept:
        cdef KeptClaim claim
        cdef dict others = self.open
        self.open = {}
        for claim in others.values():
            if claim.part.partition == claimant:
                claim.again_ns = 0
                self.open[claim.position] = claim
        for claim in others.values():
            self.open.setdefault(claim.position, claim)

    cdef list on(self, int64_t original):
        cdef KeptClaim claim
        return [claim for claim in self.by_original.get(original, ()) if claim.state != CLAIM_GONE]

    cdef int ties(self, int64_t original) noexcept:
        cdef KeptClaim claim
        cdef int found = TIES_NONE
        for claim in self.on(original):
            found = max(found, TIES_OPEN if claim.state == CLAIM_OPEN else TIES_STAND)
        return found

    # --- as a claimant --------------------------------------------------------------------------------------------

    cdef bint _has(self, uint32_t keeper) noexcept nogil:
        """Whether there is such a partition: it may be of before the number of partitions was changed."""
        return self._is_on and keeper < self.partitions

    cdef void say(self, int64_t refers_to, int state, int64_t approved_minor) noexcept:
        cdef SaidClaim said = self.said.get(refers_to)
        if not self._has(claim_keeper(refers_to)) or (said is None and len(self.said) >= self.room):
            return                        # it counts as open, and its keeper, if it is there, asks again
        if said is None:
            said = self.said[refers_to] = SaidClaim.__new__(SaidClaim)
        elif said.state == state and said.approved_minor == approved_minor:
            return
        self._number += 1
        said.number = self._number
        said.state = state
        said.approved_minor = approved_minor
        said.is_sent = False

    cdef void say_again(self, int keeper) noexcept:
        cdef SaidClaim said
        cdef Claiming claiming
        for refers_to, said in self.said.items():
            if keeper == EVERYBODY or claim_keeper(refers_to) == <uint32_t>keeper:
                said.is_sent = False
        for claiming in self.wanted.values():
            if keeper == EVERYBODY or claiming.keeper == <uint32_t>keeper:
                claiming.is_sent = False

    cdef void follow(self, int64_t refers_to, uint32_t outcome, uint32_t serial) noexcept:
        if self._has(claim_keeper(refers_to)) and self.followed.get(refers_to, ())[:2] != (outcome, serial):
            self.followed[refers_to] = (outcome, serial, False, 0)

    cdef void note_undoing(self, int64_t refers_to, uint32_t outcome, uint32_t serial) noexcept:
        if self._has(claim_keeper(refers_to)):
            self.undoing[outcome] = (serial, refers_to)

    cdef void note_owed(self, int64_t refers_to) noexcept:
        if self._has(claim_keeper(refers_to)):
            self.owed.add(refers_to)
        self.say(refers_to, CLAIM_OPEN, 0)

    cdef void note_closed(self, int64_t refers_to) noexcept:
        self.owed.discard(refers_to)
        self.say(refers_to, CLAIM_OPEN, 0)
