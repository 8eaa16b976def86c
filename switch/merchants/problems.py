"""What is refused, in words for who asked for it."""

from __future__ import annotations

from switch.store.problems import RefusedError as AgainstTheRulesError


class RefusedError(AgainstTheRulesError):
    """A change of the registry that is not made; the words say why, and name no secret."""
