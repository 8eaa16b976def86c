"""Simulated terminals and issuers of one dialect, joined over loopback sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from switch.dialect import load_dialect
from switch.simulators.dialect_profile import MacSetting, Profile
from switch.simulators.fleet import Fleet
from switch.simulators.fleet_settings import FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.rules import Rules
from switch.simulators.scenario import PaymentCard, Scenario
from switch.simulators.terminals import TerminalIdentity

MACS = {
    "iso87-ascii": ("x9.19", 16),
    "iso87-binary": ("aes-cmac", 16),
    "iso87-ebcdic": ("x9.9", 8),
    "iso93-ascii": ("x9.19", 16),
    "iso93-binary": ("aes-cmac", 32),
    "cup": ("cup-ecb", 8),
}
CARDS = (PaymentCard(pan="6225000000000014"), PaymentCard(pan="4111111111111111"))
PLAIN = Scenario(cards=CARDS, amounts=(), amount_min_minor=1000, amount_max_minor=1000)
NO_RULES = Rules(amounts=())
PROFILES: dict[str, Profile] = {}


class Recorder:
    """A connection that keeps what is sent on it."""

    signed_on = True
    last_stan = ""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)


def profile_of(dialect: str) -> Profile:
    if dialect not in PROFILES:
        PROFILES[dialect] = Profile(load_dialect(dialect))
    return PROFILES[dialect]


def mac_of(dialect: str) -> MacSetting:
    algorithm, size = MACS.get(dialect, ("x9.19", 16))
    return MacSetting(algorithm, bytes(range(1, size + 1)))


@asynccontextmanager
async def serving(dialect: str, settings: IssuerSettings, mac: MacSetting | None) -> AsyncIterator[tuple[Issuer, int]]:
    issuer = Issuer(profile_of(dialect), settings, mac)
    port = await issuer.listen()
    try:
        yield issuer, port
    finally:
        await issuer.stop()


def fleet_for(
    port: int,
    *,
    dialect: str = "iso87-ascii",
    terminals: int = 3,
    mac: MacSetting | None = None,
    scenario: Scenario = PLAIN,
    timeout_ms: float = 10_000,
    one_shot: bool = False,
    pipelining: int = 1,
    rate: float | None = None,
) -> Fleet:
    settings = FleetSettings(
        scenario, timeout_ms=timeout_ms, one_shot=one_shot, pipelining=pipelining, rate=rate, think_ms=0
    )
    identities = [TerminalIdentity(f"{10_000_001 + n}", "898000000000001", mac) for n in range(terminals)]
    return Fleet(profile_of(dialect), settings, identities, host="127.0.0.1", port=port)


async def settled(done: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - many things are waited for here
            await asyncio.sleep(0)
