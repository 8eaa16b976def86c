"""The journal's records: little-endian structures, followed by the bytes of a message. ``docs/journal.md`` lists them.

A record names a transaction by the position of its INTENT and a reversal by the position of its REVERSAL. Links and
listeners are numbers whose meaning stands at the beginning of each segment; terminals and merchants are written out.

ADVICE takes the place of INTENT where no issuer was asked: a terminal's advice, or an approval by stand-in. Its OUTCOME
follows it and names it as ``intent``; without that OUTCOME nobody was told anything, and the ADVICE is void. From there
on it is sent like a reversal: ATTEMPT and REVERSED name it as ``reversal``, REVERSED with what the issuer said to it
(APPROVED or DUPLICATE: it took note; any other reason: it declines, and the acquirer bears the amount). CANCELLED ends
an ADVICE that was never sent, since its payment was taken back; a REVERSAL whose ``original`` is the ADVICE follows one
that may have been sent. So the verdict "approved by stand-in, the issuer was told at T and said R" is OUTCOME with
FLAG_STAND_IN, and the REVERSED whose ``original`` is its ``intent``; "not told yet, attempt n" is the same without
REVERSED, n from the last ATTEMPT. An ADVICE that was written once more has ``replaces`` and ``original``, as a REVERSAL
has; requests, OUTCOMEs and REVERSALs go on to name the first one.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t
from switch.machine.claims cimport ClaimPart
from switch.machine.duplicate cimport Outcome
from switch.machine.journal_interface cimport Detail
from switch.machine.numbering cimport NumberBlock
from switch.machine.request_record cimport PAN_PACKED_BYTES, RequestPart
from switch.machine.saf_store cimport SafEntry
from switch.machine.transaction cimport NaturalKey, Transaction
from switch.tables.registry cimport Registry
from switch.tables.rules cimport RuleWords

cdef enum:
    RECORD_BYTES_MAX = 1 << 18        # above every message that a frame may hold
    DELIVERED_MAX = 4096              # positions in one DELIVERED

cdef enum RecordType:
    RECORD_INTENT = 1
    RECORD_OUTCOME
    RECORD_REVERSAL
    RECORD_ATTEMPT
    RECORD_REVERSED
    RECORD_DELIVERED
    RECORD_LATE
    RECORD_CLOSED
    RECORD_ADVICE = 9
    RECORD_CANCELLED
    RECORD_UNFOUND
    RECORD_NUMBERS
    RECORD_CLAIM
    RECORD_CLAIM_STATE
    RECORD_REFERS = 15
    RECORD_RULED = 16

cdef enum OutcomeFlags:
    FLAG_APPROVED = 1
    FLAG_REVERSED = 2         # a reversal of it is stored
    FLAG_STAND_IN = 4         # the stand-in rule of the link approved it, no issuer
    FLAG_DETAIL = 8           # a DetailPart precedes the answer
    FLAG_RULE = 16            # a RulePart and its words do, behind that

cdef enum ReversalFlags:
    REVERSAL_UNBOOKED = 1     # its original was approved here, and its issuer had not taken note of that
    REVERSAL_REFERS = 2       # the position of what its original refers to follows
    REVERSAL_APPROVED = 4     # its issuer had approved its original late

cdef enum AdviceFlags:
    ADVICE_STAND_IN = 1       # of an approval by stand-in; else a terminal sent the advice


cdef packed struct RecordHead:
    uint32_t size             # of the whole record
    uint8_t type
    uint8_t elapsed[3]        # the journal's own time, as ``stamp_record`` writes it; zeros: not known
    int64_t wall_us           # since 1970, as the machine's clock had it

cdef packed struct IntentPart:
    uint32_t stan             # ours, on the link
    uint16_t link
    uint8_t rrn[12]
    uint8_t transmission_time[10]
    uint32_t sent_size        # the message as the link got it, sensitive fields blanked, follows

cdef packed struct OutcomePart:
    int64_t intent            # of the INTENT or ADVICE; 0: there is none, and a RequestPart follows
    uint16_t link
    uint8_t reason
    uint8_t flags
    uint8_t rrn[12]
    uint8_t authorization_code[6]     # zeros: none
    uint8_t mismatch          # field by which an answer was not to it, MISMATCH_NOTHING for none that it repeats; 0
    uint8_t approved_size     # 8: the approved amount, which is a part of the requested one, follows; 0
    uint32_t answer_size      # the answer as the terminal gets it follows, behind what else there is

cdef packed struct DetailPart:        # behind the RequestPart where there is one
    uint8_t code[4]           # the issuer's response code; zeros: none
    uint8_t fault             # FaultCode; FAULT_NONE: none
    uint8_t of_link           # the fault is in the link's message, else in the listener's
    int16_t field             # FIELD_TYPE and the like below 1
    uint32_t position         # byte, from the start of the message
    uint32_t needed
    uint32_t available

cdef packed struct RulePart:  # the rule of risk control that refused it; what it says follows, in UTF-8
    uint8_t id_size           # identifier, @ and version
    uint8_t reason_size       # for people
    uint8_t source_size       # of a legal limit: where it is laid down

cdef packed struct ReversalPart:
    int64_t original          # position of the INTENT that it takes back; 0: not known here
    int64_t replaces          # position of its REVERSAL before this one; 0: this is the first
    uint32_t stan             # 0: its original's
    uint32_t attempts
    uint16_t link
    uint16_t listener         # whose terminal sent the source; NO_LISTENER: the source is what the link was sent
    uint8_t pan_digits
    uint8_t pan[PAN_PACKED_BYTES]
    uint8_t rrn[12]
    uint8_t authorization_code[6]
    uint8_t cause             # ReversalCause
    uint8_t flags             # ReversalFlags
    uint8_t unfound           # how often its issuer did not find its original before this was written; 255: or more
    uint32_t source_size      # what attempts are composed from follows, behind what else there is

cdef packed struct AttemptPart:
    int64_t reversal
    uint32_t attempts         # this one included

cdef packed struct ReversedPart:
    int64_t reversal
    int64_t original
    uint8_t reason            # the issuer's

cdef packed struct DeliveredPart:
    int64_t first             # the first answer's position: of the record that it waited for, OUTCOME or REVERSAL
    uint32_t count            # of answers
    uint32_t size             # of what follows: the way from each position to the next, zigzag, 7 bits a byte

cdef packed struct LatePart:
    int64_t intent            # position of the INTENT that the issuer answers too late
    uint8_t reason            # the issuer's
    uint8_t authorization_code[6]     # zeros: none
    uint8_t approved_size     # 8: the approved amount, which is a part of the requested one, follows; 0

cdef packed struct ClosedPart:
    int64_t reversal
    int64_t original
    uint8_t operator_size     # UTF-8; the operator's name and the reason follow
    uint8_t reason_size

cdef packed struct AdvicePart:        # behind a RequestPart
    int64_t original          # position of the first ADVICE; 0: this is the first
    int64_t replaces          # position of its ADVICE before this one; 0: this is the first
    uint32_t stan             # ours, on the link; the same in every attempt
    uint32_t attempts
    uint16_t link
    uint8_t flags             # AdviceFlags
    uint8_t rrn[12]
    uint8_t authorization_code[6]     # ours, by stand-in, or what the terminal's advice says; zeros: none
    uint8_t reserved[3]
    uint32_t source_size      # the advice as the link gets it, without MAC, follows

cdef packed struct CancelledPart:
    int64_t advice            # or a REVERSAL, whose original was found
    int64_t original          # position of its first ADVICE; or of what the REVERSAL would take back
    # ReversalCause: CAUSE_UNTOLD, CAUSE_TERMINAL; void: CAUSE_RESTART and CAUSE_UNUSABLE; of a REVERSAL CAUSE_SETTLED
    # and CAUSE_WITHHELD
    uint8_t cause

cdef packed struct UnfoundPart:       # the issuer does not know the original, which may still be booked
    int64_t reversal
    int64_t original
    uint32_t times            # this one included
    uint32_t left_s           # for so long the original may still be booked
    uint8_t reserved[8]

cdef packed struct NumbersPart:       # written ahead: what is given before the next NUMBERS stays below
    uint64_t reserved_to      # the first number that may not be given yet
    int32_t day_max           # no later day stands in a reference number so far; days since 1970
    int32_t day_floor         # nor an earlier one from here on
    uint16_t instance         # whose numbers they are
    uint8_t reserved[6]

cdef packed struct ClaimedPart:       # behind a ClaimPart
    int64_t original          # position of the INTENT or ADVICE that a request of another partition refers to
    int64_t undoes            # what that refers to itself, where the request is a void and that a claim; else 0

cdef packed struct ClaimStatePart:
    int64_t claim             # position of the CLAIM
    int64_t original          # as there; 0: not known
    int64_t approved_minor    # the part that was approved; 0: all, or nothing
    uint8_t state             # ClaimState

cdef packed struct RefersPart:        # the request was granted a claim when it had gone on without
    int64_t request           # position of its INTENT or ADVICE
    int64_t refers_to         # as in a RequestPart

cdef packed struct RuledPart:         # a band of a rule let the request go on, and raises a case; a RulePart follows
    int64_t request           # position of its INTENT or ADVICE

cdef struct Record:           # one record, read: the parts that its type has
    int64_t position
    const uint8_t *data       # all of its bytes
    RecordHead head
    bint has_request
    RequestPart request
    IntentPart intent
    OutcomePart outcome
    bint has_detail
    DetailPart detail
    bint has_rule
    RulePart rule
    const uint8_t *rule_words
    int64_t approved_minor    # of an OUTCOME or LATE; 0: all that was asked, or nothing
    ReversalPart reversal
    int64_t reversal_refers_to        # position of the INTENT or ADVICE that its original refers to; 0: not known
    AttemptPart attempt
    ReversedPart reversed
    DeliveredPart delivered
    LatePart late
    ClosedPart closed
    AdvicePart advice
    CancelledPart cancelled
    UnfoundPart unfound
    NumbersPart numbers
    ClaimPart claim
    ClaimedPart claimed
    ClaimStatePart claim_state
    RefersPart refers
    RuledPart ruled
    const uint8_t *message    # sent message, answer, source, or what else follows the parts
    uint32_t message_size

cdef inline uint32_t rule_words_size(const RulePart *rule) noexcept nogil:
    return <uint32_t>rule.id_size + rule.reason_size + rule.source_size


cdef int write_intent(uint8_t *out, uint64_t room, Registry registry, const Transaction *transaction,
                      const Outcome *outcome, int64_t wall_us) noexcept nogil
"""Each writes one record and gives its size, or -1 when there is less room."""
cdef int write_outcome(uint8_t *out, uint64_t room, Registry registry, const Outcome *outcome, int reason,
                       const uint8_t *answer, uint32_t size, const Detail *detail, int64_t wall_us) noexcept nogil
cdef int write_reversal(uint8_t *out, uint64_t room, const SafEntry *reversal, int64_t wall_us) noexcept nogil
cdef int write_attempt(uint8_t *out, uint64_t room, const SafEntry *entry, int64_t wall_us) noexcept nogil
cdef int write_reversed(uint8_t *out, uint64_t room, const SafEntry *entry, int reason,
                        int64_t wall_us) noexcept nogil
cdef int write_advice(uint8_t *out, uint64_t room, const SafEntry *advice, int64_t wall_us) noexcept nogil
cdef int write_cancelled(uint8_t *out, uint64_t room, int64_t advice, int64_t original, int cause,
                         int64_t wall_us) noexcept nogil
cdef int write_unfound(uint8_t *out, uint64_t room, const SafEntry *reversal, int64_t now_ns,
                       int64_t wall_us) noexcept nogil
cdef int write_numbers(uint8_t *out, uint64_t room, const NumberBlock *block, int64_t wall_us) noexcept nogil
cdef int write_claim(uint8_t *out, uint64_t room, const ClaimPart *claim, int64_t original, int64_t undoes,
                     int64_t wall_us) noexcept nogil
cdef int write_claim_state(uint8_t *out, uint64_t room, int64_t claim, int64_t original, int state,
                           int64_t approved_minor, int64_t wall_us) noexcept nogil
cdef int write_refers(uint8_t *out, uint64_t room, int64_t request, int64_t refers_to, int64_t wall_us) noexcept nogil
cdef int write_ruled(uint8_t *out, uint64_t room, int64_t request, const RuleWords *words,
                     int64_t wall_us) noexcept nogil
cdef int write_delivered(uint8_t *out, uint64_t room, const int64_t *positions, uint32_t count,
                         int64_t wall_us) noexcept nogil
cdef int write_late(uint8_t *out, uint64_t room, int64_t intent, int reason, const uint8_t *authorization_code,
                    int64_t approved_minor, int64_t wall_us) noexcept nogil
cdef int write_closed(uint8_t *out, uint64_t room, const SafEntry *entry, const uint8_t *name, uint8_t name_size,
                      const uint8_t *reason, uint8_t reason_size, int64_t wall_us) noexcept nogil

cdef int64_t next_delivered(const uint8_t **at, const uint8_t *end, int64_t before) noexcept nogil
"""The position that follows ``before`` in a DELIVERED record, and the place behind it; 0 when there is none."""

cdef list positions_of(const Record *record)

cdef int read_record(const uint8_t *data, uint64_t left, Record *record) noexcept nogil
"""Read the record at ``data``, all sizes checked; bytes that it takes, or -1 when it is none."""
