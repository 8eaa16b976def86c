"""What happened in a run, or in many: so that nobody has to take "no violation" on trust."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts over one run or many.

    Attributes:
        runs: Seeds.
        transactions: Payments, voids and reversals that terminals began.
        outcomes: How their receipts ended.
        faults: Kinds of trouble, and how often each happened.
        crashes: How often the switch was killed.
        partings: How often a worker has lost its connection with another one.
        endings: How often it was stopped in whatever way, and started again.
        reversals: How many charges were taken back at issuers.
        advices: How many payments issuers were told of afterwards.
        given_up: How many store-and-forward entries an operator closed.
        never_booked: How many reversals besides, because their issuer had nothing of the payment in its books.
        stand_ins: How many payments the switch approved in the stead of issuers.
        named: Voids, refunds and completions that came to an issuer, by whether they named an original that it knows.
        virtual_seconds: How much time passed in the simulated world.
    """

    runs: int = 0
    transactions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    partings: int = 0
    endings: int = 0
    reversals: int = 0
    advices: int = 0
    given_up: int = 0
    never_booked: int = 0
    stand_ins: int = 0
    virtual_seconds: float = 0.0
    named: Counter[bool] = field(default_factory=Counter)

    def fault(self, name: str) -> None:
        """Something went wrong, as it was meant to."""
        self.faults[name] += 1

    def add(self, other: Tally) -> None:
        """Count another run's in."""
        self.runs += other.runs
        self.transactions += other.transactions
        self.outcomes += other.outcomes
        self.faults += other.faults
        self.crashes += other.crashes
        self.endings += other.endings
        self.partings += other.partings
        self.reversals += other.reversals
        self.advices += other.advices
        self.given_up += other.given_up
        self.never_booked += other.never_booked
        self.stand_ins += other.stand_ins
        self.named += other.named
        self.virtual_seconds += other.virtual_seconds

    def lines(self) -> list[str]:
        """All of it in words."""
        outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(self.outcomes.items()))
        faults = ", ".join(f"{count:,} {name}" for name, count in self.faults.most_common())
        return [
            f"{self.runs:,} seeds, {self.transactions:,} transactions ({outcomes})",
            f"{sum(self.faults.values()):,} faults ({faults})",
            f"{self.crashes:,} crashes, {self.partings:,} times a worker lost another one",
            f"{self.reversals:,} charges taken back at issuers",
            f"{self.stand_ins:,} approvals in the stead of issuers, {self.advices:,} advices to them",
            f"{self.given_up:,} reversals and advices given up by operators, {self.never_booked:,} as never booked",
            f"{self.named[True]:,} voids, refunds, completions named what an issuer knows, {self.named[False]:,} not",
            f"{self.virtual_seconds / 3600:,.1f} hours of virtual time",
        ]
