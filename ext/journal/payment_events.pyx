"""What moves money, out of the journal: payments that were approved, and what was taken back of them."""

cimport cython
from libc.string cimport memcpy
from switch.crypto.keyed_hash cimport KEYED_HASH_SIZE
from switch.dialect.reasons cimport takes_note
from switch.dialect.tables cimport MONEY_NONE, kind_traits
from switch.journal.records cimport (
    FLAG_APPROVED, FLAG_REVERSED, RECORD_ADVICE, RECORD_CANCELLED, RECORD_CLOSED, RECORD_INTENT, RECORD_OUTCOME,
    RECORD_REVERSAL, RECORD_REVERSED,
)
from switch.machine.request_record cimport MERCHANT_BYTES, PAN_PACKED_BYTES, TERMINAL_BYTES, unpack_digits
from switch.machine.saf_store cimport CAUSE_SETTLED, CAUSE_WITHHELD
from switch.base.masking import mask_pan
from switch.dialect.kinds import KINDS
from switch.dialect.reasons import REASONS
from switch.machine.saf_store import CAUSES

APPROVED = "approved"
TAKEN_BACK = "taken back"
ADVICE_DECLINED = "advice declined"
ADVICE_GIVEN_UP = "advice given up"


@cython.final
cdef class PaymentEvents(Visitor):

    def __init__(self, bytes card_key not None, int64_t first=1):
        self._card_key = KeyedHash(card_key)
        self._asked = {}
        self._gone = PositionTable()
        self._links = {}
        self._first = first
        self._events = []

    def take_events(self):
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self._links = links
        return 0

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        cdef Asked asked
        cdef bytes kept
        if type == RECORD_INTENT or type == RECORD_ADVICE:
            if type == RECORD_ADVICE and record.advice.replaces != 0:
                return 0                          # the same once more
            if kind_traits(record.request.kind).money == MONEY_NONE or record.request.amount_minor < 0:
                return 0
            asked.request = record.request
            asked.is_advice = type == RECORD_ADVICE
            if asked.is_advice:
                asked.link = record.advice.link
                memcpy(asked.rrn, record.advice.rrn, sizeof(asked.rrn))
            else:
                asked.link = record.intent.link
                memcpy(asked.rrn, record.intent.rrn, sizeof(asked.rrn))
            self._asked[record.position] = (<const char *>&asked)[:sizeof(Asked)]
        elif type == RECORD_OUTCOME:
            kept = self._asked.pop(record.outcome.intent, None) if record.outcome.intent else None
            # That a reversal is stored an OUTCOME says itself; one that stood before it is believed whatever it says.
            if kept is not None and self._gone.pop(record.outcome.intent) == 0 \
                    and record.outcome.flags & FLAG_APPROVED and not record.outcome.flags & FLAG_REVERSED:
                self._tell_approved(record, record.outcome.intent, <const Asked *><const char *>kept)
        elif type == RECORD_REVERSAL and record.reversal.original and record.reversal.replaces == 0:
            if record.reversal.original in self._asked:
                self._gone.put(record.reversal.original, 1)
            else:
                self._tell(record, TAKEN_BACK, record.reversal.original, record.reversal.cause)
        elif type == RECORD_CANCELLED and record.cancelled.cause not in (CAUSE_SETTLED, CAUSE_WITHHELD):
            if record.cancelled.original in self._asked:
                self._gone.put(record.cancelled.original, 1)
            else:
                self._tell(record, TAKEN_BACK, record.cancelled.original, record.cancelled.cause)
        # Of what was taken back the same is written when its reversal ends: whoever is told of it knows that already.
        elif type == RECORD_REVERSED and not takes_note(record.reversed.reason):
            self._tell(record, ADVICE_DECLINED, record.reversed.original, record.reversed.reason)
        elif type == RECORD_CLOSED:
            self._tell(record, ADVICE_GIVEN_UP, record.closed.original, 0)
        return 0

    cdef int _tell_approved(self, const Record *record, int64_t payment, const Asked *asked) except -1:
        cdef const RequestPart *request = &asked.request
        cdef int64_t amount_minor = record.approved_minor if record.approved_minor else request.amount_minor
        cdef uint8_t pan[2 * PAN_PACKED_BYTES]
        if record.position < self._first:
            return 0
        unpack_digits(request.pan, request.pan_digits, pan)
        self._events.append((
            record.position, APPROVED, payment, record.head.wall_us, KINDS[request.kind], amount_minor,
            request.currency, self._links.get(asked.link, f"number {asked.link}"),
            request.terminal[:TERMINAL_BYTES].decode("ascii", "replace").rstrip(),
            request.merchant[:MERCHANT_BYTES].decode("ascii", "replace").rstrip(),
            mask_pan(pan[:request.pan_digits].decode("ascii", "replace")), self._card_hash(request),
            asked.rrn[:sizeof(asked.rrn)].decode("ascii", "replace").rstrip(), request.stan, request.refers_to,
            bool(asked.is_advice),
        ))
        return 0

    cdef int _tell(self, const Record *record, str event, int64_t payment, int number) except -1:
        if record.position >= self._first and payment:
            why = REASONS[number] if event == ADVICE_DECLINED else CAUSES.get(number) or ""
            self._events.append((record.position, event, payment, record.head.wall_us, why))
        return 0

    cdef bytes _card_hash(self, const RequestPart *request):
        cdef uint8_t hash[KEYED_HASH_SIZE]
        cdef uint8_t message[1 + PAN_PACKED_BYTES]
        message[0] = request.pan_digits
        memcpy(message + 1, request.pan, PAN_PACKED_BYTES)
        self._card_key.compute(message, sizeof(message), hash)
        return (<const char *>hash)[:CARD_HASH_BYTES]
