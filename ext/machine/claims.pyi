from typing import final

CLAIM_STATES: tuple[str, ...]

@final
class KeptClaim: ...

@final
class SoughtClaim: ...

@final
class Asker: ...

@final
class AskedClaim: ...

@final
class SaidState: ...

@final
class ClaimAnswer: ...

@final
class Claiming: ...

@final
class SaidClaim: ...

@final
class Claims:
    partition: int
    partitions: int
    room: int
    kept: dict[int, KeptClaim]
    open: dict[int, KeptClaim]
    asked: dict[bytes, AskedClaim]
    askers: dict[bytes, Asker]
    unknown: dict[tuple[int, int], SaidState]
    wanted: dict[int, Claiming]
    said: dict[int, SaidClaim]
    sought: dict[int, SoughtClaim]
    def __init__(self, partition: int = 0, partitions: int = 1, room: int = 1) -> None: ...
