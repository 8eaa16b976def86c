from typing import Protocol

class Owner(Protocol):
    def hang_up(self, reason: str) -> None: ...

class Channel:
    owner: Owner | None
    slot: int
    generation: int
    is_open: bool
    is_leaving: bool
    in_flight: int
    @property
    def waiting_bytes(self) -> int: ...
