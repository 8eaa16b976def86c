"""Somebody who types the commands of a page, in an empty folder and on ports that are free."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from .working_copy import ROOT

STOP_SECONDS = 60


class Newcomer:
    """Types commands, and opens windows for those that go on.

    Args:
        folder: An empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.windows: list[subprocess.Popen[str]] = []

    def as_here(self, text: str) -> str:
        """What a page says, with the ports that are free."""
        raise NotImplementedError

    def _words(self, command: str) -> list[str]:
        words = shlex.split(self.as_here(command))
        return [sys.executable, "-m", "switch", *words[1:]] if words[0] == "authswitch" else words

    def _environment(self) -> dict[str, str]:
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type a command, and read what it says."""
        return subprocess.run(
            self._words(command),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def log_of(self, window: int) -> Path:
        """What stands in a window, the last one at -1."""
        return self.folder / f"window-{range(len(self.windows))[window]}.log"

    def opens_a_window(self, command: str) -> subprocess.Popen[str]:
        """Start what goes on."""
        with (self.folder / f"window-{len(self.windows)}.log").open("w") as log:
            process = subprocess.Popen(
                self._words(command), cwd=self.folder, env=self._environment(), stdout=log, stderr=log, text=True
            )
        self.windows.append(process)
        return process

    def closes_all(self) -> None:
        """End what still goes on."""
        for process in self.windows:
            process.terminate()
            process.wait(STOP_SECONDS)
