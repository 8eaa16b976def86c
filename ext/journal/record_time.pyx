"""The journal's own time, as its records bear it: what no clock that is set can change."""

from libc.string cimport memcpy

cdef enum:
    ELAPSED_TICKS = 0xFFFFFF  # and zero stands for none


cdef void stamp_record(uint8_t *record, int64_t elapsed_ns) noexcept nogil:
    cdef uint32_t stamp = 1 + <uint32_t>(<uint64_t>(elapsed_ns >> ELAPSED_SHIFT) % ELAPSED_TICKS)
    memcpy((<RecordHead *>record).elapsed, &stamp, 3)


cdef int64_t elapsed_of(const RecordHead *head, int64_t near_ns) noexcept nogil:
    cdef uint32_t stamp = 0
    cdef int64_t near_tick = near_ns >> ELAPSED_SHIFT
    cdef int64_t ahead
    memcpy(&stamp, head.elapsed, 3)
    if stamp == 0:
        return -1
    ahead = (<int64_t>stamp - 1 - near_tick % ELAPSED_TICKS + ELAPSED_TICKS) % ELAPSED_TICKS
    if ahead > ELAPSED_TICKS // 2:
        ahead -= ELAPSED_TICKS
    return ((near_tick + ahead + 1) << ELAPSED_SHIFT) - 1
