"""The versions of the books' schema, the oldest first."""
