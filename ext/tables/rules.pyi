SCOPES: tuple[str, ...]
"""Whose requests a rule counts together."""
MEASURES: tuple[str, ...]
"""What a rule measures."""
MEMBERS_MAX: int
"""The most merchants that a rule can tell apart for one card."""
WORDS_BYTES_MAX: int
"""The longest identifier, reason or source of a rule, in UTF-8."""
REFUSALS: dict[str, int]
"""What a refusal may be called, with its reason (``switch.dialect.reasons``)."""
