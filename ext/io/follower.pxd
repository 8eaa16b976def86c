"""Whom the end of a turn concerns, beside connections."""


cdef class Follower:
    cdef void end_turn(self) noexcept
