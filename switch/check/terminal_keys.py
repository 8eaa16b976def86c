"""The keys of terminals as the registry takes them: which do not fit their use, and which no sign-in can carry."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Collection, Iterator
from zlib import crc32

from switch.check.key_fit import fits_mac, fits_pin, fits_sign_in
from switch.crypto.mac import KEY_SIZES
from switch.crypto.pin_block import PIN_KEY_SIZES
from switch.crypto.sign_in_keys import ROOMS
from switch.files.problems import Problem
from switch.keys import Key, KeyFile
from switch.keys.names import ALGORITHMS
from switch.keys.store_keys import FINDING_KEY
from switch.tables.binding import BINDING_KEY
from switch.tables.registry import BOUND_TERMINAL_COLUMNS, TERMINAL_COLUMNS

MASTER_KEY = "/tmk"
TOLD_MAX = 20
"""So many terminals are named; of the others the number is told."""

ID, MAC_ALGORITHM, PIN_FORMAT = map(TERMINAL_COLUMNS.index, ("id", "mac_algorithm", "pin_format"))

OTHERS = BINDING_KEY, FINDING_KEY
"""No terminal's: of merchants, hashes are made with them."""

SORTS = {"iso-0": "DES", "sm4": "SM4"}
"""Of which cipher all keys of a terminal are that signs in, by a format of its PIN blocks."""


class TerminalKeys:
    """Clear keys by name, without master keys that are not of DES.

    The registry knows their bytes alone, and enciphers the answer to a sign-in with DES: 16 bytes of AES would pass for
    a key of double length.

    Args:
        keys: The opened key file.
    """

    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys
        self._met = array("I")
        self._met_algorithms: list[str] = []
        self._faults: dict[str, str] = {}
        self._count = 0
        self._last = ""
        self.pin_formats: set[str] = set()
        """Those of the rows that ``misfits`` has looked at."""

    def get(self, name: str, /) -> bytes | None:
        """The key; None when there is none of that name, or it cannot be used."""
        found = self._keys.lookup(name)
        if found is None:
            return None
        value, algorithm = found
        if name in OTHERS:
            return value
        self._met.append(crc32(name.encode()))
        self._met_algorithms.append(algorithm)
        if not name.endswith(MASTER_KEY):
            return value
        reason = self._fault(name)
        if reason and name != self._last:
            self._last = name  # asked for once more where its row is wrong
            self._count += 1
            if len(self._faults) < TOLD_MAX:
                self._faults[name] = reason
        return value if _sort_of(algorithm) else None

    def warnings(self, file: str) -> Iterator[Problem]:
        """Terminals, among those whose keys were asked for, whose sign-in is answered without keys, or refused."""
        for name, reason in self._faults.items():
            yield Problem(file, name, f"{reason}: a sign-in of this terminal carries no keys", "warning")
        if self._count > len(self._faults):
            others = self._count - len(self._faults)
            yield Problem(file, "", f"{others:,} more terminals whose keys a sign-in cannot carry", "warning")

    def _fault(self, name: str) -> str:
        """Why an answer cannot carry the keys of a terminal that has a master key; empty when it can."""
        sort = _sort_of(self._keys.get(name).algorithm)
        if not sort:
            return ""  # an error, which is told with its row
        terminal = name.removesuffix(MASTER_KEY)
        pin = self._find(f"{terminal}/tpk")
        mac = self._find(f"{terminal}/tak")
        if pin is None:
            return "there is no tpk, and the answer has a place for both working keys"
        if not fits_sign_in(pin.algorithm, sort) or len(pin.value) not in ROOMS:
            return f"the tpk is a key for {pin.algorithm}, and the answer has a place for one of {SORTS[sort]}"
        if mac is None:
            return "there is no tak, and the answer has a place for both working keys"
        if not fits_sign_in(mac.algorithm, sort) or len(mac.value) not in (8, len(pin.value)):
            place = f"one of {SORTS[sort]}, of 8 bytes or as long as the tpk"
            return f"the tak is a key for {mac.algorithm}, and the answer has a place for {place}"
        return ""

    def _find(self, name: str) -> Key | None:
        return self._keys.get(name) if name in self._keys else None

    def misfits(self, table: str, data: bytes) -> list[Problem]:
        """Rows of the terminals' table whose keys are of another algorithm than their use.

        The registry knows keys by their size alone: 16 bytes may be of AES, of SM4 or two keys of DES.

        Args:
            table: Name of the terminals' file.
            data: What stands in it; what is wrong with it otherwise is told by whom loads it.
        """
        problems: list[Problem] = []
        count = 0
        algorithm_of = self._remembered()
        for line, cells in terminal_rows(data):
            self.pin_formats.add(cells[PIN_FORMAT])
            for reason in misfits_of(cells[ID], cells[MAC_ALGORITHM], cells[PIN_FORMAT], algorithm_of):
                count += 1
                if count <= TOLD_MAX:
                    problems.append(Problem(table, f"line {line}", reason))
        if count > TOLD_MAX:
            problems.append(Problem(table, "", f"and {count - TOLD_MAX:,} more keys that do not fit their use"))
        return problems

    def _remembered(self) -> Callable[[str], str | None]:
        """Gives algorithms by name: of keys in the order in which they were asked for without another look-up."""
        place = 0

        def algorithm_of(name: str) -> str | None:
            nonlocal place
            if place < len(self._met) and self._met[place] == crc32(name.encode()):
                place += 1
                return self._met_algorithms[place - 1]
            found = self._keys.lookup(name)
            return None if found is None else found[1]

        return algorithm_of


def terminal_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each terminal in a file of them."""
    for number, line in enumerate(data.decode("ascii", "replace").split("\n"), 1):
        cells = next(csv.reader([line.rstrip("\r")]), []) if '"' in line else line.rstrip("\r").split(",")
        if len(cells) in (len(TERMINAL_COLUMNS), len(BOUND_TERMINAL_COLUMNS)) and not line.startswith("#"):
            yield number, cells


def misfits_of(terminal: str, mac: str, pin: str, algorithm_of: Callable[[str], str | None]) -> Iterator[str]:
    """Why keys of one terminal cannot be used.

    Args:
        terminal: Its identifier.
        mac: The algorithm of its MACs.
        pin: The format of its PIN blocks.
        algorithm_of: Of a key by name; None where there is none of that name.
    """
    prefix = f"terminal/{terminal}/"
    # A key of a wrong size is told by the registry.
    found = algorithm_of(f"{prefix}tak") if mac in KEY_SIZES else None
    if found and _is_of_size(found, KEY_SIZES[mac]) and not fits_mac(found, mac):
        yield f"{prefix}tak is a key for {found}, which {mac} cannot use"
    if pin in PIN_KEY_SIZES:
        found = algorithm_of(f"{prefix}tpk")
        if found and _is_of_size(found, PIN_KEY_SIZES[pin]) and not fits_pin(found, pin):
            yield f"{prefix}tpk is a key for {found}, which PIN blocks of {pin} cannot use"
    for usage in ("tmk", "tdk"):
        found = algorithm_of(f"{prefix}{usage}")
        if found and not fits_sign_in(found, pin):
            needed = SORTS["sm4" if pin == "sm4" else "iso-0"]
            yield f"{prefix}{usage} is a key for {found}, and the answer to a sign-in is enciphered with {needed}"


def _sort_of(algorithm: str) -> str:
    """A format of PIN blocks of terminals that can have such a master key; empty when none can."""
    return next((sort for sort in SORTS if fits_sign_in(algorithm, sort)), "")


def _is_of_size(algorithm: str, sizes: Collection[int]) -> bool:
    return ALGORITHMS[algorithm].size in sizes
