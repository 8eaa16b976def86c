from switch.journal.original_search import Finder
from switch.machine.originals import Original, Wanted

def look_up(finder: Finder, wanted: Wanted, local_offset_s: int = 0) -> tuple[Original | None, bool]: ...
