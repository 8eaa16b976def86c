"""Persistent terminals against an issuer that goes wrong: each payment comes to an end that the books agree with."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from switch.demo.reconcile import reconcile
from switch.dialect import load_dialect
from switch.simulators.dialect_profile import MacSetting, Profile
from switch.simulators.faults import Fault, FaultRule
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.repeating_terminals import PersistentFleet, PersistentSettings
from switch.simulators.rules import Rules
from switch.simulators.scenario import PaymentCard, Scenario, Share
from switch.simulators.terminals import TerminalIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 60
CARDS = (PaymentCard(pan="6225000000000014"), PaymentCard(pan="4111111111111111"))
SHARES = tuple(
    Share(kind=kind, weight=weight) for kind, weight in (("purchase", 6), ("refund", 1), ("void", 2), ("reversal", 1))
)
MAC = MacSetting("x9.19", bytes(range(16)))


SCENARIO = Scenario(cards=CARDS, shares=SHARES, amounts=(), tolerate=("invalid_transaction", "original_not_found"))


def fleet_for(
    port: int, profile: Profile, *, repeats_max: int, terminals: int = 4, scenario: Scenario = SCENARIO
) -> PersistentFleet:
    settings = PersistentSettings(
        scenario,
        rate=400,
        patience_ms=(100.0,),
        repeats_max=(repeats_max,),
        reconnect_ms=20,
    )
    identities = [TerminalIdentity(f"{10_000_001 + n}", "898000000000001", MAC) for n in range(terminals)]
    return PersistentFleet(profile, settings, identities, host="127.0.0.1", port=port)


async def work_until(fleet: PersistentFleet, has_happened: Callable[[], bool], *, to_the_end: bool = True) -> None:
    """Let fleet work until what is to be looked at has happened, however long that takes on this machine."""
    working = asyncio.create_task(fleet.work())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not has_happened():
            assert not working.done()
            await asyncio.sleep(0.01)
        if to_the_end:
            fleet.finish()
            await working
    await fleet.stop()
    await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("dialect", ["iso87-ascii", "iso93-ascii"])
@pytest.mark.parametrize("repeats_max", [0, 2])
async def test_every_payment_comes_to_an_end_that_the_books_agree_with(dialect: str, repeats_max: int) -> None:
    profile = Profile(load_dialect(dialect))
    faults = tuple(
        FaultRule(fault=fault, probability=0.1)
        for fault in (Fault.IGNORE, Fault.DROP_ANSWER, Fault.CLOSE, Fault.CLOSE_AFTER_RECEIVE, Fault.DUPLICATE_ANSWER)
    )
    issuer = Issuer(profile, IssuerSettings(rules=Rules(amounts=()), faults=faults), MAC)
    port = await issuer.listen()
    fleet = fleet_for(port, profile, repeats_max=repeats_max)
    counters = fleet.counters

    def has_seen_all() -> bool:
        states = Counter(receipt.state for receipt in fleet.receipts)
        # Each terminal may yet take one of its approvals back.
        is_mixed = states["approved"] > len(fleet.terminals) and states["taken_back"] > 0
        return is_mixed and counters.given_up > 0 and counters.repeats > 0

    await work_until(fleet, has_seen_all)
    await issuer.stop()
    assert (counters.missing, counters.wrong) == (0, 0), counters.problems
    result = reconcile(fleet.receipts, [issuer.ledger])
    assert result.agrees, result.differences
    assert result.standing > 0


async def test_what_never_ends_is_missing() -> None:
    profile = Profile(load_dialect("iso87-ascii"))
    issuer = Issuer(profile, IssuerSettings(faults=(FaultRule(fault=Fault.IGNORE),)), MAC)
    fleet = fleet_for(await issuer.listen(), profile, repeats_max=1, terminals=2)
    await work_until(fleet, lambda: len(fleet.receipts) == 2 and fleet.counters.repeats > 2, to_the_end=False)
    await issuer.stop()
    assert fleet.counters.missing == 2


async def test_the_opposite_of_an_earlier_answer_is_wrong() -> None:
    profile = Profile(load_dialect("iso87-ascii"))

    class Fickle(Issuer):
        def _deliver(self, exchange, answer, later_s=0.0):
            super()._deliver(exchange, answer, later_s)
            pieces = profile.echo(exchange.message)
            pieces[39] = profile.code_piece("stolen_card")
            super()._deliver(exchange, profile.signed("0210", pieces, MAC), 0.02)

    issuer = Fickle(profile, IssuerSettings(rules=Rules(amounts=())), MAC)
    fleet = fleet_for(await issuer.listen(), profile, repeats_max=0, terminals=1)
    await work_until(fleet, lambda: fleet.counters.contradicting > 0)
    await issuer.stop()
    assert any("and otherwise before" in problem for problem in fleet.counters.problems)
