"""Tables of BINs: read from CSV, and searched without a Python object."""

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from switch.tables.csv_rows cimport Row, RowReader, let_others_in, next_row, rows_over
from switch.tables.ranges cimport ChainNode, DigitRange, OVERLAP_MAX, RangeMap, pan_key, read_range

CARD_TYPES = ("credit", "debit", "prepaid")

cdef enum:
    COLUMN_COUNT = 3
    ROOM_MIN = 1024


def country_in(bytes cell not None):
    if len(cell) != 3 or not cell.isdigit():
        raise ValueError("a country is a numeric ISO 3166-1 code of 3 digits")
    return int(cell)


def card_type_in(bytes cell not None):
    name = cell.decode("utf-8", "replace")
    if name not in CARD_TYPES:
        raise ValueError(f"a type of card is one of {', '.join(CARD_TYPES)}")
    return CARD_TYPES.index(name) + 1


@cython.final
cdef class CardTable:

    def __cinit__(self, const uint8_t[::1] data not None, str column not None, read, problems not None,
                  int unlisted=0):
        self._ranges = RangeMap()
        self._unlisted = unlisted
        if data.shape[0]:
            load_ranges(self._ranges, data, column, read, problems)

    cdef int value_of(self, const uint8_t *pan, int digits) noexcept nogil:
        cdef uint64_t key
        cdef const ChainNode *node
        if digits <= 0 or pan_key(pan, digits, &key) < 0:
            return self._unlisted
        node = self._ranges.find(key)
        return <int>node.value if node != NULL else self._unlisted


cdef int load_ranges(RangeMap into, const uint8_t[::1] data, str column, read, problems) except -1:
    cdef RowReader reader
    cdef Row row
    cdef const uint8_t *start = &data[0]
    cdef uint32_t count = 0, room = 0, crowded = 0
    cdef DigitRange *ranges = NULL
    cdef DigitRange *grown
    cdef dict known = {}          # cells that were read before: very many rows say the same
    needed = f"low,high,{column}"
    rows_over(&reader, start, data.shape[0])
    if not next_row(&reader, &row) or start[row.begin:row.end].strip() != needed.encode():
        problems.at(reader.line or 1, 1, f"the first row must be {needed}")
        return 0
    try:
        while next_row(&reader, &row):
            let_others_in(row.line)
            if row.count != COLUMN_COUNT:
                problems.at(row.line, 1, f"{row.count} cells; needed are {COLUMN_COUNT}")
                continue
            if count == room:
                room = room * 2 if room else ROOM_MIN
                grown = <DigitRange *>realloc(ranges, room * sizeof(DigitRange))
                if grown == NULL:
                    raise MemoryError("no memory for a table of BINs")
                ranges = grown
            wrong = read_range(start, row.cells[0].begin, row.cells[0].end, row.cells[1].begin, row.cells[1].end,
                               &ranges[count])
            if wrong is not None:
                problems.at(row.line, wrong[0] - row.begin + 1, wrong[1])
            cell = start[row.cells[2].begin:row.cells[2].end]
            value = known.get(cell)
            if value is None:
                try:
                    value = known[cell] = read(cell)
                except ValueError as error:
                    problems.at(row.line, row.cells[2].begin - row.begin + 1, str(error))
                    continue
            if wrong is not None:
                continue
            ranges[count].value = value
            ranges[count].order = row.line
            count += 1
        if not problems.problems:
            into.load(ranges, count, &crowded)
            if crowded:
                problems.at(crowded, 1, f"more than {OVERLAP_MAX} ranges would hold the same card number")
    finally:
        free(ranges)
    return 0
