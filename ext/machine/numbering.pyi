from typing import Final, final

from switch.machine.stan_holds import StanHolds

INSTANCES_MAX: Final[int]
BLOCK_NUMBERS: Final[int]
NUMBERS_END: Final[int]

@final
class Numbering:
    holds: StanHolds
    instance: int
    instances: int
    stan_first: int
    stan_count: int
    next: int
    limit: int
    ceiling: int
    position: int
    day: int
    learned_instance: int
    def __init__(self, instance: int = 0, instances: int = 1) -> None: ...
    @property
    def next_stan(self) -> int: ...
    @property
    def span(self) -> int: ...
    def begin_behind(self, number: int) -> None: ...
    def begin_by_clock(self, wall_us: int) -> None: ...
    def reserve(self, wall_s: int) -> bool: ...
    def give(self) -> int: ...
    def rrn(self) -> str: ...
