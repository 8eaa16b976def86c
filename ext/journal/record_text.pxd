"""The journal's records for people."""

from switch.journal.records cimport Record

cdef dict describe(const Record *record)
"""The record's parts by name, PAN whole: for callers who mask it."""
