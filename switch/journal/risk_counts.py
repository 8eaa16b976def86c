"""What risk control has counted in a life before: brought back from a journal when the daemon starts."""

from __future__ import annotations

from collections.abc import Callable

from switch.journal.replay import JournalReader
from switch.journal.request_history import CountRestorer, Fates
from switch.journal.resuming import Progress
from switch.machine.state import State

US_A_MS = 1000


def restore_counts(state: State, open_reader: Callable[[], JournalReader], progress: Progress, wall_us: int) -> int:
    """Count what a journal says was approved, or declined, within the windows of risk control; how many requests.

    A journal is counted once in the life of the table of windows. Whoever comes behind one that was cut off goes on
    where that one ended.

    Args:
        state: The state machine of the journal's partition; its calendar stands at the present moment.
        open_reader: Of the journal, as it was before the state machine writes to it; asked only where something counts.
        progress: Tells how far it has come.
        wall_us: The present moment, in microseconds since 1970.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place of the journal cannot be read that is not a torn tail.
        ReplayStopped: ``progress`` was told to stop.
    """
    risk = state.risk
    if risk is None or risk.window_max_ms == 0:
        return 0
    counted_to = risk.windows.begin_history(state.partition)
    if counted_to is None:
        return 0
    reader = open_reader()
    counted = 0
    if reader.segments:
        first = segment_at(reader, wall_us - risk.window_max_ms * US_A_MS)
        fates = Fates()
        progress.begin(reader, fates)
        reader.replay(fates, first)
        restorer = CountRestorer(
            fates,
            risk,
            state.registry,
            state.calendar.now_ns,
            wall_us,
            journal=state.partition,
            counted_to=counted_to,
        )
        progress.begin(reader, restorer)
        reader.replay(restorer, first)
        counted = restorer.counted
    # An empty journal is whole, too: what is written into it from now on is counted by whoever writes it.
    risk.windows.end_history(state.partition)
    return counted


def segment_at(reader: JournalReader, wall_us: int) -> int:
    """The number of the segment in which a moment lies, by the clock when each began; the first when it is older."""
    begun = [number for number, segment in enumerate(reader.segments) if segment.created_us <= wall_us]
    return max(begun, default=0)
