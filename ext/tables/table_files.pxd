"""Files of a table: their heading, their lines, and the text of a cell."""

from libc.stdint cimport uint8_t, uint64_t
from switch.tables.csv_rows cimport Cell, Row, RowReader

cdef uint64_t count_lines(const uint8_t[::1] data) noexcept nogil

cdef str cell_text(const uint8_t *data, Cell cell)

cdef tuple begin_table(RowReader *reader, Row *row, const uint8_t[::1] data, tuple columns, tuple more_columns,
                       problems)
"""Step over the heading; the columns that it names, which are ``columns`` or ``more_columns``. None where it is another
one: that is among the problems then."""

cdef str cells_reason(int count, int needed)
"""Why a row of so many cells cannot be used."""
