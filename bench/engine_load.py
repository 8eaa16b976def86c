"""The state machine without sockets, under load: a real configuration, made-up terminals, and an issuer that says yes.

``EngineLoad`` builds the engine as the daemon does, opens connections to it, and carries purchases from terminals to
the issuer and back, a batch at a time. Requests and answers are made before the part that is measured.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.workload import MAC_DIGITS, Ports, Workload, prepare
from switch.base.calendar import Calendar
from switch.base.stats import Stats
from switch.check.parts import load_parts
from switch.config import load_config
from switch.crypto.mac import Mac
from switch.journal import replay_into
from switch.journal.commit import JournalFiles
from switch.journal.disk import Disk
from switch.machine.link_connections import LinkChannel
from switch.machine.listener import TerminalChannel
from switch.path.engine import Engine
from switch.server.assembly import build_engine
from switch.wire.scan import scan
from switch.wire.translate import Composer

NO_PORTS = Ports(1, 2, 3)
KEY = bytes(32)
"""Wraps the keys of a journal that is only measured."""
LENGTH_BYTES = 2
STAN_DIGITS = 6
NETWORK_MTI = "0800"
ECHOED = (2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49)
"""Fields that the issuer's answer repeats."""

NANOSECONDS = 1_000_000_000
MICROSECOND = 1_000


class EngineLoad:
    """One engine with connections of terminals and one of the issuer.

    Args:
        folder: An empty folder for the configuration.
        connections: Terminals that speak, each on its own connection.
        terminals: Terminals that are registered, spread among which those that speak are; at least ``connections``.
        ranges: BIN ranges in the table of routes.
        mac: The MAC algorithm on both legs; None for no MACs.
        journal: Where it is written; it is begun here, on ``disk``. None for no journal.
        disk: The journal's.
    """

    def __init__(
        self,
        folder: Path,
        connections: int,
        *,
        terminals: int = 0,
        ranges: int = 1,
        mac: str | None = "aes-cmac",
        journal: JournalFiles | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._speakers = range(0, max(terminals, connections), max(1, terminals // connections))[:connections]
        workload = prepare(
            folder, NO_PORTS, max(terminals, connections), mac, tls=False, speakers=self._speakers, ranges=ranges
        )
        config = load_config(workload.config)
        parts = load_parts(config)
        self._calendar = Calendar()
        self._move(NANOSECONDS)
        self.engine: Engine = build_engine(
            config,
            parts,
            Stats(config.limits.statistics_bytes),
            _shout,
            calendar=self._calendar,
            seed=1,
            journals=None if journal is None else [journal],
        )
        self._journal = journal
        self.commit_ns = 0
        if journal is not None and disk is not None:
            replay_into(self.engine.state, journal, disk, KEY, segment_bytes=1 << 26, window_seconds=600)
        self._frames = _read_frames(workload)
        self._stan_offset = LENGTH_BYTES + workload.stan_offset
        self._with_mac = mac is not None
        self._terminal_macs = [Mac(mac, key) for key in workload.terminal_keys()] if mac else []
        self._link_mac = Mac(mac, bytes.fromhex(workload.link_key)) if mac else None
        self._stans = [0] * connections
        self._next = 0
        spec = parts.dialects["iso87-ascii"].spec
        self._spec = spec
        self._answers = Composer(spec, spec, None, _answer_steps(with_mac=self._with_mac))
        self._network_answers = Composer(spec, spec, None, _answer_steps(with_mac=False))
        state = self.engine.state
        self.terminals = [TerminalChannel(state.listeners[0]) for _ in range(connections)]
        for channel in self.terminals:
            self.engine.open(channel)
        self.issuer = LinkChannel(state.links[0].connections)
        self.engine.open(self.issuer)
        self.engine.feed(self.issuer, self.answers(self.ask([])))  # to the sign-on
        self._forget_output()

    def requests(self, count: int) -> list[tuple[TerminalChannel, bytes]]:
        """New purchases, of one terminal after the other."""
        made = []
        for _ in range(count):
            terminal = self._next
            self._next = (terminal + 1) % len(self.terminals)
            self._stans[terminal] += 1
            frame = bytearray(self._frames[terminal])
            frame[self._stan_offset : self._stan_offset + STAN_DIGITS] = b"%06d" % self._stans[terminal]
            if self._with_mac:
                _seal(self._terminal_macs[terminal], frame)
            made.append((self.terminals[terminal], bytes(frame)))
        return made

    def ask(self, requests: list[tuple[TerminalChannel, bytes]]) -> bytes:
        """Hand in requests of terminals; what goes to the issuer."""
        feed = self.engine.feed
        for channel, frame in requests:
            feed(channel, frame)
        self._commit()
        asked = self.engine.take(self.issuer)
        self.engine.state.channels.dirty.clear()
        if asked is None:
            raise RuntimeError("nothing goes to the issuer")
        return asked

    def answers(self, asked: bytes) -> bytes:
        """What the issuer says to all that it is asked."""
        answered = bytearray()
        start = 0
        while start < len(asked):
            end = start + LENGTH_BYTES + int.from_bytes(asked[start : start + LENGTH_BYTES], "big")
            request = scan(asked[start + LENGTH_BYTES : end], self._spec)
            composer = self._answers
            slots = {"mti": f"{int(request.mti) + 10:04d}", "response_code": "00"}
            if request.mti == NETWORK_MTI:
                composer = self._network_answers
            else:
                slots["authorization_code"] = f"A{request.text(11)[1:]}"
            answer = composer.compose_message(request, None, slots)
            frame = bytearray(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)
            if self._link_mac is not None and request.mti != NETWORK_MTI:
                _seal(self._link_mac, frame)
            answered += frame
            start = end
        return bytes(answered)

    def tell(self, answered: bytes) -> int:
        """Hand in the issuer's answers and collect those of the terminals; how many there are."""
        engine = self.engine
        progress = engine.feed(self.issuer, answered)
        while progress == 1:
            progress = engine.feed(self.issuer, b"")
        self._commit()
        told = 0
        for channel in engine.state.channels.dirty:
            if engine.take(channel) is not None:
                told += 1
        engine.state.channels.dirty.clear()
        return told

    def _commit(self) -> None:
        """Make what was written durable, so that the output that waits for it can be taken."""
        if self._journal is None:
            return
        before = time.perf_counter_ns()
        if not self._journal.commit():
            raise RuntimeError(self._journal.reason)
        self.commit_ns += time.perf_counter_ns() - before

    def run(self, transactions: int, batch: int = 64) -> float:
        """Carry purchases from terminals to the issuer and back; nanoseconds of the engine a purchase.

        What the journal's disk takes is not in it, but in ``commit_ns``.
        """
        spent = 0
        committed_ns = self.commit_ns
        batch = min(batch, len(self.terminals))
        for start in range(0, transactions, batch):
            size = min(batch, transactions - start)
            self._move(self._calendar.now_ns + 100 * MICROSECOND)
            requests = self.requests(size)
            before = time.perf_counter_ns()
            asked = self.ask(requests)
            spent += time.perf_counter_ns() - before
            answered = self.answers(asked)
            before = time.perf_counter_ns()
            told = self.tell(answered)
            spent += time.perf_counter_ns() - before
            if told != size:
                raise RuntimeError(f"{size} purchases, {told} answers")
            self.engine.tick()
            self._forget_output()
        return (spent - (self.commit_ns - committed_ns)) / transactions

    def _move(self, now_ns: int) -> None:
        self._calendar.set(now_ns, 1_800_000_000 + now_ns // NANOSECONDS)

    def _forget_output(self) -> None:
        for channel in self.engine.state.channels.dirty:
            self.engine.take(channel)
        self.engine.state.channels.dirty.clear()


def _shout(event: str, details: dict[str, object]) -> None:
    if event != "link_up":
        raise RuntimeError(f"{event}: {details}")


def _read_frames(workload: Workload) -> list[bytes]:
    data = workload.requests.read_bytes()
    frames = []
    start = 0
    while start < len(data):
        end = start + LENGTH_BYTES + int.from_bytes(data[start : start + LENGTH_BYTES], "big")
        frames.append(data[start:end])
        start = end
    return frames


def _seal(mac: Mac, frame: bytearray) -> None:
    """Put the MAC into the last 16 hex digits of a frame."""
    made = mac.compute(bytes(frame[LENGTH_BYTES:-MAC_DIGITS]))
    frame[-MAC_DIGITS:] = made.hex().upper().encode()[:MAC_DIGITS]


def _answer_steps(*, with_mac: bool) -> list[tuple[int, str, object]]:
    steps: list[tuple[int, str, object]] = [(field, "request", field) for field in ECHOED]
    steps += [(38, "slot", "authorization_code"), (39, "slot", "response_code")]
    steps.append((64, "slot", "mac") if with_mac else (70, "request", 70))
    return steps
