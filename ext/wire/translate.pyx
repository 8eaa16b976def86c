"""Composition of one message from another, compiled field by field.

Each step becomes one operation when the composer is made; ``switch.wire.transcode`` does them.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from switch.base.live_counts cimport live
from switch.wire.bitmap cimport FIRST_BIT, reversed_bits
from switch.wire.cursor cimport Writer, writer_over, writer_reserve, writer_size
from switch.wire.kept_copy cimport fill_fields
from switch.wire.scan cimport (
    FAULT_NONE, FAULT_ROOM, FAULT_TYPE_DIGITS, FAULT_VALUE, Fault, MessageIndex, fault_error, has_field, scan_message,
)
from switch.wire.spec cimport (
    CONTENT_A, CONTENT_AN, CONTENT_ANS, CONTENT_ANY, CONTENT_HEX, CONTENT_N, CONTENT_XN, CONTENT_Z, DATA_ASCII,
    DATA_BINARY, FIELD_BITMAP, FIELD_HEADER, FIELD_MAX, FIELD_TYPE, LENGTH_ASCII, LENGTH_BCD, LENGTH_BINARY,
    LENGTH_CODE_PAGE, LENGTH_MAX, PAD_NONE, FieldSpec, Spec,
)

from switch.wire.transcode cimport (
    CONVERT, COPY, COPY_TEXT, COPY_WHOLE, FROM_ANSWER, FROM_CONSTANT, FROM_MAC, FROM_REQUEST, FROM_SLOT, MTI_DIGITS,
    PACK, PACK_TEXT, PUT_WIRE, SIGN_BYTE, SIGN_CHARACTER, UNPACK, CompiledStep, fail, put_bitmap, put_field, put_type,
    type_number,
)

from typing import NamedTuple

from switch.wire.scan import Message
from switch.wire.slots import SLOTS

cdef enum:
    SECONDARY_BITMAP = 1
    TERTIARY_BITMAP = 65
    STEPS_MAX = 1000
    ROOM_DEFAULT = 8192       # bytes
    CONSTANT_ROOM = 1 << 17   # bytes: more than any field takes
    COMPOSED_SIZE_MAX = 1 << 20      # bytes


class Step(NamedTuple):
    field: int
    source: str
    argument: object


# --- whole messages --------------------------------------------------------------------------------------------------

cdef inline bint _is_present(const CompiledStep *step, const Sources *sources) noexcept nogil:
    """Whether the message or slot that a step takes its value from has one."""
    cdef const MessageIndex *message
    if step.source <= FROM_ANSWER:
        message = sources.messages[step.source]
        if message == NULL:
            return False
        if step.argument == FIELD_HEADER:
            return message.length[FIELD_HEADER] > 0
        return has_field(message, step.argument)
    if step.source == FROM_SLOT:
        return sources.slots.value[step.argument].count > 0
    return True


cdef inline void _copy_run(uint8_t *at, const uint8_t *run, const uint8_t *run_end) noexcept nogil:
    """Copy neighbouring fields that pass as they are, all at once."""
    if run != run_end:
        memcpy(at, run, <size_t>(run_end - run))


@cython.final
cdef class Composer:
    def __init__(self, Spec destination not None, Spec request, Spec answer, steps, unkept=()):
        if self._steps != NULL:
            raise TypeError("a composer is compiled once")
        self.destination = destination
        self.request = request
        self.answer = answer
        fill_fields(self.unkept, unkept)
        self._wires = []
        self._type_spec = &destination.type_spec
        self._bitmap_spec = &destination.bitmap_spec
        self._next_bitmap_spec = &destination.fields[SECONDARY_BITMAP]
        ordered = sorted((Step(*step) for step in steps), key=_field_of)
        if len(ordered) > STEPS_MAX:
            raise ValueError(f"{len(ordered)} steps, at most {STEPS_MAX} are allowed")
        self._steps = <CompiledStep *>calloc(len(ordered) + 1, sizeof(CompiledStep))
        if self._steps == NULL:
            raise MemoryError
        for step in ordered:
            _compile_step(self, step)
        _link_steps(self)
        _find_parts(self, ordered)

    def __cinit__(self):
        live.composers += 1

    def __dealloc__(self):
        free(self._steps)
        live.composers -= 1

    cdef bint _has_any(self, uint32_t first, uint32_t end, const Sources *sources) noexcept nogil:
        cdef uint32_t i
        for i in range(first, end):
            if _is_present(&self._steps[i], sources):
                return True
        return False

    cdef int _put_steps(self, uint32_t first, uint32_t end, const Sources *sources, MessageIndex *composed,
                        Writer *writer, Fault *fault) noexcept nogil:
        """Write the fields of a range of steps and index them; of several steps for a field the first that has a value.

        Fields that are forwarded whole, and stand together on both sides, are copied together.
        """
        cdef const CompiledStep *step
        cdef const MessageIndex *message
        cdef const uint8_t *data
        cdef const uint8_t *run = NULL
        cdef const uint8_t *run_end = NULL
        cdef uint8_t *run_at = NULL
        cdef uint8_t *at = NULL
        cdef uint32_t size, count, start
        cdef uint32_t i = first
        while i < end:
            step = &self._steps[i]
            if not _is_present(step, sources):
                i += 1
                continue
            i = step.next
            start = <uint32_t>writer_size(writer) + step.target.length_width
            if step.operation == COPY_WHOLE:
                message = sources.messages[step.source]
                data = message.data + message.offset[step.argument] - step.target.length_width
                size = message.length[step.argument] + step.target.length_width
                if writer_reserve(writer, size, &at) < 0:
                    return fail(fault, FAULT_ROOM, step.field, writer_size(writer), size, writer.left)
                if data != run_end:
                    _copy_run(run_at, run, run_end)
                    run = data
                    run_at = at
                run_end = data + size
            else:
                _copy_run(run_at, run, run_end)
                run = run_end = NULL
                if step.operation == PUT_WIRE:
                    if writer_reserve(writer, step.wire_size, &at) < 0:
                        return fail(fault, FAULT_ROOM, step.field, writer_size(writer), step.wire_size, writer.left)
                    memcpy(at, step.wire, step.wire_size)
                else:
                    if step.source == FROM_SLOT:
                        data = sources.slots.value[step.argument].text
                        size = count = sources.slots.value[step.argument].count
                    else:
                        message = sources.messages[step.source]
                        data = message.data + message.offset[step.argument]
                        size = message.length[step.argument]
                        count = message.count[step.argument]
                    if put_field(step, data, size, count, writer, fault) < 0:
                        return -1
            composed.offset[step.field] = start
            composed.length[step.field] = <uint32_t>writer_size(writer) - start
            if step.field != FIELD_HEADER:
                composed.present[(step.field - 1) >> 6] |= <uint64_t>1 << ((step.field - 1) & 63)
        _copy_run(run_at, run, run_end)
        return 0

    cdef int compose(self, const Sources *sources, uint8_t *out, size_t room, MessageIndex *composed,
                     Fault *fault) noexcept nogil:
        cdef MessageIndex unwanted
        cdef SlotValue mti
        cdef uint8_t *at = NULL
        cdef uint8_t *bitmap_at = NULL
        cdef uint32_t bitmap_size
        cdef Writer writer
        cdef bint secondary, tertiary
        fault.code = FAULT_NONE
        if composed == NULL:
            composed = &unwanted
        composed.present[0] = composed.present[1] = composed.present[2] = 0
        composed.length[<int>FIELD_HEADER] = 0
        writer_over(&writer, out, min(room, <size_t>COMPOSED_SIZE_MAX))

        if self._first_step[0]:
            if not self._has_any(0, self._first_step[0], sources):
                return fail(fault, FAULT_VALUE, FIELD_HEADER, 0, 1, 0)
            if self._put_steps(0, self._first_step[0], sources, composed, &writer, fault) < 0:
                return -1
        mti = sources.slots.value[<int>SLOT_MTI]
        if mti.count != MTI_DIGITS:
            return fail(fault, FAULT_TYPE_DIGITS, FIELD_TYPE, writer_size(&writer), MTI_DIGITS, mti.count)
        if writer_reserve(&writer, self._type_spec.fixed_bytes, &at) < 0:
            return fail(fault, FAULT_ROOM, FIELD_TYPE, writer_size(&writer), self._type_spec.fixed_bytes, writer.left)
        if put_type(self._type_spec, mti.text, at) < 0:
            return fail(fault, FAULT_TYPE_DIGITS, FIELD_TYPE, <size_t>(at - out), MTI_DIGITS, mti.count)

        tertiary = self._has_any(self._first_step[2], self._step_count, sources)
        secondary = tertiary or self._has_any(self._first_step[1], self._first_step[2], sources)
        bitmap_size = self._bitmap_spec.fixed_bytes
        if secondary:
            bitmap_size += self._next_bitmap_spec.fixed_bytes
        if tertiary:
            bitmap_size += self._next_bitmap_spec.fixed_bytes
        if writer_reserve(&writer, bitmap_size, &bitmap_at) < 0:
            return fail(fault, FAULT_ROOM, FIELD_BITMAP, writer_size(&writer), bitmap_size, writer.left)

        if self._put_steps(self._first_step[0], self._step_count, sources, composed, &writer, fault) < 0:
            return -1
        # The first bit of a bitmap says that another one follows.
        put_bitmap(self._bitmap_spec, reversed_bits(composed.present[0]) | (FIRST_BIT if secondary else 0), bitmap_at)
        bitmap_at += self._bitmap_spec.fixed_bytes
        if secondary:
            put_bitmap(self._next_bitmap_spec, reversed_bits(composed.present[1]) | (FIRST_BIT if tertiary else 0),
                       bitmap_at)
            bitmap_at += self._next_bitmap_spec.fixed_bytes
        if tertiary:
            put_bitmap(self._next_bitmap_spec, reversed_bits(composed.present[2]), bitmap_at)
        composed.data = out
        composed.size = <uint32_t>writer_size(&writer)
        composed.mti = type_number(mti.text)
        return <int>writer_size(&writer)

    def compose_message(self, request, answer=None, slots=None, int room=ROOM_DEFAULT):
        cdef MessageIndex request_index, answer_index
        cdef Slots values
        cdef Fault fault
        cdef bytearray out = bytearray(room)
        cdef list kept = []
        cdef int size
        cdef Sources sources = sources_of(NULL, NULL, &values)
        if request is not None:
            _index_message(self.request, request, &request_index, kept)
            sources.messages[<int>FROM_REQUEST] = &request_index
        if answer is not None:
            _index_message(self.answer, answer, &answer_index, kept)
            sources.messages[<int>FROM_ANSWER] = &answer_index
        _fill_slots(slots or {}, &values, kept)
        size = self.compose(&sources, <uint8_t *>PyByteArray_AS_STRING(out), room, NULL, &fault)
        if size < 0:
            raise fault_error(&fault)
        return bytes(out[:size])


cdef int _index_message(Spec spec, object message, MessageIndex *index, list kept) except -1:
    """Scan a message for ``compose``; its bytes are kept alive in ``kept``."""
    cdef bytes data = message.data if isinstance(message, Message) else bytes(memoryview(message))
    cdef Fault fault
    if spec is None:
        raise ValueError("a message was given that the composer has no specification for")
    kept.append(data)
    if scan_message(spec, data, len(data), index, &fault) < 0:
        raise fault_error(&fault)
    return 0


cdef int _fill_slots(object slots, Slots *values, list kept) except -1:
    cdef bytes text
    cdef int number
    memset(values, 0, sizeof(Slots))
    for name, value in slots.items():
        if name not in SLOTS:
            raise ValueError(f"slot {name!r} is unknown; known are {', '.join(SLOTS)}")
        text = value.encode("latin-1")
        if len(text) > LENGTH_MAX:
            raise ValueError(f"slot {name!r} has {len(text)} characters, at most {LENGTH_MAX} are allowed")
        kept.append(text)
        number = SLOTS.index(name)
        values.value[number].text = text
        values.value[number].count = <uint16_t>len(text)
    return 0


# --- compilation -----------------------------------------------------------------------------------------------------

# Classes of which every value is one of the class too, as far as its characters go.
cdef dict SUBCLASSES = {
    CONTENT_N: (CONTENT_N,),
    CONTENT_A: (CONTENT_A,),
    CONTENT_AN: (CONTENT_N, CONTENT_A, CONTENT_AN, CONTENT_HEX, CONTENT_XN),
    CONTENT_ANS: (CONTENT_N, CONTENT_A, CONTENT_AN, CONTENT_ANS, CONTENT_HEX, CONTENT_XN, CONTENT_Z),
    CONTENT_Z: (CONTENT_N, CONTENT_Z),
    CONTENT_XN: (CONTENT_XN,),
    CONTENT_HEX: (CONTENT_N, CONTENT_HEX, CONTENT_XN),
}

cdef dict LENGTH_BASES = {LENGTH_BINARY: 256, LENGTH_BCD: 100, LENGTH_ASCII: 10, LENGTH_CODE_PAGE: 10}


def _field_of(step):
    return step.field


cdef uint32_t _characters_of(const FieldSpec *spec):
    """Canonical characters of a fixed field."""
    if spec.data_encoding != DATA_BINARY:
        return spec.fixed_bytes
    return spec.max_length if spec.counts_nibbles else 2 * spec.fixed_bytes


cdef int _class_to_check(const FieldSpec *origin, const FieldSpec *target):
    """Class that each value has to be checked against; CONTENT_ANY when the scan of its message is enough."""
    cdef int has = CONTENT_ANY
    cdef int wanted = target.content
    cdef bint packed = target.data_encoding == DATA_BINARY
    if origin != NULL:
        has = origin.content
        if has == CONTENT_ANY and origin.data_encoding == DATA_BINARY:
            has = CONTENT_HEX
    if wanted == CONTENT_ANY and packed:
        wanted = CONTENT_HEX
    if wanted == CONTENT_ANY or has in SUBCLASSES[wanted] or (has == CONTENT_Z and wanted == CONTENT_HEX and packed):
        return CONTENT_ANY
    return CONTENT_N if wanted == CONTENT_XN else wanted


cdef bint _are_alike(const FieldSpec *origin, const FieldSpec *target):
    """Whether both write the same value as the same bytes, the length left out."""
    if origin.data_encoding != target.data_encoding or origin.from_ascii != target.from_ascii:
        return False
    if target.length_width == 0 and (origin.length_width or origin.max_length != target.max_length):
        return False
    if target.data_encoding != DATA_BINARY:
        return origin.fixed_bytes == target.fixed_bytes or target.length_width > 0
    return (
        origin.counts_nibbles == target.counts_nibbles
        and origin.pad_side == target.pad_side
        and origin.pad_nibble == target.pad_nibble
        and origin.right_pad_nibble == target.right_pad_nibble
    )


cdef bint _lengths_are_alike(const FieldSpec *origin, const CompiledStep *step):
    """Whether a length of the source is also the length that the target wants, and never too large for it."""
    cdef const FieldSpec *target = step.target
    if origin.length_width != target.length_width or origin.counts_nibbles != target.counts_nibbles:
        return False
    return target.length_width == 0 or (
        origin.length_encoding == target.length_encoding
        and origin.length_to_ascii == target.length_to_ascii
        and origin.max_length <= step.limit
    )


cdef int _operation_of(const FieldSpec *origin, const FieldSpec *target):
    """The quickest operation that is right for every value of a checked message."""
    cdef bint same_size = origin.length_width == 0 and _characters_of(origin) == _characters_of(target)
    cdef bint padded = target.counts_nibbles and target.pad_side != PAD_NONE
    if _are_alike(origin, target):
        return COPY
    if target.content == CONTENT_XN:
        return CONVERT
    if origin.data_encoding == DATA_ASCII and target.data_encoding == DATA_BINARY:
        if padded and (same_size or target.length_width):
            return PACK
        if same_size and not target.length_width and _characters_of(target) % 2 == 0:
            return PACK
    if origin.data_encoding == DATA_BINARY and target.data_encoding == DATA_ASCII:
        if same_size or target.length_width:
            return UNPACK
    return CONVERT


cdef int _text_operation_of(const FieldSpec *target):
    """The quickest operation that is right for ASCII characters of which nothing is known."""
    cdef bint fixed = target.length_width == 0
    if target.content == CONTENT_XN or target.content == CONTENT_Z:
        return CONVERT
    if target.data_encoding == DATA_ASCII and not target.counts_nibbles:
        return COPY_TEXT
    if target.data_encoding == DATA_BINARY and target.content == CONTENT_N:
        if target.counts_nibbles and target.pad_side != PAD_NONE or fixed and _characters_of(target) % 2 == 0:
            return PACK_TEXT
    return CONVERT


cdef uint8_t _sign_of(const FieldSpec *spec):
    if spec != NULL and spec.content == CONTENT_XN and spec.data_encoding == DATA_BINARY and not spec.counts_nibbles:
        return SIGN_BYTE
    return SIGN_CHARACTER


cdef int _compile_step(Composer composer, object step) except -1:
    cdef CompiledStep *compiled = &composer._steps[composer._step_count]
    cdef Spec spec = composer.destination
    place = f"field {step.field} from {step.source}"
    _check_field(spec, step.field, place, "the destination has no such field")
    compiled.field = step.field
    compiled.target = &spec.fields[<int>step.field]
    compiled.characters = _characters_of(compiled.target)
    compiled.limit = min(
        compiled.target.max_length, LENGTH_BASES[compiled.target.length_encoding] ** compiled.target.length_width - 1
    )
    compiled.operation = CONVERT
    if step.source == "request":
        compiled.source = FROM_REQUEST
        _compile_message_step(compiled, composer.request, step.argument, place)
    elif step.source == "answer":
        compiled.source = FROM_ANSWER
        _compile_message_step(compiled, composer.answer, step.argument, place)
    elif step.source == "slot":
        _compile_slot_step(composer, compiled, step.argument, place)
    elif step.source == "constant":
        _compile_constant_step(composer, compiled, step.argument, place)
    else:
        raise ValueError(f"{place}: a source is one of request, answer, slot and constant")
    composer._step_count += 1
    return 0


def _check_field(Spec spec, field, place, reason):
    if isinstance(field, bool) or not isinstance(field, int):
        raise ValueError(f"{place}: a field is a number, not {field!r}")
    if field == FIELD_HEADER and spec.has_header:
        return
    if not 2 <= field <= FIELD_MAX or field == TERTIARY_BITMAP or not spec.fields[<int>field].defined:
        raise ValueError(f"{place}: {reason}")


cdef int _compile_characters(CompiledStep *compiled) except -1:
    """What a conversion needs to know of a value from ``compiled.origin``."""
    cdef const FieldSpec *origin = compiled.origin
    cdef const FieldSpec *target = compiled.target
    compiled.check = _class_to_check(origin, target)
    compiled.padding = target.content
    if target.content == CONTENT_ANY and origin != NULL:
        compiled.padding = origin.content
    if target.content == CONTENT_XN:
        compiled.sign_in = _sign_of(origin)
        compiled.sign_out = _sign_of(target)
    elif compiled.padding == CONTENT_XN:
        compiled.padding = CONTENT_ANY
    return 0


cdef int _compile_message_step(CompiledStep *compiled, Spec spec, object field, str place) except -1:
    cdef const FieldSpec *origin
    if spec is None:
        raise ValueError(f"{place}: the composer has no specification of it")
    _check_field(spec, field, f"{place} {field}", "the source has no such field")
    origin = &spec.fields[<int>field]
    compiled.origin = origin
    compiled.argument = field
    _compile_characters(compiled)
    compiled.filler_in = (
        origin.content == CONTENT_Z and origin.data_encoding == DATA_BINARY and not origin.counts_nibbles
    )
    if compiled.check == CONTENT_ANY:
        compiled.operation = _operation_of(origin, compiled.target)
        if compiled.filler_in and compiled.operation != COPY:
            compiled.operation = CONVERT
        if compiled.operation == COPY and _lengths_are_alike(origin, compiled):
            compiled.operation = COPY_WHOLE
    return 0


cdef int _compile_slot_step(Composer composer, CompiledStep *compiled, object name, str place) except -1:
    if name not in SLOTS:
        raise ValueError(f"{place} {name!r}: unknown; known are {', '.join(SLOTS)}")
    compiled.argument = SLOTS.index(name)
    if compiled.argument != SLOT_MAC:
        compiled.source = FROM_SLOT
        _compile_characters(compiled)
        compiled.operation = _text_operation_of(compiled.target)
        return 0
    if compiled.field not in (64, 128) or compiled.target.length_width:
        raise ValueError(f"{place} {name!r}: the MAC goes to field 64 or 128, which must be of fixed length")
    _compile_constant_step(composer, compiled, "0" * compiled.characters, place)
    compiled.source = FROM_MAC
    composer.mac_field = compiled.field
    composer.mac_size = compiled.target.fixed_bytes
    return 0


cdef int _compile_constant_step(Composer composer, CompiledStep *compiled, object text, str place) except -1:
    cdef bytes value
    cdef bytearray out = bytearray(CONSTANT_ROOM)
    cdef Writer writer
    cdef Fault fault
    if not isinstance(text, str):
        raise ValueError(f"{place}: a constant is text")
    value = text.encode("latin-1", "replace")
    _compile_characters(compiled)
    writer_over(&writer, <uint8_t *>PyByteArray_AS_STRING(out), len(out))
    if len(value) > LENGTH_MAX or put_field(compiled, value, <uint32_t>len(value), 0, &writer, &fault) < 0:
        raise ValueError(f"{place}: the field cannot hold {text!r}")
    wire = bytes(out[:writer_size(&writer)])
    composer._wires.append(wire)
    compiled.source = FROM_CONSTANT
    compiled.operation = PUT_WIRE
    compiled.wire = wire
    compiled.wire_size = <uint32_t>len(wire)
    return 0


cdef int _link_steps(Composer composer) except -1:
    """Find where each field and each bitmap begins, and check the steps as a whole."""
    cdef CompiledStep *steps = composer._steps
    cdef uint32_t i
    cdef uint32_t end = composer._step_count
    composer._first_step[0] = composer._first_step[1] = composer._first_step[2] = end
    for i in range(end, 0, -1):
        steps[i - 1].next = i if i == end or steps[i].field != steps[i - 1].field else steps[i].next
        if steps[i - 1].field > FIELD_HEADER:
            composer._first_step[0] = i - 1
        if steps[i - 1].field > TERTIARY_BITMAP:
            composer._first_step[1] = i - 1
        if steps[i - 1].field > 128:
            composer._first_step[2] = i - 1
    if composer.destination.has_header and composer._first_step[0] == 0:
        raise ValueError("field 0: the destination has a header, but no step writes it")
    if composer._first_step[1] < end and not composer._next_bitmap_spec.defined:
        raise ValueError(f"field {steps[composer._first_step[1]].field}: the destination has no secondary bitmap")
    for i in range(end):
        if steps[i].source == FROM_MAC and (i + 1 != end or (i > 0 and steps[i - 1].field == steps[i].field)):
            raise ValueError(f"field {steps[i].field}: the MAC must be the last field, and have no alternative")
    return 0


cdef int _find_parts(Composer composer, list steps) except -1:
    """What the field with the mark of partial approval is made of."""
    marked = {step.field for step in steps if step[1:] == ("slot", "partial_approval")}
    composer.marks_parts = bool(marked)
    for step in steps:
        if step.field in marked and step.source == "request":
            composer.parts_origin = step.argument
        composer.parts_begin_with_kind |= step.field in marked and step[1:] == ("slot", "kind_code")
