"""One simulated terminal: makes requests, checks every answer in full, keeps its receipts.

When it does so is the business of its fleet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from switch.base.masking import mask_pan
from switch.simulators import receipts as slips
from switch.simulators.answer_checks import Question, examine
from switch.simulators.dialect_profile import moment
from switch.simulators.receipts import Receipt
from switch.simulators.rules import APPROVALS, APPROVED_IN_PART
from switch.simulators.scenario import BASED_ON, Flaw
from switch.simulators.stans import SPREAD, STAN_COUNT
from switch.wire.framing import Deframer, FrameError
from switch.wire.scan import ScanError

if TYPE_CHECKING:
    import random
    import ssl
    from collections.abc import Callable

    from switch.simulators.dialect_profile import MacSetting, Profile
    from switch.simulators.fleet_settings import FleetSettings
    from switch.simulators.receipts import FleetCounters
    from switch.simulators.scenario import Plan, Planner
    from switch.wire.scan import Message

_STANDING_KEPT_MAX = 8
_ANSWERED_KEPT_MAX = 256
_STRANGER = "ZZ999999"


@dataclass(frozen=True, slots=True)
class TerminalIdentity:
    """Who a terminal is, and with what it proves it."""

    terminal: str
    """Field 41."""
    merchant: str
    """Field 42."""
    mac: MacSetting | None = None
    master_key: bytes | None = field(default=None, repr=False)
    """TMK, to unwrap the working keys of a sign-in answer."""
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        """Refuse what the fields have no place for.

        Raises:
            ValueError: It is that.
        """
        for what, value, most in (("terminal", self.terminal, 8), ("merchant", self.merchant, 15)):
            if not (value.isascii() and value.isprintable() and 1 <= len(value) <= most):
                raise ValueError(f"{what}: needed 1 to {most} printable ASCII characters, got {value[:40]!r}")


class Pending:
    """A request that waits for its answer."""

    __slots__ = (
        "answered",
        "connection",
        "deadline",
        "mti",
        "plan",
        "planned_at",
        "receipt",
        "refers_to",
        "sent_at",
        "stan",
        "terminal",
    )

    def __init__(
        self,
        terminal: Terminal,
        connection: TerminalConnection,
        plan: Plan | None,
        *,
        mti: str,
        stan: str,
        planned_at: float,
    ) -> None:
        fleet = terminal.fleet
        self.terminal = terminal
        self.connection = connection
        self.plan = plan
        """None: a sign-in."""
        self.mti = mti
        self.stan = stan
        self.planned_at = planned_at
        self.sent_at = fleet.now()
        self.deadline = self.sent_at + fleet.timeout_s
        self.answered = False
        """Or given up."""
        self.receipt: Receipt | None = None
        self.refers_to: tuple[Receipt, Plan] | None = None


class Caller(Protocol):
    """Whose a connection is."""

    def receive(self, connection: TerminalConnection, data: bytes) -> None:
        """One message came."""

    def unreadable(self, reason: str) -> None:
        """Something came that is no frame."""

    def disconnected(self, connection: TerminalConnection) -> None:
        """It has ended."""


class TerminalConnection(asyncio.Protocol):
    """A terminal's connection."""

    def __init__(self, terminal: Caller, profile: Profile) -> None:
        self._terminal = terminal
        self._deframer = Deframer(profile.framing)
        self.transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection, its TLS included, is up."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand every complete frame to the terminal."""
        try:
            frames = self._deframer.feed(data)
        except FrameError as error:
            self._terminal.unreadable(str(error))
            self.close()
            return
        for _, message in frames:
            self._terminal.receive(self, message)

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection has ended."""
        self.transport = None
        if not self.closed.done():
            self.closed.set_result(None)
        self._terminal.disconnected(self)

    @property
    def usable(self) -> bool:
        """Whether something can be sent on it."""
        return self.transport is not None and not self.transport.is_closing()

    def send(self, frame: bytes) -> None:
        """Send one frame; the connection must be usable."""
        if self.transport is not None:
            self.transport.write(frame)

    def close(self) -> None:
        """Close after what was written."""
        if self.transport is not None:
            self.transport.close()


class Owner(Protocol):
    """What a terminal knows of the fleet that it belongs to."""

    profile: Profile
    settings: FleetSettings
    host: str
    port: int
    tls: ssl.SSLContext | None
    counters: FleetCounters
    generator: random.Random
    planner: Planner
    timeout_s: float
    now: Callable[[], float]
    on_answer: Callable[[str, float], None] | None

    def expect(self, pending: Pending) -> None:
        """Watch the deadline of a request."""

    def freed(self, terminal: Terminal) -> None:
        """A terminal's request is over, one way or another."""

    def disconnected(self, terminal: Terminal) -> None:
        """A connection has ended."""


class Terminal:
    """One terminal: its counters, its connection, what it waits for, what it has receipts of."""

    def __init__(self, fleet: Owner, identity: TerminalIdentity) -> None:
        self.identity = identity
        self.mac = identity.mac
        self.batch = "000001"
        self.receipts: list[Receipt] = []
        self.parked = 0
        """Requests that it could have in flight, were it connected."""
        self.fleet = fleet
        self._profile = fleet.profile
        self._stan = (fleet.settings.first_stan + fleet.generator.randrange(SPREAD)) % STAN_COUNT
        self.numbers_used = 0
        self._pending: dict[str, Pending] = {}
        self._answered: deque[str] = deque(maxlen=_ANSWERED_KEPT_MAX)
        self._standing: dict[str, deque[tuple[Receipt, Plan]]] = {}
        self._connections: set[TerminalConnection] = set()
        self._signed_in: asyncio.Future[None] | None = None

    @property
    def connection(self) -> TerminalConnection | None:
        """A connection on which something can be sent."""
        for connection in self._connections:
            if connection.usable:
                return connection
        return None

    async def connect(self) -> TerminalConnection:
        """Open a connection.

        Raises:
            OSError: There is nobody, or TLS failed.
        """
        fleet = self.fleet
        tls = self.identity.tls or fleet.tls
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: TerminalConnection(self, self._profile),
            fleet.host,
            fleet.port,
            ssl=tls,
            server_hostname=(fleet.settings.server_name or fleet.host) if tls else None,
        )
        fleet.counters.connections += 1
        self._connections.add(connection)
        return connection

    async def sign_in(self) -> None:
        """Sign in, and take the working keys when the answer brings any.

        Raises:
            TimeoutError: No answer came.
        """
        connection = self.connection or await self.connect()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._signed_in = future
        stan = self._next_stan()
        message = self._profile.network_request(
            "sign_on", stan, terminal=self.identity.terminal, merchant=self.identity.merchant, batch=self.batch
        )
        pending = Pending(
            self, connection, None, mti=self._profile.request_mti("sign_on"), stan=stan, planned_at=self.fleet.now()
        )
        self._pending[stan] = pending
        self.fleet.expect(pending)
        connection.send(self._profile.framing.wrap(message))
        try:
            await asyncio.wait_for(future, self.fleet.timeout_s)
        finally:
            self._signed_in = None
            if self.fleet.settings.one_shot:
                connection.close()

    def begin(self, planned_at: float, connection: TerminalConnection) -> None:
        """Make one request."""
        fleet = self.fleet
        share = fleet.planner.draw_share()
        refers_to = None
        if share.kind in BASED_ON:
            standing = self._standing.get(BASED_ON[share.kind])
            if standing:
                refers_to = standing.popleft()
                plan = fleet.planner.plan_on(share, refers_to[1].card, refers_to[1].amount_minor)
            else:
                # Nothing stands that it could refer to: make what it needs.
                plan = fleet.planner.plan(share.model_copy(update={"kind": first_kind(share.kind), "expect": None}))
        else:
            plan = fleet.planner.plan(share)
        original = None if refers_to is None else refers_to[0]
        stan = self._next_stan()
        if original is not None and plan.kind == "reversal" and self._profile.reversal_keeps_stan:
            stan = original.stan
        at = moment()
        message = self._compose(plan, stan, at, original)
        pending = Pending(
            self, connection, plan, mti=self._profile.request_mti(plan.kind), stan=stan, planned_at=planned_at
        )
        pending.refers_to = refers_to
        if fleet.settings.keep_receipts or plan.flaw is Flaw.NONE:
            pending.receipt = Receipt(
                plan.kind,
                self._name(plan),
                self.identity.merchant,
                self.batch,
                stan,
                at,
                mask_pan(plan.card.pan),
                plan.amount_minor,
                fleet.settings.scenario.currency,
                "",
                "",
                "",
                slips.UNKNOWN,
            )
            if fleet.settings.keep_receipts:
                self.receipts.append(pending.receipt)
        self._pending[stan] = pending
        fleet.counters.sent += 1
        fleet.counters.by_kind[plan.kind] += 1
        fleet.expect(pending)
        connection.send(self._profile.framing.wrap(message))

    def _name(self, plan: Plan) -> str:
        return _STRANGER if plan.flaw is Flaw.UNKNOWN_TERMINAL else self.identity.terminal

    def _compose(self, plan: Plan, stan: str, at: str, original: Receipt | None) -> bytes:
        profile = self._profile
        pieces = profile.request(
            plan.kind,
            terminal=self._name(plan),
            merchant=self.identity.merchant,
            batch=self.batch,
            stan=stan,
            card=plan.card,
            amount_minor=plan.amount_minor,
            currency=self.fleet.settings.scenario.currency,
            at=at,
            original=original,
            takes_parts=self.fleet.settings.scenario.takes_parts,
        )
        mti = profile.request_mti(plan.kind)
        if self.mac is None:
            return profile.writer.message(mti, pieces)
        mac = self.mac
        if plan.flaw is Flaw.WRONG_MAC:
            mac = mac.with_key(self.fleet.generator.randbytes(len(mac.key)))
        return profile.signed(mti, pieces, mac)

    def _next_stan(self) -> str:
        self._stan = self._stan % STAN_COUNT + 1
        self.numbers_used += 1
        return f"{self._stan:06d}"

    # Answers

    def receive(self, connection: TerminalConnection, data: bytes) -> None:
        """Check one message that came."""
        counters = self.fleet.counters
        profile = self._profile
        try:
            message = profile.scan(data)
        except ScanError as error:
            self.unreadable(str(error))
            return
        stan = profile.text(message, 11)
        pending = self._pending.get(stan)
        if pending is None:
            if stan in self._answered:
                counters.duplicate += 1
                self._note(f"a second answer to STAN {stan}")
            else:
                counters.mismatched += 1
                self._note(f"an answer to STAN {stan}, which was never sent")
            return
        if pending.plan is None:
            self._finish(pending)
            self._receive_sign_in(message)
            return
        if pending.answered:
            # It was given up; the request stays known for as long as the terminal remembers its STAN.
            counters.late += 1
            self._forget(pending)
            return
        self._forget(pending)
        counters.answered += 1
        now = self.fleet.now()
        counters.latency_us.record_value(max(1, int((now - pending.planned_at) * 1e6)))
        counters.service_us.record_value(max(1, int((now - pending.sent_at) * 1e6)))
        if self.fleet.on_answer is not None:
            self.fleet.on_answer(self._profile.text(message, 37), (now - pending.sent_at) * 1e6)
        self._check(pending, pending.plan, message, data)
        self._finish(pending)
        if self.fleet.settings.one_shot:
            connection.close()

    def _check(self, pending: Pending, plan: Plan, message: Message, data: bytes) -> None:
        """Compare an answer with its request, and complete the receipt."""
        question = Question(
            pending.mti,
            pending.stan,
            plan.kind,
            self._name(plan),
            self.identity.merchant,
            plan.amount_minor,
            None if plan.flaw is Flaw.UNKNOWN_TERMINAL else self.mac,
            plan.expected,
            plan.flaw,
        )
        code, reason = examine(self._profile, question, (message, data), self.fleet.counters, self._note)
        self._keep(pending, plan, message, code, reason)

    def _keep(self, pending: Pending, plan: Plan, message: Message, code: str, reason: str) -> None:
        receipt = pending.receipt
        if receipt is None:
            return
        text = self._profile.text
        receipt.response_code = code
        receipt.rrn = text(message, 37)
        receipt.authorization_code = text(message, 38)
        approved = reason in APPROVALS
        receipt.state = slips.APPROVED if approved else slips.DECLINED
        if reason == APPROVED_IN_PART:
            receipt.accept(int(text(message, 4) or "0"))
            plan = plan._replace(amount_minor=receipt.amount_minor)
        if approved and plan.kind in _BASES:
            standing = self._standing.setdefault(plan.kind, deque(maxlen=_STANDING_KEPT_MAX))
            standing.append((receipt, plan))
        if approved and pending.refers_to is not None:
            pending.refers_to[0].state = CONSEQUENCES.get(plan.kind, slips.VOIDED)

    def _receive_sign_in(self, message: Message) -> None:
        counters = self.fleet.counters
        profile = self._profile
        if profile.reason(profile.text(message, 39)) == slips.APPROVED:
            counters.sign_ins += 1
            self._take_working_key(message)
        else:
            counters.refused_sign_ins += 1
            self._note(f"sign-in was answered {profile.text(message, 39)}")
        if self._signed_in is not None and not self._signed_in.done():
            self._signed_in.set_result(None)

    def _take_working_key(self, message: Message) -> None:
        if self.identity.master_key is None:
            return
        try:
            key = self._profile.working_mac(message, self.identity.master_key, self.mac)
        except ValueError as error:
            self.fleet.counters.unreadable += 1
            self._note(f"working keys of the sign-in answer: {error}")
            return
        if key is not None:
            self.mac = key
            self.fleet.counters.working_keys += 1

    def unreadable(self, reason: str) -> None:
        """Something came that is no message."""
        self.fleet.counters.unreadable += 1
        self._note(reason)

    def give_up(self, pending: Pending) -> None:
        """No answer came in time."""
        if pending.plan is None:
            self._forget(pending)
            return
        pending.answered = True
        self.fleet.counters.missing += 1
        self._note(f"{pending.plan.kind} with STAN {pending.stan} got no answer")
        self._finish(pending)

    def disconnected(self, connection: TerminalConnection) -> None:
        """A connection has ended; what was in flight on it will not be answered."""
        self._connections.discard(connection)
        lost = [pending for pending in self._pending.values() if pending.connection is connection]
        failed = False
        for pending in lost:
            if not pending.answered:
                self.give_up(pending)
                failed = True
            self._forget(pending)
        if failed:
            self.fleet.counters.connection_failures += 1
        self.fleet.disconnected(self)

    def close(self) -> list[asyncio.Future[None]]:
        """Close every connection; what to wait for."""
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        return [connection.closed for connection in connections]

    def _forget(self, pending: Pending) -> None:
        self._pending.pop(pending.stan, None)
        self._answered.append(pending.stan)
        pending.answered = True

    def _finish(self, pending: Pending) -> None:
        if pending.plan is not None:
            self.fleet.freed(self)

    def _note(self, problem: str) -> None:
        self.fleet.counters.note(f"{self.fleet.settings.name}, terminal {self.identity.terminal}: {problem}")


_BASES = frozenset(BASED_ON.values())
CONSEQUENCES = {"reversal": slips.REVERSED, "completion": slips.COMPLETED}
"""State of a receipt when an approved request of a kind referred to it; of all others: voided."""


def first_kind(kind: str) -> str:
    """The kind that stands at the beginning of what ``kind`` refers to."""
    while kind in BASED_ON:
        kind = BASED_ON[kind]
    return kind
