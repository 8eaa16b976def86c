"""Terminals: they pay, void, wait, repeat themselves, give up and reverse, and keep a receipt of every transaction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from switch.simulators.dialect_profile import moment
from switch.simulators.receipts import Receipt
from switch.wire.framing import Deframer
from switch.wire.scan import ScanError

from . import references
from .cards import cards_of, present
from .checker import ABANDONED, ADVICES, APPROVED, DECLINED, REVERSED, UNKNOWN, Key
from .clock import MS, SECOND
from .issuer import outline
from .mesh import LATE_NS
from .others import Others
from .payment import FORBIDDEN_REASON, SETTLED_REASONS, Exchange, Payment
from .strangers import Stranger, forged, garbled
from .world import CURRENCY, LISTENERS, MERCHANT, TAKES_PARTS, listener_of, terminal_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.wire.scan import Message

    from .acquirer import Acquirer
    from .cards import Presented
    from .checker import Checker
    from .clock import Clock
    from .concentrator import Concentrator, Line
    from .network import Wire
    from .options import Options
    from .tally import Tally
    from .world import World

BATCH = "000001"
MARKED = f"22{BATCH}000501"
"""Field 60 of a CUP terminal that can take the approval of a part, as its last digit says."""

AMOUNTS_A_TERMINAL = 10_000
KINDS = ("purchase",) * 7 + ("refund", "cash_advance", "preauthorization", "advice")
REGRETTED = frozenset({"purchase"})
WINDOW_ENDS_NS = 300 * MS
"""So long before the end of the window something is played again."""

VAGUE_NS = 1_600 * MS
"""The same where the switch has been started again since: it knows the age of what was before in whole seconds."""

LONG_AFTER = 0.15
"""How likely a customer comes back when the switch has forgotten the payment, where that is soon."""

PARTLY = "partially_approved"
APPROVALS = frozenset({"approved", PARTLY})

BUSY_REASONS = frozenset({"system_malfunction", "issuer_unavailable"})
"""After which it says its advice again; with which a switch refuses that cannot write."""


class Terminal:
    """One terminal, with its habits drawn by the seed."""

    def __init__(
        self, world: World, options: Options, clock: Clock, acquirer: Acquirer, checker: Checker, tally: Tally, at: int
    ) -> None:
        self.number = at
        self.id = terminal_ids(options.partitions)[at]
        self.listener = listener_of(at)
        self.profile = world.listener_profile(self.listener)
        self.mac = world.terminal_mac(self.id, self.listener)
        fields = list(self.profile.dialect.file.natural_key.fields)
        self._moments = {12: slice(6, 12), 13: slice(2, 6)} if fields == ["12", "13"] else {}
        if fields == ["12"]:
            self._moments = {12: slice(0, 12)}
        self._window_ns = world.setting.window_seconds * SECOND
        self._is_forgotten_soon = world.setting.is_forgetful
        self._is_searched = options.journal and self._is_forgotten_soon
        self._awaits_customer = False
        self._pin_key = world.terminal_pin_key(self.id)
        self._cards = cards_of(options)
        self.clock = clock
        self.acquirer = acquirer
        self.checker = checker
        self.tally = tally
        self.draw = options.stream(f"terminal/{at}")
        self.draw_names = options.stream(f"names/{at}")
        self._others = (
            Others(self, options.stream(f"others/{at}"), finds_all=options.journal) if options.partitions > 1 else None
        )
        self.draw_later = options.stream(f"later/{at}")
        self.rates = options.rates()
        self.left = options.requests
        self.payments: list[Payment] = []
        self._said: list[tuple[Payment, bytes]] = []
        self.exchange: Exchange | None = None
        self.wire: Wire | Line | None = None
        self.concentrator: Concentrator | None = None
        self._asked_on: Wire | Line | None = None
        self._deframer: Deframer | None = None
        # What was asked on the present connection, by what its answers must repeat: amounts and the headers of answers.
        self._asked_here: dict[tuple[str, str], set[tuple[int, bytes]]] = {}
        self._stan = self.draw.choice((0, 41, 999_990))
        self._timer = 0
        draw = self.draw
        self._patience_ns = draw.choice((700, 1_500, 3_000, 6_000)[: 2 if self._is_forgotten_soon else 4]) * MS
        self._repeats_max = draw.choice((0, 1, 1 if self._is_forgotten_soon else 3))
        self._changes_mind = draw.choice((0.0, 0.1))
        self._pause_ns = draw.choice((10, 300, 2_000)) * MS
        self._stays_connected = draw.random() < 0.7
        self._reverses_approvals = draw.choice((0.0, 0.05, 0.3))
        self._doubts_timeouts = draw.random() < 0.5
        self._changes_mti = draw.random() < 0.5
        self._marks_requests = draw.random() < 0.5 and self.profile.dialect.name == "cup"

    @property
    def is_done(self) -> bool:
        """Whether it has nothing more to say."""
        return self.left == 0 and self.exchange is None and not self._awaits_customer

    def start(self) -> None:
        """Begin to serve customers."""
        self.clock.after(int(self.draw.random() * self._pause_ns), self._next)

    def calm_down(self) -> None:
        """From now on say everything once."""
        self.rates = dict.fromkeys(self.rates, 0.0)

    # --- transactions ---------------------------------------------------------------------------------------------

    def _next(self) -> None:
        if self.left == 0:
            return
        if self.left == 1 and (mistaken := references.mistaken(self.payments, self.is_known)) is not None:
            mistaken.is_mistaken = True
            self.take_back(mistaken)
            return
        self.left -= 1
        if (remembered := self._remembered()) is not None:
            self._await_customer(remembered)
            return
        if self._others is not None and self._others.are_dealt_with():
            return
        voidable = [
            one
            for one in self.payments
            if one.state == APPROVED and one.key.kind == "purchase" and not one.is_voided
            if Key(self.id, "void", one.part) not in self.checker.payments
        ]
        if voidable and self.draw.random() < 0.25:
            original = self.draw.choice(voidable)
            self._refer(original)
        elif (held := self._held()) is not None:
            self._refer(held)
        elif (regretted := self._regretted()) is not None:
            self.take_back(regretted)
        else:
            amount_minor = (self.number + 1) * AMOUNTS_A_TERMINAL + len(self.payments) + 1
            if self.payments and self._happens("reuse") and self.is_known(self.payments[-1]):
                self.begin(
                    self.payments[-1].key.kind, self.payments[-1].card, amount_minor, None, again=self.payments[-1]
                )
            else:
                card = present(self.draw, self.draw.choice(self._cards))
                self.begin(self.draw.choice(KINDS), card, amount_minor, None)

    def _held(self) -> Payment | None:
        """A pre-authorization that its terminal now completes or voids."""
        held = [one for one in self.payments if one.state == APPROVED and one.key.kind == "preauthorization"]
        held = [one for one in held if not one.is_voided]
        return self.draw_names.choice(held) if held and self.draw_names.random() < 0.3 else None

    def _refer(self, original: Payment) -> None:
        """Void, refund or complete a payment, as a whole."""
        original.is_voided = True
        kind = self.draw_names.choice(references.FOLLOWERS[original.key.kind])
        self.begin(kind, original.card, original.part or original.key.amount_minor, original)

    def _regretted(self) -> Payment | None:
        """An earlier payment that its customer does not want any more, though it was approved."""
        if not self._changes_mind or self.draw.random() >= self._changes_mind:
            return None
        standing = [one for one in self.payments if one.state == APPROVED and one.key.kind in REGRETTED]
        standing = [one for one in standing if not one.is_voided and not one.is_reuse and self.is_known(one)]
        return self.draw.choice(standing) if standing else None

    def _remembered(self) -> Payment | None:
        """A payment that its customer comes back for when nothing but the switch's journal knows it any more."""
        if not self._is_searched or self.draw_later.random() >= LONG_AFTER:
            return None
        standing = [one for one in self.payments if one.state == APPROVED and one.key.kind in REGRETTED]
        standing = [one for one in standing if not (one.is_voided or one.is_reuse or one.is_out_of_window)]
        return self.draw_later.choice(standing) if standing else None

    def _await_customer(self, payment: Payment) -> None:
        self._awaits_customer = True
        forgotten_ns = (payment.first_asked_ns or 0) + self._window_ns + VAGUE_NS
        self.clock.after(max(forgotten_ns - self.clock.now_ns, 0), self._take_back_long_after, payment)

    def _take_back_long_after(self, payment: Payment) -> None:
        self._awaits_customer = False
        payment.is_recalled = not (payment.is_out_of_window or payment.is_voided)
        self._next() if payment.is_voided else self.take_back(payment)  # another terminal may have undone it

    def is_known(self, payment: Payment) -> bool:
        """Whether the switch must know its number and moment: so that another amount under them is refused."""
        if payment.state != APPROVED or payment.stood_in or payment.key.kind != "purchase":
            return False
        return self.clock.now_ns - (payment.first_asked_ns or 0) < self._window_ns // 2

    def begin(
        self, kind: str, card: Presented, amount_minor: int, original: Payment | None, again: Payment | None = None
    ) -> None:
        """Ask for something new."""
        key = Key(self.id, kind, amount_minor)
        stan, at = self._next_stan(), moment(self.clock.second)
        if again is not None:
            stan = again.receipt.stan
            if not self._moments or at == again.receipt.at or self.draw.random() < 0.5:
                at = again.receipt.at
            else:
                again = None  # begun anew: it is another payment, though it has the same number
            self._disconnect()
        receipt = Receipt(
            kind, self.id, MERCHANT, BATCH, stan, at, card.pan, amount_minor, CURRENCY, "", "", "", UNKNOWN
        )
        is_marked = self._marks_requests and kind == "purchase"
        takes_part = is_marked or LISTENERS[self.listener] == TAKES_PARTS
        payment = Payment(key, receipt, card, is_reuse=again is not None, takes_part=takes_part, original=original)
        if original is not None:
            payment.way = self.draw_names.choice(references.REFERRING)
            if original.key.terminal != self.id:
                payment.way = references.ELSEWHERE
        self.payments.append(payment)
        self.tally.transactions += 1
        self.checker.began(key, payment)
        self._say(payment, kind, stan, at, None if original is None else original.receipt)

    def _say(self, payment: Payment, kind: str, stan: str, at: str, original: Receipt | None) -> None:
        amount_minor = payment.key.amount_minor
        if kind == "reversal" and payment.part and self.draw.random() < 0.5:
            amount_minor = payment.part  # either will do
        pieces = self.profile.request(
            kind,
            terminal=self.id,
            merchant=MERCHANT,
            batch=BATCH,
            stan=stan,
            card=payment.card.card,
            amount_minor=amount_minor,
            currency=CURRENCY,
            at=at,
            original=original,
        )
        if original is not None:
            name = references.take_back if kind == "reversal" else references.refer
            name(pieces, self.profile, payment.way, original)
        payment.card.put_into(pieces, self.profile, kind, self._pin_key)
        if self._marks_requests and kind == "purchase":
            pieces[60] = self.profile.writer.piece(60, MARKED)
        mti = self.profile.request_mti(kind)
        message = self.profile.signed(mti, pieces, self.mac)
        is_reversal = kind == "reversal"
        abandons = not is_reversal and not payment.is_reuse and self._happens("abandon")
        self.exchange = Exchange(payment, mti[1], stan, message, is_reversal, amount_minor, kind in ADVICES, abandons)
        self._transmit()

    def _next_stan(self) -> str:
        self._stan = self._stan % 999_999 + 1
        return f"{self._stan:06d}"

    def take_back(self, payment: Payment) -> None:
        """Reverse a payment; from now on its answers are nothing to the terminal."""
        payment.is_given_up = True
        # What never came here nobody can find by less than all that is known of it.
        is_known = payment.state == APPROVED and payment.key.kind in REGRETTED
        is_known = is_known and not (payment.is_out_of_window or payment.is_mistaken or payment.part)
        payment.way = self.draw_names.choice(references.REVERSING) if is_known else references.ALL
        payment.state = UNKNOWN
        self.tally.transactions += 1
        self._reverse(payment)

    def _reverse(self, payment: Payment) -> None:
        receipt = payment.receipt
        stan = receipt.stan if self.profile.dialect.file.original_data is None else self._next_stan()
        at = receipt.at if stan == receipt.stan else moment(self.clock.second)
        self._say(payment, "reversal", stan, at, receipt)

    # --- sending --------------------------------------------------------------------------------------------------

    def _transmit(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if self.wire is None:
            shared = self.concentrator
            self.wire = self.acquirer.accept(self, self.listener) if shared is None else shared.call(self)
            if self.wire is None:
                self._wake(int((0.1 + self.draw.random()) * SECOND), self._transmit)
                return
        if self.wire is not self._asked_on:
            self._asked_on = self.wire
            self._deframer = Deframer(self.profile.framing)
            self._asked_here.clear()
            self._watch(self.wire)
        exchange.tries += 1
        exchange.payment.times_said += 1
        frame = self._framed(exchange)
        self.clock.tell(
            self.id, f"says {'reversal of' if exchange.is_reversal else ''} {exchange.payment.key} stan {exchange.stan}"
        )
        self.wire.to_switch(frame, self._noted(exchange))
        self._said.append((exchange.payment, frame))
        if self._happens("duplicate"):
            exchange.payment.times_said += 1
            self.clock.errand(self.draw.choice((0, 50, 4_000)) * MS, self._send_again, self.wire, exchange, frame)
        if self._happens("forge"):
            self._let_a_stranger_say(forged(frame, self.profile.framing, self.draw))
        if self._happens("garble"):
            self._let_a_stranger_say(garbled(frame, self.profile.framing, self.draw))
        if self._happens("replay"):
            self.clock.errand(int(self.draw.random() * 10 * SECOND), self._replay)
        if exchange.is_to_be_abandoned:
            self._wake(int(self.draw.random() * SECOND), self._abandon)
        else:
            self._wake(self._patience_ns, self._despair)

    def _framed(self, exchange: Exchange) -> bytes:
        """A frame with headers of its own for each try; its answer must have those that belong to them."""
        framing = self.profile.framing
        headers = self.draw.randbytes(framing.headers_size)
        asked = self._asked_here.setdefault((exchange.mti_class, exchange.stan), set())
        asked.add((exchange.amount_minor, framing.reply_headers_for(headers)))
        return framing.wrap(exchange.message, headers)

    def _send_again(self, wire: Wire | Line, exchange: Exchange, frame: bytes) -> None:
        wire.to_switch(frame, self._noted(exchange))

    def _noted(self, exchange: Exchange) -> Callable[[Wire | None], None]:
        is_searched_for = exchange.is_reversal and exchange.payment.is_recalled
        return partial(self._asked, exchange.payment, is_searched_for=is_searched_for)

    def _asked(self, payment: Payment, wire: Wire | None, *, is_searched_for: bool = False) -> None:
        payment.asked_ns = self.clock.now_ns
        payment.is_doubted |= payment.is_in_doubt
        if payment.first_asked_ns is None:
            payment.first_asked_ns, payment.life = self.clock.now_ns, self.acquirer.life_of(self.id)
            payment.counted_in, payment.counts_known_ns = self.acquirer.counting(self.id)
        # Of what was before a restart the switch knows the age in whole seconds only.
        vague_ns = 0 if payment.life == self.acquirer.life_of(self.id) else VAGUE_NS
        if wire is not None and wire.life[0] != self.acquirer.owner_of(self.id).number:
            vague_ns += LATE_NS  # it is only under way to who decides
        age_ns = self.clock.now_ns - payment.first_asked_ns
        payment.is_out_of_window |= age_ns >= self._window_ns - vague_ns and not is_searched_for

    def _replay(self) -> None:
        """Somebody has recorded what was said.

        Not what a switch has refused that could not write it down: the next one cannot know of it.
        """
        payment, frame = self.draw.choice(self._said)
        may_be_unwritten = payment.state == UNKNOWN and self.acquirer.may_refuse_unwritten(self.id)
        if not payment.was_refused_unwritten and not may_be_unwritten:
            self._let_a_stranger_say(frame, partial(self._asked, payment))

    def _play_again_later(self, payment: Payment, exchange: Exchange) -> None:
        """Have somebody ask once more for what was approved, when the switch is about to forget it."""
        if not self._is_forgotten_soon or not self.rates["replay"] or payment.is_reuse:
            return
        ends_ns = self.draw.choice((WINDOW_ENDS_NS, VAGUE_NS))
        delay_ns = (payment.first_asked_ns or 0) + self._window_ns - ends_ns - self.clock.now_ns
        if delay_ns > 0:
            frame = self._framed(exchange)
            self.clock.errand(delay_ns, self._say_at_the_end_of_the_window, payment, frame, ends_ns)

    def _say_at_the_end_of_the_window(self, payment: Payment, frame: bytes, ends_ns: int) -> None:
        """Somebody plays again what must still be known, if only for some moments."""
        is_too_vague = ends_ns < VAGUE_NS and payment.life != self.acquirer.life_of(self.id)
        if payment.is_given_up or is_too_vague:
            return
        if not self.acquirer.say_at_once(self.id, self.listener, Stranger(), frame):
            return
        self.tally.fault("replay")
        self._asked(payment, None)

    def _let_a_stranger_say(self, data: bytes, then: Callable[[Wire], None] | None = None) -> None:
        """Something that nobody entitled to it has sent, on a connection of its own."""
        wire = self.acquirer.accept(Stranger(), self.listener)
        if wire is not None:
            self._watch(wire)
            wire.to_switch(data, then)
            self.clock.errand(self.draw.randrange(3_000) * MS, wire.close_by_peer)

    def _happens(self, fault: str) -> bool:
        rate = self.rates[fault]
        if rate and self.draw.random() < rate:
            self.tally.fault(fault)
            return True
        return False

    def _wake(self, delay_ns: int, what: object) -> None:
        self._timer += 1
        self.clock.after(delay_ns, self._woken, self._timer, what)

    def _woken(self, timer: int, what: object) -> None:
        if timer == self._timer:
            what()  # type: ignore[operator]

    def _despair(self) -> None:
        """No answer came in time."""
        exchange = self.exchange
        if exchange is None:
            return
        if self.wire is not None and self.draw.random() < 0.5:
            self._disconnect()
        is_said_on = exchange.is_reversal or exchange.is_advice or exchange.payment.is_reuse
        if is_said_on or exchange.tries <= self._repeats_max:
            self._transmit()
        else:
            self.take_back(exchange.payment)

    def _abandon(self) -> None:
        """Hang up for good on what was begun. What had left the switch by then, it could not know to be in vain."""
        if self.exchange is not None:
            self.exchange.payment.state = ABANDONED
            self._disconnect()
            self._conclude()

    def _watch(self, wire: Wire | Line) -> None:
        """Take note of approvals that leave the switch, wherever they go."""
        deframer = Deframer(self.profile.framing)

        def see(data: bytes) -> None:
            for _, answer in deframer.feed(data):
                try:
                    message = self.profile.scan(answer)
                except ScanError as error:
                    self.checker.report("format", f"a message to {self.id} cannot be read: {error}")
                    return
                if message.mti[1] != "4" and self.profile.reason(self.profile.text(message, 39)) in APPROVALS:
                    for payment in self.payments:
                        if payment.receipt.stan == message.text(11) and self._amount_fits(payment, message):
                            payment.was_sent_approval = True
                            payment.sent_ns = self.clock.now_ns if payment.sent_ns is None else payment.sent_ns

        wire.witness = see

    def _disconnect(self) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close_by_peer()

    # --- receiving ------------------------------------------------------------------------------------------------

    def lost(self, wire: Wire | Line) -> None:
        """A connection is gone."""
        if wire is self.wire:
            self.wire = None
            if self.exchange is not None:
                self._wake(int(self.draw.random() * SECOND), self._despair)

    def received(self, wire: Wire | Line, data: bytes) -> None:
        """Bytes came in; those of a connection that was given up are not read."""
        if wire is self.wire and self._deframer is not None:
            for headers, message in self._deframer.feed(data):
                self._take(headers, message)

    def _take(self, headers: bytes, data: bytes) -> None:
        try:
            message = self.profile.scan(data)
        except ScanError as error:
            self.checker.report("format", f"{self.id} got a message that cannot be read: {error}")
            return
        self.clock.tell(self.id, f"gets {outline(message)}")
        text = self.profile.text
        stan = text(message, 11)
        if text(message, 41).rstrip() != self.id or text(message, 42).rstrip() != MERCHANT:
            self.checker.misled(f"{self.id} got an answer for terminal {text(message, 41)}")
            return
        reason = self.profile.reason(text(message, 39))
        has_right_mac = self.profile.mac_is_right(message, data, self.mac)
        if self.profile.mac_field(message) and not has_right_mac:
            self.checker.report("MAC", f"{self.id} got an answer to {stan} with a wrong MAC")
            return
        if reason in APPROVALS and not has_right_mac:
            self.checker.report("MAC", f"{self.id} got an approval of {stan} without a MAC")
            return
        asked = self._asked_here.get((message.mti[1], stan), set())
        amount = 0 if reason == PARTLY else int(text(message, 4) or "0")
        if (headers not in {one for _, one in asked}) or (amount and amount not in {one for one, _ in asked}):
            self.checker.misled(f"{self.id} got an answer to {stan} that nobody has asked for on this connection")
            return
        exchange = self.exchange
        if exchange is not None and stan == exchange.stan and message.mti[1] == exchange.mti_class:
            self._take_answer(exchange, message, reason)
        elif message.mti[1] != "4":
            self._take_late_answer(stan, message, reason)

    def _take_answer(self, exchange: Exchange, message: Message, reason: str) -> None:
        payment = exchange.payment
        if not self._fits(payment, message):
            return
        if exchange.is_reversal:
            if reason in SETTLED_REASONS or (payment.is_mistaken and reason == FORBIDDEN_REASON):
                payment.is_given_up = reason != FORBIDDEN_REASON
                payment.state = REVERSED if payment.is_given_up else APPROVED
                self._conclude()
            else:
                self._wake(int((0.5 + self.draw.random()) * SECOND), self._reverse_again)
            return
        if exchange.is_advice and reason in BUSY_REASONS:
            self._wake(int((0.5 + self.draw.random()) * SECOND), self._transmit)
            return
        self._note_answer(payment, message, reason)
        payment.receipt.rrn = self.profile.text(message, 37)
        payment.receipt.authorization_code = self.profile.text(message, 38).rstrip()
        if reason in APPROVALS:
            payment.state = APPROVED
            self._play_again_later(payment, exchange)
            if self.draw.random() < self._reverses_approvals and not payment.is_reuse:
                self.take_back(payment)
                return
        elif reason == "duplicate" and not payment.is_reuse:
            self.checker.report("I4", f"{payment.key} was refused as another one that has its number")
        elif not payment.is_reuse and self._doubts(payment, reason):
            self.take_back(payment)
            return
        else:
            payment.state = DECLINED
            payment.was_refused_unwritten = reason in BUSY_REASONS and self.acquirer.may_refuse_unwritten(self.id)
        self._conclude()

    def _doubts(self, payment: Payment, reason: str) -> bool:
        """Whether it takes back what it was told no to."""
        return (reason == "timeout" and self._doubts_timeouts) or self._may_be_refused_in_vain(payment, reason)

    def _may_be_refused_in_vain(self, payment: Payment, reason: str) -> bool:
        """Whether who takes note of an advice could not be reached, though what was said of it again may come there."""
        is_out_of_reach = reason == "issuer_unavailable" and self.acquirer.mesh.was_out_of_reach
        return is_out_of_reach and payment.times_said > 1 and payment.key.kind in ADVICES

    def _note_answer(self, payment: Payment, message: Message, reason: str) -> None:
        text = self.profile.text
        is_no_answer = payment.key.kind in ADVICES and reason in BUSY_REASONS
        if not (is_no_answer or self._may_be_refused_in_vain(payment, reason)):
            part = int(text(message, 4) or "0") if reason == PARTLY else 0
            if reason == PARTLY and not (payment.takes_part and part):
                self.checker.report("I3", f"{payment.key} was told of a part, which its terminal cannot take")
            is_approval = reason in APPROVALS
            self.checker.told(payment, is_approval, text(message, 38).strip(), text(message, 37).strip(), part)
            payment.part = part or payment.part
            if is_approval:
                self.checker.limits.approved(payment, self.acquirer.lives)

    def _reverse_again(self) -> None:
        """The reversal was refused: it is tried again, as a new one where the dialect can tell it from the first."""
        if self.exchange is not None:
            self._reverse(self.exchange.payment)

    def _take_late_answer(self, stan: str, message: Message, reason: str) -> None:
        """An answer that is not waited for any more: it must still agree with what was said before."""
        for payment in reversed(self.payments):
            if payment.receipt.stan == stan and (self._amount_fits(payment, message) or not self._is_shared(stan)):
                if self._fits(payment, message):
                    self._note_answer(payment, message, reason)
                return
        self.checker.misled(f"{self.id} got an answer to STAN {stan}, which it never used")

    def _fits(self, payment: Payment, message: Message) -> bool:
        """Whether an answer says again what was asked: amount, card, and moment where its dialect repeats it."""
        text = self.profile.text
        if not self._amount_fits(payment, message):
            self.checker.misled(f"{self.id} got an answer over {text(message, 4)} to its STAN {payment.receipt.stan}")
            return False
        receipt = payment.receipt
        wanted = {2: payment.card.pan, 49: CURRENCY}
        if message.mti[1] != "4":
            wanted |= {number: receipt.at[part] for number, part in self._moments.items()}
        for number, value in wanted.items():
            if number in message and text(message, number) != value:
                self.checker.misled(f"{self.id} got another field {number} in the answer to its STAN {receipt.stan}")
                return False
        return True

    def _is_shared(self, stan: str) -> bool:
        return sum(payment.receipt.stan == stan for payment in self.payments) > 1

    def _amount_fits(self, payment: Payment, message: Message) -> bool:
        amount = int(self.profile.text(message, 4) or "0")
        if self.profile.reason(self.profile.text(message, 39)) == PARTLY and message.mti[1] != "4":
            return amount in {one.part for one in self.checker.bookings.get(payment.key, ())}
        return amount in (0, payment.key.amount_minor) or (message.mti[1] == "4" and amount == payment.part)

    def _conclude(self) -> None:
        self._timer += 1
        self.exchange = None
        if not self._stays_connected:
            self._disconnect()
        self.clock.after(int(self.draw.random() * self._pause_ns), self._next)
