"""Whole messages to and from Python dictionaries: for tools, tests and all that runs seldom."""

from switch.spec cimport Spec


cpdef tuple decode(object s, object spec)
cpdef tuple encode(object doc_dec, object spec)

cdef Spec known_spec(object spec)
"""The compiled form of a specification: itself, or a dictionary's, remembered while the dictionary does not change."""
