from collections.abc import Iterable

from switch.dialect.tables import DialectTables
from switch.machine.channel import Channel
from switch.wire.framing import Framing
from switch.wire.translate import Composer

MAC_POLICIES: dict[str, int]
PARTIAL_POLICIES: dict[str, int]

class Listener:
    number: int
    name: str
    tables: DialectTables
    framing: Framing
    mac_policy: int
    partial_policy: int
    binds_identity: bool
    first_message_timeout_ns: int
    idle_timeout_ns: int
    partial_timeout_ns: int
    in_flight_max: int
    connections_max: int
    connections: int
    answer_composer: Composer
    unsigned_answer_composer: Composer
    network_answer_composer: Composer
    downloads: object | None
    def __init__(
        self,
        number: int,
        name: str,
        tables: DialectTables,
        framing: Framing,
        answer_composer: Composer,
        unsigned_answer_composer: Composer,
        network_answer_composer: Composer,
        *,
        mac_policy: str,
        unkept: Iterable[int],
        partial_approval: str,
        binds_identity: bool,
        first_message_timeout_ms: int,
        idle_timeout_ms: int,
        partial_timeout_ms: int,
        in_flight_max: int,
        connections_max: int,
        downloads: object | None = None,
    ) -> None: ...

class TerminalChannel(Channel):
    listener: Listener
    def __init__(self, listener: Listener) -> None: ...
    def called_from(self, address: str) -> None: ...
    def bind(self, certificate_name: str) -> None: ...
