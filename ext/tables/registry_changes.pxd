"""Changes of a registry while it is looked up."""

from switch.tables.registry cimport Registry

cpdef int take_changes(Registry registry, Registry changes) except -1
"""Change a registry between two messages: no pointer into it may be held across this."""
