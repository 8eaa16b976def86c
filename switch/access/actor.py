"""Who asks for something, as one person, whatever the name that was given."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from switch.store.problems import NotAllowedError


def plain_name(name: str) -> str:
    """A name without what only its spelling has: two that are plainly alike are one person's."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


@dataclass(frozen=True, slots=True)
class Actor:
    """A person at work.

    Attributes:
        name: What the audit keeps.
        other_names: What the same person is called elsewhere, such as by the system.
        rights: What the person may do; None: all, since nobody has been registered yet.
        token: The id of the token that was shown; empty where none was.
        behind: What all are called who stand behind that token. It keeps from them what is another person's to decide,
            and gives nothing: what is theirs is not the person's own.
    """

    name: str
    other_names: frozenset[str] = frozenset()
    rights: frozenset[str] | None = None
    token: str = ""
    behind: frozenset[str] = frozenset()

    def has_name(self, name: str) -> bool:
        """Whether a name is this person's, however it is spelled: what is so named is the person's own."""
        return plain_name(name) in {plain_name(one) for one in (self.name, *self.other_names)}

    def may_be(self, name: str) -> bool:
        """Whether somebody of that name may be at work here: this person, or who stands behind the token."""
        return self.has_name(name) or plain_name(name) in {plain_name(one) for one in self.behind}

    def require(self, right: str) -> None:
        """See that the person may do something.

        Raises:
            NotAllowedError: Not so.
        """
        if self.rights is not None and right not in self.rights:
            raise NotAllowedError(f"{self.name} may not do this: the right {right} is needed")
