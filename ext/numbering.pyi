from typing import final

from switch.calendar import Calendar

@final
class Numbering:
    next: int
    turns: int
    def __init__(self, first: int = 1) -> None: ...
    def rrn(self, calendar: Calendar) -> str: ...

def number_of(rrn: str) -> int: ...
