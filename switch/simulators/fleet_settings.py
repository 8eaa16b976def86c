"""How a fleet of simulated terminals behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switch.simulators.scenario import Scenario


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How a fleet behaves."""

    scenario: Scenario
    name: str = "terminals"
    rate: float | None = None
    """Requests a second of the whole fleet, planned in open loop; None: closed loop."""
    poisson: bool = True
    """Open loop: random gaps around the rate; else equal ones."""
    pipelining: int = 1
    """Requests that one terminal may have in flight."""
    one_shot: bool = False
    """A connection for every request."""
    sign_in: bool = False
    """Sign in (0800) before the first request, on every terminal."""
    think_ms: float = 0.0
    """Closed loop: pause between an answer and the next request."""
    timeout_ms: float = 20_000.0
    backlog_max: int = 100_000
    """Open loop: planned requests that may wait for a free terminal."""
    keep_receipts: bool = True
    server_name: str | None = None
    """Name in the switch's certificate."""
    connecting_max: int = 64
    """Connections that are being made at once, at the start."""
    seed: int = 1
    first_stan: int = 0
    """Terminals begin with numbers not far above it."""
