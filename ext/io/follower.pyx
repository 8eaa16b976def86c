"""Whom the end of a turn concerns, beside connections."""


cdef class Follower:
    """Does nothing; for what has something to do then."""

    cdef void end_turn(self) noexcept:
        """All who were ready were heard, and what may leave was written."""
