"""``python -m tests.system.held_up ... CONFIG``: a daemon that reads its journal when a file ``go-on`` is there."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

from switch.server import serve
from switch.server.journal import Store

POLL_SECONDS = 0.02


def main() -> None:
    """Serve."""
    config = Path(sys.argv[-1])
    recover = Store.recover

    def held_up(store, state):
        store._progress.reader = SimpleNamespace(segments=[None] * 3, reading=1)
        store._progress.visitor = SimpleNamespace(records=1234)
        while not config.with_name("go-on").exists():
            time.sleep(POLL_SECONDS)
        return recover(store, state)

    Store.recover = held_up
    serve(config)


if __name__ == "__main__":
    main()
