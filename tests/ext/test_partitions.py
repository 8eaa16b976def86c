"""Several partitions in one worker: each decides about its own terminals, on connections that all have in common."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.machine.partitioning import partition_of
from switch.machine.partitions import Partitions
from tests.ext.world import (
    MERCHANT,
    ONE_ROUTE,
    OTHER_MERCHANT,
    World,
    change,
    link,
    listener,
    purchase,
    reversal,
)

COUNT = 3
MERCHANTS = {"10000002": MERCHANT, "10000003": OTHER_MERCHANT, "10000008": MERCHANT}
TERMINALS = sorted(MERCHANTS, key=lambda terminal: partition_of(terminal, COUNT))
"""One of each partition, in their order; that of partition 2 has no MAC key."""


def several(**parts):
    """A world of partitions, in which a terminal without a MAC key may speak."""
    return World(partitions=COUNT, listeners=[listener("iso", "iso87-ascii", mac="optional")], **parts)


@pytest.fixture
def world():
    one = several()
    yield one
    one.settle()


def asked_by(world, terminal, **changes):
    """A purchase of that terminal."""
    return purchase(world, f41=terminal, f42=MERCHANTS[terminal], **changes)


def state_of(world, terminal):
    return world.engine.partitions.states[partition_of(terminal, COUNT)]


def of_partition(world, number, what):
    """What one partition has written down, of one sort."""
    return [record for name, record in world.journals[number].records if name == what]


def test_the_terminals_are_of_different_partitions():
    assert [partition_of(terminal, COUNT) for terminal in TERMINALS] == list(range(COUNT))


def test_each_partition_writes_down_and_answers_what_its_terminals_ask(world):
    terminal, issuer = world.terminal(), world.issuer()
    for number, name in enumerate(TERMINALS):
        request = asked_by(world, name)
        terminal.send(request)
        issuer.answer(issuer.read_one())
        assert terminal.read_one()["39"] == "00"
        assert [len(of_partition(world, n, "intent")) for n in range(COUNT)] == [int(n <= number) for n in range(COUNT)]
    assert [len(of_partition(world, n, "outcome")) for n in range(COUNT)] == [1, 1, 1]
    assert [len(journal.told) for journal in world.journals] == [1, 1, 1]


def test_numbers_of_partitions_differ(world):
    terminal, issuer = world.terminal(), world.issuer()
    stans, references = [], []
    for name in TERMINALS * 4:
        terminal.send(asked_by(world, name))
        asked = issuer.read_one()
        stans.append(int(asked["11"]))
        references.append(asked["37"])
        issuer.answer(asked)
    part = 999_999 // COUNT
    assert [(stan - 1) // part for stan in stans] == [0, 1, 2] * 4
    assert len(set(references)) == len(references)
    assert [reference[4] for reference in references] == ["0", "1", "2"] * 4


@pytest.mark.parametrize("by", ["stan", "rrn"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_answers_find_their_partition_on_any_connection(by, order):
    world = several(links=[link("bank-a", "iso87-ascii", match={"by": by, "verify": [2, 3, 4, 41]})], routes=ONE_ROUTE)
    terminal, *issuers = world.terminal(), world.issuer(), world.issuer()
    requests = [asked_by(world, name) for name in TERMINALS]
    for request in requests:
        terminal.send(request)
    asked = sorted((one for issuer in issuers for one in issuer.read()), key=lambda one: TERMINALS.index(one["41"]))
    for number in order:
        issuers[number % 2].answer(asked[number], f38=f"00000{number}")
    told = terminal.read()
    assert [(one["41"], one["11"], one["38"]) for one in told] == [
        (TERMINALS[number], requests[number]["11"], f"00000{number}") for number in order
    ]
    world.settle()


def test_a_repeat_finds_its_outcome_on_another_connection(world):
    first, second, issuer = world.terminal(), world.terminal(), world.issuer()
    requests = [asked_by(world, name) for name in TERMINALS]
    for request in requests:
        first.send(request)
    for asked in issuer.read():
        issuer.answer(asked)
    told = first.read()
    assert [second.ask(request) for request in requests] == told
    assert issuer.read() == []


def test_answer_that_was_not_told_is_reversed_by_its_partition(world):
    terminal, issuer = world.terminal(), world.issuer()
    for name in TERMINALS:
        terminal.send(asked_by(world, name))
    for asked in issuer.read():
        issuer.answer(asked)
    terminal.close()
    assert [state.saf.in_use for state in world.engine.partitions.states] == [1, 1, 1]
    assert world.engine.owed == COUNT
    world.tick()
    taken_back = issuer.read()
    assert sorted((one["t"], one["41"]) for one in taken_back) == [("0420", name) for name in sorted(TERMINALS)]
    for one in taken_back:
        issuer.answer(one)
    assert world.engine.owed == 0


def test_terminals_reversal_finds_its_payment(world):
    terminal, issuer = world.terminal(), world.issuer()
    for name in TERMINALS:
        request = asked_by(world, name)
        terminal.send(request)
        issuer.answer(issuer.read_one())
        terminal.read_one()
        assert terminal.ask(reversal(world, request))["39"] == "00"
        world.tick()
        taken_back = issuer.read_one()
        assert (taken_back["t"], taken_back["41"]) == ("0420", name)
        issuer.answer(taken_back)
    assert world.engine.owed == 0


def test_a_journal_that_stands_still_holds_up_its_own_requests_only(world):
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    for name in (TERMINALS[0], TERMINALS[1], TERMINALS[0], TERMINALS[2]):
        terminal.send(asked_by(world, name))
    assert issuer.read() == []
    world.journals[1].sync()
    world.journals[2].sync()
    asked = issuer.read()
    assert [one["41"] for one in asked] == [TERMINALS[1], TERMINALS[2]]
    for one in asked:
        issuer.answer(one)
    assert terminal.read() == []
    world.journals[2].sync()
    assert [one["41"] for one in terminal.read()] == [TERMINALS[2]]
    world.advance(14.0)  # longer than output may wait for a peer: the link stays
    assert issuer.hung_up is None
    world.journals[0].sync()
    assert [one["41"] for one in issuer.read()] == [TERMINALS[0], TERMINALS[0]]
    world.syncs = True
    assert [one["41"] for one in terminal.read()] == [TERMINALS[1]]


@pytest.mark.parametrize("who", ["issuer", "switch"])
def test_nothing_is_asked_behind_a_sign_off(who):
    world = several(links=[link("bank-a", "iso87-ascii", sign_on=True)], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    issuer.answer(issuer.read_one(), mac=False)
    world.syncs = False
    terminal.send(asked_by(world, TERMINALS[1]))
    if who == "issuer":
        issuer.send({"t": "0800", "7": "0115080000", "11": "000001", "70": "002"}, mac=False)
    else:
        world.engine.sign_off()
    assert issuer.read() == []
    world.journals[1].sync()
    assert [one["t"] for one in issuer.read()] == ["0200", "0810" if who == "issuer" else "0800"]


def test_request_that_was_passed_and_times_out_never_leaves(world):
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    held = [asked_by(world, TERMINALS[0]) for _ in range(3)]
    terminal.send(held[0])
    world.advance(1.0)
    terminal.send(asked_by(world, TERMINALS[1]))
    terminal.send(held[1])
    terminal.send(held[2])
    world.journals[1].sync()
    issuer.answer(issuer.read_one())
    world.advance(14.5)  # the first one's time is over
    world.syncs = True
    world.tick()
    assert [one["11"] for one in issuer.read()] == [
        f"{stan:06d}" for stan in sorted(int(one["stan"]) for one in of_partition(world, 0, "intent"))[1:]
    ]
    answers = {one["11"]: one["39"] for one in terminal.read()}
    assert answers[held[0]["11"]] == "91"
    assert world.engine.owed == 0


@settings(deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.integers(0, 2)),
            st.tuples(st.just("sync"), st.integers(0, 2)),
            st.tuples(st.just("carry"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_frames_that_pass_others_arrive_whole_once_and_in_their_partitions_order(steps):
    world = several()
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    sent, arrived = [], []
    for step, number in steps:
        if step == "ask":
            request = asked_by(world, TERMINALS[number], f4=f"{len(sent) + 1:012d}")
            sent.append((request["41"], request["4"]))
            terminal.send(request)
        elif step == "sync":
            world.journals[number].sync()
        else:
            arrived += issuer.read()
    for journal in world.journals:
        journal.sync()
    arrived += issuer.read()
    assert sorted((one["41"], one["4"]) for one in arrived) == sorted(sent)
    for name in TERMINALS:
        mine = [one["4"] for one in arrived if one["41"] == name]
        assert mine == sorted(mine)
    world.syncs = True
    world.settle()


def test_link_that_does_not_answer_is_tested_once_and_comes_back(world):
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(2):
        for name in TERMINALS:
            terminal.send(asked_by(world, name))
    issuer.read()
    world.advance(15.5)
    assert world.link("bank-a").connections.state_name == "suspended"
    tests = [one for one in issuer.read() if one["t"] == "0800"]
    assert len(tests) == 1
    issuer.answer(tests[0])
    assert world.link("bank-a").connections.state_name == "up"


def test_what_cannot_be_read_or_names_nobody_is_refused(world):
    terminal = world.terminal()
    assert terminal.ask(asked_by(world, TERMINALS[1], f22="01X"))["39"] == "30"
    assert terminal.ask(purchase(world, f41="99999999"), mac=False)["39"] == "58"
    terminal.send(change(asked_by(world, TERMINALS[0]), f41=None), mac=False)
    assert terminal.read_one()["39"] == "58"


def test_refusals_and_wrong_macs_are_counted_for_all(world):
    terminal = world.terminal()
    for name in TERMINALS[:2]:
        request = terminal.encode(asked_by(world, name))
        terminal.feed(terminal.frame(request[:-1] + bytes([request[-1] ^ 1])))
        assert terminal.read_one()["39"] == "63"
    assert world.engine.state.terminal_mac_failures() == dict.fromkeys(TERMINALS[:2], 1)
    assert world.count("requests_total") == 2


def test_limits_are_shared_out():
    world = World(partitions=4, limits={"transactions_in_flight_max": 10, "reversals_max": 3})
    assert [state.transactions.room for state in world.engine.partitions.states] == [2] * 4
    assert [state.saf.room for state in world.engine.partitions.states] == [1] * 4


def test_state_machines_of_one_worker_fit_together(world):
    states = world.engine.partitions.states
    for wrong in ([], [states[0], states[0]], states[::-1]):
        with pytest.raises(ValueError, match=r"partition|made in their order"):
            Partitions(wrong, COUNT)
    with pytest.raises(ValueError, match="partition 2 of 2"):
        Partitions(states, 2)


def test_drain_and_sign_off_are_of_all(world):
    terminal, issuer = world.terminal(), world.issuer()
    world.engine.drain()
    for name in TERMINALS:
        assert terminal.ask(asked_by(world, name))["39"] == "91"
    world.engine.sign_off()
    assert issuer.hung_up is not None or issuer.read_one()["t"] == "0800"
