"""What moves money, as the compiled reader of the journal gives it: what stands where in an event."""

from __future__ import annotations

from typing import Literal

Approved = tuple[int, Literal["approved"], int, int, str, int, int, str, str, str, str, bytes, str, int, int, bool]
"""A payment was approved: position of the OUTCOME, event, position of the payment (its INTENT or ADVICE), wall clock in
microseconds since 1970, kind, approved amount in minor units, currency (ISO 4217, numeric), link, terminal, merchant,
masked card number, keyed hash of the card number (16 bytes), RRN, the terminal's STAN, what it refers to (as the
journal writes it), whether an advice is owed to its issuer."""

Ended = tuple[int, Literal["taken back", "advice declined", "advice given up"], int, int, str]
"""Something became of a payment: position of the record, event, position of the payment, wall clock, why."""

Event = Approved | Ended
