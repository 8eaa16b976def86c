"""Claims: what refers to an original of another partition, as both sides know it. Empty where there is one partition.

The *keeper* is the partition that has the original, the *claimant* the one whose request refers to it. The keeper
writes down who claims, before the claimant goes on; the claimant says what becomes of its request until the keeper has
noted it. What the keeper does not hear counts as open, and so as standing.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.machine.open_references cimport OpenReferences
from switch.machine.originals cimport REFERENCE_ROOM, VOIDS
from switch.machine.request_record cimport MERCHANT_BYTES, TERMINAL_BYTES
from switch.wire.fields cimport PAN_MAX, RRN_SIZE

cdef enum ClaimState:         # the numbers stand in the journal and in the mesh's records
    CLAIM_OPEN                # the request may be approved yet, or be taken back
    CLAIM_STANDS
    CLAIM_GONE                # it was declined, never sent, taken back or undone
    CLAIM_STATE_COUNT

cdef enum ClaimedFlags:
    CLAIMED_KNOWN = 1         # the original's issuer, and how it knows the original, are said
    CLAIMED_CERTAIN = 2       # where nothing was found: there is no such original
    CLAIMED_FINAL = 4         # the original refers to something itself: a void of it is not taken back any more
    CLAIMED_REMINDER = 8      # nobody has said yet what became of the request
    CLAIMED_FLAGS = 15
    CLAIMED_GRANTED = 0xFF    # as a reason

cdef enum:
    EVERYBODY = -1            # instead of one partition
    CLAIM_SHIFT = 48          # of the keeper's number in what a request of the claimant refers to
    CLAIM_FINAL_SHIFT = 62
    CLAIM_KEEPER_MASK = 0x7FF
    CLAIM_POSITION_MAX = 281_474_976_710_655      # 48 bits
    CLAIM_AMOUNT_MAX = 999_999_999_999            # n 12, as in field 4


cdef packed struct ClaimPart:         # who claims, and what for; one 40 bytes long in journal and mesh
    uint8_t terminal[TERMINAL_BYTES]
    uint64_t occasion
    int64_t amount_minor      # -1: none
    uint32_t stan
    uint32_t partition        # the claimant
    uint16_t currency         # ISO 4217, numeric; 0: none
    uint8_t message_class
    uint8_t kind
    uint32_t tag              # of card and reference number: tells it from another request of its natural key

cdef packed struct ClaimBody:
    ClaimPart claim
    uint8_t rrn[RRN_SIZE]     # of the original, as the terminal says it
    uint8_t merchant[MERCHANT_BYTES]
    uint8_t pan_digits
    uint8_t pan[PAN_MAX]
    uint8_t padding[1]

cdef packed struct ClaimedBody:
    ClaimPart claim
    int64_t position          # of the CLAIM in the keeper's journal; 0: it was not granted
    uint32_t keeper
    uint32_t age_s            # since it was granted, by the clock that says more
    uint16_t link
    uint8_t reason            # why it was not granted
    uint8_t flags             # ClaimedFlags
    uint8_t data_size
    uint8_t rrn[RRN_SIZE]
    uint8_t authorization_code[6]
    uint8_t data[REFERENCE_ROOM]      # as the link's dialect names the original
    uint8_t padding[1]

cdef packed struct ClaimStateBody:
    int64_t position          # of the CLAIM
    int64_t approved_minor    # the part that was approved; 0: all, or nothing
    uint32_t partition        # the claimant
    uint32_t number           # tells what is said now from what was said before
    uint8_t state             # ClaimState
    uint8_t reserved[7]

cdef packed struct ClaimNotedBody:
    int64_t position
    uint32_t keeper
    uint32_t number           # of what was noted


cdef inline int64_t claim_reference(uint32_t keeper, int64_t position, bint is_final) noexcept nogil:
    """What a request refers to whose original is another partition's: no position of its own journal is as high."""
    return (<int64_t>(is_final != 0) << CLAIM_FINAL_SHIFT) | <int64_t>(keeper + 1) << CLAIM_SHIFT | position


cdef inline bint is_claim(int64_t refers_to) noexcept nogil:
    return refers_to >> CLAIM_SHIFT != 0


cdef inline bint is_same_claim(int64_t refers_to, int64_t other) noexcept nogil:
    """Whether two requests refer to one claim; a keeper that asks does not know for sure if that is final."""
    return (refers_to ^ other) & ~(<int64_t>1 << CLAIM_FINAL_SHIFT) == 0 and refers_to != 0


cdef inline bint is_final_claim(int64_t refers_to) noexcept nogil:
    """Whether the original refers to something itself."""
    return refers_to >> CLAIM_FINAL_SHIFT & 1


cdef inline int64_t undone_claim(int kind, int64_t refers_to) noexcept nogil:
    """The claim that a request sets free when it stands: it is a void, and what it voids refers to that; 0: none."""
    return refers_to if VOIDS >> kind & 1 and is_claim(refers_to) else 0


cdef inline uint32_t claim_keeper(int64_t refers_to) noexcept nogil:
    return <uint32_t>(refers_to >> CLAIM_SHIFT & CLAIM_KEEPER_MASK) - 1


cdef inline int64_t claim_position(int64_t refers_to) noexcept nogil:
    """Of the CLAIM in the keeper's journal."""
    return refers_to & ((<int64_t>1 << CLAIM_SHIFT) - 1)


cdef class KeptClaim:
    """A keeper's."""
    cdef ClaimPart part
    cdef int64_t position
    cdef int64_t original     # its position
    cdef int64_t undoes       # what the original refers to, where that is a claim, and this one is of a void; else 0
    cdef int64_t approved_minor
    cdef int64_t elapsed_ns   # when it was granted, by the journal's own time
    cdef int64_t wall_us
    cdef int64_t written_at   # position of the record that says its state
    cdef int64_t again_ns     # when its claimant is asked the next time what became of it
    cdef int state


cdef class SoughtClaim:
    """A claimant's: its keeper asks what became of the request, and only the journal knows."""
    cdef ClaimedBody body
    cdef int64_t refers_to    # of the request
    cdef int64_t asked_at
    cdef bint is_asked        # whoever looks originals up has it to do
    # What the journal says:
    cdef int64_t request      # position of the INTENT or ADVICE; 0: there is none
    cdef int64_t known_as     # what that refers to; 0: it went on without its claim
    cdef int64_t approved_minor
    cdef int state            # ClaimState


cdef class Asker:
    """Who has asked a keeper: a terminal of another partition, or all that are not known here together."""
    cdef bytes name
    cdef uint32_t waiting     # claims
    cdef uint32_t looked_up   # of these, just now


cdef class AskedClaim:
    """A keeper's: its original is looked up."""
    cdef ClaimBody body
    cdef Asker asker
    cdef bytes wish           # what is claimed, whoever claims it
    cdef int64_t asked_at
    cdef bint is_asked        # whoever looks originals up has it to do


cdef class SaidState:
    """What a claimant says of a claim that memory does not know: the journal is asked whose it is. A keeper's."""
    cdef ClaimStateBody body
    cdef int64_t asked_at
    cdef bint is_asked


cdef class ClaimAnswer:
    """A keeper's: it leaves when the journal is durable so far."""
    cdef ClaimedBody body
    cdef int64_t position


cdef class Claiming:
    """A claimant's request that waits for a keeper."""
    cdef ClaimBody body
    cdef uint32_t keeper
    cdef uint64_t serial      # of the inquiry
    cdef bint is_certain      # nothing was found here for certain
    cdef bint is_sent
    cdef bint is_away         # its keeper is not there
    cdef int64_t again_ns     # when it is sent once more: its keeper may have had no room


cdef class SaidClaim:
    """A claimant's: what its keeper has not noted yet."""
    cdef int64_t approved_minor
    cdef uint32_t number
    cdef int state
    cdef bint is_sent


cdef class Claims:
    """Of one partition."""
    cdef readonly uint32_t partition
    cdef readonly uint32_t partitions         # of the whole switch
    cdef readonly uint32_t room               # claims that are kept, at most
    # As a keeper.
    cdef readonly dict kept                   # KeptClaim by position
    cdef dict by_original                     # lists of these by the original's position
    cdef OpenReferences referring             # originals of those that are open; None: there was none yet
    cdef readonly dict open                   # those that are, by position, in the order in which they are asked for
    cdef readonly dict asked                  # AskedClaim by ``key_of``
    cdef readonly dict askers                 # Asker by name
    cdef readonly dict unknown                # SaidState by claimant and position
    cdef list answers                         # ClaimAnswer
    cdef list noted                           # tuples: what must be durable before, claimant, position, number
    # As a claimant.
    cdef readonly dict wanted                 # Claiming by transaction
    cdef readonly dict said                   # SaidClaim by what its request refers to
    # By what it refers to: outcome, serial, whether it may stand, and what must be durable before anything is said.
    cdef dict followed
    cdef dict undoing                         # by outcome of a void: its serial, and what its original refers to
    cdef readonly dict sought                 # SoughtClaim by what its request refers to
    cdef bint lacks_requests                  # some were read back that the duplicate window does not have
    cdef set owed                             # what requests refer to whose reversals are owed
    cdef uint32_t _number
    cdef bint _is_on
    cdef int64_t next_look_ns
    cdef int64_t next_telling_ns
    cdef int64_t next_reminder_ns

    cdef bint _has(self, uint32_t keeper) noexcept nogil
    cdef bint is_on(self) noexcept nogil
    """Whether there are, or were, other partitions."""
    cdef bytes key_of(self, const ClaimPart *part)
    """What names a claim: the request's natural key."""
    cdef Asker asker(self, bytes name)
    """Somebody who has a claim waiting, or is going to have one: ``hold`` keeps it."""
    cdef void hold(self, AskedClaim asked) noexcept
    """It waits from now on."""
    cdef void let_go(self, AskedClaim asked) noexcept
    cdef KeptClaim keep(self, const ClaimPart *part, int64_t position, int64_t original, int64_t undoes)
    """A claim that was written down; open."""
    cdef void note(self, KeptClaim claim, int state, int64_t approved_minor, int64_t position) noexcept
    """It was written down at ``position`` what became of it."""
    cdef void forget(self, KeptClaim claim) noexcept
    cdef void forget_ended(self, int64_t since_elapsed_ns) noexcept
    """Forget what was granted before a moment of the journal's own time, and has ended."""
    cdef KeptClaim same(self, const ClaimPart *part, int64_t original, int64_t since_elapsed_ns, int64_t since_wall_us)
    """An open claim of the same request on the same original, granted after these moments by both clocks; None when
    there is none."""
    cdef void ask_again(self, uint32_t claimant) noexcept
    """A claimant is there once more: it is asked next what became of its requests."""
    cdef list on(self, int64_t original)
    """The claims on an original that are not gone."""
    cdef int ties(self, int64_t original) noexcept
    """What stands, or may yet stand, because of claims on an original: a ``Ties``."""
    cdef void say(self, int64_t refers_to, int state, int64_t approved_minor) noexcept
    """The keeper is to know what became of a request."""
    cdef void say_again(self, int keeper) noexcept
    """All that a keeper, or EVERYBODY, has not noted, and what waits for it, is said once more."""
    cdef void follow(self, int64_t refers_to, uint32_t outcome, uint32_t serial) noexcept
    """A request refers to a claim: what becomes of it is to be said."""
    cdef void note_undoing(self, int64_t refers_to, uint32_t outcome, uint32_t serial) noexcept
    """A void is under way of what refers to a claim."""
    cdef void note_owed(self, int64_t refers_to) noexcept
    """The reversal of something that refers to a claim is owed."""
    cdef void note_closed(self, int64_t refers_to) noexcept
    """An operator has given up that reversal: whether it stands, only he knows."""
