"""The state machine without sockets, under load: a real configuration, made-up terminals, and an issuer that says yes.

``EngineLoad`` builds the engine as the daemon does, opens connections to it, and carries purchases from terminals to
the issuer and back, a batch at a time. Requests and answers are made before the part that is measured. It may have
several partitions, or be two workers of which one has the terminals' connections and the other their partitions.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from bench.guards import NO_GUARDS, Guards
from bench.workload import MAC_DIGITS, Ports, Workload, prepare, terminal_id
from switch.base.calendar import Calendar
from switch.base.stats import Stats
from switch.check.parts import load_parts
from switch.config import load_config
from switch.crypto.mac import Mac
from switch.journal import replay_into
from switch.journal.commit import JournalFiles
from switch.journal.disk import Disk
from switch.machine.channel import Channel
from switch.machine.journal_interface import JournalOff
from switch.machine.link_connections import LinkChannel
from switch.machine.listener import TerminalChannel
from switch.machine.partitioning import partition_of
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.path.engine import Engine
from switch.server.assembly import Part, build_engine
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

PATIENCE_MS = 1_000
HANDED_OVER_MORE = 3
"""So many times as many terminals are registered as speak, where these must be of some of the partitions."""

NANOSECONDS = 1_000_000_000
MICROSECOND = 1_000


class EngineLoad:
    """A worker's engine with connections of terminals and one of the issuer, or two workers that share these.

    Args:
        folder: An empty folder for the configuration.
        connections: Terminals that speak, each on its own connection.
        terminals: Terminals that are registered, spread among which those that speak are; at least ``connections``.
        ranges: BIN ranges in the table of routes.
        mac: The MAC algorithm on both legs; None for no MACs.
        partitions: Of the switch. One worker has all of them.
        handed_over: There are two workers, each with every second partition. The first has the terminals' connections,
            the second has their partitions and the issuer's connection; ``partitions`` is at least 2.
        journal: Where it is written; it is begun here, on ``disk``. None for no journal.
        disk: The journal's.
        guards: What is asked of requests beside their MAC.
    """

    def __init__(
        self,
        folder: Path,
        connections: int,
        *,
        terminals: int = 0,
        ranges: int = 1,
        mac: str | None = "aes-cmac",
        partitions: int = 1,
        handed_over: bool = False,
        journal: JournalFiles | None = None,
        disk: Disk | None = None,
        guards: Guards = NO_GUARDS,
    ) -> None:
        registered = max(terminals, connections)
        if handed_over:
            registered = max(terminals, HANDED_OVER_MORE * connections)
        self._speakers = speakers_of(registered, connections, partitions if handed_over else 1)
        workload = prepare(
            folder, NO_PORTS, registered, mac, tls=False, speakers=self._speakers, ranges=ranges, guards=guards
        )
        config = load_config(workload.config)
        parts = load_parts(config)
        self._calendar = Calendar()
        self._move(NANOSECONDS)
        self._parts = parts
        self._config = config
        journals = None if journal is None else [journal]
        if handed_over:
            self.engine = self._worker(Part(partitions, range(0, partitions, 2)))
            self.deciding = self._worker(Part(partitions, range(1, partitions, 2)), journals)
        else:
            self.engine = self.deciding = self._worker(Part(partitions, range(partitions)), journals)
        self._journal = journal
        self.commit_ns = 0
        if journal is not None and disk is not None:
            replay_into(self.deciding.state, journal, disk, KEY, segment_bytes=1 << 26, window_seconds=600)
        self._frames = _read_frames(workload)
        self._stan_offset = LENGTH_BYTES + workload.stan_offset
        self._with_mac = mac is not None
        self._terminal_macs = [Mac(mac, key) for key in workload.terminal_keys()] if mac else []
        self._link_mac = Mac(mac, bytes.fromhex(workload.link_key)) if mac else None
        self._stans = [0] * connections
        self._next = 0
        spec = next(iter(parts.dialects.values())).spec
        self._spec = spec
        self._answers = Composer(spec, spec, None, _answer_steps(with_mac=self._with_mac))
        self._network_answers = Composer(spec, spec, None, _answer_steps(with_mac=False))
        self.terminals = [TerminalChannel(self.engine.state.listeners[0]) for _ in range(connections)]
        for channel in self.terminals:
            self.engine.open(channel)
        self._workers = [self.engine]
        self._peers: list[Peer] = []
        if handed_over:
            self._workers.append(self.deciding)
            self._meet(partitions)
        self.issuer = LinkChannel(self.deciding.state.links[0].connections)
        self.deciding.open(self.issuer)
        self.deciding.feed(self.issuer, self.answers(self.ask([])))  # to the sign-on
        self._forget_output()

    def _worker(self, part: Part, journals: Sequence[JournalFiles] | None = None) -> Engine:
        return build_engine(
            self._config,
            self._parts,
            Stats(self._config.limits.statistics_bytes),
            _shout,
            calendar=self._calendar,
            seed=1,
            journals=[JournalOff() for _ in part.owned] if journals is None else journals,
            part=part,
        )

    def _meet(self, partitions: int) -> None:
        """Join two workers, whose mesh is carried here."""
        for number, engine in enumerate(self._workers):
            peer = Peer(0, "the other", engine.channels, [link.connections for link in engine.state.links])
            engine.join(Mesh([peer], [None if owned % 2 == number else 0 for owned in range(partitions)], PATIENCE_MS))
            self._peers.append(peer)
        for engine, peer in zip(self._workers, self._peers, strict=True):
            engine.meet(peer)
        self._carry()

    def _carry(self) -> list[Channel]:
        """End the turn: let workers hear what they have for each other; which channels of the first have output."""
        woken: list[Channel] = []
        if not self._peers:
            return self.engine.woken()
        first, second = self._workers
        moved = True
        while moved:
            woken += first.woken()
            second.woken()
            moved = False
            for peer, hearer, heard in (
                (self._peers[0], second, self._peers[1]),
                (self._peers[1], first, self._peers[0]),
            ):
                if said := peer.take_output():
                    moved = True
                    if hearer.hear(heard, said) != len(said):
                        raise RuntimeError(f"not all was heard: {heard.fault}")
        return woken

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
        for woken in self._carry():
            if woken is not self.issuer:
                self.engine.take(woken)
        asked = self.deciding.take(self.issuer)
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
        progress = self.deciding.feed(self.issuer, answered)
        while progress == 1:
            progress = self.deciding.feed(self.issuer, b"")
        self._commit()
        take = self.engine.take
        told = sum(take(channel) is not None for channel in self._carry())
        self._carry()  # what the deciding worker must know: that these have left
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
            spent += self.exchange(self.requests(min(batch, transactions - start)))
        return (spent - (self.commit_ns - committed_ns)) / transactions

    def exchange(self, requests: list[tuple[TerminalChannel, bytes]], pause_ns: int = 100 * MICROSECOND) -> int:
        """Carry requests, one a connection, to the issuer and back, after a pause; nanoseconds of the engines."""
        self._move(self._calendar.now_ns + pause_ns)
        before = time.perf_counter_ns()
        asked = self.ask(requests)
        spent = time.perf_counter_ns() - before
        answered = self.answers(asked)
        before = time.perf_counter_ns()
        told = self.tell(answered)
        spent += time.perf_counter_ns() - before
        if told != len(requests):
            raise RuntimeError(f"{len(requests)} purchases, {told} answers")
        for engine in self._workers:
            engine.tick()
        self._forget_output()
        return spent

    def _move(self, now_ns: int) -> None:
        self._calendar.set(now_ns, 1_800_000_000 + now_ns // NANOSECONDS)

    def _forget_output(self) -> None:
        for channel in self._carry():
            self.engine.take(channel)


def speakers_of(registered: int, count: int, partitions: int) -> Sequence[int]:
    """Terminals that speak, spread among those that are registered; of odd partitions where there are several."""
    if partitions == 1:
        return range(0, registered, max(1, registered // count))[:count]
    step = max(1, registered // (HANDED_OVER_MORE * count))
    odd = (number for number in range(0, registered, step) if partition_of(terminal_id(number), partitions) % 2)
    return list(itertools.islice(odd, count))


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
