"""Rows of a comma-separated file, found in its bytes without copying.

A row is one line; ``\\n`` and ``\\r\\n`` end it. Blank lines and lines that begin with ``#`` are stepped over. Blanks
around a cell do not belong to it. A cell may stand in double quotes, and may then hold commas, and quotes written
twice; its quotes belong to the cell. A row never crosses a line.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    COLUMNS_MAX = 14
    ROWS_BETWEEN = 1024       # a power of two

cdef struct Cell:
    Py_ssize_t begin          # offsets into the file
    Py_ssize_t end

cdef struct Row:
    uint32_t line             # from 1
    Py_ssize_t begin
    Py_ssize_t end
    int count                 # of cells; COLUMNS_MAX + 1 when there are more than COLUMNS_MAX
    Cell cells[COLUMNS_MAX]

cdef struct RowReader:
    const uint8_t *data
    Py_ssize_t size
    Py_ssize_t at
    uint32_t line


cdef inline int let_others_in(uint32_t line) except -1:
    """Once in a thousand rows: threads that wait for the interpreter do not wait for the end of a long file."""
    if line & (ROWS_BETWEEN - 1) == 0:
        with nogil:
            pass
    return 0


cdef inline void rows_over(RowReader *reader, const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Begin at the first line; a UTF-8 byte order mark, as spreadsheets write it, is stepped over."""
    reader.data = data
    reader.size = size
    reader.at = 3 if size >= 3 and data[0] == 0xEF and data[1] == 0xBB and data[2] == 0xBF else 0
    reader.line = 0


cdef inline bint is_blank(uint8_t byte) noexcept nogil:
    return byte == c' ' or byte == c'\t' or byte == c'\r'


cdef inline void trim(const uint8_t *data, Cell *cell) noexcept nogil:
    while cell.begin < cell.end and is_blank(data[cell.begin]):
        cell.begin += 1
    while cell.end > cell.begin and is_blank(data[cell.end - 1]):
        cell.end -= 1


cdef inline bint next_row(RowReader *reader, Row *row) noexcept nogil:
    """The next row that holds anything; 0 at the end of the file."""
    cdef Py_ssize_t at = reader.at, first
    cdef Cell cell
    cdef const uint8_t *data = reader.data
    cdef Py_ssize_t size = reader.size
    while at < size:
        reader.line += 1
        row.begin = at
        first = at
        while first < size and is_blank(data[first]):
            first += 1
        if first == size or data[first] == c'\n' or data[first] == c'#':
            while first < size and data[first] != c'\n':
                first += 1
            at = first + 1
            continue
        row.line = reader.line
        row.count = 0
        while True:
            cell.begin = at
            while at < size and is_blank(data[at]):
                at += 1
            if at < size and data[at] == c'"':
                at += 1
                while at < size and data[at] != c'\n':
                    if data[at] == c'"':
                        if at + 1 < size and data[at + 1] == c'"':
                            at += 1
                        else:
                            break
                    at += 1
            while at < size and data[at] != c',' and data[at] != c'\n':
                at += 1
            cell.end = at
            trim(data, &cell)
            if row.count < COLUMNS_MAX:
                row.cells[row.count] = cell
                row.count += 1
            else:
                row.count = COLUMNS_MAX + 1
            if at >= size or data[at] == c'\n':
                break
            at += 1
        row.end = at
        reader.at = at + 1
        return True
    reader.at = size
    return False
