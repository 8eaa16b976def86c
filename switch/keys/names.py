"""Names of keys: what each is for, and which algorithm it belongs to."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

Usage = Literal["tmk", "tak", "tpk", "zmk", "zak", "zpk", "bdk", "jwk", "sdk", "sik", "rbk", "cmp", "tdk", "had", "cik"]
Family = Literal["des", "aes", "sm4"]

USAGES: Final[dict[Usage, str]] = {
    "tmk": "terminal master key: wraps the keys of one terminal",
    "tak": "terminal authentication key: MACs between a terminal and the switch (MAK in the CUP dialect)",
    "tpk": "terminal PIN key: PIN blocks from a terminal (PIK in the CUP dialect)",
    "zmk": "zone master key: wraps the keys of one link",
    "zak": "zone authentication key: MACs between the switch and an issuer",
    "zpk": "zone PIN key: PIN blocks to an issuer",
    "bdk": "base derivation key: terminals' DUKPT keys come from it (ANSI X9.24-1)",
    "jwk": "journal wrapping key: wraps the keys of the journal's segments",
    "sdk": "store data key: seals what people told of themselves in the back office's database",
    "sik": "store index key: finds what is sealed there by a hash",
    "rbk": "registry binding key: proves that what a terminal is bound to was not altered",
    "cmp": "one person's component of a key, until the others are there",
    "tdk": "terminal track key: data of cards' tracks from a terminal (CUP dialect)",
    "had": "digests of keys that a link has had, no keys: no message brings one of these back",
    "cik": "card index key: finds a card in the books by a hash of its number",
}
"""Usages, in the order in which the sealed file numbers them: only ever append."""

DIGESTS_USAGE: Final[Usage] = "had"

WRAPPING_USAGES: Final = ("tmk", "zmk")
"""Usages of keys whose purpose is to encrypt other keys."""


class Algorithm(NamedTuple):
    """What a key can be used with."""

    size: int
    """Bytes of the key."""
    family: Family


ALGORITHMS: Final[dict[str, Algorithm]] = {
    "des": Algorithm(8, "des"),
    "3des-2key": Algorithm(16, "des"),
    "3des-3key": Algorithm(24, "des"),
    "aes-128": Algorithm(16, "aes"),
    "aes-192": Algorithm(24, "aes"),
    "aes-256": Algorithm(32, "aes"),
    "sm4": Algorithm(16, "sm4"),
}
"""Algorithms by name, in the order in which the sealed file numbers them: only ever append."""

NAME_LENGTH_MAX: Final = 128
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}", re.ASCII)


def check_name(name: str) -> None:
    """Refuse what is not a key's name: letters, digits and ``_./-``, 1 to 128 of them, a letter or digit first.

    Raises:
        ValueError: It is not.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"{name[:NAME_LENGTH_MAX]!r} is no key name: needed are letters, digits and _./- with a letter or digit "
            f"first, at most {NAME_LENGTH_MAX} in all"
        )


def check_usage(usage: str) -> Usage:
    """A usage by its name.

    Raises:
        ValueError: There is none of that name.
    """
    for known in USAGES:
        if usage == known:
            return known
    raise ValueError(f"unknown key usage {usage!r}; known are {', '.join(USAGES)}")


def check_algorithm(algorithm: str) -> Algorithm:
    """An algorithm by its name.

    Raises:
        ValueError: There is none of that name.
    """
    found = ALGORITHMS.get(algorithm)
    if found is None:
        raise ValueError(f"unknown key algorithm {algorithm!r}; known are {', '.join(ALGORITHMS)}")
    return found


def former_name(name: str) -> str:
    """What a key is called when another one has its name: ``link/bank-a/former/zak``."""
    place, slash, last = name.rpartition("/")
    return f"{place}{slash}former/{last}"


def usage_of_name(name: str) -> Usage | None:
    """The usage that a name ends in: ``tak`` of ``terminal/10000001/tak``; None when it ends in something else."""
    last = name.rpartition("/")[2]
    return next((usage for usage in USAGES if usage == last), None)
