"""``python -m tests.simulation``: runs seeds until one fails, the seeds are used up, or the time is."""

from __future__ import annotations

import sys

from .commands import main

sys.exit(main())
