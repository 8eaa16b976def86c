"""Failed attempts to prove who one is: counted, so that they are neither answered nor logged without end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

ATTEMPTS_MAX = 10
ATTEMPTS_SECONDS = 60.0


class FailedAttempts:
    """How many there were of late. Whoever proves who he is is never held up by those of others.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: deque[float] = deque(maxlen=ATTEMPTS_MAX)

    def is_too_many(self) -> bool:
        """Count one more; whether there were so many that it is not worth a line in the log."""
        now = self._clock()
        is_full = len(self._at) == ATTEMPTS_MAX and now - self._at[0] < ATTEMPTS_SECONDS
        if not is_full:
            self._at.append(now)
        return is_full
