"""Users and groups as this machine knows them."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from contextlib import suppress
from pathlib import Path

LOGIN_USER = Path("/proc/self/loginuid")
NOBODY_LOGGED_IN = 2**32 - 1


def user_name(user: int) -> str:
    """What a user is called; one without a name by the number."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def system_user() -> str:
    """Who works at this terminal, as the system knows him.

    That is who logged in, also behind sudo, where the system keeps that; the environment says what anybody wants.
    """
    user = os.getuid()
    with suppress(OSError, ValueError):
        logged_in = int(LOGIN_USER.read_text())
        user = user if logged_in == NOBODY_LOGGED_IN else logged_in
    return user_name(user)


def group_id(name: str) -> int:
    """The id of a group.

    Raises:
        OSError: There is none of this name.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(errno.EINVAL, f"this machine has no group {name}") from None
