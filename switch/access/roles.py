"""What people may do: rights, and the roles that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from switch.store.problems import RefusedError

RIGHTS: Mapping[str, str] = {
    "registry.read": "see merchants, terminals, risk rules, BIN tables, links and proposals",
    "registry.change": "add, change, suspend and import them; propose what needs two people",
    "registry.approve": "approve or refuse what was proposed about them",
    "cases.close": "say what was found in the case of a terminal or merchant that is not as registered",
    "applications.review": "look through applications of merchants",
    "links.hold": "hold links out of service, and release them",
    "daemon.operate": "drain a daemon, retry and close reversals",
    "audit.read": "see the audit, and prove that it is whole",
    "people.read": "see people and their tokens",
    "people.change": "add and change people, give and revoke tokens of others",
}
"""Each right, and what it is for."""

READING = frozenset({"registry.read"})
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": READING,
    "registrar": READING | {"registry.change"},
    "reviewer": READING | {"applications.review", "cases.close"},
    "approver": READING | {"registry.approve"},
    "operator": READING | {"daemon.operate", "links.hold"},
    "auditor": READING | {"audit.read", "people.read"},
    "administrator": READING | {"people.read", "people.change"},
}
"""Each role, and its rights; a person may have several."""


def rights_of(roles: Iterable[str]) -> frozenset[str]:
    """All that somebody with these roles may do; a role that this program does not know gives nothing."""
    return frozenset[str]().union(*(ROLES.get(role, frozenset()) for role in roles))


def roles_text(roles: Iterable[str]) -> str:
    """Roles as a row keeps them, each once, in the order of the table.

    Raises:
        RefusedError: There is no such role, or none was named.
    """
    wanted = set(roles)
    if unknown := wanted - ROLES.keys():
        raise RefusedError(f"there is no role {', '.join(sorted(unknown))}; there are {', '.join(ROLES)}")
    if not wanted:
        raise RefusedError(f"needed a role, one or several of {', '.join(ROLES)}")
    return "|".join(role for role in ROLES if role in wanted)


def table() -> str:
    """The roles and their rights as Markdown."""
    lines = ["| right | what it is for | roles |", "| --- | --- | --- |"]
    for right, purpose in RIGHTS.items():
        roles = ", ".join(role for role, rights in ROLES.items() if right in rights)
        lines.append(f"| `{right}` | {purpose} | {roles} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
