"""What a simulated issuer counts."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

_ANSWERS_KEPT = 4096


@dataclass(slots=True)
class IssuerCounters:
    """What an issuer saw and did."""

    connections: int = 0
    requests: int = 0
    """Financial requests, advices and reversals; network management is counted apart."""
    answers: int = 0
    undeliverable: int = 0
    """Answers whose connection was gone."""
    repeats: int = 0
    reversals: int = 0
    mac_failures: int = 0
    unreadable: int = 0
    unexpected: int = 0
    """Answers that arrived here without a request of ours."""
    network: Counter[str] = field(default_factory=Counter)
    """By kind: sign_on, sign_off, echo_test, key_exchange, cut_over."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """By reason."""
    keys: Counter[str] = field(default_factory=Counter)
    """Keys that were sent, and taken or refused."""
    echoes_sent: int = 0
    echoes_answered: int = 0
    answer_us: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_KEPT))
    """How long each of the last answers took here, in microseconds, from the request to its sending."""
