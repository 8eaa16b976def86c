"""Cards as terminals read them: numbers of all lengths, tracks, chip data and PINs, which must reach their issuer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.crypto.pin_block import decrypt_pin_block, encrypt_pin_block
from switch.simulators.scenario import PaymentCard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from switch.simulators.dialect_profile import Profile
    from switch.wire.scan import Message

    from .options import Options

PAN, EXPIRY, TRACK_2, TRACK_1, PIN_BLOCK, CHIP = 2, 14, 35, 45, 52, 55
SENSITIVE = (TRACK_2, TRACK_1, PIN_BLOCK)
"""What may be in no message that is sent later."""

TRACK_2_MAX = 37
CHIP_BYTES_MAX = 80
WITH_PIN = frozenset({"purchase", "cash_advance", "preauthorization"})
PREFIXES = ("62", "62", "4", "5")
"""Cards of the first may go to either of two issuers; each of the others has one."""


def _number(prefix: str, digits: int, salt: int) -> str:
    return prefix + "".join(str((place * 7 + salt * 3 + digits) % 10) for place in range(digits - len(prefix)))


CARDS = tuple(
    PaymentCard(pan=_number(prefix, digits, salt))
    for salt, prefix in enumerate(PREFIXES)
    for digits in (16, 12, 13, 14, 15, 16, 17, 18, 19)
)


FEW_CARDS = 3


def cards_of(options: Options) -> Sequence[PaymentCard]:
    """Those that are seen in a run."""
    return options.stream("few cards").sample(CARDS, FEW_CARDS) if options.shares_cards else CARDS


@dataclass(frozen=True)
class Presented:
    """A card at a terminal.

    Attributes:
        card: Its number.
        track2: With its separator ``=``; empty when it was not read.
        track1: Empty when it was not read.
        chip: Hexadecimal digits; empty when it has none.
        pin: Empty when none was asked for.
        shows_pan: Whether its number is told apart from track 2, too.
    """

    card: PaymentCard
    track2: str
    track1: str
    chip: str
    pin: str
    shows_pan: bool

    @property
    def pan(self) -> str:
        """Its number."""
        return self.card.pan

    def put_into(self, pieces: dict[int, bytes], profile: Profile, kind: str, pin_key: bytes) -> None:
        """Write what was read into a request, as far as its dialect has fields for it."""
        texts = {
            PAN: self.pan if self.shows_pan or not self.track2 else "",
            TRACK_2: _packed(profile, self.track2) if kind != "reversal" else "",
            TRACK_1: self.track1 if kind in WITH_PIN else "",
            CHIP: self.chip if kind in WITH_PIN else "",
        }
        if kind not in WITH_PIN:
            texts[PAN] = self.pan
        for number, text in texts.items():
            pieces.pop(number, None)
            if text and str(number) in profile.spec.source:
                pieces[number] = profile.writer.piece(number, text)
        if self.pin and kind in WITH_PIN:
            block = encrypt_pin_block(self.pin, self.pan, pin_key)
            pieces[PIN_BLOCK] = profile.writer.piece(PIN_BLOCK, block.hex().upper())

    def difference(self, message: Message, profile: Profile, kind: str, pin_key: bytes | None) -> str:
        """What a request at its issuer says otherwise, in words without a digit of it; empty when all is right."""
        text = profile.text
        if profile.pan(message) != self.pan:
            return "another card number"
        if kind not in WITH_PIN:
            return ""
        found = {
            "expiry": (text(message, EXPIRY), self.card.expiry),
            "track 2": (text(message, TRACK_2).replace("D", "="), self.track2),
            "chip data": (text(message, CHIP).upper(), self.chip),
        }
        if TRACK_1 in message:
            found["track 1"] = (text(message, TRACK_1), self.track1)
        for name, (is_there, wanted) in found.items():
            if is_there != wanted:
                return f"another {name}"
        if not self.pin:
            return "a PIN that nobody has typed" if PIN_BLOCK in message else ""
        if PIN_BLOCK not in message or pin_key is None:
            return "no PIN"
        try:
            pin = decrypt_pin_block(bytes.fromhex(text(message, PIN_BLOCK)), self.pan, pin_key)
        except ValueError:
            return "a PIN that cannot be read"
        return "" if pin == self.pin else "another PIN"


def _packed(profile: Profile, track2: str) -> str:
    # In BCD the separator is the nibble D.
    return track2.replace("=", "D") if profile.spec.source[str(TRACK_2)]["data_enc"] == "b" else track2


def present(draw: Random, card: PaymentCard) -> Presented:
    """Read a card in one of many ways."""
    track2 = track1 = chip = pin = ""
    start = f"{card.pan}={card.expiry}201"
    if draw.random() < 0.8:
        size = draw.choice((TRACK_2_MAX, draw.randint(len(start), TRACK_2_MAX)))
        track2 = start + "".join(draw.choices("0123456789", k=size - len(start)))
    if draw.random() < 0.2:
        track1 = f"B{card.pan}^DOE/JANE^{card.expiry}201" + "".join(draw.choices("0123456789", k=draw.randrange(20)))
    if draw.random() < 0.3:
        chip = draw.randbytes(draw.randint(1, CHIP_BYTES_MAX)).hex().upper()
    if draw.random() < 0.3:
        pin = "".join(draw.choices("0123456789", k=draw.randint(4, 12)))
    return Presented(card, track2, track1, chip, pin, draw.random() < 0.7)
