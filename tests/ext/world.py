"""A switch without sockets: its state machine, a clock that stands until it is moved, terminals and issuers.

Requests and answers are written and read by pyiso8583 from the dialects' layouts, MACs made by ``switch.crypto.mac``:
nothing of the state machine's own is used to judge it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import iso8583
from prometheus_client.parser import text_string_to_metric_families

from switch.base.calendar import Calendar
from switch.base.stats import Stats
from switch.check.parts import Parts
from switch.check.registry import binding_rule
from switch.config import Config
from switch.crypto.mac import compute_mac
from switch.dialect import Dialect, load_dialect
from switch.dialect.kinds import Kind
from switch.journal.memory import MemoryJournal
from switch.machine.channel import Channel
from switch.machine.journal_interface import Journal
from switch.machine.link import Link
from switch.machine.link_connections import LinkChannel
from switch.machine.listener import Listener, TerminalChannel
from switch.path.engine import Engine
from switch.server.assembly import Note, Part, build_engine
from switch.tables.registry import Registry
from switch.tables.risk import Risk
from switch.tables.routes import RouteTable
from switch.wire.framing import Deframer

Document = dict[str, str]

START_S = 1_800_000_000
DONE, MORE, FULL = 0, 1, 2

CARD = "6225000000000014"
VISA = "4111111111111111"
MERCHANT = "898000000000001"
OTHER_MERCHANT = "898000000000002"
CLOSED_MERCHANT = "898000000000009"

CUP_TAK = bytes.fromhex("AB7C577CC7A18045")
CUP_TPK = bytes.fromhex("D931648F3DE313A4A22C15DCA4F4299E")
CUP_TMK = bytes.fromhex("258FB0AB70D025CDB99DF2C4D302D646")
ISO_TAK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
ISO_TPK = bytes.fromhex("A1B2C3D4E5F60718293A4B5C6D7E8F90")
ZAK = bytes.fromhex("1C2B3A495867768594A3B2C1D0EFFE0D")
ZPK = bytes.fromhex("E9D8C7B6A594837261504F3E2D1C0BFA")
BDKS = {
    "des": bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"),
    "aes": bytes.fromhex("FEDCBA9876543210F1F1F1F1F1F1F1F1"),
    "other": bytes(range(16)),
}

TERMINALS = {
    # id: merchant, state, listeners, kinds, MAC algorithm, PIN format, certificate
    "10000001": (MERCHANT, "active", "", "", "cup-ecb", "iso-0", ""),
    "10000002": (MERCHANT, "active", "", "", "x9.19", "iso-0", ""),
    "10000003": (OTHER_MERCHANT, "active", "", "", "x9.19", "iso-0", ""),
    "10000004": (MERCHANT, "suspended", "", "", "x9.19", "iso-0", ""),
    "10000005": (CLOSED_MERCHANT, "active", "", "", "x9.19", "iso-0", ""),
    "10000006": (MERCHANT, "active", "cup", "", "x9.19", "iso-0", ""),
    "10000007": (MERCHANT, "active", "", "balance_inquiry", "x9.19", "iso-0", ""),
    "10000008": (MERCHANT, "active", "", "", "none", "none", "till-8"),
    "10000009": (MERCHANT, "active", "", "", "cup-ecb", "iso-0", ""),
}
MERCHANTS = {
    MERCHANT: "active",
    OTHER_MERCHANT: "active",
    CLOSED_MERCHANT: "closed",
}
ONE_ROUTE = ("6,,,,,,bank-a:1",)
ROUTES = ["6,,,,,,bank-a:1", "4,,,,,,bank-b:1"]


class Keys:
    """All keys that anybody may ask for: fixed, so that tests can make the same MACs."""

    def get(self, name: str, /) -> bytes | None:
        """The clear key of a name; None when there is none."""
        owner, identity, usage = name.split("/")
        if owner == "link":
            return BDKS[identity] if usage == "bdk" else {"zak": ZAK, "zpk": ZPK}[usage]
        is_cup = TERMINALS[identity][4] == "cup-ecb"
        if usage == "tmk":
            return CUP_TMK if is_cup else None
        return {"tak": CUP_TAK if is_cup else ISO_TAK, "tpk": CUP_TPK if is_cup else ISO_TPK}.get(usage)


class WorldParts(Parts):
    """The parts of a configuration, with keys that need no sealed file."""

    @property
    def keys(self) -> Keys:
        """Clear keys by name."""
        return Keys()


@cache
def dialect(name: str) -> Dialect:
    """A built-in dialect, loaded once."""
    return load_dialect(name)


def listener(name: str, dialect_name: str, **changes: Any) -> dict[str, Any]:
    """A listener's section."""
    return {"name": name, "bind": "127.0.0.1:0", "dialect": dialect_name, **changes}


def link(name: str, dialect_name: str, *, mac: bool = True, **changes: Any) -> dict[str, Any]:
    """A link's section; with a PIN key, and with a MAC key unless told otherwise."""
    section: dict[str, Any] = {
        "name": name,
        "dialect": dialect_name,
        "endpoints": ["127.0.0.1:7001"],
        "sign_on": False,
        "echo_interval_ms": 0,
        "idle_timeout_ms": 0,
        "pin": {"format": "iso-0", "key": f"link/{name}/zpk"},
    }
    if mac:
        section["mac"] = {"algorithm": "x9.19", "key": f"link/{name}/zak"}
    return section | changes


def harmless_dialect(folder: Path, extends: str = "iso87-ascii") -> str:
    """The file of a dialect that vouches for its private fields, so that they are kept."""
    path = folder / f"{extends}-harmless.toml"
    path.write_text(f'extends = "{extends}"\nharmless = [46, 47, 48, 59, 62, 63]\n')
    return str(path)


def harmless_sides(folder: Path) -> dict[str, Any]:
    """A listener and a link whose private fields are kept."""
    path = harmless_dialect(folder)
    return {"listeners": [listener("iso", path)], "links": [link("bank-a", path)], "routes": ONE_ROUTE}


LISTENERS = (listener("cup", "cup"), listener("iso", "iso87-ascii"))
LINKS = (link("bank-a", "iso87-ascii"), link("bank-b", "iso87-binary", mac=False))
AT_ONCE = {"booking_horizon_seconds": 0}
"""Of a link's reversals: that an original is not known is believed at once."""

LINKS_AT_ONCE = tuple({**one, "reversal": AT_ONCE} for one in LINKS)


def seal(document: Mapping[str, str], spoken: Dialect, algorithm: str, key: bytes) -> bytes:
    """Encode a message with its MAC in field 128 where there are fields above 64, else in field 64."""
    field = "128" if any(name.isdigit() and int(name) > 64 for name in document) else "64"
    as_hex = spoken.mac.form == "hex"
    raw = bytes(iso8583.encode({**document, field: "0" * 16}, spoken.layout)[0])
    covered = raw[: -16 if as_hex else -8]
    mac = compute_mac(algorithm, key, covered)[:8]
    if not as_hex:
        return covered + mac
    digits = mac.hex().upper()
    return covered + digits.encode("cp500" if spoken.layout[field]["data_enc"] == "cp500" else "ascii")


def is_sealed(message: bytes, document: Mapping[str, str], spoken: Dialect, algorithm: str, key: bytes) -> bool:
    """Whether a message ends in the MAC that belongs to it."""
    field = "128" if "128" in document else "64"
    unsealed = {name: value for name, value in document.items() if name != field}
    return field in document and seal(unsealed, spoken, algorithm, key) == message


class Line:
    """One connection, at whose far end the test stands."""

    def __init__(self, world: World, channel: Channel, spoken: Dialect) -> None:
        self.world = world
        self.channel = channel
        self.dialect = spoken
        self.hung_up: str | None = None
        self.headers: bytes | None = None
        self.raw: list[bytes] = []
        self._deframer = Deframer(spoken.framing)
        channel.owner = self
        world.lines.append(self)
        world.engine.open(channel)

    def hang_up(self, reason: str) -> None:
        """The state machine has had enough of this connection."""
        self.hung_up = reason

    def close(self) -> None:
        """The far end goes away, and what was not carried yet is lost."""
        if self.channel.is_open:
            self.world.engine.close(self.channel)
        if self in self.world.lines:
            self.world.lines.remove(self)

    def feed(self, data: bytes) -> int:
        """Bytes arrive; says what the engine says."""
        return self.world.engine.feed(self.channel, data)

    def frame(self, message: bytes, headers: bytes | None = None) -> bytes:
        """A message as it travels."""
        return self.dialect.framing.wrap(message, headers)

    def carry(self) -> list[tuple[bytes, bytes]]:
        """Take what may leave: (headers, message) of each frame."""
        if self.world.syncs:
            self.world.sync()
        output = self.world.engine.take(self.channel)
        frames = [] if output is None else self._deframer.feed(output)
        if self.hung_up is not None and not self.channel.waiting_bytes:
            self.close()
        return frames

    def read(self) -> list[Document]:
        """Take what may leave, decoded; the bytes stay in ``raw``."""
        documents = []
        self.raw = []
        for headers, message in self.carry():
            self.headers = headers
            self.raw.append(message)
            documents.append(dict(iso8583.decode(message, self.dialect.layout)[0]))
        return documents

    def read_one(self) -> Document:
        """The one message that must be there."""
        documents = self.read()
        assert len(documents) == 1, documents
        return documents[0]


class TerminalLine(Line):
    """A terminal's connection."""

    def __init__(self, world: World, channel: TerminalChannel, spoken: Dialect) -> None:
        super().__init__(world, channel, spoken)

    def encode(self, document: Mapping[str, str], *, mac: bool = True) -> bytes:
        """A request with its terminal's MAC."""
        algorithm = TERMINALS[document["41"]][4] if document.get("41") in TERMINALS else "none"
        if not mac or algorithm == "none":
            return bytes(iso8583.encode(dict(document), self.dialect.layout)[0])
        return seal(document, self.dialect, algorithm, CUP_TAK if algorithm == "cup-ecb" else ISO_TAK)

    def send(self, document: Mapping[str, str], *, mac: bool = True) -> int:
        """Send a request."""
        return self.feed(self.frame(self.encode(document, mac=mac)))

    def ask(self, document: Mapping[str, str], *, mac: bool = True) -> Document:
        """Send a request that must be answered at once."""
        assert self.send(document, mac=mac) == DONE
        return self.read_one()

    def is_sealed(self, document: Document) -> bool:
        """Whether the answer that was read last carries its terminal's MAC."""
        algorithm = TERMINALS[document["41"]][4]
        key = CUP_TAK if algorithm == "cup-ecb" else ISO_TAK
        return is_sealed(self.raw[-1], document, self.dialect, algorithm, key)


class IssuerLine(Line):
    """A link's connection, seen from the issuer."""

    def __init__(self, world: World, channel: LinkChannel, spoken: Dialect, *, mac: bool) -> None:
        self.mac = mac
        super().__init__(world, channel, spoken)

    def encode(self, document: Mapping[str, str], *, mac: bool | None = None) -> bytes:
        """An answer with the link's MAC."""
        if self.mac if mac is None else mac:
            return seal(document, self.dialect, "x9.19", ZAK)
        return bytes(iso8583.encode(dict(document), self.dialect.layout)[0])

    def send(self, document: Mapping[str, str], *, mac: bool | None = None) -> int:
        """Send a message."""
        return self.feed(self.frame(self.encode(document, mac=mac)))

    def answer(
        self, request: Mapping[str, str], code: str = "00", *, mac: bool | None = None, **changes: str | None
    ) -> Document:
        """Answer a request; ``f38="123456"`` changes a field, ``f38=None`` leaves it out."""
        document = issuer_answer(request, code, **changes)
        self.send(document, mac=mac)
        return document

    def is_sealed(self, document: Document) -> bool:
        """Whether the message that was read last carries the link's MAC."""
        return is_sealed(self.raw[-1], document, self.dialect, "x9.19", ZAK)


ECHOED = ("2", "3", "4", "7", "11", "12", "13", "25", "32", "37", "41", "42", "49", "60", "70")


APPROVED_1993 = {"4": "400", "8": "800"}
"""By class of the message; 000 elsewhere."""


def issuer_answer(request: Mapping[str, str], code: str = "00", **changes: str | None) -> Document:
    """What an issuer says to a request."""
    mti = request["t"]
    document = {name: request[name] for name in ECHOED if name in request}
    document["t"] = f"{mti[:2]}{int(mti[2]) + 1}0"
    document["39"] = APPROVED_1993.get(mti[1], "000") if mti[0] == "1" and code == "00" else code
    if code == "00" and mti[1] in "12":
        document["38"] = "A1B2C3"
    for name, value in changes.items():
        if value is None:
            document.pop(name.removeprefix("f"), None)
        else:
            document[name.removeprefix("f")] = value
    return document


class World:
    """One engine in a world where nothing happens unless the test does it."""

    def __init__(
        self,
        *,
        listeners: Iterable[Mapping[str, Any]] = LISTENERS,
        links: Iterable[Mapping[str, Any]] = LINKS,
        routes: Iterable[str] = ROUTES,
        limits: Mapping[str, int] | None = None,
        originals: Mapping[str, Any] | None = None,
        journal: Journal | None = None,
        journals: Sequence[Journal] = (),
        partitions: int = 1,
        part: Part | None = None,
        risk: Risk | None = None,
        note: Note | None = None,
        seed: int = 7,
        switch: Mapping[str, Any] | None = None,
        base_keys: Sequence[Mapping[str, Any]] = (),
        registry: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = Config.model_validate(
            {
                "switch": {"name": "test", "acquirer_id": "10000001", **(switch or {})},
                "limits": {
                    "transactions_in_flight_max": 64,
                    "duplicate_window_count_max": 1_000,
                    "terminal_share_percent": 100,
                    "reversals_max": 256,
                    **(limits or {}),
                },
                "originals": dict(originals or {}),
                "registry": {"merchants": "merchants.csv", "terminals": "terminals.csv", **(registry or {})},
                "routes": {"file": "routes.csv"},
                "listener": [dict(section) for section in listeners],
                "link": [dict(section) for section in links],
                "base_key": [dict(section) for section in base_keys],
            }
        )
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.stats = Stats(4_194_304)
        self.calendar = Calendar(8 * 3600)
        self.now_s = 100.0
        self.lines: list[Line] = []
        self.journal = journals[0] if journals else MemoryJournal() if journal is None else journal
        self.journals: list[Journal] = list(journals) or [
            self.journal,
            *(MemoryJournal() for _ in range((partitions if part is None else len(part.owned)) - 1)),
        ]
        self.syncs = True  # a test that looks at what waits for the disk says False
        self.wall_ahead_s = 0  # of the truth
        self._set_clock()
        self.engine: Engine = build_engine(
            self.config,
            self._parts(list(routes), risk),
            self.stats,
            (lambda event, details: self.notes.append((event, details))) if note is None else note,
            journals=self.journals,
            part=part,
            calendar=self.calendar,
            seed=seed,
        )
        self._stans = itertools.count(1)

    def _parts(self, routes: list[str], risk: Risk | None) -> Parts:
        merchants = "id,name,state,category,kinds\n" + "".join(
            f"{identity},Shop,{state},5411,\n" for identity, state in MERCHANTS.items()
        )
        terminals = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n"
        known = {section.name for section in self.config.listeners}
        for identity, (merchant, state, allowed, kinds, algorithm, pin, certificate) in TERMINALS.items():
            listeners = allowed if allowed in known else ""
            terminals += f"{identity},{merchant},{state},{listeners},{kinds},{algorithm},{pin},{certificate}\n"
        sections = (*self.config.listeners, *self.config.links)
        names = [kind.label for kind in Kind]
        header = "low,high,kinds,currencies,amount_min,amount_max,links\n"
        return WorldParts(
            {section.dialect: dialect(section.dialect) for section in sections},
            None,
            Registry.build(
                merchants.encode(),
                terminals.encode(),
                Keys(),
                names,
                [s.name for s in self.config.listeners],
                rule=binding_rule(self.config),
            ),
            RouteTable.build(
                (header + "".join(f"{row}\n" for row in routes)).encode(), [s.name for s in self.config.links], names
            ),
            risk,
        )

    # --- connections --------------------------------------------------------------------------------------------------

    def listener(self, name: str) -> Listener:
        """A listener by its name."""
        return next(one for one in self.engine.state.listeners if one.name == name)

    def link(self, name: str) -> Link:
        """A link by its name."""
        return next(one for one in self.engine.state.links if one.name == name)

    def terminal(self, name: str = "iso", certificate: str | None = None) -> TerminalLine:
        """A terminal connects."""
        called = self.listener(name)
        channel = TerminalChannel(called)
        if certificate is not None:
            channel.bind(certificate)
        return TerminalLine(self, channel, dialect(self.config.listeners[called.number].dialect))

    def issuer(self, name: str = "bank-a") -> IssuerLine:
        """A connection of a link stands."""
        called = self.link(name)
        section = self.config.links[called.number]
        return IssuerLine(self, LinkChannel(called.connections), dialect(section.dialect), mac=section.mac is not None)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _set_clock(self) -> None:
        self.calendar.set(round(self.now_s * 1e9), START_S + int(self.now_s) + self.wall_ahead_s)

    def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, in steps in which the engine looks at its deadlines."""
        left = seconds
        while left > 0:
            self.now_s += min(step, left)
            left -= step
            self._set_clock()
            self.engine.tick()

    def skip_to_stan(self, stan: int) -> None:
        """Use up numbers until the next one has this STAN."""
        numbering = self.engine.state.numbering
        while numbering.next_stan != stan:
            if numbering.next == numbering.limit:
                self.engine.tick()
                self.sync()
                self.engine.tick()
            numbering.rrn()

    def tick(self) -> None:
        """Let the engine look at what is due, a moment later."""
        self.advance(0.01)

    # --- what there is to see -----------------------------------------------------------------------------------------

    def count(self, name: str, **labels: str) -> int:
        """The sum of all series of a metric that have these labels."""
        total = 0.0
        for family in text_string_to_metric_families(self.stats.exposition().decode()):
            for sample in family.samples:
                if sample.name == f"authswitch_{name}" and labels.items() <= sample.labels.items():
                    total += sample.value
        return int(total)

    def told(self, event: str) -> list[dict[str, Any]]:
        """Details of each note of an event."""
        return [details for name, details in self.notes if name == event]

    def stan(self) -> str:
        """A STAN that no terminal has used yet."""
        return f"{next(self._stans):06d}"

    def settle(self) -> None:
        """Answer whatever issuers are asked, let everything time out, and see that nothing is left."""
        for one in list(self.lines):
            if isinstance(one, TerminalLine):
                one.close()
        for round_number in range(400):
            self.sync()
            self._acknowledge()
            if not any(state.transactions.in_use or state.saf.in_use for state in self.engine.partitions.states):
                break
            self.advance(5.0, step=1.0)
            if round_number == 1:
                self._bring_links_up()
        for one in list(self.lines):
            one.close()
        self.assert_empty()

    def sync(self) -> None:
        """What was written becomes durable."""
        for journal in self.journals:
            if isinstance(journal, MemoryJournal):
                journal.sync()

    def _bring_links_up(self) -> None:
        for link_state in self.engine.state.links:
            if link_state.connections.state_name == "down":
                self.issuer(link_state.name)

    def _acknowledge(self) -> None:
        for one in list(self.lines):
            if isinstance(one, IssuerLine):
                for request in one.read():
                    if int(request["t"][2]) % 2 == 0:
                        one.answer(request)

    def assert_empty(self) -> None:
        """Nothing is under way, owed or connected any more."""
        for state in self.engine.partitions.states:
            assert state.transactions.in_use == 0
            assert state.saf.in_use == 0
            assert [one.in_flight for one in state.links] == [0] * len(state.links)
        state = self.engine.state
        assert [one.connections.open_count for one in state.links] == [0] * len(state.links)
        assert [one.connections for one in state.listeners] == [0] * len(state.listeners)
        assert state.channels.open_count == 0


# --- requests ---------------------------------------------------------------------------------------------------------


def purchase(world: World, name: str = "iso", **changes: str | None) -> Document:
    """A purchase in the dialect of a listener; ``f4="..."`` changes a field, ``f4=None`` leaves it out."""
    spoken = world.config.listeners[world.listener(name).number].dialect
    document: Document = {
        "t": "0200",
        "2": CARD,
        "3": "000000",
        "4": "000000001000",
        "11": world.stan(),
        "22": "012",
        "25": "00",
        "41": "10000001" if spoken == "cup" else "10000002",
        "42": MERCHANT,
        "49": "156",
    }
    if spoken == "cup":
        document["60"] = "22000001"
    else:
        document |= {"7": "0115080000", "12": "160000", "13": "0115"}
    return change(document, **changes)


def change(document: Mapping[str, str], **changes: str | None) -> Document:
    """A copy with other fields: ``f4="..."`` sets one, ``f4=None`` leaves it out, ``t="0400"`` is another MTI."""
    changed = dict(document)
    for name, value in changes.items():
        if value is None:
            changed.pop(name.removeprefix("f"), None)
        else:
            changed[name.removeprefix("f")] = value
    return changed


def original_data(document: Mapping[str, str]) -> str:
    """Field 90 of the reversal of a request."""
    return f"{document['t']}{document['11']}{document.get('7', '0' * 10)}" + "0" * 22


def reversal(world: World, document: Mapping[str, str], **changes: str | None) -> Document:
    """A terminal's own reversal of its request: ISO dialects name it in field 90, CUP by its STAN."""
    taken_back = change(document, t="0400", f52=None, f35=None)
    if "7" in document:
        taken_back |= {"11": world.stan(), "90": original_data(document)}
    return change(taken_back, **changes)
