"""STANs that something open bears: none is given again, on any link, and when all are held none is looked for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from switch.machine.numbering import INSTANCES_MAX, Numbering
from switch.machine.stan_holds import StanHolds
from tests.ext.world import VISA, World, purchase

NOW_S = 1_800_000_000
STANS = 999_999 // INSTANCES_MAX
HOLDS_MAX = 0xFFFF


def reserved(numbering: Numbering) -> Numbering:
    """With as many numbers as may be given."""
    while numbering.reserve(NOW_S):
        pass
    return numbering


def given(numbering: Numbering) -> int:
    """The next STAN; what is reserved runs out on the way past those that are held."""
    for _ in range(STANS):
        stan = numbering.give()
        if stan or not numbering.reserve(NOW_S):
            return stan
    raise AssertionError("no end")


class Stans(RuleBasedStateMachine):
    """Beside a count by STAN and a walk from one to the next."""

    @initialize(instance=st.integers(0, INSTANCES_MAX - 1), begins=st.integers(1, 10**9))
    def start(self, instance: int, begins: int) -> None:
        self.numbering = Numbering(instance, INSTANCES_MAX)
        self.numbering.begin_behind(begins)
        reserved(self.numbering)
        self.first, self.end = self.numbering.stan_first, self.numbering.stan_first + STANS
        self.holds: Counter[int] = Counter()
        self.next = self.numbering.next_stan

    @rule(start=st.integers(0, STANS), size=st.integers(1, STANS + 10), times=st.integers(1, 2))
    def hold(self, start: int, size: int, times: int) -> None:
        """Those of another instance, too: an earlier life may have had more of them."""
        for stan in range(max(self.first + start - 3, 0), min(self.first + start + size, 999_999)):
            for _ in range(times):
                self.numbering.holds.hold(stan)
            if stan > 0:
                self.holds[stan] += times

    @rule(start=st.integers(0, STANS), size=st.integers(1, STANS + 10), step=st.sampled_from([1, 2, 64, 1_000]))
    def release(self, start: int, size: int, step: int) -> None:
        for stan in range(self.first + start, min(self.first + start + size, 999_999), step):
            self.numbering.holds.release(stan)
            self.holds[stan] = max(0, self.holds[stan] - 1)

    @rule(count=st.integers(1, 200), holds=st.booleans())
    def give(self, count: int, holds: bool) -> None:
        for _ in range(count):
            turn = (*range(self.next, self.end), *range(self.first, self.next))
            wanted = next((stan for stan in turn if not self.holds[stan]), 0)
            assert given(self.numbering) == wanted
            if wanted:
                self.next = self.first if wanted + 1 == self.end else wanted + 1
                if holds:
                    self.holds[wanted] += 1
                    self.numbering.holds.hold(wanted)

    @invariant()
    def counts_what_is_free(self) -> None:
        if hasattr(self, "numbering"):
            free = sum(not self.holds[stan] for stan in range(self.first, self.end))
            assert self.numbering.holds.free_count == free


Stans.TestCase.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestStans = Stans.TestCase


def test_the_one_that_is_free_is_found_among_all():
    numbering = Numbering()
    numbering.begin_behind(1)
    reserved(numbering)
    for stan in range(1, 1_000_000):
        numbering.holds.hold(stan)
    assert (numbering.holds.free_count, numbering.give()) == (0, 0)
    before = numbering.next
    assert numbering.give() == 0
    assert numbering.next == before, "no number is spent on a search that can find nothing"
    for stan in (999_999, 1, 500_000):
        numbering.holds.release(stan)
        assert given(numbering) == stan
        numbering.holds.hold(stan)


def test_what_too_much_holds_is_held_for_good():
    holds = StanHolds(1, 10)
    for _ in range(HOLDS_MAX + 5):
        holds.hold(7)
    for _ in range(HOLDS_MAX + 5):
        holds.release(7)
    assert holds.free_count == 9


def test_what_is_none_is_not_held():
    holds = StanHolds(1, 999_999)
    for stan in (0, 1_000_000, 0xFFFFFFFF):
        holds.hold(stan)
        holds.release(stan)
    holds.release(5)
    assert holds.free_count == 999_999


@pytest.mark.parametrize(("first", "count"), [(0, 5), (1, 0), (1, 1_000_000), (999_999, 2)])
def test_parts_within_bounds(first, count):
    with pytest.raises(ValueError, match="needed 1 to 999999"):
        StanHolds(first, count)


def test_refused_at_once_when_none_is_free():
    world = World()
    terminal, issuer = world.terminal(), world.issuer()
    numbering = world.engine.state.numbering
    holds = numbering.holds
    one = (numbering.next_stan + 100_000) % 999_999 + 1
    for stan in range(1, 1_000_000):
        holds.hold(stan)
    request = purchase(world)
    terminal.send(request)
    assert terminal.read_one()["39"] == "91"
    assert world.count("refused_at_limit_total", limit="stans") == 1
    holds.release(one)
    terminal.send(purchase(world))
    asked = issuer.read_one()
    assert int(asked["11"]) == one
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    assert holds.free_count == 1


def test_a_stan_at_one_issuer_is_not_given_on_another_link():
    """Two links may lead to one issuer, which knows a request and its reversal by it."""
    world = World()
    terminal, bank, other = world.terminal(), world.issuer("bank-a"), world.issuer("bank-b")
    terminal.send(purchase(world))
    asked = bank.read_one()
    world.skip_to_stan(int(asked["11"]))
    terminal.send(purchase(world, f2=VISA))
    assert int(other.read_one()["11"]) == int(asked["11"]) + 1
    bank.answer(asked)
    world.skip_to_stan(int(asked["11"]))
    terminal.send(purchase(world, f2=VISA))
    assert other.read_one()["11"] == asked["11"]
