"""System trace audit numbers of simulated terminals from run to run: like real ones they go on where they were.

A switch remembers for days what a terminal has asked for; a number that comes again is a repeat to it, or a conflict.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from switch.files.datafile import read_regular

STAN_COUNT = 999_999
SPREAD = 1000
"""The terminals of one run begin at different numbers within so many."""

RESERVED = 10_000
"""So many numbers are taken when a run begins, for one that is killed before it can say how many it used."""


def default_file() -> Path:
    """Where numbers are kept unless another file is named."""
    folder = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(folder) / "authswitch" / "stans.json"


class Numbers:
    """Where the terminals that call one switch go on.

    Args:
        path: A JSON file: the next number by the switch's address. Where it cannot be read the clock says where to
            begin, and where it cannot be written nothing is remembered.
        switch: The address.
    """

    def __init__(self, path: Path, switch: str) -> None:
        self._path = path
        self._switch = switch
        known = self._read().get(switch)
        self.first = known % STAN_COUNT if isinstance(known, int) else int(time.time()) % STAN_COUNT
        """The number at which this run begins."""
        self._write(RESERVED)

    def used(self, most: int) -> None:
        """The run is over; no terminal used more numbers than ``most``."""
        self._write(SPREAD + most)

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            known = json.loads(read_regular(self._path))
            return known if isinstance(known, dict) else {}
        return {}

    def _write(self, taken: int) -> None:
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            kept = self._read() | {self._switch: (self.first + taken) % STAN_COUNT}
            beside = self._path.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(kept, indent=2) + "\n")
            beside.replace(self._path)
