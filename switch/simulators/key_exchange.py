"""The keys of a simulated issuer that it gives the acquirer: offered by itself, or made when it is asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.dialect.key_exchange import KeyMessages
from switch.keys.key import Key, algorithm_of_des_size, check_value, generate_value
from switch.keys.wrapping import wrap_key

if TYPE_CHECKING:
    from switch.simulators.dialect_profile import MacSetting, Profile

CHECK_BYTES = 4


class IssuerKeys:
    """Keys of DES of one link.

    Args:
        profile: The dialect, which says how keys are exchanged.
        zmk: Under which they travel.
        zpk: The PIN key, in clear; None: there is none to exchange.
        mac: With what the issuer signs; None: with nothing.
    """

    def __init__(self, profile: Profile, zmk: bytes, zpk: bytes | None, mac: MacSetting | None) -> None:
        self.messages = KeyMessages(profile.dialect)
        self.zpk = zpk
        self.mac = mac
        self.former_mac: MacSetting | None = None
        """What requests may still be signed with."""
        self.offered: dict[str, bytes] = {}
        """By usage, what was made and not taken yet."""
        self._zmk = Key("issuer/zmk", "zmk", algorithm_of_des_size(len(zmk)), zmk)
        self._spec = profile.dialect
        self._profile = profile

    @property
    def usages(self) -> list[str]:
        """Which keys there are."""
        return [usage for usage, is_there in (("zak", self.mac), ("zpk", self.zpk)) if is_there]

    def make(self, usage: str, value: bytes | None = None) -> dict[int, bytes]:
        """A new key: the fields of a message that brings it."""
        present = self.zpk if usage == "zpk" else None if self.mac is None else self.mac.key
        if present is None:
            raise ValueError(f"this issuer has no {usage}")
        algorithm = algorithm_of_des_size(len(present))
        made = generate_value(algorithm) if value is None else value
        self.offered[usage] = made
        text = wrap_key(self._zmk, algorithm, made).hex() + check_value(algorithm, made, CHECK_BYTES)
        rules = self._spec.file.key_exchange
        if rules is None:
            raise ValueError("this dialect does not say how keys are exchanged")
        writer = self._profile.writer
        choice = int(rules.choice.partition(".")[0])
        return {
            choice: writer.piece(choice, self.messages.choice(usage).decode()),
            rules.key: writer.piece(rules.key, text.upper()),
        }

    def use(self, usage: str) -> None:
        """The acquirer has the key that was made last: it is used from now on."""
        value = self.offered.pop(usage, None)
        if value is None:
            return
        if usage == "zpk":
            self.zpk = value
        elif self.mac is not None:
            self.former_mac, self.mac = self.mac, self.mac.with_key(value)

    def candidates(self) -> list[MacSetting]:
        """With what a request may be signed: the present key, the former one, and one that was only sent."""
        offered = self.offered.get("zak")
        sent = None if offered is None or self.mac is None else self.mac.with_key(offered)
        return [each for each in (self.mac, self.former_mac, sent) if each is not None]
