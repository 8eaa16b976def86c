"""Keys of terminals, taken up while the registry is looked up: the new ones, and with them what they replace."""

from switch.tables.registry cimport Terminal


cdef bint has_same_keys(const Terminal *one, const Terminal *other) noexcept nogil
"""Whether two have the same keys."""
