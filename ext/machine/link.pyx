"""The issuer side: one link with its connections, its sequence numbers, what is in flight on it and its health."""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy
from switch.base.invariant cimport ensure
from switch.crypto.mac cimport MAC_NONE, set_mac_key
from switch.crypto.pin_block cimport set_pin_key
from switch.dialect.reasons cimport REASON_APPROVED, REASON_PARTIALLY_APPROVED
from switch.dialect.tables cimport mti_class
from switch.machine.handles cimport handle_in, slot_of
from switch.machine.transaction cimport TRANSACTION_LATE, TRANSACTION_NONE, TRANSACTION_REVERSAL, Stretch
from switch.wire.fields cimport CLASS_NETWORK, FIELD_AMOUNT, FIELD_RRN, FIELD_STAN, RRN_SIZE
from switch.wire.kept_copy cimport kept_offset
from switch.wire.scan cimport has_field, read_number, read_text
from switch.wire.spec cimport Spec

cdef extern from "string.h" nogil:
    void explicit_bzero(void *at, size_t size)

VERIFY_FIELDS_MAX = VERIFY_MAX


cdef inline void _note_stretch(Spec spec, const MessageIndex *sent, const uint64_t *unkept, int field,
                               Stretch *stretch) noexcept nogil:
    """Where a field stands in the kept copy of a message, if it does."""
    if has_field(sent, field) and not (unkept[(field - 1) >> 6] >> ((field - 1) & 63)) & 1:
        stretch.offset = kept_offset(spec, sent, unkept, field)
        stretch.length = sent.length[field]


@cython.final
cdef class Link:
    """One issuer endpoint.

    Args:
        connections: Its connections, with its number and name.
        tables: The dialect that the issuer speaks.
        saf: Reversals and advices that it is owed.
        match_by: ``stan`` or ``rrn``: the field by which an answer is matched.
        verify: Fields that an answer must repeat, where it has them, to be the answer.
        required: Of these, fields that it must have.
        partial_approval: Whether the approval of a part is passed on to terminals that can take it.
        timeout_ms: How long a request may take.
        late_ms: How long after that a late answer is known as such, and its STAN not used again.
        echo_interval_ms: Silence after which an echo test is sent; 0 for none.
        echo_timeout_ms: How long any answer to a network management message may take.
        idle_timeout_ms: Silence after which a connection is closed, to be opened again; 0 for none.
        partial_timeout_ms: How long the rest of a begun frame may take.
        signs_on: Whether a connection begins with a sign-on.
        in_flight_max: Requests at the issuer at one time.
        timeouts_to_suspend: Time-outs in a row after which the link gets no new work until it shows life.
        reversal_mti: Class and function of reversals: 400 or 420; the dialect adds its version.
        reversals_keep_stan: Whether a reversal has its original's STAN instead of one of its own.
        institution_id: Our forwarding institution's identification code, digits; empty for none.
    """

    def __cinit__(self):
        self._by_stan = <HandleSlot *>calloc(STAN_COUNT, sizeof(HandleSlot))
        self._reversal_by_number = <HandleSlot *>calloc(STAN_COUNT, sizeof(HandleSlot))
        if self._by_stan == NULL or self._reversal_by_number == NULL:
            raise MemoryError

    def __init__(self, LinkConnections connections not None, DialectTables tables, SafQueue saf, *,
                 str match_by, list verify, list required, bint partial_approval, int64_t timeout_ms,
                 int64_t late_ms, int64_t echo_interval_ms,
                 int64_t echo_timeout_ms, int64_t idle_timeout_ms, int64_t partial_timeout_ms, bint signs_on,
                 uint32_t in_flight_max, uint32_t timeouts_to_suspend, uint32_t reversal_mti, bint reversals_keep_stan,
                 str institution_id=""):
        if len(verify) > VERIFY_MAX:
            raise ValueError(f"link {connections.name}: verify names {len(verify)} fields, at most {VERIFY_MAX}")
        self.connections = connections
        self.number = connections.number
        self.name = connections.name
        self.tables = tables
        self.framing = connections.framing
        self.saf = saf
        self.match_by_rrn = match_by == "rrn"
        self.verify_count = len(verify)
        for i, field in enumerate(verify):
            self.verify[i] = field
            self.required[i] = field in required
        self.verifies_amount = FIELD_AMOUNT in verify
        self.partial_approval = partial_approval
        self.timeout_ns = timeout_ms * 1_000_000
        self.late_ns = late_ms * 1_000_000
        self.echo_interval_ns = echo_interval_ms * 1_000_000
        self.echo_timeout_ns = echo_timeout_ms * 1_000_000
        self.idle_timeout_ns = idle_timeout_ms * 1_000_000
        self.partial_timeout_ns = partial_timeout_ms * 1_000_000
        self.signs_on = signs_on
        self.reversals_keep_stan = reversals_keep_stan
        self.institution_id = institution_id.encode("ascii")
        self.reversal_mti = tables.mti_version * 1000 + reversal_mti
        self.in_flight_max = in_flight_max
        self.timeouts_to_suspend = timeouts_to_suspend
        self.mac_key.algorithm = MAC_NONE
        self.former_mac_key.algorithm = MAC_NONE
        self.waiting = DeadlineList()
        self.late = DeadlineList()
        self.network = DeadlineList()
        self.request_composers = []
        self.advice_composers = []
        self.reference_composers = []
        self.unknown_reversal_composers = []
        self.answer_composers = []
        self.unsigned_answer_composers = []
        self.stand_in_mark = b""

    def __dealloc__(self):
        free(self._by_stan)
        free(self._reversal_by_number)
        explicit_bzero(&self.mac_key, sizeof(MacKey))
        explicit_bzero(&self.former_mac_key, sizeof(MacKey))
        explicit_bzero(&self.pin_key, sizeof(PinKey))

    def set_mac_key(self, str algorithm, bytes key, int padding):
        """Authenticate requests and answers with this key (ZAK); names as in ``switch.crypto.mac.ALGORITHMS``."""
        set_mac_key(&self.mac_key, algorithm, key, padding)

    def set_former_mac_key(self, str algorithm, bytes key, int padding, int64_t until_ns):
        """Take answers under this key, too, which the present one has replaced, until that moment of the calendar.
        None: there is no such key."""
        explicit_bzero(&self.former_mac_key, sizeof(MacKey))
        self.former_mac_key.algorithm = MAC_NONE
        if key is not None:
            set_mac_key(&self.former_mac_key, algorithm, key, padding)
        self.former_until_ns = until_ns

    def set_pin_key(self, int pin_format, bytes key):
        """Send PIN blocks under this key (ZPK), in the format of that number in ``PIN_FORMATS`` of
        ``switch.crypto.pin_block``."""
        set_pin_key(&self.pin_key, key, pin_format)
        self.pin_format = pin_format

    def set_stand_in(self, StandIn rule not None, str mark):
        """Let payments be approved by a rule while the link cannot be asked; ``mark`` tells it in their advices."""
        self.stand_in = rule
        self.stand_in_mark = mark.encode("ascii")

    def set_composers(self, *, list requests, list references, list advices, list unknown_reversals,
                      list answers, list unsigned_answers, Composer reversal,
                      Composer advice_attempt, dict network, Composer network_answer, Composer key_answer):
        """How messages are written.

        Args:
            requests: By listener: from its dialect to the link's.
            references: The same for requests that name their original.
            advices: The same for advices.
            unknown_reversals: The same for reversals whose original is not known.
            answers: By listener: from the link's dialect to its.
            unsigned_answers: The same without a MAC, for terminals without a MAC key.
            reversal: From a request as it was sent.
            advice_attempt: From an advice as it is kept.
            network: By kind: our own network management messages.
            network_answer: Our answers to the issuer's.
            key_answer: Our answers to those of them that bring keys.
        """
        self.request_composers = requests
        self.reference_composers = references
        self.unknown_reversal_composers = unknown_reversals
        self.answer_composers = answers
        self.unsigned_answer_composers = unsigned_answers
        self.advice_composers = advices
        self.reversal_composer = reversal
        self.advice_attempt_composer = advice_attempt
        self.network_composers = network
        self.network_answer_composer = network_answer
        self.key_answer_composer = key_answer

    @property
    def in_flight(self):
        """Requests and reversals at the issuer."""
        return self.waiting.count

    cdef bint says(self, int kind) noexcept nogil:
        """Whether its dialect has a message for a kind of transaction."""
        return self.tables.kind_mti(kind) != 0

    cdef bint can_take(self) noexcept:
        """Whether a new request may be sent on this link now."""
        return (self.connections.takes_requests() and self.waiting.count < self.in_flight_max
                and self.late.count < self.late_max)

    cdef bint is_late(self) noexcept:
        """Whether it gets no new request because so many of its answers are overdue."""
        return self.connections.takes_requests() and self.late.count >= self.late_max

    cdef uint32_t take_stan(self, Numbering numbering) noexcept nogil:
        """The next STAN that nothing in flight, late or owed on any link holds; 0 when every one is held, or no number
        may be given just now."""
        cdef uint32_t stan = numbering.take_free()
        return stan

    cdef int64_t match_number(self, Numbering numbering, const MessageIndex *message) noexcept nogil:
        """The number by which a message and its answer are matched: the STAN, or the STAN that goes with its RRN; -1
        when it has none. Network management messages carry no RRN and always go by STAN."""
        cdef uint8_t rrn[RRN_SIZE]
        if not self.match_by_rrn or mti_class(message.mti) == CLASS_NETWORK:
            return read_number(self.tables.spec, message, FIELD_STAN)
        if read_text(self.tables.spec, message, FIELD_RRN, rrn, RRN_SIZE) != RRN_SIZE:
            return -1
        return numbering.stan_of(rrn)

    cdef TransactionHandle at_issuer(self, uint32_t stan) noexcept nogil:
        """The request or advice that has this STAN at the issuer; TRANSACTION_NONE when there is none."""
        return handle_in(self._by_stan[stan])

    cdef void put_stan(self, uint32_t stan, TransactionHandle number) noexcept nogil:
        """A transaction with this STAN is at the issuer: it is held until ``free_stan``."""
        ensure(self.at_issuer(stan) == TRANSACTION_NONE, b"one transaction at an issuer has a STAN")
        self._by_stan[stan] = slot_of(number)
        self.holds.hold(stan)

    cdef void free_stan(self, uint32_t stan) noexcept nogil:
        """Nothing with this STAN is at the issuer any more, nor is its answer waited for."""
        if self.at_issuer(stan) != TRANSACTION_NONE:
            self._by_stan[stan] = slot_of(TRANSACTION_NONE)
            self.holds.release(stan)

    cdef TransactionHandle reversal_at_issuer(self, uint32_t number) noexcept nogil:
        """The reversal that is matched by this number at the issuer; TRANSACTION_NONE when there is none."""
        return handle_in(self._reversal_by_number[number])

    cdef void put_reversal(self, uint32_t number, TransactionHandle carrier) noexcept nogil:
        """A reversal is at the issuer, until ``free_reversal``."""
        ensure(self.reversal_at_issuer(number) == TRANSACTION_NONE, b"one reversal at an issuer has a number")
        self._reversal_by_number[number] = slot_of(carrier)

    cdef void free_reversal(self, uint32_t number) noexcept nogil:
        self._reversal_by_number[number] = slot_of(TRANSACTION_NONE)

    cdef void hold_stan(self, uint32_t stan) noexcept nogil:
        """Give a STAN to nobody else while something of the store bears or names it; 0 is none."""
        self.holds.hold(stan)

    cdef void release_stan(self, uint32_t stan) noexcept nogil:
        """The end of one ``hold_stan``."""
        self.holds.release(stan)

    cdef void note_sent(self, Transaction *transaction, const MessageIndex *sent,
                        const uint64_t *unkept) noexcept nogil:
        """Note what an answer to the message sent must repeat: of its kept copy, which is without the fields of
        ``unkept``, only this is looked at again."""
        cdef int i
        transaction.sent_mti = sent.mti
        _note_stretch(self.tables.spec, sent, unkept, FIELD_AMOUNT, &transaction.amount)
        for i in range(self.verify_count):
            if self.verify[i] == FIELD_AMOUNT:
                transaction.repeated[i] = transaction.amount
            else:
                _note_stretch(self.tables.spec, sent, unkept, self.verify[i], &transaction.repeated[i])

    cdef int mismatch(self, const Transaction *transaction, const MessageIndex *answer, int reason) noexcept nogil:
        """The field by which an answer is not that to the message sent (same dialect: compared as bytes), or another
        ``Mismatch``. ``reason`` is what its response code says."""
        cdef int i, field
        cdef const Stretch *stretch
        cdef uint8_t rrn[RRN_SIZE]
        if self.match_by_rrn and (read_text(self.tables.spec, answer, FIELD_RRN, rrn, RRN_SIZE) != RRN_SIZE
                                  or memcmp(rrn, transaction.rrn, RRN_SIZE) != 0):
            return FIELD_RRN              # other reference numbers lead to the same STAN
        # An answer that repeats nothing of its request could be anybody's.
        cdef bint is_ours = self.verify_count == 0
        for i in range(self.verify_count):
            field = self.verify[i]
            stretch = &transaction.repeated[i]
            if stretch.offset == 0:
                continue
            if not has_field(answer, field):
                if self.required[i]:
                    return field
                continue
            if (answer.length[field] == stretch.length
                    and memcmp(answer.data + answer.offset[field], transaction.sent + stretch.offset,
                               stretch.length) == 0):
                is_ours = True
            elif field != FIELD_AMOUNT:
                return field
        if not self._amount_agrees(transaction, answer, reason):
            return FIELD_AMOUNT
        return MISMATCH_NONE if is_ours else MISMATCH_NOTHING

    cdef bint _amount_agrees(self, const Transaction *transaction, const MessageIndex *answer,
                             int reason) noexcept nogil:
        """Whether the amount of an answer may stand: more than was asked is never approved, less only as a part."""
        cdef const Stretch *asked = &transaction.amount
        cdef int order
        if asked.offset == 0 or not has_field(answer, FIELD_AMOUNT) or transaction.state == TRANSACTION_LATE:
            return True                   # whatever is approved late is taken back
        if answer.length[FIELD_AMOUNT] != asked.length:
            return False
        # Digits of one width and one encoding: their bytes have the order of the amounts.
        order = memcmp(answer.data + answer.offset[FIELD_AMOUNT], transaction.sent + asked.offset, asked.length)
        if order == 0:
            return True
        if transaction.state == TRANSACTION_REVERSAL:
            return not self.verifies_amount
        if reason == REASON_PARTIALLY_APPROVED:
            return order < 0 and read_number(self.tables.spec, answer, FIELD_AMOUNT) > 0
        if reason == REASON_APPROVED:
            return order < 0 and not self.verifies_amount
        # Who declines may say that nothing was approved.
        return not self.verifies_amount or read_number(self.tables.spec, answer, FIELD_AMOUNT) == 0

    cdef int extent(self, const Transaction *transaction, const MessageIndex *answer, int reason) noexcept nogil:
        """What an approval approves by its amount: REASON_APPROVED all, REASON_PARTIALLY_APPROVED a part, or one that
        it does not tell. The amount agrees with the request's."""
        cdef const Stretch *asked = &transaction.amount
        if asked.offset == 0 or not has_field(answer, FIELD_AMOUNT):
            return reason
        if memcmp(answer.data + answer.offset[FIELD_AMOUNT], transaction.sent + asked.offset, asked.length) == 0:
            return REASON_APPROVED
        return REASON_PARTIALLY_APPROVED

    cdef void keep_part(self, Transaction *transaction, const MessageIndex *answer) noexcept nogil:
        """Put the amount that an issuer approved, where it is less than the requested one, into what is kept of the
        message sent: so that a reversal names it, where the dialect wants it so."""
        cdef const Stretch *asked = &transaction.amount
        if (not self.tables.partial_reversed or asked.offset == 0 or not has_field(answer, FIELD_AMOUNT)
                or answer.length[FIELD_AMOUNT] != asked.length
                or read_number(self.tables.spec, answer, FIELD_AMOUNT) <= 0):
            return
        if memcmp(answer.data + answer.offset[FIELD_AMOUNT], transaction.sent + asked.offset, asked.length) < 0:
            memcpy(transaction.sent + asked.offset, answer.data + answer.offset[FIELD_AMOUNT], asked.length)
