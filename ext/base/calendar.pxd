"""The present moment, and the texts that messages carry of it, worked out once a second."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t


cdef class Calendar:
    cdef readonly int64_t now_ns              # since the machine was started: for deadlines and durations
    cdef readonly int64_t wall_s              # seconds since 1970, UTC: for what messages say
    cdef readonly int64_t wall_us             # the same moment in microseconds: for the journal
    cdef readonly int64_t local_offset_s      # of the acquirer's time zone; its owner keeps it true
    cdef uint8_t transmission_time[10]        # MMDDhhmmss, UTC (field 7)
    cdef uint8_t local_time[6]                # hhmmss (field 12)
    cdef uint8_t local_date[4]                # MMDD (field 13)
    cdef uint8_t local_date_time[12]          # YYMMDDhhmmss (field 12 of ISO 8583:1993)

    cdef void set_time(self, int64_t now_ns, int64_t wall_s) noexcept nogil
    cdef void set_from_clock(self) noexcept nogil
    cdef void _write_texts(self) noexcept nogil


cdef void write_digits(uint8_t *at, int width, uint64_t number) noexcept nogil

cdef uint32_t date_of(int64_t wall_s) noexcept nogil
"""MMDD, as a number, of a moment in seconds since 1970."""

cdef uint64_t month_of(int64_t wall_s) noexcept nogil
"""Number of the calendar month of a moment in seconds since 1970: each is one above the month before."""
