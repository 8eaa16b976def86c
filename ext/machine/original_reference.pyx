"""What a message says of its original, and how much a transaction is like what it says."""

from libc.string cimport memcmp, memcpy, memset
from switch.dialect.kinds cimport KIND_COUNT, KIND_PURCHASE, KIND_REVERSAL
from switch.dialect.tables cimport NO_FIELD, FieldPart, OriginalForm, OriginalPart, kind_traits, mti_class
from switch.machine.numbering cimport NUMBER_COUNT
from switch.machine.request_record cimport unpack_digits
from switch.tables.registry cimport Terminal
from switch.wire.fields cimport (
    FIELD_AMOUNT, FIELD_DATE, FIELD_LOCAL_MOMENT, FIELD_MOMENT, FIELD_PROCESSING_CODE, FIELD_RRN, FIELD_STAN,
    PROCESSING_CODE_DIGITS,
)
from switch.wire.scan cimport read_number, read_text

cdef enum:
    KEY_TEXT_MAX = 64
    ORIGINAL_ROOM = 64
    MOMENT_DIGITS_MIN = 10
    DAY_SECONDS = 86_400
    LEAP_DAY = 60                 # 29 February, of the days of a year
    ZONES_APART_SECONDS = 14 * 3_600
    # By what the STAN is known to be the right one: no likeness in anything else, 9 together, makes up for a step.
    LIKE_BY_DATE = 10
    LIKE_BY_OCCASION = 20
    LIKE_BY_MOMENT = 30
    LIKE_BY_RRN = 3               # besides the STAN
    ALIKE_SECONDS = 900           # a terminal that gives no name takes back what it has just done
    STANS = NUMBER_COUNT - 1      # 000000 is never used
    HALF_A_YEAR_SECONDS = 183 * DAY_SECONDS
    SET_BACK_SECONDS = 3_600      # a clock at the end of summer

# Of a leap year, before each month.
cdef int[12] DAYS_BEFORE = [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335]
cdef uint64_t NO_OCCASION = <uint64_t>0xCBF29CE484222325      # FNV-1a of nothing


cdef uint64_t fold(uint64_t folded, const uint8_t *text, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        folded = (folded ^ text[i]) * <uint64_t>0x100000001B3
    return folded


cdef uint64_t occasion_of(DialectTables tables, const MessageIndex *message) noexcept nogil:
    cdef uint8_t text[KEY_TEXT_MAX]
    cdef uint64_t occasion = NO_OCCASION
    cdef const FieldPart *part
    cdef int i, count, size
    for i in range(tables.natural_key_count):
        part = &tables.natural_key[i]
        count = read_text(tables.spec, message, part.field, text, KEY_TEXT_MAX)
        if count <= part.start:
            continue
        size = part.size
        if size == 0 or part.start + size > count:
            size = count - part.start
        occasion = fold(occasion, text + part.start, size)
    return occasion


cdef int64_t _number_at(const uint8_t *text, int size) noexcept nogil:
    """Decimal digits as a number; 0 where one of them is none."""
    cdef int64_t number = 0
    cdef int i
    for i in range(size):
        if not 0x30 <= text[i] <= 0x39:
            return 0
        number = number * 10 + (text[i] - 0x30)
    return number


cdef bint _is_moment(const OriginalPart *part) noexcept nogil:
    return part.field in (FIELD_MOMENT, FIELD_LOCAL_MOMENT) and part.size >= MOMENT_DIGITS_MIN


cdef int64_t moment_of(DialectTables tables, const MessageIndex *message) noexcept nogil:
    cdef int64_t number
    cdef int i
    for i in range(tables.original.part_count):
        if _is_moment(&tables.original.part[i]):
            number = read_number(tables.spec, message, tables.original.part[i].field)
            return number if number > 0 else 0
    return 0


cdef bint _read_form(DialectTables tables, const MessageIndex *message, const OriginalForm *form,
                     Naming *naming) noexcept nogil:
    """Take what original data elements say; whether there are any that name a STAN."""
    cdef uint8_t text[ORIGINAL_ROOM]
    cdef const OriginalPart *part
    cdef const FieldPart *key = &tables.natural_key[0]
    cdef int64_t stan = 0, number
    cdef int count, i, size, at = 0
    if form.field == NO_FIELD:
        return False
    count = read_text(tables.spec, message, form.field, text, ORIGINAL_ROOM)
    for i in range(form.part_count):
        part = &form.part[i]
        size = part.size
        if part.field == NO_FIELD:
            size = 4
        elif part.length_digits:
            if at + part.length_digits > count:
                break
            size = <int>_number_at(text + at, part.length_digits)
            at += part.length_digits
        if size == 0 or at + size > count:
            break
        number = _number_at(text + at, size)
        if part.field == NO_FIELD:
            naming.message_class = mti_class(<uint32_t>number)
        elif part.field == FIELD_STAN:
            stan = number
        elif part.field == FIELD_DATE:
            naming.date = <uint32_t>number
        elif _is_moment(part):
            naming.named_at = number
        elif tables.natural_key_count == 1 and part.field == key.field and part.start == key.start and number:
            naming.occasion = fold(NO_OCCASION, text + at, size)
        at += size
    if stan <= 0:
        return False
    naming.stan = <uint32_t>stan
    naming.says = naming.has_data = True
    return True


cdef void _name_kinds_of_reversal(DialectTables tables, const MessageIndex *message, Naming *naming) noexcept nogil:
    """What can be reversed; likely is what is written with the processing code of the reversal."""
    cdef uint8_t said[PROCESSING_CODE_DIGITS]
    cdef uint8_t written[2]
    cdef int kind
    cdef bint has_code = read_text(tables.spec, message, FIELD_PROCESSING_CODE, said,
                                   PROCESSING_CODE_DIGITS) == PROCESSING_CODE_DIGITS
    for kind in range(<int>KIND_COUNT):
        if not (kind_traits(kind).reversible or kind_traits(kind).is_advice):
            continue
        naming.kinds |= <uint32_t>1 << kind
        if not has_code or tables.kind_processing_code(kind, written) != 2 or memcmp(said, written, 2) == 0:
            naming.likely_kinds |= <uint32_t>1 << kind


cdef void read_naming(Registry registry, DialectTables tables, const MessageIndex *message, const NaturalKey *key,
                      int kind, const uint8_t *pan, int pan_digits, Naming *naming) noexcept nogil:
    cdef const Terminal *terminal = registry.terminal(key.terminal)
    memset(naming, 0, sizeof(Naming))
    memcpy(naming.terminal, terminal.id, TERMINAL_BYTES)
    memcpy(naming.merchant, registry.merchant(terminal.merchant).id, MERCHANT_BYTES)
    naming.is_whole = kind == KIND_REVERSAL
    if naming.is_whole:
        _name_kinds_of_reversal(tables, message, naming)
    else:
        naming.kinds = naming.likely_kinds = kind_traits(kind).refers_to
    naming.stan = key.stan
    naming.occasion = key.occasion
    naming.own_moment = moment_of(tables, message)
    naming.amount_minor = read_number(tables.spec, message, FIELD_AMOUNT)
    naming.pan_digits = <uint8_t>pan_digits
    memcpy(naming.pan, pan, pan_digits)
    if read_text(tables.spec, message, FIELD_RRN, naming.rrn, NAMED_RRN_BYTES) != NAMED_RRN_BYTES:
        memset(naming.rrn, 0, NAMED_RRN_BYTES)
    if naming.is_whole and tables.original.field == NO_FIELD:
        naming.says = True            # in this dialect a reversal has the STAN of its original: that is the name
    else:
        _read_form(tables, message, &tables.original if naming.is_whole else &tables.reference, naming)


cdef int64_t _second_of_year(int64_t moment) noexcept nogil:
    """Of MMDDhhmmss, with a year before it or not, as of a leap year; its first day counts as 1."""
    cdef int month = <int>(moment // 100_000_000 % 100)
    cdef int64_t days = moment // 1_000_000 % 100
    if 1 <= month <= 12:
        days += DAYS_BEFORE[month - 1]
    return days * DAY_SECONDS + moment // 10_000 % 100 * 3_600 + moment // 100 % 100 * 60 + moment % 100


cdef int64_t _apart_s(int64_t one, int64_t other) noexcept nogil:
    """Seconds between two moments of which no year is told: the fewest that it can be."""
    cdef int64_t first = min(_second_of_year(one), _second_of_year(other))
    cdef int64_t last = max(_second_of_year(one), _second_of_year(other))
    if last - first > HALF_A_YEAR_SECONDS:
        return 366 * DAY_SECONDS - (last - first)             # over the new year
    if first < LEAP_DAY * DAY_SECONDS and last >= (LEAP_DAY + 1) * DAY_SECONDS:
        return last - first - DAY_SECONDS                     # most years have no such day between them
    return last - first


cdef bint _is_before(int64_t one, int64_t other) noexcept nogil:
    """Whether a moment lies before another one, of which no year is told, by less than half of one; and not by about
    the hour by which a clock may have been set back between them, when it came a short while later."""
    cdef int64_t later_s = _second_of_year(other) - _second_of_year(one)
    if not (0 < later_s <= HALF_A_YEAR_SECONDS or later_s < -HALF_A_YEAR_SECONDS):
        return False
    return not SET_BACK_SECONDS - ALIKE_SECONDS <= later_s <= SET_BACK_SECONDS


cdef bint _are_near(uint32_t one, uint32_t other) noexcept nogil:
    """Whether two dates, MMDD, are the same day or neighbours: the clocks of two sides may stand on two of them."""
    return _apart_s(<int64_t>one * 1_000_000, <int64_t>other * 1_000_000) <= DAY_SECONDS


cdef bint _may_be_the_same(int64_t one, int64_t other) noexcept nogil:
    """Whether two moments may be one, told by clocks of different zones: what lies a day apart may not."""
    return _apart_s(one, other) <= ZONES_APART_SECONDS


cdef bint _is_right_besides(const Naming *naming, bint is_likely, bint knows_card, bint same_amount, bint other_amount,
                            int64_t age_s) noexcept nogil:
    """Whether so much is right besides the STAN that a moment that is wrong or missing does not matter."""
    if not is_likely or not (knows_card or same_amount) or (naming.is_whole and other_amount):
        return False
    # STANs begin anew: what is taken back without a moment was done a short while ago.
    if naming.is_whole and not naming.named_at and age_s > DAY_SECONDS:
        return False
    return naming.says or (knows_card and same_amount)


cdef bint _is_named(const Naming *naming, const Candidate *candidate) noexcept nogil:
    """Whether the reference number is the candidate's, and may be meant as its name."""
    if not naming.rrn[0] or candidate.rrn == NULL or memcmp(naming.rrn, candidate.rrn, NAMED_RRN_BYTES) != 0:
        return False
    # A reversal of a void may carry the reference number of the sale that the void was of: the sale is not meant. Many
    # terminals reverse all that they do with the processing code of a sale: that says nothing against a void.
    return naming.likely_kinds & (<uint32_t>1 << candidate.kind | <uint32_t>1 << KIND_PURCHASE) != 0


cdef bint _has_name(const Naming *naming, const Candidate *candidate) noexcept nogil:
    """Whether a reversal names its original, which is not the candidate then. What refers to a sale may be reversed
    with the sale's reference number."""
    return naming.says or (naming.rrn[0] and not kind_traits(candidate.kind).refers_to)


cdef bint _may_be_later(const Naming *naming, const Candidate *candidate) noexcept nogil:
    """Whether a reversal that names nothing may come after a payment, by its terminal's own count and clock. What its
    terminal began before, and perhaps never reached us, is not taken for what it has done since."""
    cdef uint32_t ahead = (naming.stan + STANS - candidate.stan) % STANS
    if naming.own_moment and candidate.named_at and _is_before(naming.own_moment, candidate.named_at):
        return False
    return ahead <= STANS // 2


cdef void describe_request(const RequestPart *request, uint8_t *pan, Candidate *candidate) noexcept nogil:
    unpack_digits(request.pan, request.pan_digits, pan)
    candidate.terminal = request.terminal
    candidate.merchant = request.merchant
    candidate.pan = pan
    candidate.pan_digits = request.pan_digits
    candidate.kind = request.kind
    candidate.stan = request.stan
    candidate.message_class = request.message_class
    candidate.named_at = request.named_at
    candidate.occasion = request.occasion
    candidate.amount_minor = request.amount_minor


cdef int likeness(const Naming *naming, const Candidate *candidate) noexcept nogil:
    cdef bint knows_card = naming.pan_digits and candidate.pan_digits
    cdef bint same_amount = naming.amount_minor >= 0 and (
        naming.amount_minor == candidate.amount_minor
        or naming.amount_minor == candidate.approved_minor and candidate.approved_minor != 0)
    cdef bint other_amount = naming.amount_minor >= 0 and candidate.amount_minor > 0 and not same_amount
    cdef bint same_terminal = memcmp(naming.terminal, candidate.terminal, TERMINAL_BYTES) == 0
    cdef bint is_likely = naming.likely_kinds >> candidate.kind & 1
    cdef bint is_named = _is_named(naming, candidate)
    cdef int best = LIKE_NOT
    cdef int found
    if not naming.kinds >> candidate.kind & 1 or memcmp(naming.merchant, candidate.merchant, MERCHANT_BYTES) != 0:
        return LIKE_NOT
    if knows_card and (naming.pan_digits != candidate.pan_digits
                       or memcmp(naming.pan, candidate.pan, naming.pan_digits) != 0):
        return LIKE_NOT
    # Numbers can be guessed, and left over from another payment: a terminal takes back what it has done itself, if it
    # does not say another STAN; and what another one of its merchant has done it may refund with the card at hand.
    if (is_named
            and (same_terminal and not (naming.has_data and naming.stan != candidate.stan)
                 if naming.is_whole else same_terminal or knows_card)
            and (same_amount or (knows_card and not (naming.is_whole and other_amount)))):
        best = LIKE_EXACT
    if same_terminal and naming.stan == candidate.stan:
        if naming.named_at and candidate.named_at:
            found = LIKE_EXACT + LIKE_BY_MOMENT if naming.named_at == candidate.named_at else (
                LIKE_LOOSE if _may_be_the_same(naming.named_at, candidate.named_at) else LIKE_NOT)
        elif naming.date and candidate.date and not _are_near(naming.date, candidate.date):
            found = LIKE_NOT              # batches and STANs begin anew
        elif naming.occasion == candidate.occasion and naming.occasion != NO_OCCASION:
            found = LIKE_EXACT + LIKE_BY_OCCASION
        elif naming.date and candidate.date:
            found = LIKE_EXACT + LIKE_BY_DATE
        else:
            found = LIKE_LOOSE
        if found == LIKE_LOOSE and not _is_right_besides(naming, is_likely, knows_card, same_amount, other_amount,
                                                         candidate.age_s):
            found = LIKE_NOT
        if found:
            found += 2 * knows_card + 2 * same_amount + (naming.message_class == candidate.message_class)
            found += LIKE_BY_RRN * is_named + (naming.date != 0 and naming.date == candidate.date)
        best = max(best, found)
    if (best == LIKE_NOT and is_likely and naming.is_whole and not _has_name(naming, candidate) and same_terminal
            and knows_card and same_amount and candidate.age_s <= ALIKE_SECONDS and _may_be_later(naming, candidate)):
        best = LIKE_ALIKE
    return best
