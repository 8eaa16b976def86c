"""Composition of one message from another, compiled field by field."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, final

from typing_extensions import Buffer

from switch.wire.scan import Message
from switch.wire.spec import Spec

class Step(NamedTuple):
    """Where the value of one field comes from. Of several steps for a field the first that has a value counts.

    Attributes:
        field: number of the destination's field; 0 is its header.
        source: ``request``, ``answer``, ``slot`` or ``constant``.
        argument: the source's field number (0 its header), the slot's name (one of ``switch.wire.slots.SLOTS``) or the
            constant's text.
    """

    field: int
    source: str
    argument: object

@final
class Composer:
    """Writes messages of one specification from messages of others, slots and constants.

    Values pass in canonical form (digits, text, hex digits), whatever the encodings on either side. A fixed field is
    filled up: numbers with zeros on the left, text (a, an, ans) with blanks on the right; and what says nothing is
    dropped when it is shorter: leading zeros, trailing blanks. Track 2 is written with ``=`` in text and ``D`` in
    nibbles. What still does not fit, or is outside the destination field's content class, is refused.

    Attributes:
        destination: specification of what is composed.
        request: specification of the requests that values come from.
        answer: specification of the answers that values come from.
        mac_field: 64 or 128; 0 when the composed message carries no MAC.
        mac_size: bytes of the MAC field's data on the wire.
    """

    destination: Spec
    request: Spec | None
    answer: Spec | None
    mac_field: int
    mac_size: int
    def __init__(
        self,
        destination: Spec,
        request: Spec | None,
        answer: Spec | None,
        steps: Iterable[tuple[int, str, object]],
        unkept: Iterable[int] = (),
    ) -> None:
        """Compile the steps, given in any order of fields.

        ``unkept`` are fields of what is composed that no copy of it may keep.

        The MTI comes from slot ``mti``. The slot ``mac`` is a place filled with zeros (digits where the field is text);
        it must be the last field, and is always there.

        Raises:
            ValueError: A step that cannot be done; the text names its field.
        """
    def compose_message(
        self,
        request: Message | Buffer | None,
        answer: Message | Buffer | None = None,
        slots: Mapping[str, str] | None = None,
        room: int = 8192,
    ) -> bytes:
        """Compose one message; fields whose sources are absent are left out.

        Args:
            request: A message, or the bytes of one.
            answer: The same.
            slots: Values by slot name, canonical text. An empty one is absent.
            room: Bytes that the composed message may have.

        Raises:
            ScanError: A message cannot be read, a value does not fit its field (``value``), the message does not fit
                the room (``room``) or the MTI is not four digits (``type_digits``). Field and position tell where.
            ValueError: An unknown slot, or a message that the composer has no specification for.
        """
