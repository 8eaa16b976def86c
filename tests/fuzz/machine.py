"""Fuzz targets of the state machine: an input is a play in which terminals, issuers, disk and clock take turns.

Nothing that any of them sends may break a promise: money is told as approved only when an issuer said so, what an
issuer approved and no terminal was told is taken back, a request without its MAC is never forwarded, and in the end
every table is empty.
"""

from __future__ import annotations

import iso8583

from switch.crypto.mac import compute_mac
from switch.wire.scan import ScanError, scan
from tests.ext.world import (
    CARD,
    CUP_TAK,
    ISO_TAK,
    TERMINALS,
    VISA,
    Document,
    IssuerLine,
    Line,
    TerminalLine,
    World,
    change,
    link,
    listener,
    original_data,
    seal,
)
from tests.simulation.speed import keep_composers

LISTENERS = (
    listener("cup", "cup", requests_in_flight_max=3),
    listener("iso", "iso87-ascii", idle_timeout_ms=30_000, partial_frame_timeout_ms=5_000),
    listener("open", "iso87-binary", mac="none"),
)
LINKS = (
    link("bank-a", "cup", in_flight_max=5, timeout_ms=3_000, partial_frame_timeout_ms=3_000),
    link(
        "bank-b", "iso93-ascii", mac=False, sign_on=True, echo_interval_ms=2_000, idle_timeout_ms=9_000,
        match={"by": "rrn"},
    ),
)  # fmt: skip
ROUTES = ["6,,,,,,bank-a:1|bank-b:2", "4,,,,,,bank-b:1"]
LIMITS = {"transactions_in_flight_max": 8, "duplicate_window_count_max": 16, "reversals_max": 12}
CODES = ("00", "05", "51", "68", "91", "A0", "zz", "00")
TURNS_MAX = 200
ROUNDS_MAX = 600


class Script:
    """The bytes of an input, taken from the front; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_left(self) -> bool:
        """Whether there is something to play yet."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """One number."""
        value = self._data[self._at] if self.is_left else 0
        self._at += 1
        return value

    def bytes(self, count: int) -> bytes:
        """Some bytes as they are, fewer at the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken


class Play:
    """One world, driven by a script, with a book of what issuers approved and what terminals were told."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.world = World(listeners=LISTENERS, links=LINKS, routes=ROUTES, limits=LIMITS)
        self.world.syncs = False
        self.terminals: list[TerminalLine] = []
        self.issuers: list[IssuerLine] = []
        self.asked: list[tuple[IssuerLine, Document]] = []
        self.sent: list[tuple[TerminalLine, Document]] = []
        self.forged = False
        self.approvals: set[str] = set()  # RRNs that issuers approved
        self.told: list[str] = []  # RRNs that terminals were told as approved
        for name in ("cup", "iso", "open"):
            self.terminals.append(self.world.terminal(name))
        for name in ("bank-a", "bank-b"):
            self.issuers.append(self.world.issuer(name))

    def pick(self, lines: list[Line]) -> Line | None:
        """One of the lines that are open."""
        standing = [line for line in lines if line.channel.is_open]
        return standing[self.script.byte() % len(standing)] if standing else None

    # --- turns --------------------------------------------------------------------------------------------------------

    def request(self) -> None:
        """A terminal's request, well formed but for what the script changes."""
        line = self.pick(self.terminals)
        if line is None:
            return
        choice, stan, amount = (self.script.byte() for _ in range(3))
        document = request_of(line, choice, stan % 8, amount)
        if choice & 0x40 and self.sent:
            document = change(self.sent[stan % len(self.sent)][1], f41=document["41"])
        if choice & 0x80:
            document = taken_back(document)
        self.sent.append((line, document))
        self.say(line, document)

    def answer(self) -> None:
        """An issuer's answer to what it was asked, or to something near it."""
        if not self.asked:
            return
        line, request = self.asked[self.script.byte() % len(self.asked)]
        if not line.channel.is_open:
            return
        choice = self.script.byte()
        code = CODES[choice % len(CODES)]
        mti = request["t"]
        document = {key: request[key] for key in ECHOED if key in request}
        document |= {"t": f"{mti[:2]}{int(mti[2]) | 1}0", "39": code}
        if choice & 0x10:
            document["38"] = "A1B2C3"
        if choice & 0x20:
            document["4"] = "000000000999"
        if choice & 0x40:
            document["11"] = f"{self.script.byte():06d}"
        self.say(line, document)
        self.note_approvals(line, document)

    def note_approvals(self, line: IssuerLine, document: Document) -> None:
        """What was answered may count as approved from here on."""
        if document["39"] == "00" and document["t"][1] in "12":
            self.approvals.add(document.get("37", ""))

    def say(self, line: Line, document: Document) -> None:
        """Send a document: as it is, cut, damaged before its MAC is made, or after."""
        how = self.script.byte()
        if how & 1:
            document = change(document, **{f"f{self.script.byte() % 128}": None})
        if how & 2:
            number = str(self.script.byte() % 64)
            if number in document:
                document = change(document, **{f"f{number}": self.script.bytes(6).decode("latin-1")})
        try:
            message = line.encode(document, mac=not how & 4)
        except (iso8583.EncodeError, KeyError, ValueError):
            return
        data = bytearray(line.frame(message))
        for _ in range(how >> 3 & 3):
            data[self.script.byte() % len(data)] ^= self.script.byte()
            self.forged = True
        if how & 0x20:
            cut = self.script.byte() % len(data)
            line.feed(bytes(data[:cut]))
            self.deliver(line, bytes(data[cut:]))
        else:
            self.deliver(line, bytes(data))

    def deliver(self, line: Line, data: bytes) -> None:
        """Bytes arrive, and are worked on until the engine has had them all or will take no more."""
        if not line.channel.is_open:
            return
        progress = line.feed(data)
        for _ in range(4):
            if progress != 1 or not line.channel.is_open:
                break
            progress = line.feed(b"")

    def raw(self) -> None:
        """Bytes of the script itself, from a terminal or an issuer."""
        line = self.pick([*self.terminals, *self.issuers])
        if line is not None:
            data = self.script.bytes(self.script.byte())
            self.forged |= bool(data)
            self.deliver(line, data)

    def let_time_pass(self) -> None:
        """From a moment to half a minute."""
        quarter_seconds = self.script.byte() % 120
        self.world.advance(quarter_seconds / 4, step=max(0.25, quarter_seconds / 20))

    def sync(self) -> None:
        """What is written is durable, and may leave."""
        self.world.sync()
        self.carry()

    def carry(self) -> None:
        """All that may leave arrives."""
        for line in [*self.terminals, *self.issuers]:
            if not line.channel.is_open:
                continue
            for document in line.read():
                if isinstance(line, IssuerLine):
                    self.asked.append((line, document))
                    self.check_asked(document)
                else:
                    self.check_told(line, document)
        for line in [*self.terminals, *self.issuers]:
            if line.hung_up is not None and line.channel.is_open:
                line.close()

    def hang_up(self) -> None:
        """A connection is cut."""
        line = self.pick([*self.terminals, *self.issuers])
        if line is not None:
            line.close()

    def connect(self) -> None:
        """A new connection."""
        number = self.script.byte() % 5
        if number < 3 and len(self.terminals) < 12:
            self.terminals.append(self.world.terminal(("cup", "iso", "open")[number]))
        elif number >= 3 and len(self.issuers) < 8:
            self.issuers.append(self.world.issuer(("bank-a", "bank-b")[number - 3]))

    def flood(self) -> None:
        """Many requests at once."""
        line = self.pick(self.terminals)
        if line is None:
            return
        first = self.script.byte()
        frames = b"".join(
            line.frame(line.encode(request_of(line, 0, (first + number) % 200, 1))) for number in range(70)
        )
        self.deliver(line, frames)

    def drain(self) -> None:
        """Rarely: no new work from here on, or goodbye to all links."""
        choice = self.script.byte()
        if choice == 0xFF:
            self.world.engine.drain()
        elif choice == 0xFE:
            self.world.engine.sign_off()

    def play(self) -> None:
        """All turns of the script, then the end."""
        turns = (
            self.request, self.answer, self.raw, self.let_time_pass, self.sync, self.hang_up, self.connect, self.flood,
            self.drain, self.carry, self.request, self.answer, self.sync,
        )  # fmt: skip
        for _ in range(TURNS_MAX):
            if not self.script.is_left:
                break
            turns[self.script.byte() % len(turns)]()
        self.world.sync()
        self.carry()
        self.finish()

    def finish(self) -> None:
        """Terminals go away, issuers acknowledge whatever they are asked, and then nothing may be left."""
        self.world.syncs = True
        for terminal in self.terminals:
            terminal.close()
        state = self.world.engine.state
        for _ in range(ROUNDS_MAX):
            for one in [line for line in self.world.lines if isinstance(line, IssuerLine)]:
                for request in one.read():
                    if int(request["t"][2]) % 2 == 0 and one.channel.is_open:
                        one.answer(request)
            if not state.transactions.in_use and not state.saf.in_use:
                break
            for standing in state.links:
                if standing.connections.state_name == "down":
                    self.world.issuer(standing.name)
            self.world.advance(1.0, step=1.0)
        for line in list(self.world.lines):
            line.close()
        self.world.assert_empty()

    # --- promises -----------------------------------------------------------------------------------------------------

    def check_asked(self, document: Document) -> None:
        """What an issuer is asked has all that an answer is matched by."""
        assert {"11", "t"} <= set(document)

    def check_told(self, line: TerminalLine, document: Document) -> None:
        """A terminal is told of an approval that some issuer gave, when no bytes were forged that may be one."""
        if document["39"] not in ("00", "0000") or document["t"] not in ("0210", "0110"):
            return
        assert self.forged or document.get("37", "") in self.approvals, "approved by nobody"
        self.told.append(document.get("37", ""))


ECHOED = ("2", "3", "4", "7", "11", "12", "13", "25", "32", "37", "41", "42", "49", "60", "70", "90")


def request_of(line: TerminalLine, choice: int, stan: int, amount: int) -> Document:
    """A purchase, a pre-authorization, a balance inquiry, an echo test or nonsense."""
    terminals = list(TERMINALS)
    is_cup = line.dialect.name == "cup"
    document: Document = {
        "t": ("0200", "0100", "0200", "0820", "0220", "0800", "0320", "0210")[choice & 7],
        "2": CARD if choice & 8 else VISA,
        "3": "310000" if choice & 7 == 2 else "000000",
        "4": f"{amount:012d}",
        "11": f"{stan:06d}",
        "22": "012",
        "25": "00",
        "41": terminals[amount % len(terminals)] if choice & 0x10 else "10000001" if is_cup else "10000002",
        "42": "898000000000001",
        "49": "156",
    }
    if is_cup:
        document["60"] = "22000001"
    else:
        document |= {"7": "0115080000", "12": "160000", "13": "0115"}
    if choice & 0x20:
        document["52"] = "0123456789ABCDEF"
    if document["t"][1] == "8" and not is_cup:
        document["70"] = "301"
    return document


def taken_back(document: Document) -> Document:
    """The reversal of a request."""
    back = change(document, t="0400", f52=None)
    if "7" in back:
        back |= {"90": original_data(document)}
    return back


def fuzz_machine(view: memoryview) -> None:
    """Play the script."""
    keep_composers()
    Play(Script(bytes(view))).play()


# --- authentication -----------------------------------------------------------------------------------------------


def fuzz_authentication(view: memoryview) -> None:
    """A message reaches an issuer only with the MAC of its terminal, which is computed here once more.

    The first byte chooses the listener; the rest is a message. With an odd second byte the right MAC is put in the
    place of the last eight bytes, or sixteen, so that what lies behind the check is reached too.
    """
    if len(view) < 3:
        return
    keep_composers()
    world = World()
    name = ("cup", "iso")[view[0] % 2]
    line, issuer = world.terminal(name), world.issuer("bank-a")
    world.issuer("bank-b")
    key, algorithm = (CUP_TAK, "cup-ecb") if name == "cup" else (ISO_TAK, "x9.19")
    message = bytes(view[2:])
    if view[1] & 1:
        message = resealed(message, line, algorithm, key)
    line.feed(line.frame(message))
    forwarded = [document for one in (issuer, *world.lines[2:]) for document in one.read()]
    if forwarded and any(int(document["t"]) < 800 for document in forwarded):
        document = dict(iso8583.decode(message, line.dialect.layout)[0])
        terminal = TERMINALS[document["41"].rstrip()]
        expected = CUP_TAK if terminal[4] == "cup-ecb" else ISO_TAK
        assert terminal[4] == "none" or has_right_mac(message, line, terminal[4], expected)
    world.engine.close(line.channel)
    line.world.lines.remove(line)
    world.settle()


def resealed(message: bytes, line: TerminalLine, algorithm: str, key: bytes) -> bytes:
    """The same message with the right MAC where it has one at all."""
    try:
        scan(message, line.dialect.spec)
        document = dict(iso8583.decode(message, line.dialect.layout)[0])
        return seal({name: value for name, value in document.items() if name not in ("1", "p", "64", "128", "bm")},
                    line.dialect, algorithm, key)  # fmt: skip
    except (ScanError, ValueError, KeyError):
        return message


def has_right_mac(message: bytes, line: TerminalLine, algorithm: str, key: bytes) -> bool:
    """Whether the last field is the MAC of all that stands before it."""
    indexed = scan(message, line.dialect.spec)
    field = indexed.fields[-1]
    if field not in (64, 128):
        return False
    mac = indexed.raw(field)
    expected = compute_mac(algorithm, key, message[: len(message) - len(mac)])
    if line.dialect.mac.form == "hex":
        return bytes.fromhex(mac.decode()) == expected[: len(mac) // 2]
    return mac == expected[: len(mac)]
