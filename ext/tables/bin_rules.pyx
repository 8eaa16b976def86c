"""BINs that are blocked or may do some kinds only, laid out as ranges."""

cimport cython
from libc.stdlib cimport calloc, free
from switch.dialect.reasons cimport REASON_APPROVED, REASON_KIND_NOT_PERMITTED_TO_CARD
from switch.tables.ranges cimport ChainNode, DigitRange, OVERLAP_MAX, pan_key, read_range

from switch.tables.rules import REFUSALS


@cython.final
cdef class BinRules:

    def __cinit__(self, list bins not None):
        cdef uint32_t number = 0, crowded = 0
        cdef bytes ends
        cdef DigitRange *ranges = <DigitRange *>calloc(len(bins) + 1, sizeof(DigitRange))
        self._ranges = RangeMap()
        self._rules = <BinRule *>calloc(len(bins) + 1, sizeof(BinRule))
        try:
            if ranges == NULL or self._rules == NULL:
                raise MemoryError("no memory for the BINs")
            for number, rule in enumerate(bins):
                ends = (rule.low + rule.high).encode()
                wrong = read_range(<const uint8_t *><const char *>ends, 0, len(rule.low), len(rule.low), len(ends),
                                   &ranges[number])
                if wrong is not None:
                    raise ValueError(f"BIN {rule.low}: {wrong[1]}")
                ranges[number].value = number
                ranges[number].order = number + 1
                self._rules[number].kinds = rule.kinds
                self._rules[number].reason = REFUSALS[rule.block] if rule.block else REASON_APPROVED
            self._ranges.load(ranges, len(bins), &crowded)
            if crowded:
                raise ValueError(f"more than {OVERLAP_MAX} BINs would hold the same card number")
        finally:
            free(ranges)

    def __dealloc__(self):
        free(self._rules)

    cdef int refusal_of(self, const uint8_t *pan, int digits, uint64_t kind) noexcept nogil:
        cdef uint64_t key
        cdef const ChainNode *node
        cdef const BinRule *rule
        if pan_key(pan, digits, &key) < 0:
            return REASON_APPROVED
        node = self._ranges.find(key)
        if node == NULL:
            return REASON_APPROVED
        rule = &self._rules[node.value]
        if rule.reason == REASON_APPROVED and not rule.kinds & kind:
            return REASON_KIND_NOT_PERMITTED_TO_CARD
        return <int>rule.reason
