"""The keys of terminals as the registry takes them, and which of them no sign-in can carry."""

from __future__ import annotations

from collections.abc import Iterator

from switch.keys import Key, KeyFile
from switch.keys.names import ALGORITHMS
from switch.problems import Problem

MASTER_KEY = "/tmk"
TOLD_MAX = 20
"""So many terminals are named; of the others the number is told."""


class TerminalKeys:
    """Clear keys by name, without master keys that are not of DES.

    The registry knows their bytes alone, and enciphers the answer to a sign-in with DES: 16 bytes of AES would pass for
    a key of double length.

    Args:
        keys: The opened key file.
    """

    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys
        self._source = keys.source()
        self._faults: dict[str, str] = {}
        self._count = 0
        self._last = ""

    def get(self, name: str, /) -> bytes | None:
        """The key; None when there is none of that name, or it cannot be used."""
        value = self._source.get(name)
        if value is None or not name.endswith(MASTER_KEY):
            return value
        reason = self._fault(name)
        if reason and name != self._last:
            self._last = name  # asked for once more where its row is wrong
            self._count += 1
            if len(self._faults) < TOLD_MAX:
                self._faults[name] = reason
        return value if _is_of_des(self._keys.get(name)) else None

    def warnings(self, file: str) -> Iterator[Problem]:
        """Terminals, among those whose keys were asked for, whose sign-in is answered without keys, or refused."""
        for name, reason in self._faults.items():
            yield Problem(file, name, f"{reason}: a sign-in of this terminal carries no keys", "warning")
        if self._count > len(self._faults):
            others = self._count - len(self._faults)
            yield Problem(file, "", f"{others:,} more terminals whose keys a sign-in cannot carry", "warning")

    def _fault(self, name: str) -> str:
        """Why an answer cannot carry the keys of a terminal that has a master key; empty when it can."""
        if not _is_of_des(key := self._keys.get(name)):
            return f"a key for {key.algorithm}, and the answer is enciphered with DES"
        terminal = name.removesuffix(MASTER_KEY)
        pin = self._find(f"{terminal}/tpk")
        mac = self._find(f"{terminal}/tak")
        if pin is None:
            return "there is no tpk, and the answer has a place for both working keys"
        if not _is_of_des(pin) or len(pin.value) not in (8, 16):
            return f"the tpk is a key for {pin.algorithm}, and the answer has a place for one of DES of 8 or 16 bytes"
        if mac is None:
            return "there is no tak, and the answer has a place for both working keys"
        if not _is_of_des(mac) or len(mac.value) > len(pin.value):
            return f"the tak is a key for {mac.algorithm}, and the answer carries one of DES, no longer than the tpk"
        return ""

    def _find(self, name: str) -> Key | None:
        return self._keys.get(name) if name in self._keys else None


def _is_of_des(key: Key) -> bool:
    return ALGORITHMS[key.algorithm].family == "des"
