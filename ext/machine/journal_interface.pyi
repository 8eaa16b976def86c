class Journal:
    durable: int
    failed: bool
    is_searched: bool
    elapsed_offset_ns: int
    epoch: int
    life: int
    began: int
    lives: dict[int, tuple[int, int]] | None
    outdated: str | None
    def live(self, lives: dict[int, tuple[int, int]]) -> None: ...
    def outlive(self, why: str) -> None: ...
    def why_outdated(self, epoch: int, life: int, position: int) -> str | None: ...

class JournalOff(Journal): ...
