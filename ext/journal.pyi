class Journal:
    durable: int
    failed: bool
    is_searched: bool

class JournalOff(Journal): ...
