"""Users and groups as this machine knows them."""

from __future__ import annotations

import errno
import grp
import pwd


def user_name(user: int) -> str:
    """What a user is called; one without a name by the number."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def group_id(name: str) -> int:
    """The id of a group.

    Raises:
        OSError: There is none of this name.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(errno.EINVAL, f"this machine has no group {name}") from None
