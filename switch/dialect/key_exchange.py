"""Keys that an issuer and the switch give each other by network management messages, as a dialect file has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from switch.dialect.references import place
from switch.wire.scan import scan

if TYPE_CHECKING:
    from switch.dialect.loader import Dialect
    from switch.wire.scan import Message

USAGES = ("zpk", "zak")
"""What can be exchanged."""


class Said(NamedTuple):
    """What a message says of keys.

    Attributes:
        usage: ``zpk`` or ``zak``; None: it does not say, or another.
        key: Hex digits of the key under the ZMK with its check value behind it, or a key block; empty: no key.
    """

    usage: str | None
    key: str

    def __repr__(self) -> str:
        return f"Said(usage={self.usage!r}, {len(self.key)} characters)"


class KeyMessages:
    """How one dialect writes them.

    Args:
        dialect: It has a table ``key_exchange``.
    """

    def __init__(self, dialect: Dialect) -> None:
        rules = dialect.file.key_exchange
        if rules is None:
            raise ValueError(f"dialect {dialect.name} does not say how keys are exchanged")
        self._spec = dialect.spec
        self._place = place(dialect.file, rules.choice)
        self._choices = {"zpk": rules.pin_key, "zak": rules.mac_key}
        self._width = self._place.size or dialect.layout[str(self._place.field)]["max_len"]
        self._key = rules.key

    def choice(self, usage: str) -> bytes:
        """What asks for a key, for the slot ``key_choice``: filled with zeros to the width of its field."""
        return self._choices[usage].ljust(self._width, "0").encode("ascii")

    def read(self, message: bytes) -> Said:
        """What a message that was received says.

        Raises:
            ScanError: It cannot be read.
        """
        scanned = scan(message, self._spec)
        field, start, size = self._place
        chosen = _text(scanned, field)[start:][: size or None]
        usage = next((usage for usage in USAGES if chosen.startswith(self._choices[usage])), None)
        return Said(usage, _text(scanned, self._key).strip())


def _text(message: Message, field: int) -> str:
    return message.text(field) if field in message else ""
