"""Secrets that must stand nowhere in clear, and where they stand in what a switch has written and said.

A secret is looked for as it may lie in bytes: characters of ASCII and EBCDIC, packed digits of either parity, hex
digits, Base64 wherever it begins. A scanner that knows one form sees too little.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SHORTEST_BYTES, FEWEST_VALUES = 6, 3
"""Of a form: what is shorter, or has fewer different bytes, is found by chance."""


def forms(secret: str | bytes) -> set[bytes]:
    """How a secret may lie in bytes."""
    if isinstance(secret, bytes):
        found = {secret, secret[::-1]}
    else:
        found = {secret.encode(), secret.encode("cp037"), secret.encode("utf-16-le")[:-1]}
        if re.fullmatch(r"[0-9A-Fa-f]+", secret):
            found |= {bytes.fromhex(secret[at : at + (len(secret) - at & ~1)]) for at in (0, 1)}
    for form in tuple(found):
        found |= {form.hex().encode(), form.hex().upper().encode(), *_base64(form)}
    return {form for form in found if len(form) >= SHORTEST_BYTES and len(set(form)) >= FEWEST_VALUES}


def _base64(data: bytes) -> Iterator[bytes]:
    """The characters that are the same whatever stands before and behind."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + data)
        whole = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


class Leaks:
    """Looks for secrets.

    Args:
        secrets: By what they are called.
    """

    def __init__(self, secrets: dict[str, str | bytes]) -> None:
        self._names = {form: name for name, secret in secrets.items() for form in forms(secret)}

    def in_bytes(self, data: bytes) -> set[str]:
        """Which secrets stand in them."""
        return {name for form, name in self._names.items() if form in data}

    def in_files(self, folder: Path, known: Iterable[Path]) -> dict[str, set[str]]:
        """Which secrets stand in which files of a folder, but for those known to have some."""
        apart = {path.resolve() for path in known}
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not apart & {path.resolve(), *path.resolve().parents}:
                found[str(path.relative_to(folder))] = self.in_bytes(path.read_bytes())
        return {name: names for name, names in found.items() if names}
