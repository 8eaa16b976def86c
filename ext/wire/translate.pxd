"""Composition of one message from another, from one dialect to another, field by field, without Python objects.

A ``Composer`` is compiled from a list of steps (destination field, where its value comes from, how to convert it) and
writes a whole message: MTI, bitmap, fields. Sources are the terminal's request, the issuer's answer, slots (values
that the switch computes) and constants."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.wire.cursor cimport Writer
from switch.wire.scan cimport Fault, MessageIndex
from switch.wire.spec cimport FieldSpec, Spec
from switch.wire.transcode cimport FROM_ANSWER, FROM_REQUEST, CompiledStep

cdef enum Slot:               # order of switch.wire.slots.SLOTS; a test compares the two
    SLOT_MTI                  # four digits
    SLOT_PROCESSING_CODE      # six digits
    SLOT_STAN                 # six digits
    SLOT_RRN                  # twelve characters
    SLOT_TRANSMISSION_TIME    # MMDDhhmmss, UTC
    SLOT_LOCAL_TIME           # hhmmss
    SLOT_LOCAL_DATE           # MMDD
    SLOT_LOCAL_DATE_TIME      # YYMMDDhhmmss
    SLOT_RESPONSE_CODE        # as the destination writes it
    SLOT_AUTHORIZATION_CODE
    SLOT_ACQUIRER             # the acquiring institution's identification code
    SLOT_PIN_BLOCK            # hex digits, under the destination's key
    SLOT_ORIGINAL_DATA        # field 90: original MTI, STAN, transmission time, acquirer, forwarder
    SLOT_NETWORK_CODE         # field 70
    SLOT_KEYS                 # hex digits: working keys under the terminal's master key
    SLOT_PAN
    SLOT_SETTLEMENT_DATE      # MMDD
    SLOT_MAC                  # a place of the right size, filled with zeros; the MAC is put there afterwards
    SLOT_KIND_CODE            # what tells a kind beside the processing code: condition code, function code, 60.1
    SLOT_ENTRY_MODE           # field 22 as the destination writes it
    SLOT_FORWARDER            # the forwarding institution's identification code: ours on the link
    SLOT_STAND_IN             # the link dialect's mark of an approval by stand-in
    SLOT_ORIGINAL_RRN         # the original's, as its issuer knows it
    SLOT_ORIGINAL_AUTHORIZATION_CODE
    SLOT_SAID_RRN             # the terminal's field 37, where it names an original that is not known
    SLOT_PARTIAL_APPROVAL     # the field with the mark of terminals that can take the approval of a part
    SLOT_BATCH                # the field with the batch number, as the answer to a sign-in says it
    SLOT_DOWNLOAD             # hex digits: what a terminal loads from the switch
    SLOT_KEY_CHOICE           # which key is asked for, as the dialect says it
    SLOT_COUNT

cdef struct SlotValue:
    const uint8_t *text       # canonical characters, as read_text gives them
    uint16_t count            # 0: absent, the field is left out

cdef struct Slots:
    SlotValue value[SLOT_COUNT]

cdef struct Sources:          # where the fields of a composed message come from
    const MessageIndex *messages[2]   # the request, and the answer to it; NULL: fields that come from it are left out
    const Slots *slots


cdef inline Sources sources_of(const MessageIndex *request, const MessageIndex *answer,
                               const Slots *slots) noexcept nogil:
    cdef Sources sources
    sources.messages[<int>FROM_REQUEST] = request
    sources.messages[<int>FROM_ANSWER] = answer
    sources.slots = slots
    return sources


cdef inline void fill_slot(Slots *slots, int slot, const uint8_t *text, int count) noexcept nogil:
    """Give a slot its text, which is borrowed until the message is composed."""
    slots.value[slot].text = text
    slots.value[slot].count = <uint16_t>count


@cython.final
cdef class Composer:
    """Steps compiled for one destination spec. Immutable."""
    cdef readonly Spec destination
    cdef readonly Spec request         # of the messages that compose() is given; None where no step needs it
    cdef readonly Spec answer

    cdef int compose(self, const Sources *sources, uint8_t *out, size_t room, MessageIndex *composed,
                     Fault *fault) noexcept nogil
    """Write the message; its size in bytes, or -1 with ``fault`` filled. ``composed``, unless NULL, gets the
    index of what was written, but for the counts. The MAC field, when there is one, is the last field, ends where the
    message ends, and is filled with zeros (digits where it is text) whatever its slot holds. Positions in ``fault`` are
    those of the composed message; FAULT_VALUE gives the largest (fixed: the only) length as ``needed`` and that of the
    value as ``available``."""

    cdef uint64_t unkept[3]            # fields of what it writes that no copy may keep, as in switch.wire.kept_copy
    cdef readonly int mac_field        # 64 or 128; 0 when the composed message carries no MAC
    cdef readonly int mac_size         # bytes of its data on the wire
    cdef bint marks_parts              # a step takes SLOT_PARTIAL_APPROVAL
    cdef bint parts_begin_with_kind    # the same field may be SLOT_KIND_CODE
    cdef uint8_t parts_origin          # number of the request's field that the same field is forwarded from; 0: none

    cdef const FieldSpec *_type_spec
    cdef const FieldSpec *_bitmap_spec
    cdef const FieldSpec *_next_bitmap_spec     # of the secondary and tertiary bitmaps
    cdef CompiledStep *_steps
    cdef uint32_t _step_count
    cdef uint32_t _first_step[3]       # of fields from 2, from 66 and from 129 on
    cdef list _wires                   # keeps the bytes of PUT_WIRE alive

    cdef bint _has_any(self, uint32_t first, uint32_t end, const Sources *sources) noexcept nogil
    cdef int _put_steps(self, uint32_t first, uint32_t end, const Sources *sources, MessageIndex *composed,
                        Writer *writer, Fault *fault) noexcept nogil
