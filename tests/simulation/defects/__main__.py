"""``python -m tests.simulation.defects [NAME...]``: builds the copy with the defects, and hunts them."""

from __future__ import annotations

import os
import subprocess
import sys

from .build import ROOT, build


def main() -> int:
    """Run ``hunt`` where the defects are compiled in."""
    lib = build()
    environment = {**os.environ, "PYTHONPATH": f"{lib}:{ROOT}", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "tests.simulation.defects.hunt", *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


sys.exit(main())
