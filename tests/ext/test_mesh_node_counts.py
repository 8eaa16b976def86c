"""Nodes tell each other what they have counted: limits hold over all of them, and nothing is counted twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.base.stats import Stats
from switch.dialect.kinds import Kind
from switch.dialect.reasons import Reason
from switch.mesh.counts import CountsHeard, PeerCounts
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.server.assembly import Part
from switch.tables.count_log import KEPT, CountLog
from switch.tables.risk import PAST_MS, Risk
from switch.tables.rule_terms import BandTerms, RuleTerms
from switch.tables.stand_in import StandIn
from switch.tables.time_windows import WindowTable
from tests.ext.mesh_records import written
from tests.ext.test_shared_counts import HOUR_MS, PURCHASE, YUAN, Limit
from tests.ext.world import World, listener

CARD, OTHER = "6225000000000014", "6225000000000022"
AMOUNT_MAX, COUNT_MAX, OUTSTANDING_MAX = 1_000, 5, 700
LIMITS = [Limit("amount", amount_max=AMOUNT_MAX), Limit("count", count_max=COUNT_MAX)]


class Node:
    """One worker of one of two nodes: what it counts, and the peer that is the other one."""

    def __init__(self, number, log=None, risk=None):
        self.world = World(listeners=[listener("iso", "iso87-ascii", mac="optional")], part=Part(2, (number,)))
        self.engine = self.world.engine
        self.stats = Stats(1 << 16)
        self.risk = Risk.build(None, WindowTable(1_000), rules=LIMITS) if risk is None else risk
        self.stand_in = StandIn(
            self.stats,
            "bank",
            kinds=PURCHASE,
            bins=[],
            allows_pin=True,
            window_seconds=60,
            cards_room=100,
            limits=[(YUAN, 500, 900, None, OUTSTANDING_MAX)],
            far=1,
        )
        self.log = CountLog() if log is None else log
        self.risk.use_log(self.log)
        self.stand_in.use_log(self.log, 1)
        connections = [link.connections for link in self.engine.state.links]
        self.peer = Peer(0, "other/0", self.engine.channels, connections)
        self.counts = PeerCounts(0, CountsHeard(1), [None, self.stand_in], self.risk, self.log)
        self.peer.share_counts(self.counts)
        self.engine.join(Mesh([self.peer], [None if number == own else 0 for own in range(2)], 1_000))

    @property
    def now_ms(self):
        return self.engine.state.calendar.now_ns // 1_000_000

    def buy(self, pan=CARD, amount=100):
        return Reason(
            self.risk.check_request(
                Kind.PURCHASE, pan=pan, amount_minor=amount, currency=YUAN, now_ms=self.now_ms + PAST_MS
            )
        )

    def take_back(self, pan=CARD, amount=100, ago_ms=0, *, is_declined=False):
        self.risk.uncount_request(
            Kind.PURCHASE,
            pan=pan,
            amount_minor=amount,
            currency=YUAN,
            now_ms=self.now_ms + PAST_MS - ago_ms,
            is_declined=is_declined,
        )

    def stand_in_for(self, pan=CARD, amount=100):
        return self.stand_in.claim_payment(Kind.PURCHASE, pan, amount, YUAN, now_ns=self.now_ms * 1_000_000)

    def say(self):
        self.engine.woken()
        return self.peer.take_output()

    def hear(self, said):
        assert self.engine.hear(self.peer, said) == len(said)
        assert self.peer.fault is None


class Two:
    """Both of them, and the connection between them."""

    def __init__(self, *risks):
        self.nodes = [Node(number, risk=risk) for number, risk in enumerate(risks or (None, None))]
        self.meet()

    def meet(self):
        for node in self.nodes:
            node.engine.meet(node.peer)
        self.carry()

    def part(self):
        for node in self.nodes:
            node.peer.take_output()
            node.engine.part(node.peer)

    def carry(self):
        moved = True
        while moved:
            said = [node.say() for node in self.nodes]
            for node, other in zip(self.nodes, reversed(said), strict=True):
                if other:
                    node.hear(other)
            moved = any(said)

    def restart(self, number):
        """A node begins anew, and knows nothing of any window."""
        self.part()
        self.nodes[number] = Node(number)
        self.meet()


@pytest.fixture
def two():
    return Two()


def test_what_one_has_counted_the_other_knows(two):
    first, second = two.nodes
    assert [first.buy(amount=600), second.buy(amount=300)] == [Reason.APPROVED] * 2
    two.carry()
    assert second.buy(amount=101) == Reason.AMOUNT_LIMIT
    assert second.buy(amount=100) == Reason.APPROVED
    two.carry()
    assert first.buy(amount=1) == Reason.AMOUNT_LIMIT
    assert first.buy(pan=OTHER) == Reason.APPROVED


def test_what_is_taken_back_is_so_everywhere(two):
    first, second = two.nodes
    assert first.buy(amount=AMOUNT_MAX) == Reason.APPROVED
    two.carry()
    assert second.buy(amount=1) == Reason.AMOUNT_LIMIT
    first.world.advance(2.0)
    second.world.advance(2.0)
    first.take_back(amount=AMOUNT_MAX, ago_ms=2_000)
    two.carry()
    assert second.buy(amount=AMOUNT_MAX) == Reason.APPROVED


def test_declines_are_counted_over_all_nodes(two):
    first, second = two.nodes
    for node in two.nodes:
        node.risk = Risk.build(None, WindowTable(1_000), rules=[Limit("declines", measure="declines", count_max=2)])
        node.risk.use_log(node.log)
        node.counts.use_risk(node.risk)
    for node in two.nodes:
        assert node.buy() == Reason.APPROVED
        node.take_back(is_declined=True)
    two.carry()
    assert [node.buy() for node in two.nodes] == [Reason.COUNT_LIMIT] * 2
    assert first.buy(pan=OTHER) == second.buy(pan=OTHER) == Reason.APPROVED


def test_a_share_of_declines_is_that_of_all_nodes(two):
    first, second = two.nodes
    bands = (BandTerms(name="half", begin=50, then="refuse"),)
    for node in two.nodes:
        rule = RuleTerms(name="share", value="decline_share", measure="share", window_ms=HOUR_MS, bands=bands)
        node.risk = Risk.build(None, WindowTable(1_000), rules=[rule])
        node.risk.use_log(node.log)
        node.counts.use_risk(node.risk)
    assert [node.buy() for node in (first, second, second)] == [Reason.APPROVED] * 3
    two.carry()
    second.take_back(is_declined=True)
    assert second.buy() == Reason.APPROVED, "one of three"
    second.take_back(is_declined=True)
    two.carry()
    assert [node.buy() for node in two.nodes] == [Reason.COUNT_LIMIT] * 2, "two of four"
    assert first.buy(pan=OTHER) == Reason.APPROVED


def test_terminals_and_merchants_are_counted_over_all_nodes(two):
    """By their ids: the tables of two nodes may have them at different places."""
    first, second = two.nodes
    for node in two.nodes:
        limits = [Limit("terminal", "terminal", amount_max=500), Limit("merchant", "merchant", amount_max=800)]
        registry = node.engine.state.registry
        node.risk = Risk.build(None, WindowTable(1_000), rules=limits, registry=registry)
        node.risk.use_log(node.log)
        node.peer.share_counts(PeerCounts(0, CountsHeard(1), [None, node.stand_in], node.risk, node.log))
    two.part()
    two.meet()

    def buy(node, terminal, amount):
        return Reason(
            node.risk.check_request(
                Kind.PURCHASE,
                amount_minor=amount,
                currency=YUAN,
                terminal=terminal,
                merchant=0,
                now_ms=node.now_ms + PAST_MS,
            )
        )

    assert buy(first, 0, 450) == Reason.APPROVED
    two.carry()
    assert [buy(second, 0, 51), buy(second, 1, 351)] == [Reason.AMOUNT_LIMIT] * 2
    assert [buy(second, 0, 50), buy(second, 1, 300)] == [Reason.APPROVED] * 2


def test_what_was_counted_while_the_other_was_away_it_hears_when_it_is_back(two):
    first, second = two.nodes
    two.part()
    assert [first.buy() for _ in range(3)] == [Reason.APPROVED] * 3
    two.meet()
    assert [second.buy() for _ in range(3)] == [Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT]


def test_what_was_lost_on_its_way_is_told_again_and_counted_once(two):
    first, second = two.nodes
    assert first.buy() == Reason.APPROVED
    two.carry()
    assert first.buy() == Reason.APPROVED
    first.say()  # and it never arrives
    assert first.buy() == Reason.APPROVED
    heard = first.say()
    two.part()
    two.meet()
    assert [second.buy() for _ in range(3)] == [Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT]
    second.hear(heard)  # late, by whatever way
    two.carry()
    assert second.buy(pan=OTHER) == Reason.APPROVED
    second.take_back()
    assert second.buy() == Reason.APPROVED, "it was not counted once more"


def test_a_node_that_begins_anew_is_told_all_that_is_kept(two):
    first, second = two.nodes
    assert [first.buy() for _ in range(3)] == [Reason.APPROVED] * 3
    assert second.buy() == Reason.APPROVED
    two.carry()
    two.restart(1)
    second = two.nodes[1]
    assert [second.buy() for _ in range(3)] == [Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT]
    two.carry()
    assert first.buy() == Reason.COUNT_LIMIT
    assert metric(first, "counts_lost") == metric(second, "counts_lost") == 0


def test_what_is_over_when_it_is_told_counts_no_more(two):
    """As it would have been over on a machine alone, whatever was counted there since."""
    first, second = two.nodes
    two.part()
    assert first.buy(amount=900) == Reason.APPROVED
    for node in two.nodes:
        node.world.advance(3 * HOUR_MS / 1000)
    assert second.buy(amount=100) == Reason.APPROVED
    two.meet()
    assert second.buy(amount=900) == Reason.APPROVED
    first.take_back(amount=900, ago_ms=3 * HOUR_MS)
    two.carry()
    assert second.buy(amount=1) == Reason.AMOUNT_LIMIT, "nothing of another payment was taken back"


def test_what_was_counted_a_while_ago_is_over_when_it_would_have_been(two):
    first, second = two.nodes
    two.part()
    assert first.buy(amount=600) == Reason.APPROVED
    for node in two.nodes:
        node.world.advance(HOUR_MS / 2000)
    assert second.buy(amount=300) == Reason.APPROVED
    two.meet()
    assert second.buy(amount=101) == Reason.AMOUNT_LIMIT
    for node in two.nodes:
        node.world.advance(HOUR_MS / 1000 * 0.7)
    assert second.buy(amount=600) == Reason.APPROVED


def test_the_successor_of_a_worker_tells_what_that_one_could_not(two):
    first, second = two.nodes
    two.part()
    assert [first.buy() for _ in range(COUNT_MAX)] == [Reason.APPROVED] * COUNT_MAX
    two.nodes[0] = Node(0, first.log)
    two.meet()
    assert second.buy() == Reason.COUNT_LIMIT


def metric(node, name):
    return node.world.count(f"mesh_{name}_total")


def test_what_does_not_fit_into_what_is_kept_is_lost_and_counted(two):
    first, second = two.nodes
    first.take_back(pan=OTHER)
    two.carry()
    two.part()
    for _ in range(KEPT + 10):
        first.take_back(pan=OTHER)
    two.meet()
    assert metric(first, "counts_lost") == 10
    assert first.buy() == Reason.APPROVED
    two.carry()
    assert [second.buy() for _ in range(5)][-2:] == [Reason.APPROVED, Reason.COUNT_LIMIT]


def test_outstanding_approvals_of_all_nodes_are_one_sum(two):
    first, second = two.nodes
    assert first.stand_in_for(amount=400) == "allowed"
    two.carry()
    assert second.stand_in_for(pan=OTHER, amount=301) == "outstanding"
    assert second.stand_in_for(amount=300) == "allowed"
    two.carry()
    assert [node.stand_in.outstanding(YUAN) for node in two.nodes] == [700, 700]
    first.stand_in.give_back(CARD, 400, YUAN, now_ns=first.now_ms * 1_000_000)
    two.carry()
    assert second.stand_in.outstanding(YUAN) == 300
    two.part()
    assert first.stand_in.outstanding(YUAN) == 300, "what an absent node has not told stands"
    two.meet()
    assert [node.stand_in.outstanding(YUAN) for node in two.nodes] == [300, 300]


def test_one_card_is_stood_in_for_by_all_nodes_together(two):
    first, second = two.nodes
    assert first.stand_in_for(amount=450) == "allowed"
    first.stand_in.give_back(OTHER, 0, YUAN, now_ns=first.now_ms * 1_000_000)
    two.carry()
    second.stand_in.give_back(OTHER, 0, YUAN)
    assert second.stand_in_for(amount=451) in ("card_amount", "outstanding")
    assert second.stand_in_for(amount=250) == "allowed"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("counted", {"is_stand_in": True, "link": 2}),
        ("outstanding", {"link": 2, "currency": YUAN, "amount_minor": 1}),
    ],
)
def test_counts_of_a_link_that_is_not_there_end_the_connection(two, kind, change):
    values = {
        "number": 1, "link": 0, "amount_minor": 1, "age_ms": 0, "currency": YUAN, "transaction_kind": 1,
        "is_stand_in": False, "is_taken_back": False, "is_declined": False, "entry_mode": 0,
        "pan": b"6", "terminal": bytes(8), "merchant": bytes(15),
    }  # fmt: skip
    second = two.nodes[1]
    second.engine.hear(second.peer, written(kind, (values if kind == "counted" else {}) | change))
    assert second.peer.fault == "it tells of a count that cannot be"


def test_who_shares_the_memory_has_no_counts_to_tell():
    node = Node(0)
    connections = [link.connections for link in node.engine.state.links]
    mate = Peer(0, "1", node.engine.channels, connections)
    node.engine.join(Mesh([mate], [None, 0], 1_000))
    node.engine.meet(mate)
    node.engine.hear(mate, written("counts_taken", {"next": 5}))
    assert mate.fault == "it tells of counts that are counted here"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["buy 0", "buy 1", "carry", "lose", "part", "meet", "restart 0", "restart 1"])))
def test_however_it_goes_no_node_exceeds_a_limit_and_all_together_the_limit_a_node(steps):
    """The bound: with the connection standing and nothing under way the limit holds over all; without it each node by
    itself holds it."""
    two, approved, up = Two(), [0, 0], True
    for step in steps:
        what, _, number = step.partition(" ")
        if what == "buy":
            node = two.nodes[int(number)]
            approved[int(number)] += node.buy(amount=0) == Reason.APPROVED
        elif what == "carry" and up:
            two.carry()
        elif what == "lose":
            two.nodes[0].say()
            two.part()
            up = False
        elif what == "part":
            two.part()
            up = False
        elif what == "meet" and not up:
            two.meet()
            up = True
        elif what == "restart":
            two.restart(int(number))
            up = True
            approved[int(number)] = 0  # its own windows went with it
    assert max(approved) <= COUNT_MAX
    if not up:
        two.meet()
    two.carry()
    refused = sum(approved) >= COUNT_MAX
    assert all((node.buy(amount=0) == Reason.COUNT_LIMIT) >= refused for node in two.nodes)
