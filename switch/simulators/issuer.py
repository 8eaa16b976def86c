"""A simulated issuer: decides by rules, keeps a ledger, and goes wrong on request.

Everything runs on one event loop. The object is its own control interface: tests and the demo read ``ledger`` and
``counters`` and change ``faults`` while it runs.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from switch.base.masking import mask_pan
from switch.dialect.kinds import kind_traits
from switch.simulators import ledger as books
from switch.simulators.faults import UNBOOKED, Fault, FaultPlan, FaultRule
from switch.simulators.issuer_counters import IssuerCounters
from switch.simulators.latency import Latency
from switch.simulators.messages import answer_mti
from switch.simulators.rules import AMOUNT_KINDS, APPROVALS, APPROVED, APPROVED_IN_PART, Decider, Rules
from switch.simulators.tasks import BackgroundTasks
from switch.wire.framing import Deframer, FrameError
from switch.wire.scan import ScanError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from switch.simulators.dialect_profile import MacSetting, Profile
    from switch.simulators.key_exchange import IssuerKeys
    from switch.wire.scan import Message

_TRICKLE_S = 0.001
_RECONNECT_S = 0.2
_NETWORK = "8"
_REVERSAL = "4"


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """How an issuer behaves."""

    name: str = "issuer"
    rules: Rules = field(default_factory=Rules)
    latency: Latency = field(default_factory=Latency)
    faults: tuple[FaultRule, ...] = ()
    late_ms: float = 1000.0
    """How much later than the latency a late answer is."""
    require_sign_on: bool = False
    """Refuse financial requests on a connection that has not signed on (with ``issuer_unavailable``)."""
    keep_ledger: bool = True
    """Without it nothing is remembered: for load tests that last."""
    seed: int = 1
    charge_after_reversal: bool = False
    """Charge a request that comes after its reversal, as issuers do that keep no reversals of what they do not know."""


class IssuerConnection(asyncio.Protocol):
    """One connection: frames in, frames out. What one turn of the loop produces is written at once."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._loop = asyncio.get_running_loop()
        self._deframer = Deframer(issuer.profile.framing)
        self._transport: asyncio.Transport | None = None
        self._corked: list[bytes] = []
        self._trickle = bytearray()
        self.signed_on = False
        self.last_stan = ""
        self.closed = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the issuer's connections."""
        self._transport = cast("asyncio.Transport", transport)
        self._issuer.joined(self)

    def data_received(self, data: bytes) -> None:
        """Hand every complete frame to the issuer."""
        try:
            frames = self._deframer.feed(data)
        except FrameError:
            self._issuer.counters.unreadable += 1
            self.abort()
            return
        receive = self._issuer.receive
        for headers, message in frames:
            receive(self, headers, message)

    def connection_lost(self, _error: Exception | None) -> None:
        """Leave the issuer's connections."""
        self._transport = None
        self._issuer.left(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self, frame: bytes) -> None:
        """Send at the end of this turn; a frame for a connection that is gone is counted and dropped."""
        if self._transport is None or self._transport.is_closing():
            self._issuer.counters.undeliverable += 1
            return
        if not self._corked and not self._trickle:
            self._loop.call_soon(self._flush)
        self._corked.append(frame)

    def trickle(self, frame: bytes) -> None:
        """Send in single bytes, one a millisecond; whatever is sent meanwhile waits behind it."""
        if self._trickle:
            self._corked.append(frame)
            return
        self._flush()
        self._trickle += frame
        self._loop.call_soon(self._write_byte)

    def abort(self) -> None:
        """Close at once; what was not written is lost."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close after what was written."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        if self._trickle:
            return
        if self._transport is not None and not self._transport.is_closing() and self._corked:
            self._transport.write(b"".join(self._corked))
        self._corked.clear()

    def _write_byte(self) -> None:
        if self._transport is None or self._transport.is_closing():
            self._trickle.clear()
            self._corked.clear()
            return
        self._transport.write(bytes(self._trickle[:1]))
        del self._trickle[:1]
        if self._trickle:
            self._loop.call_later(_TRICKLE_S, self._write_byte)
        else:
            self._flush()


class Issuer:
    """An issuer that serves any number of connections, made to it or by it."""

    def __init__(self, profile: Profile, settings: IssuerSettings | None = None, mac: MacSetting | None = None) -> None:
        self.profile = profile
        self.settings = settings = settings or IssuerSettings()
        self.counters = IssuerCounters()
        self.ledger = books.Ledger(settings.name)
        self.decider = Decider(settings.rules)
        self._mac = mac
        self._random = random.Random(settings.seed)
        self.faults = FaultPlan(settings.faults, self._random)
        self._connections: set[IssuerConnection] = set()
        self._server: asyncio.Server | None = None
        self._callers = BackgroundTasks()
        self.on_answer: Callable[[str, float], None] | None = None
        """Called with the retrieval reference number and the microseconds that the answer took here."""
        self._serial = 0
        self._own_stan = 0
        self._own_requests: set[str] = set()
        self.keys: IssuerKeys | None = None
        """Set where it exchanges keys with the acquirer."""
        self._own_offers: dict[str, str] = {}

    # Sockets

    async def listen(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        """Listen for connections; the port, as the kernel chose it where 0 was asked for."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: IssuerConnection(self), host, port, ssl=tls, reuse_address=True, backlog=1024
        )
        port_in_use: int = self._server.sockets[0].getsockname()[1]
        return port_in_use

    def call(self, host: str, port: int, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> None:
        """Keep one connection to the acquirer, made from here; again after 0.2 s whenever it ends."""
        self._callers.spawn(self._keep_calling(host, port, tls, server_name))

    async def stop(self) -> None:
        """Stop listening and calling, and close all connections.

        Raises:
            Exception: What went wrong while it called.
        """
        if self._server is not None:
            self._server.close()
        try:
            await self._callers.put_away()
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.wait([connection.closed for connection in connections], timeout=2)
        for connection in list(self._connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def drop_connections(self) -> None:
        """Cut every connection, as when a line breaks."""
        for connection in list(self._connections):
            connection.abort()

    def joined(self, connection: IssuerConnection) -> None:
        """A connection is up."""
        self._connections.add(connection)
        self.counters.connections += 1

    def left(self, connection: IssuerConnection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)

    async def _keep_calling(self, host: str, port: int, tls: ssl.SSLContext | None, server_name: str | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, connection = await loop.create_connection(
                    lambda: IssuerConnection(self), host, port, ssl=tls, server_hostname=server_name if tls else None
                )
                await connection.closed
            except OSError:
                pass
            await asyncio.sleep(_RECONNECT_S)

    def echo(self) -> None:
        """Send an echo test of our own on every connection; ``counters`` tell how many were answered."""
        for connection in self._connections:
            self._own_stan = self._own_stan % 999_999 + 1
            stan = f"{self._own_stan:06d}"
            self._own_requests.add(stan)
            self.counters.echoes_sent += 1
            message = self.profile.network_request("echo_test", stan)
            connection.send(self.profile.framing.wrap(message))

    def offer_key(self, usage: str, value: bytes | None = None) -> None:
        """Send the acquirer a new key, on one connection; it is used once it was taken."""
        if self.keys is None:
            raise ValueError("this issuer exchanges no keys")
        connection = next(iter(self._connections))
        self._own_stan = self._own_stan % 999_999 + 1
        stan = f"{self._own_stan:06d}"
        self._own_offers[stan] = usage
        pieces = self.keys.make(usage, value)
        message = self.profile.network_request("key_exchange", stan, pieces=pieces, mac=self._mac)
        connection.send(self.profile.framing.wrap(message))

    async def keep_offering(self, seconds: float | None) -> None:
        """Send a new MAC key, then a new PIN key, and so on, where it has such and while there is a connection."""
        for usage in itertools.cycle(() if self.keys is None or seconds is None else self.keys.usages):
            await asyncio.sleep(seconds or 0)
            if self._connections:
                self.offer_key(usage)

    # Messages

    def receive(self, connection: IssuerConnection, headers: bytes, data: bytes) -> None:
        """Deal with one message."""
        try:
            message = self.profile.scan(data)
        except ScanError:
            self.counters.unreadable += 1
            return
        mti = message.mti
        if int(mti[2]) % 2:
            self._receive_answer(message)
        elif mti[1] == _NETWORK:
            self._receive_network(connection, headers, message)
        else:
            self._receive_request(connection, headers, message)

    def _receive_answer(self, message: Message) -> None:
        stan = self.profile.text(message, 11)
        if message.mti[1] == _NETWORK and stan in self._own_offers:
            if self._is_forged(message):
                return
            usage = self._own_offers.pop(stan)
            taken = self.profile.text(message, 39) == self.profile.code(APPROVED, _NETWORK)
            self.counters.keys["taken" if taken else "refused"] += 1
            if taken and self.keys is not None:
                self._use_key(usage)
        elif message.mti[1] == _NETWORK and stan in self._own_requests:
            self._own_requests.discard(stan)
            self.counters.echoes_answered += 1
        else:
            self.counters.unexpected += 1

    def _receive_network(self, connection: IssuerConnection, headers: bytes, message: Message) -> None:
        kind = self.profile.kind(message)
        self.counters.network[kind] += 1
        if kind == "sign_on":
            connection.signed_on = True
        elif kind == "sign_off":
            connection.signed_on = False
        pieces = self.profile.echo(message, network=True)
        pieces[39] = self.profile.code_piece(APPROVED, message.mti[1])
        usage = None
        if kind == "key_exchange" and self.keys is not None:
            if self._is_forged(message):
                pieces[39] = self.profile.code_piece("mac_failed", message.mti[1])
            else:
                usage = self.keys.messages.read(message.data).usage
            if usage is not None:
                pieces |= self.keys.make(usage)
        self._reply(connection, headers, self._network_answer(message, pieces))
        if usage is not None:
            self._use_key(usage)

    def _use_key(self, usage: str) -> None:
        if self.keys is not None:
            self.keys.use(usage)
            self._mac = self.keys.mac

    def _signer(self, message: Message) -> MacSetting | None:
        """With which key a request is signed, and so its answer: the present one, or one beside it; None: no such."""
        candidates = [self._mac] if self.keys is None else self.keys.candidates()
        return next((mac for mac in candidates if mac and self.profile.mac_is_right(message, message.data, mac)), None)

    def _network_answer(self, message: Message, pieces: dict[int, bytes]) -> bytes:
        """An answer with these fields; signed as the request was, which those of keys are."""
        mti, mac = answer_mti(message.mti), self._signer(message)
        return self.profile.writer.message(mti, pieces) if mac is None else self.profile.signed(mti, pieces, mac)

    def _is_forged(self, message: Message) -> bool:
        """Whether a message of keys carries no right MAC, where it must."""
        is_forged = self._mac is not None and self._signer(message) is None
        self.counters.mac_failures += is_forged
        return is_forged

    def _receive_request(self, connection: IssuerConnection, headers: bytes, message: Message) -> None:
        profile = self.profile
        counters = self.counters
        counters.requests += 1
        stan = profile.text(message, 11)
        if self._mac is not None and self._signer(message) is None:
            counters.mac_failures += 1
            answer = self._compose(message, _Decision("mac_failed"))
            self._reply(connection, headers, answer)
            return
        fault = self.faults.next_fault()
        if fault in UNBOOKED:
            if fault is Fault.CLOSE:
                connection.abort()
            return
        if self.settings.require_sign_on and not connection.signed_on:
            decision = _Decision("issuer_unavailable")
        elif message.mti[1] == _REVERSAL:
            decision = self._reverse(message)
        else:
            decision = self._decide(message, profile.kind(message))
        counters.outcomes[decision.reason] += 1
        delay_s = self.settings.latency.draw_s(self._random)
        exchange = _Exchange(connection, profile.framing.reply_headers_for(headers), message, decision, delay_s)
        if fault is None:
            self._deliver(exchange, self._compose(message, decision))
        else:
            self._misbehave(exchange, fault)
        connection.last_stan = stan

    def _reply(self, connection: IssuerConnection, headers: bytes, answer: bytes) -> None:
        self.counters.answers += 1
        framing = self.profile.framing
        connection.send(framing.wrap(answer, framing.reply_headers_for(headers)))

    def _deliver(self, exchange: _Exchange, answer: bytes, later_s: float = 0.0) -> None:
        self.counters.answers += 1
        delay_s = exchange.delay_s + later_s
        frame = self.profile.framing.wrap(answer, exchange.headers)
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._send, exchange, frame)
        else:
            self._send(exchange, frame)

    def _send(self, exchange: _Exchange, frame: bytes) -> None:
        took_us = (time.perf_counter() - exchange.received_at) * 1e6
        self.counters.answer_us.append(took_us)
        if self.on_answer is not None:
            self.on_answer(self.profile.text(exchange.message, 37), took_us)
        exchange.connection.send(frame)

    def _compose(self, message: Message, decision: _Decision, stan: str = "", mac: MacSetting | None = None) -> bytes:
        """The answer to a request, signed where the request was."""
        profile = self.profile
        pieces = profile.echo(message)
        if stan:
            pieces[11] = profile.writer.piece(11, stan)
        if 37 not in pieces:
            self._serial += 1
            pieces[37] = profile.writer.piece(37, decision.rrn or f"{self._serial:012d}")
        if decision.authorization_code:
            pieces[38] = profile.writer.piece(38, decision.authorization_code)
        pieces[39] = profile.code_piece(decision.reason, message.mti[1])
        if decision.part_minor:
            pieces[4] = profile.writer.piece(4, f"{decision.part_minor:012d}")
        profile.stamp(pieces, self.settings.rules.clock_offset_seconds)
        if decision.balance is not None:
            currency = profile.text(message, 49) or "000"
            pieces[54] = profile.writer.piece(54, f"0002{currency}C{decision.balance:012d}")
        mac = mac or (self._mac if self.keys is None else self._signer(message) or self._mac)
        if mac is None:
            return profile.writer.message(answer_mti(message.mti), pieces)
        return profile.signed(answer_mti(message.mti), pieces, mac)

    def _misbehave(self, exchange: _Exchange, fault: Fault) -> None:
        """Do to one answer what the fault says."""
        connection = exchange.connection
        right = self._compose(exchange.message, exchange.decision)
        match fault:
            case Fault.LATE_ANSWER:
                self._deliver(exchange, right, self.settings.late_ms / 1000)
            case Fault.DUPLICATE_ANSWER:
                self._deliver(exchange, right)
                self._deliver(exchange, right)
            case Fault.WRONG_STAN:
                self._deliver(exchange, self._for_someone_else(exchange))
            case Fault.UNSOLICITED:
                self._deliver(exchange, self._for_someone_else(exchange))
                self._deliver(exchange, right)
            case Fault.WRONG_MAC if self._mac is not None:
                wrong = self._mac.with_key(secrets.token_bytes(len(self._mac.key)))
                self._deliver(exchange, self._compose(exchange.message, exchange.decision, mac=wrong))
            case Fault.GARBAGE:
                self._deliver(exchange, self._random.randbytes(self._random.randint(1, 200)))
            case Fault.CLOSE_AFTER_RECEIVE:
                connection.abort()
            case Fault.SLOW_WRITE:
                connection.trickle(self.profile.framing.wrap(right, exchange.headers))
            case _:
                # An answer is dropped; and without a key, one cannot be signed wrongly.
                pass

    def _for_someone_else(self, exchange: _Exchange) -> bytes:
        """The answer under the STAN of the request before, or under one that nobody used."""
        own = self.profile.text(exchange.message, 11)
        other = exchange.connection.last_stan
        if other in {"", own}:
            other = f"{(int(own) + 500_000) % 10**6:06d}"
        return self._compose(exchange.message, exchange.decision, stan=other)

    # Decisions

    def _decide(self, message: Message, kind: str) -> _Decision:
        """Approve or decline a request, and book it; a repeat gets the decision of the first."""
        profile = self.profile
        identity = profile.identity(message)
        ledger = self.ledger
        repeated = ledger.find_repeat(identity)
        if repeated is not None:
            self.counters.repeats += 1
            repeated.received += 1
            part_minor = repeated.amount_minor if repeated.part_of_minor else 0
            return _Decision(repeated.reason, repeated.authorization_code, repeated.rrn, part_minor=part_minor)
        pan = profile.pan(message)
        amount_minor = int(profile.text(message, 4) or "0")
        part_minor = 0
        original = None
        if kind_traits(kind).is_advice:
            reason = APPROVED
        elif kind in books.VOIDS:
            original = ledger.find_original(profile.original(message))
            reason = self._judge_void(original)
        elif ledger.is_orphaned(identity) and not self.settings.charge_after_reversal:
            reason = "do_not_honour"
        else:
            original = ledger.find_original(profile.original(message)) if kind == "completion" else None
            held_minor = original.amount_minor if original is not None and original.state == books.APPROVED else 0
            debit = kind in books.DEBITS or kind in books.HOLDS
            reason = self.decider.decide(pan, amount_minor, debit=debit, held_minor=held_minor)
            if reason == APPROVED and kind in AMOUNT_KINDS:
                reason, part_minor = self._judge_part(message, amount_minor)
        approved = reason in APPROVALS
        self._serial += 1
        authorization_code = f"{self._serial % 10**6:06d}" if approved else ""
        rrn = identity.rrn or f"{self._serial:012d}"
        if self.settings.keep_ledger:
            entry = books.Entry(
                kind,
                identity.stan,
                identity.occasion,
                rrn,
                identity.terminal,
                profile.text(message, 42).rstrip(),
                mask_pan(pan),
                part_minor or amount_minor,
                profile.text(message, 49),
                reason,
                profile.code(reason),
                authorization_code,
                books.APPROVED if approved else books.DECLINED,
                original=original,
                part_of_minor=amount_minor if part_minor else 0,
            )
            ledger.add(identity, entry)
            if approved:
                self._move_money(pan, entry)
        balance = self.decider.balance(pan) if approved and kind == "balance_inquiry" else None
        return _Decision(reason, authorization_code, rrn, balance, part_minor)

    def _judge_part(self, message: Message, amount_minor: int) -> tuple[str, int]:
        """The reason for a request that is not refused, and what is approved where it is less than was asked."""
        part_minor = self.decider.part(amount_minor)
        if not part_minor:
            return APPROVED, 0
        if self.profile.takes_part(message):
            return APPROVED_IN_PART, part_minor
        return self.settings.rules.no_part, 0

    def _judge_void(self, original: books.Entry | None) -> str:
        if original is None:
            return self.settings.rules.unknown_original
        return APPROVED if original.state == books.APPROVED else "invalid_transaction"

    def _move_money(self, pan: str, entry: books.Entry) -> None:
        """Change balances and the state of the original, as an approved entry asks for."""
        original = entry.original
        if entry.kind in books.VOIDS and original is not None:
            original.state = books.VOIDED
            self.decider.book(pan, -books.weight(original.kind) * original.amount_minor)
            return
        if original is not None and original.state == books.APPROVED:
            original.state = books.COMPLETED
            self.decider.book(pan, -books.weight(original.kind) * original.amount_minor)
        self.decider.book(pan, books.weight(entry.kind) * entry.amount_minor)

    def _reverse(self, message: Message) -> _Decision:
        """Undo an original; as often as it is asked, with the same answer."""
        self.counters.reversals += 1
        original = self.profile.original(message)
        entry = self.ledger.find_original(original)
        if entry is None:
            self.ledger.add_orphan(original)
            return _Decision(self.settings.rules.unknown_original)
        entry.reversals += 1
        if entry.state == books.APPROVED:
            entry.state = books.REVERSED
            pan = self.profile.pan(message)
            self.decider.book(pan, -books.weight(entry.kind) * entry.amount_minor)
            undone = entry.original
            if undone is not None and undone.state in {books.VOIDED, books.COMPLETED}:
                # What it had taken back, or completed, stands again.
                undone.state = books.APPROVED
                self.decider.book(pan, books.weight(undone.kind) * undone.amount_minor)
        return _Decision(APPROVED, entry.authorization_code)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What is answered to one request."""

    reason: str
    authorization_code: str = ""
    rrn: str = ""
    balance: int | None = None
    part_minor: int = 0
    """What is approved, where it is less than was asked."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request with what is to be answered, and how."""

    connection: IssuerConnection
    headers: bytes
    """Of the answer."""
    message: Message
    decision: _Decision
    delay_s: float
    received_at: float = field(default_factory=time.perf_counter)
