"""The mesh's records as Python values, for who has none of the hot path's hurry: HELLOs, tests, people."""

from switch.mesh.records cimport MeshRecord


cdef tuple record_value(const MeshRecord *record)
"""Type, values and size of a record that was read."""
