"""Issuers: they keep a ledger, answer, decline, hesitate, repeat themselves, and reverse as often as they are told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from switch.dialect.kinds import kind_traits
from switch.simulators.messages import answer_mti
from switch.wire.framing import Deframer
from switch.wire.scan import ScanError

from .cards import SENSITIVE
from .checker import ADVISED, APPROVED, DECLINED, REVERSED, Key
from .clock import MS, SECOND
from .world import CURRENCY, LINKS, MATCHED_BY_RRN, a_million_later

if TYPE_CHECKING:
    from switch.simulators.ledger import Identity
    from switch.wire.scan import Message

    from .checker import Checker
    from .clock import Clock
    from .network import Wire
    from .options import Options
    from .tally import Tally
    from .world import World


LATE_NS_MAX = 8 * SECOND
QUEUE_NS_MAX = 8 * SECOND
PARTLY_APPROVED = {"iso93": "002"}
"""Response code of an approval of less than was asked for, by the dialect's family; 10 in those of 1987."""

HIDDEN_PART = 0.2
"""How likely an issuer that approves a part does not say of which amount."""

BUSY = ("system_malfunction", "issuer_unavailable", "cut_over", "mac_failed")
"""With which an issuer refuses an advice for now."""


def outline(message: Message) -> str:
    """A message in a few words; nothing of the card."""
    named = (
        (11, "stan"),
        (4, "amount"),
        (37, "rrn"),
        (39, "code"),
        (41, "terminal"),
        (90, "original"),
        (56, "original"),
    )
    words = (f"{name} {message.text(field).strip()}" for field, name in named if field in message)
    return " ".join([message.mti, *words])


@dataclass(slots=True)
class Booking:
    """One request in an issuer's ledger.

    Attributes:
        was_approved: Whether the issuer ever said so.
        state: ``approved``, ``declined`` or ``reversed``.
        answer: The message with which it was answered, to be repeated.
        asked_on: The connection on which it was asked for.
        is_overtaken: Whether it was charged though its reversal had come before it.
        part: The amount that was approved, where that is less than what was asked for.
        hides_part: Whether its answer speaks of a part and does not say of which.
        code: Its authorization code; empty when it was declined.
        rrn: Its retrieval reference number; empty where it was given none of its own.
        heard_ns: When the switch that asked has read an answer last; what was overtaken it can only learn from that.
        relayed_ns: When another worker than the one that decides of it has read one: it may be lost between them.
    """

    issuer: str
    key: Key
    was_approved: bool
    state: str
    answer: bytes
    asked_on: Wire
    code: str
    rrn: str
    is_overtaken: bool = False
    part: int = 0
    hides_part: bool = False
    heard_ns: int | None = None
    relayed_ns: int | None = None


class Issuer:
    """One issuer at the other end of a link."""

    def __init__(
        self, world: World, options: Options, clock: Clock, checker: Checker, tally: Tally, number: int
    ) -> None:
        self.name = LINKS[number]
        self.clock = clock
        self.checker = checker
        self.tally = tally
        self.draw = options.stream(f"issuer/{number}")
        self.rates = options.rates()
        self.profile = world.link_profile(number)
        self.mac = world.link_mac(number)
        self._pin_key = world.link_pin_key(number)
        self.matches_by_rrn = number == MATCHED_BY_RRN
        self.is_reachable = True
        self.wires: dict[Wire, Deframer] = {}
        self._signed_on: set[Wire] = set()
        # Those that its dialect tells from a refusal.
        self._busy = [reason for reason in BUSY if self.profile.reason(self.profile.code(reason)) == reason]
        self.ledger: dict[Identity, Booking] = {}
        self._by_original: dict[tuple[str, str, str], Booking] = {}
        # Reversals that came before their requests, and what was answered to them.
        self._orphans: dict[tuple[str, str, str], str] = {}
        self._stan = 0
        self._said: dict[tuple[Wire, str], str] = {}
        self._overhead = self.profile.framing.overhead
        reference = self.profile.dialect.file.reference
        self._cup_original = 0 if reference is None or self.profile.dialect.file.original_data else reference.field
        self._declines = self.draw.choice((0.0, 0.1, 0.3))
        self._hesitation_ns = self.draw.choice((0, 5, 50, 300)) * MS

    # --- connections ----------------------------------------------------------------------------------------------

    def accepted(self, wire: Wire) -> None:
        """The switch has dialled."""
        self.wires[wire] = Deframer(self.profile.framing)

    def lost(self, wire: Wire) -> None:
        """A connection is gone."""
        self.wires.pop(wire, None)
        self._signed_on.discard(wire)

    def received(self, wire: Wire, data: bytes) -> None:
        """Bytes came in."""
        deframer = self.wires.get(wire)
        if deframer is not None:
            for headers, message in deframer.feed(data):
                self._take(wire, headers, message, is_new=True)
                if self._happens("duplicate", 0.5):
                    self.clock.errand(self.draw.choice((0, 300, 4_000)) * MS, self._take, wire, headers, message)

    def go_away(self, for_ns: int) -> None:
        """Be unreachable for a while."""
        self.is_reachable = False
        for wire in list(self.wires):
            wire.break_off()
        self.wires.clear()
        self.clock.after(for_ns, self._come_back)

    def rest(self, for_ns: int) -> None:
        """Sign off on a connection, and on again later."""
        if wires := [wire for wire in self.wires if wire in self._signed_on]:
            wire = self.draw.choice(wires)
            self._manage(wire, "sign_off")
            self.clock.errand(for_ns, self._manage, wire, "sign_on")

    def _manage(self, wire: Wire, kind: str) -> None:
        self._stan += 1
        self._said[wire, f"{self._stan:06d}"] = kind
        self.clock.tell(self.name, f"says {kind}")
        wire.to_switch(self.profile.framing.wrap(self.profile.network_request(kind, f"{self._stan:06d}")))

    def _come_back(self) -> None:
        self.is_reachable = True

    def has_booked(self, terminal: str, amount_minor: int, rrn: str) -> bool:
        """Whether anything stands in its ledger of a payment, whatever became of it: what it says to who asks."""
        return any(
            rrn == one.rrn or (one.key.terminal == terminal and amount_minor in (one.key.amount_minor, one.part))
            for one in self.ledger.values()
        )

    def calm_down(self) -> None:
        """From now on answer everything once, soon and rightly."""
        self.rates = dict.fromkeys(self.rates, 0.0)
        self._hesitation_ns = min(self._hesitation_ns, 50 * MS)

    def _happens(self, fault: str, share: float = 1.0) -> bool:
        rate = self.rates[fault]
        if rate and self.draw.random() < rate * share:
            self.tally.fault(fault)
            return True
        return False

    # --- messages -------------------------------------------------------------------------------------------------

    def _take(self, wire: Wire, headers: bytes, data: bytes, *, is_new: bool = False) -> None:
        try:
            message = self.profile.scan(data)
        except ScanError as error:
            self.checker.report("format", f"{self.name} got a message that cannot be read: {error}")
            return
        self.clock.tell(self.name, f"gets {outline(message)}")
        if self.mac is not None and message.mti[1] != "8" and not self.profile.mac_is_right(message, data, self.mac):
            self.checker.report("MAC", f"{self.name} got a {message.mti} with a wrong MAC")
            return
        if is_new:
            self._look_whether_signed_on(wire, message)
            self._look_who_gave_its_number(message)
        match message.mti[1]:
            case "8":
                if message.mti[2] == "0" or message.mti[2] == "2":
                    self._take_network(wire, headers, message)
            case "4":
                self._take_reversal(wire, headers, message)
            case _:
                is_advice = message.mti[2] == "2" and self.profile.kind(message) in ADVISED
                take = self._take_advice if is_advice else self._take_request
                if self._happens("queued"):
                    self.clock.errand(int(self.draw.random() * QUEUE_NS_MAX), take, wire, headers, message)
                else:
                    take(wire, headers, message)

    def _look_whether_signed_on(self, wire: Wire, message: Message) -> None:
        """Nothing may be asked on a connection before its sign-on was answered, nor while its issuer is signed off."""
        if message.mti[1] != "8":
            if wire not in self._signed_on:
                self.checker.report("order", f"{self.name} was asked on a connection that is not signed on")
        elif message.mti[2] in "13":
            said = self._said.pop((wire, self.profile.text(message, 11)), "")
            if said == "sign_off":
                self._signed_on.discard(wire)  # from here on it heeds that
            elif said == "sign_on":
                self._signed_on.add(wire)

    def _look_who_gave_its_number(self, message: Message) -> None:
        if message.mti[1] != "8" and message.mti[2] in "02":
            stan, terminal = self.profile.text(message, 11), self.profile.text(message, 41).rstrip()
            self.checker.given_by("STAN", stan, self.checker.partition_of(terminal))

    def _take_network(self, wire: Wire, headers: bytes, message: Message) -> None:
        if self._happens("silent", 0.2):
            return
        pieces = self.profile.echo(message, network=True)
        pieces[39] = self.profile.code_piece("approved", "8")
        answer = self.profile.writer.message(answer_mti(message.mti), pieces)
        frame = self.profile.framing.wrap(answer, self.profile.framing.reply_headers_for(headers))
        self.clock.errand(self._hesitation(), self._send_network, wire, frame)

    def _take_request(self, wire: Wire, headers: bytes, message: Message) -> None:
        identity = self.profile.identity(message)
        booking = self.ledger.get(identity)
        if booking is None:
            booking = self._book(wire, headers, identity, message)
            if booking is None:
                return
        self._answer(wire, headers, booking, message)

    def _book(self, wire: Wire, headers: bytes, identity: Identity, message: Message) -> Booking | None:
        if self._happens("silent", 0.3):
            if self._happens("forge"):
                self._forge(wire, headers, message, "approved")
            return None
        kind = self.profile.kind(message)
        key = Key(identity.terminal, kind, int(self.profile.text(message, 4) or "0"))
        places = self._places(identity, message)
        reversed_before = next((self._orphans[place] for place in places if place in self._orphans), "")
        # Whoever has said that it will be taken back must know that; whoever has not found it may be asked too late.
        is_overtaken = reversed_before == "original_not_found" and self._happens("overtaken", 5.0)
        approved = (not reversed_before or is_overtaken) and self.draw.random() >= self._declines
        pieces = self.profile.echo(message)
        pieces[39] = self.profile.code_piece("approved" if approved else "do_not_honour", message.mti[1])
        part = 0
        hides_part = False
        if approved and key.amount_minor > 1 and self._happens("partial", 3.0):
            hides_part = self.draw.random() < HIDDEN_PART
            if hides_part:
                pieces.pop(4, None)
            else:
                part = self.draw.randrange(1, key.amount_minor)
                pieces[4] = self.profile.writer.piece(4, f"{part:012d}")
            pieces[39] = self.profile.writer.piece(39, PARTLY_APPROVED.get(self.profile.dialect.name[:5], "10"))
        code = f"{self.draw.randrange(1_000_000):06d}" if approved else ""
        if code:
            pieces[38] = self.profile.writer.piece(38, code)
        answer = self._signed(answer_mti(message.mti), pieces)
        state = APPROVED if approved else DECLINED
        # Where a void names its original by field 37, that is not a number of its own.
        names_original = "compute:original_rrn" in self.profile.dialect.file.policy.reference.get("37", ())
        rrn = "" if names_original and kind_traits(kind).refers_to else identity.rrn
        booking = Booking(self.name, key, approved, state, answer, wire, code, rrn, is_overtaken, part, hides_part)
        self._compare(key, message, is_advice=False)
        self._compare_original(key, message)
        return self._enter(identity, places, booking)

    def _places(self, identity: Identity, message: Message) -> list[tuple[str, str, str]]:
        """By what a reversal may name a message: its moment stands in field 7 or in field 12, as its dialect says."""
        occasions = dict.fromkeys((identity.occasion, self.profile.text(message, 12)))  # no set: whose order is chance
        return [(identity.stan, occasion, identity.terminal) for occasion in occasions]

    def _enter(self, identity: Identity, places: list[tuple[str, str, str]], booking: Booking) -> Booking | None:
        """Into the ledger; None when the issuer says nothing of it."""
        self.ledger[identity] = booking
        self._by_original.update(dict.fromkeys(places, booking))
        self.checker.booked(booking)
        if self._happens("silent", 0.5):
            return None
        return booking

    def _take_advice(self, wire: Wire, headers: bytes, message: Message) -> None:
        """Take note of what was approved without this issuer, once; or refuse to pay for it."""
        identity = self.profile.identity(message)
        booking = self.ledger.get(identity)
        if booking is None:
            if self._happens("busy"):
                pieces = self.profile.echo(message)
                pieces[39] = self.profile.code_piece(self.draw.choice(self._busy), message.mti[1])
                self._reply_somehow(wire, headers, self._signed(answer_mti(message.mti), pieces))
                return
            if self._happens("silent", 0.3):
                return
            booking = self._note_advice(wire, identity, message)
            if booking is None:
                return
        self._answer(wire, headers, booking, message)

    def _note_advice(self, wire: Wire, identity: Identity, message: Message) -> Booking | None:
        amount_minor = int(self.profile.text(message, 4) or "0")
        key = self.checker.advised(self.name, identity.terminal, self.profile.kind(message), amount_minor)
        places = self._places(identity, message)
        if any(place in self._orphans for place in places) and not self.checker.is_settled_by_hand(key):
            self.checker.report("order", f"{self.name} was told of {key} after it was told that it is taken back")
        accepted = self.draw.random() >= self._declines / 2
        pieces = self.profile.echo(message)
        pieces[39] = self.profile.code_piece("approved" if accepted else "do_not_honour", message.mti[1])
        answer = self._signed(answer_mti(message.mti), pieces)
        self.tally.advices += 1
        self._compare(key, message, is_advice=True)
        code = self.profile.text(message, 38)
        state = APPROVED if accepted else DECLINED
        booking = Booking(self.name, key, accepted, state, answer, wire, code, identity.rrn)
        return self._enter(identity, places, booking)

    def _compare(self, key: Key, message: Message, *, is_advice: bool) -> None:
        """What comes must be what the terminal has read of the card, without its secrets in what comes afterwards."""
        payment = self.checker.payments.get(key)
        if payment is None:
            return
        if is_advice and any(number in message for number in SENSITIVE):
            self.checker.report("I9", f"{self.name} was told a secret of the card of {key} afterwards")
        kind = "advice" if is_advice else key.kind
        if difference := payment.card.difference(message, self.profile, kind, self._pin_key):
            self.checker.report("fields", f"{self.name} was asked for {key} with {difference}")
        if self.profile.text(message, 49) != CURRENCY:
            self.checker.report("fields", f"{self.name} was asked for {key} in another currency")

    def _compare_original(self, key: Key, message: Message) -> None:
        """What a void, refund or completion names must be the payment that its terminal means."""
        payment = self.checker.payments.get(key)
        if payment is None or payment.original is None:
            return
        text, original = self.profile.text, self.profile.original(message)
        wanted = payment.original.key
        booking = self._by_original.get((original.stan, original.occasion, wanted.terminal))
        if self._cup_original in message:
            stan = message.text(self._cup_original)[6:12]
            same = [one for one in self.ledger.items() if one[0].stan == stan and one[0].terminal == wanted.terminal]
            booking = next((one for identity, one in same if text(message, 37) in ("", identity.rrn)), None)
        if booking is not None and booking.key != wanted and self.checker.must_know_originals(wanted):
            self.checker.report("reference", f"{self.name} was asked for {key} of {booking.key}, instead of {wanted}")
        if booking is not None and text(message, 38).strip() != booking.code:
            self.checker.report("reference", f"{self.name} was asked for {key} with another authorization code")
        self.tally.named[booking is not None] += 1
        if booking is None and self.checker.must_name(wanted, self.name):
            self.checker.report("reference", f"{self.name} was asked for {key} without the name of {wanted}")

    def _answer(self, wire: Wire, headers: bytes, booking: Booking, request: Message) -> None:
        if self._happens("forge"):
            self._forge(wire, headers, request, "do_not_honour" if booking.was_approved else "approved")
        if self._happens("garble"):
            self._garble(wire, headers, request)
        self._reply_somehow(wire, headers, booking.answer, booking)

    def _reply_somehow(self, wire: Wire, headers: bytes, answer: bytes, booking: Booking | None = None) -> None:
        """Now or late, once or twice."""
        delay_ns = self._hesitation()
        if self._happens("late"):
            delay_ns += int(self.draw.random() ** 2 * LATE_NS_MAX)
        self._reply(wire, headers, answer, delay_ns, booking)
        if self._happens("duplicate"):
            self._reply(wire, headers, answer, delay_ns + self.draw.choice((0, 100, 3_000)) * MS, booking)

    def _take_reversal(self, wire: Wire, headers: bytes, message: Message) -> None:
        reason = "system_malfunction"
        if not self._happens("busy"):
            reason = self._take_back(message)
        if self._happens("forge"):
            self._forge(wire, headers, message, "approved")
        if self._happens("silent"):
            return
        pieces = self.profile.echo(message)
        pieces[39] = self.profile.code_piece(reason, "4")
        self._reply_somehow(wire, headers, self._signed(answer_mti(message.mti), pieces))

    def _take_back(self, message: Message) -> str:
        """Undo what a reversal names; remember it when it is not here, so that it is refused if it still comes."""
        original = self.profile.original(message)
        place = (original.stan, original.occasion, original.terminal)
        if any(number in message for number in SENSITIVE):
            self.checker.report("I9", f"{self.name} was told a secret of a card in a reversal")
        booking = self._by_original.get(place)
        if booking is not None and self._names_by_chance(booking, original.stan, message):
            booking = None
        if booking is not None:
            self._compare_reversal(booking, message)
        amount_minor = int(self.profile.text(message, 4) or "0")
        if booking is None or amount_minor not in (booking.key.amount_minor, booking.part):
            return self._orphans.setdefault(place, self.draw.choice(("original_not_found", "approved")))
        if booking.state == APPROVED:
            booking.state = REVERSED
            self.tally.reversals += 1
        return "approved"

    def _names_by_chance(self, booking: Booking, stan: str, message: Message) -> bool:
        """Whether a terminal's own STAN of another payment, in that second, is by chance ours of this one.

        By field 37 an issuer tells them apart: what the switch has never asked for has another number there.
        """
        if self.profile.text(message, 37).strip() == booking.rrn:
            return False
        amount_minor = int(self.profile.text(message, 4) or "0")
        return any(
            key != booking.key and one.receipt.stan == stan and amount_minor in (key.amount_minor, one.part)
            for key, one in self.checker.payments.items()
            if key.terminal == booking.key.terminal
        )

    def _compare_reversal(self, booking: Booking, message: Message) -> None:
        """What takes a payment back must name it by all that it says of it."""
        payment = self.checker.payments.get(booking.key)
        text = self.profile.text
        if payment is not None and self.profile.pan(message) != payment.card.pan:
            self.checker.report("fields", f"{self.name} got a reversal of {booking.key} with another card number")
        has_part = payment is not None and payment.part and not payment.is_out_of_window
        if has_part and int(text(message, 4) or "0") != payment.part:
            self.checker.report("fields", f"{self.name} got a reversal of {booking.key}, not of {payment.part} of it")
        code, rrn = text(message, 38).strip(), text(message, 37).strip()
        if code.strip("0") and code != booking.code:
            self.checker.report("fields", f"{self.name} got a reversal of {booking.key} with authorization code {code}")
        if rrn and booking.rrn and rrn != booking.rrn:
            self.checker.report("fields", f"{self.name} got a reversal of {booking.key} with reference number {rrn}")

    def _forge(self, wire: Wire, headers: bytes, request: Message, reason: str) -> None:
        """An answer that the issuer never gave, the opposite of its own: it must not be believed."""
        pieces = self.profile.echo(request)
        pieces[39] = self.profile.code_piece(reason, request.mti[1])
        pieces[38] = self.profile.writer.piece(38, "666666")
        mti = answer_mti(request.mti)
        if self.mac is not None and self.draw.random() < 0.7:
            forged = self.profile.signed(mti, pieces, self.mac.with_key(bytes(16)))
        elif self.draw.random() < 0.5:
            pieces[4] = self.profile.writer.piece(4, f"{self.draw.randrange(10**9, 10**10):012d}")
            forged = self._signed(mti, pieces)
        else:
            pieces[41] = self.profile.writer.piece(41, "66666666")
            forged = self._signed(mti, pieces)
        self._reply(wire, headers, forged, 0)

    def _garble(self, wire: Wire, headers: bytes, request: Message) -> None:
        """Something that is no answer, whatever else it may be."""
        pieces = self.profile.echo(request)
        match self.draw.randrange(4):
            case 0:
                garbled = self.draw.randbytes(self.draw.randrange(1, 200))
            case 1 if self.matches_by_rrn and 37 in pieces:  # to a request of a million numbers before
                pieces[37] = self.profile.writer.piece(37, a_million_later(self.profile.text(request, 37)))
                pieces[39] = self.profile.code_piece(self.draw.choice(("approved", "do_not_honour")), request.mti[1])
                garbled = self._signed(answer_mti(request.mti), pieces)
            case 1:  # neither yes nor no
                garbled = self._signed(answer_mti(request.mti), pieces)
            case 2 if self.draw.random() < 0.5:  # an answer that says of nothing whose it is
                wanted = {11}
                pieces = {number: piece for number, piece in pieces.items() if number in wanted}
                pieces[39] = self.profile.code_piece(self.draw.choice(("approved", "do_not_honour")), request.mti[1])
                garbled = self._signed(answer_mti(request.mti), pieces)
            case 2:  # a request of its own
                garbled = self._signed(request.mti, pieces)
            case _:  # no frame begins like this
                wire.to_switch(b"\xff" * 40)
                return
        self._reply(wire, headers, garbled, 0)

    def _signed(self, mti: str, pieces: dict[int, bytes]) -> bytes:
        if self.mac is None:
            return self.profile.writer.message(mti, pieces)
        return self.profile.signed(mti, pieces, self.mac)

    # --- answers --------------------------------------------------------------------------------------------------

    def _hesitation(self) -> int:
        hesitation_ns = self._hesitation_ns * self.draw.random()
        if self._happens("reorder"):
            hesitation_ns += 1_000 * MS * self.draw.random()
        return int(hesitation_ns)

    def _reply(self, wire: Wire, headers: bytes, message: bytes, delay_ns: int, booking: Booking | None = None) -> None:
        framing = self.profile.framing
        frame = framing.wrap(message, framing.reply_headers_for(headers))
        self.clock.errand(delay_ns, self._send, wire, frame, booking)

    def _send_network(self, wire: Wire, frame: bytes) -> None:
        """Whatever connection it goes out on may be used from then on."""
        if (used := self._send(wire, frame, None)) is not None:
            self._signed_on.add(used)
            # It may have been asked before, and answers after, it said that it signs off: then it does not.
            self._said = {key: said for key, said in self._said.items() if key[0] is not used or said != "sign_off"}

    def _send(self, wire: Wire, frame: bytes, booking: Booking | None) -> Wire | None:
        """On which connection it went out; None when on none."""
        if wire not in self.wires or (len(self.wires) > 1 and self._happens("reorder")):
            # Its host answers on whatever connection stands.
            if not self.wires or self.draw.random() < 0.5:
                return None
            wire = self.draw.choice(list(self.wires))
        if self.clock.trace is not None:
            self.clock.tell(self.name, f"says {self._outline(frame)}")
        wire.to_switch(frame, None if booking is None else partial(self._heard, booking))
        return wire

    def _outline(self, frame: bytes) -> str:
        try:
            return outline(self.profile.scan(frame[self._overhead :]))
        except ScanError:
            return "what nobody can read"

    def _heard(self, booking: Booking, wire: Wire) -> None:
        owner = self.checker.owner_of(booking.key.terminal)
        if not owner == wire.life[0] == booking.asked_on.life[0]:
            booking.relayed_ns = self.clock.now_ns
        elif wire.life == booking.asked_on.life:
            booking.heard_ns = self.clock.now_ns
