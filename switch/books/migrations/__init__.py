"""Migrations of the books: one file a version, in ``versions``; each states what changes, and old ones stay."""
