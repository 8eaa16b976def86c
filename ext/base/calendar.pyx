"""The present moment, and the texts that messages carry of it, worked out once a second."""

cimport cython
from libc.string cimport memcpy
from posix.time cimport clock_gettime, timespec

cdef extern from "time.h" nogil:
    enum:
        CLOCK_BOOTTIME
        CLOCK_REALTIME_COARSE
    struct tm:
        int tm_sec
        int tm_min
        int tm_hour
        int tm_mday
        int tm_mon
        int tm_year
        int tm_yday
    ctypedef long time_t
    tm *gmtime_r(const time_t *moment, tm *parts)


cdef enum:
    SECONDS_A_DAY = 86_400
    DAYS_TO_1970 = 719_468    # from 1 March of the year 0
    DAYS_IN_400_YEARS = 146_097

cdef uint8_t DIGIT_PAIRS[200]     # "00" to "99"


cdef int _fill_pairs() except -1:
    cdef int number
    for number in range(100):
        DIGIT_PAIRS[2 * number] = 0x30 + number // 10
        DIGIT_PAIRS[2 * number + 1] = 0x30 + number % 10
    return 0


_fill_pairs()


cdef void write_digits(uint8_t *at, int width, uint64_t number) noexcept nogil:
    """Write the lowest ``width`` decimal digits of a number as ASCII, zeros on the left."""
    cdef uint64_t rest
    while width >= 2:
        width -= 2
        rest = number // 100
        memcpy(at + width, &DIGIT_PAIRS[2 * (number - 100 * rest)], 2)
        number = rest
    if width:
        at[0] = <uint8_t>(0x30 + number % 10)


cdef uint32_t date_of(int64_t wall_s) noexcept nogil:
    cdef tm parts
    cdef time_t moment = wall_s
    gmtime_r(&moment, &parts)
    return <uint32_t>(100 * (parts.tm_mon + 1) + parts.tm_mday)


cdef uint64_t month_of(int64_t wall_s) noexcept nogil:
    # Days are counted from the first of March of the year 0, so that a leap day is the last of its year. No call of
    # the C library: it would take a lock.
    cdef uint64_t day = <uint64_t>(max(wall_s, 0) // SECONDS_A_DAY + DAYS_TO_1970)
    cdef uint64_t era = day // DAYS_IN_400_YEARS
    cdef uint64_t of_era = day % DAYS_IN_400_YEARS
    cdef uint64_t year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    cdef uint64_t of_year = of_era - (365 * year + year // 4 - year // 100)
    return (400 * era + year) * 12 + (5 * of_year + 2) // 153


@cython.final
cdef class Calendar:
    """A clock that its owner moves: the daemon from the system's clocks, the simulator from virtual time."""

    def __cinit__(self, int64_t local_offset_s=0):
        self.wall_s = -1
        self.local_offset_s = local_offset_s

    def set_local_offset(self, int64_t local_offset_s):
        """Change the time zone's offset from UTC, in seconds."""
        self.local_offset_s = local_offset_s
        if self.wall_s >= 0:
            self._write_texts()

    def set(self, int64_t now_ns, int64_t wall_s, int64_t microsecond=0):
        """Move to a moment: ``now_ns`` monotonic, ``wall_s`` in seconds since 1970, and the microsecond in it."""
        self.set_time(now_ns, wall_s)
        self.wall_us += microsecond

    def texts(self):
        """The texts of the moment, by name, as a message would carry them."""
        return {
            "transmission_time": self.transmission_time[:10].decode(),
            "local_time": self.local_time[:6].decode(),
            "local_date": self.local_date[:4].decode(),
            "local_date_time": self.local_date_time[:12].decode(),
        }

    cdef void set_from_clock(self) noexcept nogil:
        """Move to what the system's clocks say."""
        cdef timespec moment
        clock_gettime(CLOCK_BOOTTIME, &moment)               # goes on while the machine sleeps
        cdef int64_t now_ns = <int64_t>moment.tv_sec * 1_000_000_000 + moment.tv_nsec
        clock_gettime(CLOCK_REALTIME_COARSE, &moment)        # a few milliseconds late, and much cheaper
        self.set_time(now_ns, moment.tv_sec)
        self.wall_us += moment.tv_nsec // 1000

    cdef void set_time(self, int64_t now_ns, int64_t wall_s) noexcept nogil:
        self.now_ns = now_ns
        self.wall_us = wall_s * 1_000_000
        if wall_s != self.wall_s:
            self.wall_s = wall_s
            self._write_texts()

    cdef void _write_texts(self) noexcept nogil:
        cdef tm utc, local
        cdef time_t moment = self.wall_s
        gmtime_r(&moment, &utc)
        moment += self.local_offset_s
        gmtime_r(&moment, &local)
        write_digits(self.transmission_time, 2, utc.tm_mon + 1)
        write_digits(self.transmission_time + 2, 2, utc.tm_mday)
        write_digits(self.transmission_time + 4, 2, utc.tm_hour)
        write_digits(self.transmission_time + 6, 2, utc.tm_min)
        write_digits(self.transmission_time + 8, 2, utc.tm_sec)
        write_digits(self.local_date_time, 2, local.tm_year % 100)
        write_digits(self.local_date_time + 2, 2, local.tm_mon + 1)
        write_digits(self.local_date_time + 4, 2, local.tm_mday)
        write_digits(self.local_date_time + 6, 2, local.tm_hour)
        write_digits(self.local_date_time + 8, 2, local.tm_min)
        write_digits(self.local_date_time + 10, 2, local.tm_sec)
        memcpy(self.local_date, self.local_date_time + 2, 4)
        memcpy(self.local_time, self.local_date_time + 6, 6)
