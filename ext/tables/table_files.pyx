"""Files of a table: their heading, their lines, and the text of a cell."""

from libc.stdint cimport uint8_t, uint64_t
from switch.tables.csv_rows cimport Cell, Row, RowReader, next_row, rows_over


cdef uint64_t count_lines(const uint8_t[::1] data) noexcept nogil:
    cdef Py_ssize_t at
    cdef uint64_t lines = 1
    for at in range(data.shape[0]):
        lines += data[at] == c'\n'
    return lines


cdef str cell_text(const uint8_t *data, Cell cell):
    return data[cell.begin:cell.end].decode("utf-8", "backslashreplace")


cdef tuple begin_table(RowReader *reader, Row *row, const uint8_t[::1] data, tuple columns, tuple more_columns,
                       problems):
    cdef const uint8_t *start = &data[0] if data.shape[0] else NULL
    needed = ",".join(columns)
    rows_over(reader, start, data.shape[0])
    if not next_row(reader, row):
        problems.at(1, 1, f"the file is empty; its first row must be {needed}")
        return None
    heading = start[row.begin:row.end].strip()
    if heading == ",".join(more_columns).encode():
        return more_columns
    if heading != needed.encode():
        problems.at(row.line, 1, f"the first row must be {needed}")
        return None
    return columns


cdef str cells_reason(int count, int needed):
    return f"{'too many' if count > needed else count} cells; needed are {needed}"
