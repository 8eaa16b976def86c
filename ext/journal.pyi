class Journal:
    durable: int
    failed: bool

class JournalOff(Journal): ...
