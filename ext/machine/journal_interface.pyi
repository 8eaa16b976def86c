class Journal:
    durable: int
    failed: bool
    is_searched: bool
    elapsed_offset_ns: int

class JournalOff(Journal): ...
