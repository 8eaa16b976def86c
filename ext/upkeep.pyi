from typing import Final

from switch.commit import JournalFiles
from switch.state import State

CARRY_RECORDS: Final[int]

def keep_up(state: State, journal: JournalFiles, carry_records: int = CARRY_RECORDS) -> None: ...
