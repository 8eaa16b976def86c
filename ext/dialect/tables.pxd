"""The tables of one dialect that the hot path asks: kinds, response codes, natural key, MAC rules.

All of them are data of the dialect's file, compiled once by ``switch.dialect``; nothing here knows a dialect by name.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from switch.dialect.kinds cimport KIND_COUNT
from switch.dialect.reasons cimport REASON_COUNT
from switch.dialect.sign_in_rules cimport SignInRules
from switch.dialect.track_rules cimport TrackRules
from switch.dialect.terminal_says cimport TerminalSays
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec

cdef enum:
    RESPONSE_CODE_MAX = 3     # characters of field 39: two in 1987 and CUP, three in 1993
    CONDITIONS_MAX = 5        # what a message must hold, beside its MTI, to be of a kind
    CONDITION_TEXT_MAX = 12   # characters that one condition compares
    CONDITION_FIELDS_MAX = 6  # different fields that the conditions of one dialect look into
    CONDITION_FIELD_ROOM = 1024      # characters of the longest such field
    KIND_ROWS_MAX = 96
    MESSAGES = 100            # pairs of class and function digits
    NATURAL_KEY_MAX = 8
    KIND_CODE_MAX = 12
    ENTRY_MODES_MAX = 16
    ENTRY_MODE_SIZE_MAX = 12  # characters of field 22: three in 1987, twelve in 1993
    ENTRY_PATTERNS_MAX = 32
    MAC_FIELDS_MAX = 64
    ORIGINAL_PARTS_MAX = 8
    NO_FIELD = 0

cdef enum Money:              # which way the cardholder's account moves
    MONEY_NONE
    MONEY_DEBIT
    MONEY_CREDIT

cdef enum MacForm:            # how field 64 or 128 holds the MAC
    MAC_FORM_BINARY           # its bytes as the algorithm yields them
    MAC_FORM_HEX              # upper-case hex digits of them

cdef struct KindTraits:
    uint8_t money
    uint8_t forwarded         # asked of an issuer; else the switch answers at once
    uint8_t reversible        # an approval that its terminal did not get is reversed
    uint8_t is_advice         # tells what has happened: answered at once, then the switch's to deliver
    uint32_t refers_to        # bit n: its original may be of kind n; 0: it has none
    uint8_t told_as           # the advice that tells an issuer of one approved in its stead; KIND_UNKNOWN: none can be

cdef struct FieldPart:        # a stretch of a field's canonical characters
    uint8_t field
    uint8_t start
    uint8_t size              # 0: to the end

cdef struct Condition:
    uint8_t slot              # index of the field among the dialect's condition fields
    uint8_t start
    uint8_t size
    uint8_t text[CONDITION_TEXT_MAX]

cdef struct KindRow:
    uint8_t kind
    uint8_t message           # class and function digits of the MTI: 20 for 0200, 22 for 0220
    uint8_t condition_count
    Condition condition[CONDITIONS_MAX]

cdef struct EntryPattern:
    uint8_t mode
    uint8_t text[ENTRY_MODE_SIZE_MAX]        # a dot is any character

cdef struct OriginalPart:     # of the data that name an original (field 90 in 1987, 56 in 1993)
    uint8_t field             # NO_FIELD: the MTI
    uint8_t start             # of the field's characters, which are taken from here on
    uint8_t size              # right-justified, zero filled to this size; 0: as long as it is
    uint8_t length_digits     # of a decimal length written before it

cdef struct OriginalForm:     # how an original is named
    uint8_t field             # NO_FIELD: nowhere
    uint8_t part_count
    OriginalPart part[ORIGINAL_PARTS_MAX]


cdef inline uint32_t mti_class(uint32_t mti) noexcept nogil:
    """1 authorization, 2 financial, 3 file action, 4 reversal, 5 reconciliation, 8 network management."""
    return (mti // 100) % 10


cdef inline bint is_answer(uint32_t mti) noexcept nogil:
    """Response functions are odd: 0210, 0230, 0410, 0810."""
    return ((mti // 10) % 10) & 1


cdef inline bint is_request(uint32_t mti) noexcept nogil:
    return not is_answer(mti)


cdef inline bint is_advice(uint32_t mti) noexcept nogil:
    """0120, 0220, 0420 and the repeats of them."""
    return (mti // 10) % 10 == 2


cdef inline bint is_repeat(uint32_t mti) noexcept nogil:
    """Repeats have an odd last digit: 0201, 0421."""
    return (mti % 10) & 1


cdef inline uint32_t repeat_mti(uint32_t mti) noexcept nogil:
    """The same message said again: 0421 for 0420."""
    return mti if is_repeat(mti) else mti + 1


cdef inline uint32_t first_mti(uint32_t mti) noexcept nogil:
    """The message that a repeat repeats: 0420 for 0421."""
    return mti - 1 if is_repeat(mti) else mti


cdef inline uint32_t answer_mti(uint32_t mti) noexcept nogil:
    """What answers a request or its repeat: 0210 for 0200 and 0201."""
    return first_mti(mti) + 10


cdef const KindTraits *kind_traits(int kind) noexcept nogil
# From ``switch.dialect.kinds.TRAITS``. Numbers out of range give those of KIND_UNKNOWN.


cdef class DialectTables:
    """Immutable. One for each dialect in use, shared by its listeners and links."""
    cdef readonly str name
    cdef readonly Spec spec
    cdef readonly uint8_t mti_version        # first digit of every MTI that we write
    cdef readonly uint8_t code_size          # characters of a response code
    cdef readonly str code_set               # equal in dialects that write the same response codes
    cdef uint32_t code_set_number            # the same as a number

    cdef readonly uint8_t natural_key_count
    cdef FieldPart natural_key[NATURAL_KEY_MAX]      # terminal, merchant, MTI class and STAN are always in it

    cdef readonly uint8_t mac_algorithm      # MacAlgorithm and MacPadding for keys that do not say otherwise
    cdef readonly uint8_t mac_padding
    cdef readonly uint8_t mac_form           # MacForm
    cdef readonly uint8_t mac_size           # bytes of the MAC field's data on the wire
    cdef readonly bint mac_all_up_to         # coverage: all from the MTI up to the MAC field
    cdef readonly uint8_t mac_field_count    # else these fields, in this order
    cdef uint8_t mac_fields[MAC_FIELDS_MAX]  # NO_FIELD: the MTI
    cdef readonly uint64_t mac_kinds         # bit n: messages of kind n carry a MAC
    cdef uint64_t unkept[3]                  # bit as in MessageIndex.present: no copy that is kept has them

    cdef OriginalForm original               # by a reversal
    cdef OriginalForm reference              # by a void, a refund or a completion
    cdef SignInRules sign_in
    cdef TrackRules tracks

    cdef readonly bint partial_reversed      # a reversal of a part has the approved amount; else the requested one
    cdef readonly uint8_t serial_number_field  # the key serial number of a terminal's PIN key; NO_FIELD: nowhere
    cdef readonly TerminalSays says          # where terminals say which machine they are, and where; None: nowhere
    cdef readonly uint8_t replacement_field  # what stands in place of a reversal's amount; NO_FIELD: not said
    cdef uint8_t _partial_field              # where terminals say that they can take a part; NO_FIELD: nowhere
    cdef uint8_t _partial_start
    cdef uint8_t _partial_size
    cdef uint8_t _partial_text[CONDITION_TEXT_MAX]
    cdef uint8_t _partial_denial[CONDITION_TEXT_MAX]     # what stands there when it cannot, of the same size

    cdef uint8_t _codes[REASON_COUNT][RESPONSE_CODE_MAX]
    cdef uint8_t _accepted[10][RESPONSE_CODE_MAX]    # by class of the MTI
    cdef uint8_t _kind_codes[KIND_COUNT][KIND_CODE_MAX]
    cdef uint8_t _kind_code_sizes[KIND_COUNT]
    cdef uint8_t _entry_field                # NO_FIELD: the dialect does not say how a card was read
    cdef uint8_t _entry_size
    cdef uint8_t _entry_modes[ENTRY_MODES_MAX][ENTRY_MODE_SIZE_MAX]
    cdef uint8_t _entry_pattern_count
    cdef EntryPattern _entry_patterns[ENTRY_PATTERNS_MAX]
    cdef uint8_t *_reasons                   # by code, as a number of base 36
    cdef uint32_t _reason_room
    cdef KindRow _rows[KIND_ROWS_MAX]        # by message, more conditions first
    cdef uint16_t _first_row[MESSAGES + 1]   # rows of message m are _first_row[m] to _first_row[m + 1]
    cdef uint8_t _condition_fields[CONDITION_FIELDS_MAX]
    cdef uint8_t _condition_field_count
    cdef uint16_t _kind_mti[KIND_COUNT]
    cdef uint8_t _kind_processing_code[KIND_COUNT][2]

    cdef int classify(self, const MessageIndex *message) noexcept nogil
    """The kind of a request, or of the request that an answer answers, as far as the message shows it. The version
    and origin digits of the MTI, and so repeats, make no difference. KIND_UNKNOWN when no row fits."""

    cdef int reason_to_code(self, int reason, uint8_t *out) noexcept nogil
    """Write the code for a reason, ASCII, ``code_size`` characters; how many."""

    cdef int accepted_code(self, uint32_t mti, uint8_t *out) noexcept nogil
    """Write the code that says yes in an answer of this MTI (1993 says 400 to a reversal, 800 to network management);
    how many characters."""

    cdef int code_to_reason(self, const uint8_t *code, int size) noexcept nogil
    """Reason for a code in ASCII; REASON_OTHER_DECLINE when the dialect does not list it."""

    cdef bint lists_code(self, const uint8_t *code, int size) noexcept nogil

    cdef int answer_code(self, DialectTables issuer, const uint8_t *code, int size, uint8_t *out) noexcept nogil
    """What this dialect writes for an issuer's code: the same where both share a code set and the code is listed,
    else the code of its reason. Characters written."""

    cdef int kind_mti(self, int kind) noexcept nogil
    """MTI as a number, version digit included, that asks for a kind; 0 when the dialect has none for it."""

    cdef int kind_processing_code(self, int kind, uint8_t *out) noexcept nogil
    """Write the two leading ASCII digits of field 3 for a kind; 2, or 0 when the kind has no processing code."""

    cdef int kind_code(self, int kind, uint8_t *out) noexcept nogil
    """Write what tells a kind beside MTI and processing code (condition code, function code, 60.1), for
    SLOT_KIND_CODE; how many characters, 0 when the dialect has no such thing."""

    cdef int read_entry_mode(self, const MessageIndex *request) noexcept nogil
    """How the card of a request in this dialect was read, by its place in ``ENTRY_MODES``: 0 where the dialect does not
    list what it says; -1 where it says nothing."""

    cdef int entry_mode(self, DialectTables terminal, const MessageIndex *request, uint8_t *out) noexcept nogil
    """Write how the card of a terminal's request was read, as this dialect says it in field 22, for SLOT_ENTRY_MODE;
    how many characters, 0 when either dialect or the request does not say it."""

    cdef bint takes_part(self, const MessageIndex *request) noexcept nogil
    """Whether a terminal's request says that it can take the approval of a part of its amount."""

    cdef int mark_part(self, uint8_t *text, int size, int room, bint takes) noexcept nogil
    """Write into a field's text whether a part can be taken, filled up with zeros where it is too short; the new size,
    0 where nothing is to be said: the dialect has no such mark, the field no room, or it is short and the answer no."""

    cdef int mac_field_of(self, const MessageIndex *message) noexcept nogil
    """128 or 64, whichever the message has; NO_FIELD when it carries no MAC."""

    cdef int original_data(self, const OriginalForm *form, const MessageIndex *original, const uint8_t *date,
                           uint8_t *out, int room) noexcept nogil
    """Write what names ``original``, a message of this dialect, as ASCII characters; how many, 0 when the dialect names
    originals otherwise, -1 when ``room`` is too small. ``date`` is its local date (MMDD, or NULL), if it says none."""
