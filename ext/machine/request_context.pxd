"""What is known of a terminal's request while it is handled: each step adds what it found out, for those that follow.

Nothing of it outlives the step in which the message came: what is kept until an issuer answers, or an original was
looked up, is in the transaction.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.machine.transaction cimport NaturalKey, Transaction
from switch.tables.registry cimport Terminal
from switch.tables.rules cimport RiskRequest
from switch.wire.fields cimport PAN_MAX
from switch.wire.framing cimport FRAME_HEADERS_MAX

cdef enum:
    NOT_BARRED = -1

cdef struct Inbound:
    const uint8_t *headers        # of its frame, borrowed
    const uint8_t *answer_headers     # those that its answer has, turned round: the same, or with a mark to sign in
    const Terminal *terminal      # who sent it; NULL as long as nobody known is
    bint is_under_former          # it came under keys that were replaced: ``terminal`` is who it was, with these keys
    Terminal former_self          # room for that
    uint8_t marked_headers[FRAME_HEADERS_MAX]     # room for ``answer_headers`` that tell the terminal to sign in
    uint32_t terminal_number      # the same as registry index, or TERMINAL_NONE
    int barred                    # why it may ask for nothing new (``Stranger``), or NOT_BARRED
    bint is_proven                # it bears the terminal's own MAC, or came with its certificate
    int kind
    int64_t amount_minor          # -1: it says none
    uint16_t currency             # ISO 4217, numeric; 0: it names none
    uint8_t entry_mode            # how its card was read, by its place in ``ENTRY_MODES``; 0: not known
    int shut_track                # field of a track that does not open; 0: all do, or it has none
    int shut_why                  # a ``FaultCode``
    int pan_digits                # 0: it names no card
    uint8_t pan[PAN_MAX + 1]      # ASCII digits
    NaturalKey key
    int64_t named_at              # date and time by which a reversal names it, their digits as a number; 0: it has none
    uint64_t fingerprint          # of kind, amount and card
    uint32_t outcome              # its entry in the duplicate window, or OUTCOME_NONE
    RiskRequest risked            # as risk control has counted it,
    bint is_counted               # if it has
    Transaction *transaction      # by which its link's answer will be matched,
    uint32_t number               # and the number of that
    uint32_t frame_size           # of what its link gets, as it stands in ``State.out``
