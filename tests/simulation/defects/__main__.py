"""``python -m tests.simulation.defects [NAME...]``: builds the copy with the defects, and hunts them."""

from __future__ import annotations

import sys

from .build import run_where_compiled_in

sys.exit(run_where_compiled_in("tests.simulation.defects.hunt", sys.argv[1:]))
