"""Rules of risk control rehearsed: what they would have refused of what the journals know."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from switch.journal.merging import read_ahead
from switch.journal.opening import PartitionReader
from switch.journal.request_history import Fates, JournalRequest, RequestListing, rehearse
from switch.journal.risk_counts import US_A_MS, segment_at
from switch.tables.registry import Registry
from switch.tables.risk import Risk


@dataclass(slots=True)
class Hit:
    """What something would have refused.

    Attributes:
        requests: How many.
        sums: What they sum up to in minor units, by currency; without one 0.
        stood: Of them, approved and never taken back.
        stood_sums: What those sum up to.
        cards: Different ones.
        terminals: Different ones.
        merchants: Requests by merchant.
    """

    requests: int = 0
    sums: Counter[int] = field(default_factory=Counter)
    stood: int = 0
    stood_sums: Counter[int] = field(default_factory=Counter)
    cards: set[bytes] = field(default_factory=set)
    terminals: set[str] = field(default_factory=set)
    merchants: Counter[str] = field(default_factory=Counter)

    def take(self, one: JournalRequest) -> None:
        """One more request."""
        amount = max(one.amount_minor, 0)
        self.requests += 1
        self.sums[one.currency] += amount
        if one.what_became == "stands":
            self.stood += 1
            self.stood_sums[one.currency] += amount
        self.cards.add(one.card)
        self.terminals.add(one.terminal)
        self.merchants[one.merchant] += 1


@dataclass(slots=True)
class Rehearsal:
    """What rules would have refused, and what they refuse otherwise than those in force.

    Attributes:
        requests: How many were looked at.
        begins_us: When the first one was asked; None: there is none.
        ends_us: When the last one was.
        rules: By the identifier of the rule; of a rule in shadow what it would have refused.
        bands: What each exit and band has decided about, in the order of the file.
        thens: What follows from each of them.
        newly: What the rehearsed rules refuse, and those in force do not.
        no_more: What the rules in force refuse, and the rehearsed ones do not.
        as_before: What both refuse.
    """

    requests: int = 0
    begins_us: int | None = None
    ends_us: int | None = None
    rules: dict[str, Hit] = field(default_factory=dict)
    bands: dict[str, Hit] = field(default_factory=dict)
    thens: Mapping[str, str] = field(default_factory=dict)
    newly: Hit = field(default_factory=Hit)
    no_more: Hit = field(default_factory=Hit)
    as_before: Hit = field(default_factory=Hit)

    def take(self, one: JournalRequest, hit_by: Sequence[str], *, refused: bool, refused_before: bool) -> None:
        """One more request, with the rules that refuse it or would."""
        self.requests += 1
        self.begins_us = one.wall_us if self.begins_us is None else self.begins_us
        self.ends_us = one.wall_us
        for rule in hit_by:
            if rule not in self.thens:
                self.rules.setdefault(rule, Hit()).take(one)
        if refused and refused_before:
            self.as_before.take(one)
        elif refused:
            self.newly.take(one)
        elif refused_before:
            self.no_more.take(one)


def rehearsed(
    partitions: Sequence[PartitionReader], rules: Risk, in_force: Risk | None, registry: Registry, from_us: int
) -> Rehearsal:
    """Let rules decide about every request of the journals, in the order of time.

    What was asked before, as far as a window reaches, is counted and not told. Whatever the rules let through ends as
    it did; what a rule in force had refused is taken to stand.

    Args:
        partitions: The journals.
        rules: Those that are rehearsed; nothing may have been counted by them.
        in_force: Those to compare with; None: there are none.
        registry: Where terminals and merchants are looked up.
        from_us: What was asked since is told; microseconds since 1970.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    grades = rules.grades
    told = Rehearsal(bands={name: Hit() for name in grades}, thens=grades)
    decided = rules.graded
    reaches_ms = max(rules.window_max_ms, 0 if in_force is None else in_force.window_max_ms)
    for one in requests_by_time(partitions, from_us - reaches_ms * US_A_MS):
        before, was_refused = ([], False) if in_force is None else rehearse(in_force, registry, one)
        numbers, is_refused = rehearse(rules, registry, one)
        if one.wall_us >= from_us:
            hit_by = [rules.rule_ids[number] for number in numbers]
            told.take(one, hit_by, refused=is_refused, refused_before=was_refused and bool(before))
        if grades:
            before_this, decided = decided, rules.graded
            for name, earlier, count in zip(grades, before_this, decided, strict=True):
                if count != earlier and one.wall_us >= from_us:
                    told.bands[name].take(one)
    return told


def requests_by_time(partitions: Sequence[PartitionReader], from_us: int) -> Iterator[JournalRequest]:
    """Each request of the journals since a moment with what became of it, oldest first.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    return heapq.merge(*(_requests(one, from_us) for one in partitions), key=lambda request: request.wall_us)


def _requests(one: PartitionReader, from_us: int) -> Iterator[JournalRequest]:
    first = segment_at(one.reader, from_us)
    fates = Fates()
    with one.telling():
        one.reader.replay(fates, first)
    listing = partial(RequestListing, fates, from_us=from_us)
    return read_ahead(one, listing, one.reader.segments[first].first_position)
