"""Terminals that lose no payment out of sight: each one repeats what is not answered, or takes it back, until it knows.

A fleet (``switch.simulators.fleet``) measures a switch that works: what it does not answer is missing. Persistent
terminals serve where lines break and the switch dies. One has one payment under way, as a terminal at a counter has.
Without an answer it sends the same request again, on a new connection where the old one is gone; after some repeats it
sends a reversal, and goes on with that until it is accepted. So each receipt ends in a state that can be compared with
the books.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from switch.base.masking import mask_pan
from switch.simulators import receipts as slips
from switch.simulators.answer_checks import Question, examine
from switch.simulators.dialect_profile import moment
from switch.simulators.receipts import FleetCounters, Receipt
from switch.simulators.rules import APPROVALS, APPROVED_IN_PART
from switch.simulators.scenario import BASED_ON, FLAW_REASON, Flaw, Plan, Planner, Scenario
from switch.simulators.terminals import CONSEQUENCES, TerminalConnection, TerminalIdentity, first_kind
from switch.wire.scan import ScanError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from switch.simulators.dialect_profile import Profile
    from switch.wire.scan import Message

REVERSAL_ACCEPTED = frozenset({"approved", "original_not_found"})
"""With which a terminal takes its reversal for done."""

REFUSED_FOR_NOW = ("issuer_unavailable", "system_malfunction", "timeout")
"""What a switch in trouble may say to anything."""

_BASES = frozenset(BASED_ON.values())
_STANDING_KEPT_MAX = 8
_TOLD_KEPT_MAX = 256
_DRAWS_MAX = 100


@dataclass(frozen=True, slots=True)
class PersistentSettings:
    """How persistent terminals behave. Each draws its own habits within this."""

    scenario: Scenario
    name: str = "persistent"
    rate: float = 50.0
    """Payments a second that all of them begin together, at most."""
    patience_ms: tuple[float, ...] = (1_500.0, 3_000.0)
    """How long one waits for an answer before it asks again."""
    repeats_max: tuple[int, ...] = (0, 1, 3)
    """How often it sends one request again before it takes it back."""
    reconnect_ms: float = 200.0
    connect_ms: float = 5_000.0
    """How long it waits for a connection."""
    doubting: float = 0.5
    """Share of terminals that reverse what they were told had timed out, though nobody needs to."""
    hang_up: float = 0.5
    """How often one calls anew before it repeats itself."""
    sign_in: bool = False
    server_name: str | None = None
    seed: int = 1


class Answer(NamedTuple):
    """What came back."""

    message: Message
    reason: str
    code: str


@dataclass(slots=True)
class _Asked:
    """A request that waits for its answer."""

    question: Question
    answer: asyncio.Future[Answer]
    begun_at: float
    repeats: int = 0


@dataclass(slots=True)
class _Told:
    """What a terminal has been told of a request, to compare with what it is told again."""

    question: Question
    outcome: tuple[bool, int | None] | None = None
    """Whether it was approved, and the amount of that."""
    is_taken_back: bool = field(default=False)
    """From then on it is told nothing that matters."""


class PersistentTerminal:
    """One terminal; ``serve`` is its day."""

    def __init__(self, fleet: PersistentFleet, identity: TerminalIdentity) -> None:
        self.identity = identity
        self.receipts: list[Receipt] = []
        self._fleet = fleet
        self._profile = fleet.profile
        self._mac = identity.mac
        self._batch = "000001"
        self._draw = draw = random.Random(f"{fleet.settings.seed}/{identity.terminal}")
        self._planner = Planner(fleet.settings.scenario, draw)
        self._stan = draw.randrange(1000)
        self._connection: TerminalConnection | None = None
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        self._standing: dict[str, deque[tuple[Receipt, Plan]]] = {}
        self._used: set[tuple[str, int]] = set()
        settings = fleet.settings
        self._patience_s = draw.choice(settings.patience_ms) / 1000
        self._tries = 1 + draw.choice(settings.repeats_max)
        self._doubts = draw.random() < settings.doubting

    # The day

    async def sign_in(self) -> None:
        """Sign in, and take the working keys when the answer brings any; again until it is answered."""
        stan = self._next_stan()
        profile = self._profile
        message = profile.network_request(
            "sign_on", stan, terminal=self.identity.terminal, merchant=self.identity.merchant, batch=self._batch
        )
        question = self._question("sign_on", stan, 0, frozenset({"approved"}), signed=False)
        answer = await self._ask(question, profile.framing.wrap(message), 0)
        counters = self._fleet.counters
        if answer is None or answer.reason != "approved":
            counters.refused_sign_ins += 1
            return
        counters.sign_ins += 1
        if self.identity.master_key is not None:
            key = profile.working_mac(answer.message, self.identity.master_key, self._mac)
            if key is not None:
                self._mac = key
                counters.working_keys += 1

    async def serve(self) -> None:
        """Take payments, one after the other, until the fleet is closed."""
        while await self._fleet.open_after(self._draw.expovariate(1 / self._fleet.pause_s)):
            share = self._planner.draw_share()
            standing = self._standing.get(BASED_ON.get(share.kind, ""))
            if share.kind in BASED_ON and standing:
                original, plan = standing.popleft()
                if share.kind == "reversal":
                    await self._take_back(original, plan, slips.REVERSED)
                else:
                    await self._pay(self._planner.plan_on(share, plan.card, plan.amount_minor), original)
                continue
            if share.kind in BASED_ON:
                share = share.model_copy(update={"kind": first_kind(share.kind), "expect": None})
            for _ in range(_DRAWS_MAX):
                plan = self._planner.plan(share)
                if (plan.kind, plan.amount_minor) not in self._used or not plan.amount_minor:
                    # No terminal uses an amount twice, so that its books can be compared line by line.
                    self._used.add((plan.kind, plan.amount_minor))
                    await self._pay(plan, None)
                    break

    async def _pay(self, plan: Plan, original: Receipt | None) -> None:
        stan, at = self._next_stan(), moment()
        identity = self.identity
        receipt = Receipt(
            plan.kind,
            identity.terminal,
            identity.merchant,
            self._batch,
            stan,
            at,
            mask_pan(plan.card.pan),
            plan.amount_minor,
            self._fleet.settings.scenario.currency,
            "",
            "",
            "",
            slips.UNKNOWN,
        )
        self.receipts.append(receipt)
        self._fleet.counters.by_kind[plan.kind] += 1
        question = self._question(plan.kind, stan, plan.amount_minor, plan.expected, flaw=plan.flaw)
        answer = await self._ask(question, self._frame(plan, plan.kind, stan, at, original), self._tries)
        if answer is None:
            self._fleet.counters.given_up += 1
            await self._take_back(receipt, plan, slips.TAKEN_BACK)
            return
        text = self._profile.text
        receipt.response_code = answer.code
        receipt.rrn = text(answer.message, 37)
        receipt.authorization_code = text(answer.message, 38)
        if answer.reason in APPROVALS:
            receipt.state = slips.APPROVED
            if answer.reason == APPROVED_IN_PART:
                receipt.accept(int(text(answer.message, 4) or "0"))
                plan = plan._replace(amount_minor=receipt.amount_minor)
            if original is not None:
                original.state = CONSEQUENCES.get(plan.kind, slips.VOIDED)
            if plan.kind in _BASES:
                self._standing.setdefault(plan.kind, deque(maxlen=_STANDING_KEPT_MAX)).append((receipt, plan))
        elif answer.reason == "timeout" and self._doubts:
            await self._take_back(receipt, plan, slips.TAKEN_BACK)
        else:
            receipt.state = slips.DECLINED

    async def _take_back(self, receipt: Receipt, plan: Plan, state: str) -> None:
        """Reverse a payment until that is accepted, whatever is in the way."""
        receipt.state = slips.UNKNOWN
        told = self._told.get((self._profile.request_mti(plan.kind)[1], receipt.stan))
        if told is not None:
            told.is_taken_back = True
        accepted = REVERSAL_ACCEPTED
        if plan.flaw is Flaw.UNKNOWN_CARD:
            # Nobody can have charged this card, and nobody can take anything back.
            accepted = accepted.union((FLAW_REASON[plan.flaw],))
        while True:
            stan, at = receipt.stan, receipt.at
            if not self._profile.reversal_keeps_stan:
                stan, at = self._next_stan(), moment()
            expected = accepted.union(REFUSED_FOR_NOW)
            question = self._question("reversal", stan, plan.amount_minor, expected)
            answer = await self._ask(question, self._frame(plan, "reversal", stan, at, receipt), 0)
            self._fleet.counters.by_kind["reversal"] += 1
            if answer is not None and answer.reason in accepted:
                receipt.state = state
                return
            await self._rest()

    # Messages

    def _frame(self, plan: Plan, kind: str, stan: str, at: str, original: Receipt | None) -> bytes:
        profile = self._profile
        pieces = profile.request(
            kind,
            terminal=self.identity.terminal,
            merchant=self.identity.merchant,
            batch=self._batch,
            stan=stan,
            card=plan.card,
            amount_minor=plan.amount_minor,
            currency=self._fleet.settings.scenario.currency,
            at=at,
            original=original,
            takes_parts=self._fleet.settings.scenario.takes_parts,
        )
        mti = profile.request_mti(kind)
        mac = self._mac
        if mac is None:
            return profile.framing.wrap(profile.writer.message(mti, pieces))
        if plan.flaw is Flaw.WRONG_MAC and kind != "reversal":
            mac = mac.with_key(self._draw.randbytes(len(mac.key)))
        return profile.framing.wrap(profile.signed(mti, pieces, mac))

    def _question(
        self,
        kind: str,
        stan: str,
        amount_minor: int,
        expected: frozenset[str],
        *,
        flaw: Flaw = Flaw.NONE,
        signed: bool = True,
    ) -> Question:
        identity = self.identity
        mac = self._mac if signed else None
        mti = self._profile.request_mti(kind)
        return Question(mti, stan, kind, identity.terminal, identity.merchant, amount_minor, mac, expected, flaw)

    def _next_stan(self) -> str:
        self._stan = self._stan % 999_999 + 1
        return f"{self._stan:06d}"

    # Asking, again and again

    async def _ask(self, question: Question, frame: bytes, tries: int) -> Answer | None:
        """Send a request until it is answered, at most so many times (0: for ever); None when it was not."""
        loop = asyncio.get_running_loop()
        counters = self._fleet.counters
        key = (question.mti[1], question.stan)
        asked = self._asked[key] = _Asked(question, loop.create_future(), time.perf_counter())
        self._remember(key, question)
        counters.sent += 1
        sent = 0
        try:
            while not tries or sent < tries:
                connection = await self._connected()
                connection.send(frame)
                counters.repeats += sent > 0
                asked.repeats = sent
                sent += 1
                waited: set[asyncio.Future[Any]] = {asked.answer, connection.closed}
                await asyncio.wait(waited, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED)
                if asked.answer.done():
                    return asked.answer.result()
                if self._draw.random() < self._fleet.settings.hang_up:
                    self.hang_up()
                await self._rest()
                if asked.answer.done():
                    return asked.answer.result()
        finally:
            del self._asked[key]
        return None

    async def _rest(self) -> None:
        await asyncio.sleep(self._fleet.settings.reconnect_ms / 1000 * self._draw.uniform(0.1, 1.0))

    async def _connected(self) -> TerminalConnection:
        """The terminal's connection; a new one, as soon as there can be one, where there is none."""
        fleet = self._fleet
        while self._connection is None or not self._connection.usable:
            tls = self.identity.tls or fleet.tls
            try:
                async with asyncio.timeout(fleet.settings.connect_ms / 1000):
                    _, self._connection = await asyncio.get_running_loop().create_connection(
                        lambda: TerminalConnection(self, self._profile),
                        fleet.host,
                        fleet.port,
                        ssl=tls,
                        server_hostname=(fleet.settings.server_name or fleet.host) if tls else None,
                    )
                fleet.counters.connections += 1
            except (OSError, TimeoutError):
                fleet.counters.connection_failures += 1
                await self._rest()
        return self._connection

    def hang_up(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # What connections call

    def receive(self, _connection: TerminalConnection, data: bytes) -> None:
        """Take one message that came."""
        profile = self._profile
        try:
            message = profile.scan(data)
        except ScanError as error:
            self.unreadable(str(error))
            return
        counters = self._fleet.counters
        key = (message.mti[1], profile.text(message, 11))
        asked = self._asked.get(key)
        told = self._told.get(key)
        if told is None:
            counters.mismatched += 1
            self._note(f"an answer to STAN {key[1]}, which was never sent")
            return
        late = asked is None or asked.answer.done()
        if late:
            counters.late += 1
        question = told.question
        code, reason = examine(profile, question, (message, data), counters, self._note)
        approved_minor = int(profile.text(message, 4) or "0") if reason in APPROVALS else None
        if (
            told.outcome is not None
            and told.outcome != (reason in APPROVALS, approved_minor)
            and not told.is_taken_back
        ):
            counters.contradicting += 1
            self._note(f"{question.kind} with STAN {key[1]} was answered {code} ({reason}), and otherwise before")
        told.outcome = reason in APPROVALS, approved_minor
        if asked is not None and not late:
            counters.answered += 1
            elapsed_us = (time.perf_counter() - asked.begun_at) * 1e6
            counters.latency_us.record_value(min(slips.LATENCY_MAX_US, max(1, int(elapsed_us))))
            if self._fleet.on_answer is not None and not asked.repeats:
                self._fleet.on_answer(profile.text(message, 37), elapsed_us)
            asked.answer.set_result(Answer(message, reason, code))

    def _remember(self, key: tuple[str, str], question: Question) -> None:
        self._told[key] = _Told(question, is_taken_back=question.kind == "reversal")
        if len(self._told) > _TOLD_KEPT_MAX:
            self._told.popitem(last=False)

    def unreadable(self, reason: str) -> None:
        """Something came that is no message."""
        self._fleet.counters.unreadable += 1
        self._note(reason)

    def disconnected(self, connection: TerminalConnection) -> None:
        """A connection has ended."""
        if connection is self._connection:
            self._connection = None

    def _note(self, problem: str) -> None:
        self._fleet.counters.note(f"{self._fleet.settings.name}, terminal {self.identity.terminal}: {problem}")


class PersistentFleet:
    """Many persistent terminals that share a dialect, a destination and a scenario.

    ``port`` may be changed while they work, as when the switch comes back on another one; 0: nobody is there. So may
    ``pause_s``, the mean time between the end of one payment at a terminal and the beginning of the next.
    """

    def __init__(
        self,
        profile: Profile,
        settings: PersistentSettings,
        identities: Sequence[TerminalIdentity],
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.profile = profile
        self.settings = settings
        self.host = host
        self.port = port
        self.tls = tls
        self.pause_s = len(identities) / settings.rate
        self.counters = FleetCounters()
        self.terminals = [PersistentTerminal(self, identity) for identity in identities]
        self.on_answer: Callable[[str, float], None] | None = None
        """Called with an answer's retrieval reference number and the microseconds since its request was sent."""
        self._closing = asyncio.Event()
        self._days: list[asyncio.Task[None]] = []

    @property
    def receipts(self) -> list[Receipt]:
        """All receipts of all fleet."""
        return [receipt for terminal in self.terminals for receipt in terminal.receipts]

    async def start(self) -> None:
        """Sign in where that is asked for."""
        if self.settings.sign_in:
            await asyncio.gather(*(terminal.sign_in() for terminal in self.terminals))

    async def work(self, seconds: float | None = None) -> None:
        """Take payments for a time, or until ``finish`` is called; then wait until each knows what became of its last.

        It waits for as long as that takes: who does not believe in the switch sets a limit from outside.
        """
        self._days = [asyncio.create_task(terminal.serve()) for terminal in self.terminals]
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.finish)
        try:
            await asyncio.gather(*self._days)
        finally:
            if timer is not None:
                timer.cancel()

    def finish(self) -> None:
        """Begin nothing more."""
        self._closing.set()

    async def open_after(self, seconds: float) -> bool:
        """Wait for the next customer; whether one may still be served then."""
        if not self._closing.is_set():
            try:
                await asyncio.wait_for(self._closing.wait(), seconds)
            except TimeoutError:
                return True
        return False

    async def stop(self) -> None:
        """Hang up; what is still without an end is missing.

        Raises:
            Exception: What went wrong in a terminal.
        """
        self.finish()
        for day in self._days:
            day.cancel()
        ends = await asyncio.gather(*self._days, return_exceptions=True)
        self.counters.missing += sum(receipt.state == slips.UNKNOWN for receipt in self.receipts)
        self._days.clear()
        for terminal in self.terminals:
            terminal.hang_up()
        for end in ends:
            if isinstance(end, Exception):
                raise end
