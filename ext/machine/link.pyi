from typing import final

from switch.dialect.tables import DialectTables
from switch.machine.link_connections import LinkConnections
from switch.machine.saf_store import SafQueue
from switch.tables.stand_in import StandIn
from switch.wire.framing import Framing
from switch.wire.translate import Composer

VERIFY_FIELDS_MAX: int

@final
class Link:
    number: int
    name: str
    tables: DialectTables
    framing: Framing
    match_by_rrn: bool
    partial_approval: bool
    timeout_ns: int
    late_ns: int
    echo_interval_ns: int
    echo_timeout_ns: int
    idle_timeout_ns: int
    partial_timeout_ns: int
    signs_on: bool
    reversal_mti: int
    reversals_keep_stan: bool
    institution_id: bytes
    in_flight_max: int
    timeouts_to_suspend: int
    connections: LinkConnections
    saf: SafQueue
    stand_in: StandIn | None
    stand_in_mark: bytes
    def __init__(
        self,
        connections: LinkConnections,
        tables: DialectTables,
        saf: SafQueue,
        *,
        match_by: str,
        verify: list[int],
        required: list[int],
        partial_approval: bool,
        timeout_ms: int,
        late_ms: int,
        echo_interval_ms: int,
        echo_timeout_ms: int,
        idle_timeout_ms: int,
        partial_timeout_ms: int,
        signs_on: bool,
        in_flight_max: int,
        timeouts_to_suspend: int,
        reversal_mti: int,
        reversals_keep_stan: bool,
        institution_id: str = "",
    ) -> None: ...
    @property
    def in_flight(self) -> int: ...
    def set_mac_key(self, algorithm: str, key: bytes, padding: int) -> None: ...
    def set_former_mac_key(self, algorithm: str, key: bytes | None, padding: int, until_ns: int) -> None: ...
    def set_pin_key(self, pin_format: int, key: bytes) -> None: ...
    def set_stand_in(self, rule: StandIn, mark: str) -> None: ...
    def set_composers(
        self,
        *,
        requests: list[Composer],
        references: list[Composer],
        advices: list[Composer],
        unknown_reversals: list[Composer],
        answers: list[Composer],
        unsigned_answers: list[Composer],
        reversal: Composer,
        advice_attempt: Composer,
        network: dict[int, Composer],
        network_answer: Composer,
        key_answer: Composer,
    ) -> None: ...
