"""Copies of messages in a journal, as they are kept in memory today."""

cimport cython
from libc.string cimport memcpy
from switch.base.calendar cimport write_digits
from switch.dialect.card_data cimport unkept_of_answer
from switch.machine.state cimport SCRATCH_BYTES
from switch.wire.fields cimport AMOUNT_DIGITS, FIELD_AMOUNT
from switch.wire.kept_copy cimport lenient_form, mend_copy
from switch.wire.scan cimport patch_text, scan_message
from switch.wire.spec cimport Spec


@cython.final
cdef class Mender:
    """Makes them, in the scratch space of a state machine that has not begun.

    Args:
        state: The state machine.
    """

    def __init__(self, State state not None):
        self.state = state
        self._lenient = {}

    cdef const uint8_t *mended(self, DialectTables tables, const uint8_t *message, uint32_t *size,
                               uint8_t *out, bint is_answer) except *:
        """A message as it is kept today, in ``out``: earlier versions overwrote sensitive fields, with what cannot be
        read in all of them, and kept private ones. What cannot be read even so stays as it is."""
        cdef int mended
        cdef uint64_t unkept[3]
        if size[0] == 0 or size[0] > SCRATCH_BYTES:
            return message
        if tables.spec not in self._lenient:
            self._lenient[tables.spec] = lenient_form(tables.spec)
        memcpy(unkept, tables.unkept, sizeof(unkept))
        if is_answer and scan_message(tables.spec, message, size[0], &self.state.answer, &self.state.fault) == 0:
            unkept_of_answer(tables, &self.state.answer, tables.unkept, unkept)
        mended = mend_copy(tables.spec, <Spec>self._lenient[tables.spec], unkept, message, size[0], out, self.state.out)
        if mended < 0:
            return message
        size[0] = <uint32_t>mended
        return out

    cdef const uint8_t *with_part(self, DialectTables tables, const uint8_t *sent, uint32_t size,
                                  int64_t approved_minor):
        """What an issuer was sent, with the amount of which it approved a part, as a reversal names it."""
        cdef State state = self.state
        cdef uint8_t digits[AMOUNT_DIGITS]
        if not tables.partial_reversed or size > SCRATCH_BYTES:
            return sent
        if sent != state.aside:
            memcpy(state.aside, sent, size)
        write_digits(digits, AMOUNT_DIGITS, <uint64_t>approved_minor)
        if scan_message(tables.spec, state.aside, size, &state.sent, &state.fault) == 0:
            patch_text(tables.spec, &state.sent, state.aside, FIELD_AMOUNT, digits, AMOUNT_DIGITS)
        return state.aside
