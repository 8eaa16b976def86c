from typing import Final

from switch.journal.commit import JournalFiles
from switch.machine.state import State

CARRY_RECORDS: Final[int]

def keep_up(state: State, journal: JournalFiles, carry_records: int = CARRY_RECORDS) -> None: ...
