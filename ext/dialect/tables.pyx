"""The tables of one dialect that the hot path asks: kinds, response codes, natural key, MAC rules."""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from switch.dialect.kinds cimport KIND_COUNT, KIND_UNKNOWN
from switch.dialect.reasons cimport REASON_COUNT, REASON_OTHER_DECLINE
from switch.dialect.sign_in_rules cimport fill_sign_in_rules
from switch.dialect.track_rules cimport fill_track_rules
from switch.wire.fields cimport DATE_DIGITS, FIELD_DATE
from switch.wire.kept_copy cimport fill_fields
from switch.wire.scan cimport Fault, fault_error, has_field, read_text, scan_message
from switch.wire.spec cimport FIELD_MAX

from switch.dialect.kinds import TRAITS, Kind

cdef enum:
    MTI_MAX = 9999
    PART_FIELD_ROOM = 256     # characters of a field of which only a part names an original

# Every form that fits the keys, and no batch number.
cdef object NO_SIGN_IN_RULES = ((0, 0, 0), (("", (8, 16, 24), 0, False, False),), (0, 0))
cdef object NO_TRACK_RULES = ((0, 0), "", "", ())

# Numbers of the code sets seen so far, so that the hot path compares numbers.
cdef dict code_set_numbers = {}

cdef KindTraits traits_of_kind[KIND_COUNT]


def _fill_traits():
    for kind, traits in TRAITS.items():
        traits_of_kind[<int>kind].money = traits.money
        traits_of_kind[<int>kind].forwarded = traits.forwarded
        traits_of_kind[<int>kind].reversible = traits.reversible
        traits_of_kind[<int>kind].is_advice = traits.is_advice
        traits_of_kind[<int>kind].told_as = traits.told_as
        traits_of_kind[<int>kind].refers_to = sum(1 << original for original in traits.refers_to)


_fill_traits()


cdef const KindTraits *kind_traits(int kind) noexcept nogil:
    if kind < 0 or kind >= KIND_COUNT:
        kind = KIND_UNKNOWN
    return &traits_of_kind[kind]


cdef inline int base36(uint8_t character) noexcept nogil:
    """Value of a digit or upper-case letter; -1 for anything else."""
    if c'0' <= character <= c'9':
        return character - c'0'
    if c'A' <= character <= c'Z':
        return character - c'A' + 10
    return -1


cdef int code_number(const uint8_t *code, int size) noexcept nogil:
    """A response code as a number of base 36; -1 when a character of it is no digit or upper-case letter."""
    cdef int number = 0
    cdef int value, place
    for place in range(size):
        value = base36(code[place])
        if value < 0:
            return -1
        number = number * 36 + value
    return number


cdef int within(str what, value, int limit) except -1:
    """A number that a table has room for."""
    if not 0 <= value <= limit:
        raise ValueError(f"{what}: at most {limit}, have {value}")
    return value


cdef int a_field(value) except -1:
    """The number of a field with data."""
    if not 2 <= value <= FIELD_MAX:
        raise ValueError(f"need a field from 2 to {<int>FIELD_MAX}, have {value}")
    return value


cdef bytes sized_text(str what, str value, int size):
    """Characters as bytes, exactly as many as there is room for."""
    cdef bytes text = value.encode("ascii")
    if len(text) != size:
        raise ValueError(f"{what}: need {size} characters, have {len(text)}")
    return text


cdef bytes sized_code(str code, int size):
    """A response code as bytes."""
    cdef bytes text = code.encode("ascii")
    if len(text) != size or code_number(<const uint8_t *>text, size) < 0:
        raise ValueError(f"response code {code!r}: need {size} digits or upper-case letters")
    return text


cdef int fill_codes(DialectTables tables, codes, reasons, accepted) except -1:
    """Codes by reason, and reasons by code."""
    cdef bytes text
    cdef int number
    if len(codes) != REASON_COUNT:
        raise ValueError(f"need a code for each of {<int>REASON_COUNT} reasons, have {len(codes)}")
    tables.code_size = within("characters of a response code", len(codes[0]), RESPONSE_CODE_MAX)
    tables._reason_room = <uint32_t>(36 ** tables.code_size)
    tables._reasons = <uint8_t *>malloc(tables._reason_room)
    if tables._reasons == NULL:
        raise MemoryError
    memset(tables._reasons, REASON_COUNT, tables._reason_room)
    for place, code in enumerate(codes):
        text = sized_code(code, tables.code_size)
        memcpy(tables._codes[<int>place], <const uint8_t *>text, tables.code_size)
    for mti_class in range(10):
        text = sized_code(accepted.get(mti_class, codes[0]), tables.code_size)
        memcpy(tables._accepted[<int>mti_class], <const uint8_t *>text, tables.code_size)
    for code, reason in reasons.items():
        text = sized_code(code, tables.code_size)
        number = code_number(<const uint8_t *>text, tables.code_size)
        tables._reasons[number] = within("reason", reason, REASON_COUNT - 1)


cdef int fill_kinds(DialectTables tables, kinds) except -1:
    """Rows by message, those with more conditions first; MTI and processing code by kind."""
    cdef KindRow *row
    cdef bytes text
    cdef int place, message, count = 0
    if len(kinds) > KIND_ROWS_MAX:
        raise ValueError(f"at most {<int>KIND_ROWS_MAX} ways to write kinds, have {len(kinds)}")
    tables._condition_field_count = 0
    memset(tables._kind_mti, 0, sizeof(tables._kind_mti))
    memset(tables._kind_processing_code, 0, sizeof(tables._kind_processing_code))
    for kind, mti, conditions in kinds:
        if tables._kind_mti[within("kind", kind, KIND_COUNT - 1)]:
            continue
        tables._kind_mti[<int>kind] = within("MTI", mti, MTI_MAX)
        for field, start, value in conditions:
            if field == 3 and start == 0 and len(value) >= 2:
                text = value[:2].encode("ascii")
                memcpy(tables._kind_processing_code[<int>kind], <const uint8_t *>text, 2)
    memset(tables._first_row, 0, sizeof(tables._first_row))
    ordered = sorted(kinds, key=lambda entry: (entry[1] // 10 % 100, -sum(len(c[2]) for c in entry[2])))
    for kind, mti, conditions in ordered:
        row = &tables._rows[count]
        row.kind = kind
        row.message = mti // 10 % 100
        row.condition_count = within("conditions of a kind", len(conditions), CONDITIONS_MAX)
        for place, (field, start, value) in enumerate(conditions):
            text = value.encode("ascii")
            row.condition[place].slot = condition_slot(tables, field)
            row.condition[place].start = start
            row.condition[place].size = within("characters of a condition", len(text), CONDITION_TEXT_MAX)
            memcpy(row.condition[place].text, <const uint8_t *>text, len(text))
        count += 1
        for message in range(row.message + 1, MESSAGES + 1):
            tables._first_row[message] = count


cdef int fill_kind_codes(DialectTables tables, kind_codes) except -1:
    """Codes by kind."""
    cdef bytes text
    within("codes of kinds", len(kind_codes), KIND_COUNT)
    for kind, code in enumerate(kind_codes):
        text = code.encode("ascii")
        tables._kind_code_sizes[<int>kind] = within("characters of a kind's code", len(text), KIND_CODE_MAX)
        memcpy(tables._kind_codes[<int>kind], <const uint8_t *>text, len(text))


cdef int fill_entry_modes(DialectTables tables, entry_modes) except -1:
    """Texts by mode, modes by pattern."""
    cdef bytes text
    cdef int place
    field, texts, patterns = entry_modes
    tables._entry_field = field
    tables._entry_size = within("characters of an entry mode", len(texts[0]) if texts else 0, ENTRY_MODE_SIZE_MAX)
    within("entry modes", len(texts), ENTRY_MODES_MAX)
    for place, mode_text in enumerate(texts):
        text = sized_text("entry mode", mode_text, tables._entry_size)
        memcpy(tables._entry_modes[place], <const uint8_t *>text, tables._entry_size)
    tables._entry_pattern_count = within("patterns of entry modes", len(patterns), ENTRY_PATTERNS_MAX)
    for place, (pattern, mode) in enumerate(patterns):
        text = sized_text("pattern of an entry mode", pattern, tables._entry_size)
        tables._entry_patterns[place].mode = within("entry mode", mode, len(texts) - 1)
        memcpy(tables._entry_patterns[place].text, <const uint8_t *>text, tables._entry_size)


cdef int condition_slot(DialectTables tables, int field) except -1:
    """Index of a field among those that conditions look into."""
    cdef int slot
    a_field(field)
    for slot in range(tables._condition_field_count):
        if tables._condition_fields[slot] == field:
            return slot
    slot = tables._condition_field_count
    if slot == CONDITION_FIELDS_MAX:
        raise ValueError(f"fields that conditions look into: at most {<int>CONDITION_FIELDS_MAX}")
    tables._condition_fields[slot] = field
    tables._condition_field_count += 1
    return slot


cdef int fill_partial_mark(DialectTables tables, partial_mark) except -1:
    """Where, and with what, a terminal says that it can take the approval of a part."""
    field, start, value, denial = partial_mark
    cdef bytes text = value.encode("ascii")
    cdef bytes denied = denial.encode("ascii")
    if not field:
        return 0
    tables._partial_field = a_field(field)
    tables._partial_start = start
    tables._partial_size = within("characters of the mark of partial approval", len(text), CONDITION_TEXT_MAX)
    if len(denied) != len(text):
        raise ValueError(f"mark of partial approval: {denial!r} is not as long as {value!r}")
    memcpy(tables._partial_text, <const uint8_t *>text, len(text))
    memcpy(tables._partial_denial, <const uint8_t *>denied, len(denied))
    return 0


cdef int fill_natural_key(DialectTables tables, natural_key) except -1:
    """Parts beside terminal, merchant, class and STAN."""
    tables.natural_key_count = within("parts of the natural key", len(natural_key), NATURAL_KEY_MAX)
    for place, (field, start, size) in enumerate(natural_key):
        tables.natural_key[<int>place].field = a_field(field)
        tables.natural_key[<int>place].start = start
        tables.natural_key[<int>place].size = size


cdef int fill_mac(DialectTables tables, mac) except -1:
    """Form and coverage."""
    tables.mac_algorithm = mac["algorithm"]
    tables.mac_padding = mac["padding"]
    tables.mac_form = mac["form"]
    tables.mac_size = mac["size"]
    tables.mac_all_up_to = mac["fields"] is None
    fields = mac["fields"] or ()
    tables.mac_field_count = within("fields under the MAC", len(fields), MAC_FIELDS_MAX)
    for place, field in enumerate(fields):
        tables.mac_fields[<int>place] = a_field(field) if field else NO_FIELD
    tables.mac_kinds = 0
    for kind in mac["kinds"]:
        tables.mac_kinds |= <uint64_t>1 << within("kind", kind, KIND_COUNT - 1)


cdef int read_part(Spec spec, const MessageIndex *message, const OriginalPart *part, uint8_t *out,
                   int room) noexcept nogil:
    """What a message says at a part's place: so many characters; 0 when it has none, -1 when there is no room."""
    cdef uint8_t text[PART_FIELD_ROOM]
    cdef int used
    if part.start == 0:
        used = read_text(spec, message, part.field, out, room)
        return 0 if used == -1 else -1 if used < 0 else used
    used = read_text(spec, message, part.field, text, PART_FIELD_ROOM)
    if used <= part.start:
        return 0
    used -= part.start
    if part.size and used > part.size:
        used = part.size
    if used > room:
        return -1
    memcpy(out, text + part.start, used)
    return used


cdef int fill_form(OriginalForm *form, named) except -1:
    """Where and how an original is named."""
    field, parts = named
    form.field = a_field(field) if field else NO_FIELD
    form.part_count = within("parts of the original's data", len(parts), ORIGINAL_PARTS_MAX)
    for place, (number, start, size, length_digits) in enumerate(parts):
        form.part[<int>place].field = a_field(number) if number else NO_FIELD
        form.part[<int>place].start = start
        form.part[<int>place].size = size
        form.part[<int>place].length_digits = length_digits
    return 0


@cython.final
@cython.no_gc
cdef class DialectTables:
    """Tables of one dialect; ``switch.dialect`` checks them and makes this object.

    Args:
        name: The dialect's.
        spec: Its compiled specification.
        mti_version: First digit of its MTIs: 0 for 1987, 1 for 1993.
        code_set: Name of its set of response codes.
        codes: The code to write for each reason, in the order of ``switch.dialect.reasons``.
        reasons: The reason to read from each code.
        accepted: The code that says yes in answers of a class of the MTI, where it is not that of approval.
        kinds: For each way to write a kind: its number, the MTI, and what else the message holds as
            (field, start, text). The first of each kind is the one that we write.
        kind_codes: What tells each kind beside those when we write it, in the order of ``switch.dialect.kinds``.
        entry_modes: The field that says how a card was read (0: none), its text by mode, and (pattern, mode) pairs.
        partial_mark: Field, place and characters with which a terminal's request says that it can take the approval of
            a part; field 0 where none can.
        partial_reversed: Whether the reversal of a part names the approved amount, not the requested one.
        replacement_field: Field in which a reversal says the amount that stands all the same; 0: none.
        serial_number_field: Field of the key serial number under whose key a PIN block is enciphered; 0: none.
        says: Where terminals say which machine they are, and where they are.
        natural_key: Parts (field, start, size) that tell two transactions of one terminal and STAN apart.
        mac: Keys ``algorithm``, ``padding``, ``form``, ``size``, ``fields`` (None: all up to the MAC), ``kinds``.
        unkept: Numbers of fields that no copy may have which is kept.
        original: Where and how a reversal names its original: a field, 0 when it does not, and parts of it as (field,
            start, size, length digits), field 0 being the MTI.
        reference: The same for a void, a refund or a completion.
        sign_in: Where a terminal's sign-in says which form of key block it wants (field, start, size; field 0: all get
            the first), the forms as (text, PIN keys' sizes, number of the MAC key's form, whether with a track key,
            whether of SM4),
            and where the batch number stands (field, start; field 0: nowhere).
        tracks: Where a request says that its tracks are enciphered (field, start; field 0: they never are), the
            characters that say so, those that say otherwise, and the fields.

    Raises:
        ValueError: A table is larger than its place here, or a value outside its range.
    """

    def __cinit__(self):
        self._reasons = NULL

    def __init__(self, *, str name, Spec spec not None, int mti_version, str code_set, codes, reasons, accepted, kinds,
                 kind_codes, entry_modes, natural_key, mac, unkept, original, reference,
                 partial_mark=(0, 0, "", ""), bint partial_reversed=True,
                 int replacement_field=0, int serial_number_field=0, TerminalSays says=None,
                 sign_in=NO_SIGN_IN_RULES, tracks=NO_TRACK_RULES):
        if self._reasons != NULL:
            raise TypeError("tables of a dialect never change")
        self.name = name
        self.spec = spec
        self.mti_version = mti_version
        self.code_set = code_set
        self.code_set_number = code_set_numbers.setdefault(code_set, len(code_set_numbers))
        fill_codes(self, codes, reasons, accepted)
        fill_kinds(self, kinds)
        fill_kind_codes(self, kind_codes)
        fill_entry_modes(self, entry_modes)
        fill_natural_key(self, natural_key)
        fill_partial_mark(self, partial_mark)
        self.partial_reversed = partial_reversed
        self.replacement_field = a_field(replacement_field) if replacement_field else NO_FIELD
        self.says = says
        self.serial_number_field = a_field(serial_number_field) if serial_number_field else NO_FIELD
        fill_mac(self, mac)
        fill_fields(self.unkept, unkept)
        fill_form(&self.original, original)
        fill_form(&self.reference, reference)
        fill_sign_in_rules(&self.sign_in, sign_in[0], sign_in[1], sign_in[2])
        fill_track_rules(&self.tracks, tracks[0], tracks[1], tracks[2], tracks[3])

    def __dealloc__(self):
        free(self._reasons)

    cdef int classify(self, const MessageIndex *message) noexcept nogil:
        cdef uint8_t text[CONDITION_FIELDS_MAX][CONDITION_FIELD_ROOM]
        cdef int size[CONDITION_FIELDS_MAX]
        cdef const KindRow *row
        cdef const Condition *condition
        cdef uint32_t pair = (message.mti // 10) % 100
        cdef int at, place, slot
        if pair & 1:      # an answer: what it answers has the even function digit below
            pair -= 1
        for slot in range(self._condition_field_count):
            size[slot] = -3      # not read yet
        for at in range(self._first_row[pair], self._first_row[pair + 1]):
            row = &self._rows[at]
            for place in range(row.condition_count):
                condition = &row.condition[place]
                slot = condition.slot
                if size[slot] == -3:
                    size[slot] = read_text(self.spec, message, self._condition_fields[slot], text[slot],
                                           CONDITION_FIELD_ROOM)
                if size[slot] < condition.start + condition.size:
                    break
                if memcmp(&text[slot][condition.start], condition.text, condition.size) != 0:
                    break
            else:
                return row.kind
        return KIND_UNKNOWN

    cdef bint takes_part(self, const MessageIndex *request) noexcept nogil:
        cdef uint8_t text[CONDITION_FIELD_ROOM]
        if self._partial_field == NO_FIELD:
            return False
        if read_text(self.spec, request, self._partial_field, text, CONDITION_FIELD_ROOM) < (
                <int>self._partial_start + self._partial_size):
            return False
        return memcmp(text + self._partial_start, self._partial_text, self._partial_size) == 0

    cdef int mark_part(self, uint8_t *text, int size, int room, bint takes) noexcept nogil:
        cdef int end = <int>self._partial_start + self._partial_size
        if self._partial_field == NO_FIELD or end > room or (not takes and size < end):
            return 0
        if size < self._partial_start:
            memset(text + size, c'0', self._partial_start - size)
        memcpy(text + self._partial_start, &self._partial_text[0] if takes else &self._partial_denial[0],
               self._partial_size)
        return max(size, end)

    cdef int reason_to_code(self, int reason, uint8_t *out) noexcept nogil:
        if reason < 0 or reason >= REASON_COUNT:
            reason = REASON_OTHER_DECLINE
        memcpy(out, self._codes[reason], self.code_size)
        return self.code_size

    cdef int accepted_code(self, uint32_t mti, uint8_t *out) noexcept nogil:
        memcpy(out, self._accepted[mti_class(mti)], self.code_size)
        return self.code_size

    cdef bint lists_code(self, const uint8_t *code, int size) noexcept nogil:
        cdef int number = code_number(code, size) if size == self.code_size else -1
        return number >= 0 and self._reasons[number] != REASON_COUNT

    cdef int code_to_reason(self, const uint8_t *code, int size) noexcept nogil:
        return self._reasons[code_number(code, size)] if self.lists_code(code, size) else REASON_OTHER_DECLINE

    cdef int answer_code(self, DialectTables issuer, const uint8_t *code, int size, uint8_t *out) noexcept nogil:
        if self.code_set_number == issuer.code_set_number and self.lists_code(code, size):
            memcpy(out, code, size)
            return size
        return self.reason_to_code(issuer.code_to_reason(code, size), out)

    cdef int kind_mti(self, int kind) noexcept nogil:
        return self._kind_mti[kind] if 0 <= kind < KIND_COUNT else 0

    cdef int kind_processing_code(self, int kind, uint8_t *out) noexcept nogil:
        if kind < 0 or kind >= KIND_COUNT or self._kind_processing_code[kind][0] == 0:
            return 0
        memcpy(out, self._kind_processing_code[kind], 2)
        return 2

    cdef int kind_code(self, int kind, uint8_t *out) noexcept nogil:
        if kind < 0 or kind >= KIND_COUNT:
            return 0
        memcpy(out, self._kind_codes[kind], self._kind_code_sizes[kind])
        return self._kind_code_sizes[kind]

    cdef int read_entry_mode(self, const MessageIndex *request) noexcept nogil:
        cdef uint8_t text[ENTRY_MODE_SIZE_MAX]
        cdef const EntryPattern *pattern
        cdef int place, at
        if self._entry_field == NO_FIELD or (
                read_text(self.spec, request, self._entry_field, text, ENTRY_MODE_SIZE_MAX) != self._entry_size):
            return -1
        for place in range(self._entry_pattern_count):
            pattern = &self._entry_patterns[place]
            for at in range(self._entry_size):
                if pattern.text[at] != c'.' and pattern.text[at] != text[at]:
                    break
            else:
                return pattern.mode
        return 0

    cdef int entry_mode(self, DialectTables terminal, const MessageIndex *request, uint8_t *out) noexcept nogil:
        cdef int mode = -1 if self._entry_field == NO_FIELD else terminal.read_entry_mode(request)
        if mode < 0:
            return 0
        memcpy(out, self._entry_modes[mode], self._entry_size)
        return self._entry_size

    cdef int mac_field_of(self, const MessageIndex *message) noexcept nogil:
        if has_field(message, 128):
            return 128
        return 64 if has_field(message, 64) else NO_FIELD

    cdef int original_data(self, const OriginalForm *form, const MessageIndex *original, const uint8_t *date,
                           uint8_t *out, int room) noexcept nogil:
        cdef const OriginalPart *part
        cdef uint32_t mti
        cdef int place, start, filled, used, value, digit, at = 0
        for place in range(form.part_count):
            part = &form.part[place]
            start = at + part.length_digits
            if start + max(4, <int>part.size) > room:
                return -1
            if part.field == NO_FIELD:
                mti = first_mti(original.mti)
                used = 4
                for digit in range(4):
                    out[start + 3 - digit] = c'0' + mti % 10
                    mti //= 10
            else:
                used = read_part(self.spec, original, part, &out[start], room - start)
                if used < 0:
                    return -1
                if used == 0 and part.field == FIELD_DATE and date != NULL:
                    used = DATE_DIGITS
                    memcpy(&out[start], date, DATE_DIGITS)
            if part.size:
                if used > part.size:
                    return -1
                filled = part.size - used
                for digit in range(used):
                    out[start + part.size - 1 - digit] = out[start + used - 1 - digit]
                memset(&out[start], c'0', filled)
                used = part.size
            value = used
            for digit in range(part.length_digits):
                out[start - 1 - digit] = c'0' + value % 10
                value //= 10
            at = start + used
        return at

    # The same questions from Python: simulators, tools and tests ask them.

    def kind_of(self, bytes message not None):
        cdef MessageIndex index
        read_index(self.spec, message, &index)
        return self.classify(&index)

    def code_of(self, int reason):
        cdef uint8_t out[RESPONSE_CODE_MAX]
        return out[:self.reason_to_code(reason, out)].decode("ascii")

    def reason_of(self, str code not None):
        cdef bytes text = code.encode("ascii", "replace")
        return self.code_to_reason(text, <int>len(text))

    def answer_code_of(self, DialectTables issuer not None, str code not None):
        cdef uint8_t out[RESPONSE_CODE_MAX]
        cdef bytes text = code.encode("ascii", "replace")
        return out[:self.answer_code(issuer, text, <int>len(text), out)].decode("ascii")

    def accepted_code_of(self, int mti):
        cdef uint8_t out[RESPONSE_CODE_MAX]
        return out[:self.accepted_code(mti, out)].decode("ascii")

    def mti_of(self, int kind):
        return self.kind_mti(kind)

    def processing_code_of(self, int kind):
        cdef uint8_t out[2]
        return out[:self.kind_processing_code(kind, out)].decode("ascii")

    def kind_code_of(self, int kind):
        cdef uint8_t out[KIND_CODE_MAX]
        return out[:self.kind_code(kind, out)].decode("ascii")

    def entry_mode_of(self, DialectTables terminal not None, bytes request not None):
        cdef MessageIndex index
        cdef uint8_t out[ENTRY_MODE_SIZE_MAX]
        read_index(terminal.spec, request, &index)
        return out[:self.entry_mode(terminal, &index, out)].decode("ascii")

    def mac_field_in(self, bytes message not None):
        cdef MessageIndex index
        read_index(self.spec, message, &index)
        return self.mac_field_of(&index)

    @property
    def original_field(self):
        return self.original.field

    @property
    def reference_field(self):
        return self.reference.field

    def original_data_of(self, bytes original not None, int room=128, str date=None, bint by_reference=False):
        cdef MessageIndex index
        cdef uint8_t out[128]
        cdef int size
        cdef bytes day = b"" if date is None else date.encode("ascii")
        read_index(self.spec, original, &index)
        size = self.original_data(&self.reference if by_reference else &self.original, &index,
                                  <const uint8_t *><const char *>day if date else NULL, out, min(room, 128))
        if size < 0:
            raise ValueError("the data of the original are longer than their room")
        return out[:size].decode("ascii")


cdef int read_index(Spec spec, bytes message, MessageIndex *index) except -1:
    """Scan a message."""
    cdef Fault fault
    if scan_message(spec, message, len(message), index, &fault) < 0:
        raise fault_error(&fault)
    return 0


def traits_of(int kind):
    cdef const KindTraits *traits = kind_traits(kind)
    return (traits.money, bool(traits.forwarded), bool(traits.reversible), bool(traits.is_advice), traits.told_as,
            tuple(Kind(original) for original in range(KIND_COUNT) if traits.refers_to >> original & 1))


def answer_mti_of(int mti):
    return answer_mti(mti)


def repeat_mti_of(int mti):
    return repeat_mti(mti)
