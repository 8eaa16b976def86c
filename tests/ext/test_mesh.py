"""Two workers of one switch: whichever a terminal calls, its partition decides; answers come home; told comes back."""

from __future__ import annotations

import pytest

from switch.machine.partitioning import partition_of
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.server.assembly import Part
from tests.ext.mesh_world import COUNT, HERE, PATIENCE_MS, TERMINALS, THERE, Pair, asked_by
from tests.ext.world import World, link, listener, reversal

ONE_LINK = {
    "links": [link("bank-a", "iso87-ascii", timeouts_to_unhealthy=2)],
    "routes": ["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"],
}

OUTPUT_BYTES_MAX = 4 << 20
"""That wait for a peer before it is given no more frames."""


@pytest.fixture
def pair():
    one = Pair(**ONE_LINK)
    yield one
    one.settle()


def written(world, what):
    """What a worker has written down, of one sort, in all its journals."""
    return [record for journal in world.journals for name, record in journal.records if name == what]


def told(world):
    return sum(len(journal.told) for journal in world.journals)


def test_a_request_is_decided_where_its_partition_is(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    asked = issuer.read_one()
    assert (asked["41"], len(written(pair.second, "intent")), len(written(pair.first, "intent"))) == (THERE, 1, 0)
    issuer.answer(asked)
    pair.second.sync()
    answer = terminal.read_one()
    assert (answer["t"], answer["39"], answer["11"]) == ("0210", "00", request["11"])
    pair.carry()
    assert (told(pair.second), pair.second.engine.partitions.states[0].duplicates.untold) == (1, 0)


def test_a_repeat_on_the_other_worker_is_a_repeat(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    pair.second.sync()
    answer = terminal.read_one()
    elsewhere = pair.second.terminal()
    assert elsewhere.ask(request) == answer
    assert issuer.read() == []


def test_answer_that_is_lost_with_its_front_ends_connection_is_reversed(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    terminal.send(asked_by(pair.first, THERE))
    issuer.answer(issuer.read_one())
    pair.second.sync()
    terminal.close()
    pair.carry()
    assert (pair.second.engine.owed, told(pair.second)) == (1, 0)
    pair.second.tick()
    assert issuer.read_one()["t"] == "0420"


def test_answer_for_a_connection_that_is_gone_is_reversed(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    terminal.send(asked_by(pair.first, THERE))
    asked = issuer.read_one()
    terminal.close()
    pair.carry()
    issuer.answer(asked)
    pair.second.sync()
    assert (pair.second.engine.owed, told(pair.second)) == (1, 0)


def test_what_left_before_the_end_is_told_and_the_rest_is_not(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    for _ in range(3):
        terminal.send(asked_by(pair.first, THERE))
    pair.carry()
    for asked in issuer.read():
        issuer.answer(asked)
        if pair.second.engine.partitions.states[0].transactions.in_use == 1:
            pair.second.sync()
            assert len(terminal.read()) == 2
    pair.second.sync()
    terminal.close()
    pair.carry()
    assert (told(pair.second), pair.second.engine.owed) == (2, 1)


def test_only_what_changes_the_count_of_requests_under_way_is_said(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    pair.carry()
    said = []

    def hand_over(request):
        terminal.send(request)
        pair.second.engine.hear(pair.second.peer, pair.first.peer.take_output())
        pair.second.engine.woken()
        said.append(pair.second.peer.waiting_bytes)
        pair.carry()
        return terminal.channel.in_flight

    assert hand_over(asked_by(pair.first, THERE)) == 1
    assert hand_over(asked_by(pair.first, THERE)) == 2
    assert hand_over({**asked_by(pair.first, THERE), "t": "0210"}) == 2  # nothing that has an answer
    assert [bool(size) for size in said] == [False, False, True]
    for asked in issuer.read():
        issuer.answer(asked)
    pair.second.sync()
    assert [one["39"] for one in terminal.read()] == ["00", "00"]
    assert terminal.channel.in_flight == 0


def test_when_the_mesh_dies_what_was_handed_over_stands_and_the_rest_is_reversed(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    requests = [asked_by(pair.first, THERE) for _ in range(2)]
    for request in requests:
        terminal.send(request)
    pair.carry()
    first, second = issuer.read()
    issuer.answer(first)
    pair.second.sync()
    pair.carries = False
    pair.second.syncs = False
    issuer.answer(second)
    pair.part()
    pair.second.syncs = True
    assert pair.second.engine.owed == 1
    assert terminal.channel.in_flight == 0
    assert told(pair.second) == 0
    assert [one["11"] for one in terminal.read()] == [requests[0]["11"]]
    pair.meet()
    assert terminal.ask(requests[0])["39"] == "00"
    assert terminal.ask(requests[1])["39"] == "68"
    pair.second.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["90"][4:10]) == ("0420", second["11"])


def test_an_answer_of_before_the_mesh_died_does_not_count_for_one_of_after(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    terminal.send(asked_by(pair.first, THERE))
    issuer.answer(issuer.read_one())
    pair.second.sync()
    size = terminal.channel.waiting_bytes
    pair.part()
    pair.meet()
    terminal.send(asked_by(pair.first, THERE, f4="000000000500"))
    issuer.answer(issuer.read_one())
    pair.second.sync()
    pair.first.engine.offer(terminal.channel)
    pair.first.engine.note_left(terminal.channel, size)
    pair.carry()
    assert told(pair.second) == 0, "nobody knows of the first, and the second has not left"
    assert len(terminal.read()) == 1
    pair.carry()
    assert told(pair.second) == 1


def test_a_request_waits_for_a_worker_that_is_not_there_and_is_then_handed_over(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    pair.part()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    assert terminal.read() == []
    assert terminal.channel.in_flight == 1
    pair.first.advance(0.5)
    pair.meet()
    issuer.answer(issuer.read_one())
    pair.second.sync()
    assert terminal.read_one()["39"] == "00"
    assert terminal.channel.in_flight == 0


def test_a_request_that_waited_too_long_is_given_up_and_may_come_again(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    pair.part()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    pair.first.advance(1.1)
    assert terminal.read() == []
    assert terminal.channel.in_flight == 0
    pair.meet()
    terminal.send(request)
    issuer.answer(issuer.read_one())
    pair.second.sync()
    assert terminal.read_one()["39"] == "00"


def test_nobody_is_told_no_of_what_the_absent_worker_may_have_approved(pair):
    """The answer was lost with the mesh; the repeat finds nobody who knows of it."""
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    pair.carries = False
    pair.second.sync()
    pair.second.engine.woken()
    pair.second.engine.flush_waiting()
    pair.part()
    terminal.send(request)
    pair.first.advance(1.1)
    assert terminal.read() == []
    assert pair.second.engine.owed == 0, "nobody knows whether it was told"
    pair.meet()
    assert terminal.ask(request)["39"] == "00"


@pytest.mark.parametrize("mti", ["0200", "0220"])
def test_nobody_is_told_no_of_a_refund_either(pair, mti):
    """Some dialects ask for it as an advice."""
    terminal = pair.first.terminal()
    pair.part()
    terminal.send(asked_by(pair.first, THERE, t=mti, f3="200000"))
    pair.first.advance(1.1)
    assert terminal.read() == []
    assert pair.first.count("mesh_refused_total") == 1


def test_what_asks_for_no_payment_is_refused_where_its_worker_is_away(pair):
    terminal = pair.first.terminal()
    pair.part()
    request = asked_by(pair.first, THERE)
    terminal.send(reversal(pair.first, request))
    pair.first.advance(1.1)
    assert [(one["t"], one["39"]) for one in terminal.read()] == [("0410", "91")]


def test_the_repeat_of_what_was_given_up_is_asked_for(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    pair.part()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    pair.first.advance(0.7)
    terminal.send(request)
    pair.first.advance(0.4)
    assert (terminal.read(), terminal.channel.in_flight) == ([], 1)
    pair.meet()
    issuer.answer(issuer.read_one())
    pair.second.sync()
    assert terminal.read_one()["39"] == "00"


def test_who_is_nobody_takes_no_place_of_those_that_wait(pair):
    pair.part()
    terminal = pair.first.terminal()
    stranger = next(name for name in map(str, range(99999000, 99999999)) if partition_of(name, COUNT) == 2)
    terminal.send({**asked_by(pair.first, THERE), "41": stranger})
    assert [one["39"] for one in terminal.read()] == ["58"]
    assert [len(waiting) for waiting in pair.first.engine.mesh.waiting] == [0]


def test_messages_that_wait_for_one_worker_have_room_for_so_many_bytes(pair):
    pair.part()
    sent = 0
    while not pair.first.count("mesh_refused_total"):
        terminal = pair.first.terminal()
        for _ in range(16):
            terminal.send(asked_by(pair.first, THERE, f60="x" * 700))
            sent += 1
    assert 3 << 20 < sent * 1_000 < 6 << 20


def test_what_waits_on_another_connection_is_not_refused_with_it(pair):
    first, second, issuer = pair.first.terminal(), pair.first.terminal(), pair.second.issuer()
    pair.part()
    first.send(asked_by(pair.first, THERE))
    pair.first.advance(0.7)
    second.send(asked_by(pair.first, THERE, f4="000000000500"))
    pair.first.advance(0.4)
    assert first.read() == []
    pair.meet()
    assert [one["4"] for one in issuer.read()] == ["000000000500"]


def test_what_waits_keeps_its_order(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    pair.second.sync()
    terminal.read_one()
    pair.part()
    later = asked_by(pair.first, THERE, f4="000000000500")
    terminal.send(later)
    terminal.send(reversal(pair.first, later))
    pair.meet()
    assert [one["t"] for one in issuer.read()] == ["0200"]
    assert [one["t"] for one in terminal.read()] == ["0410"]


def test_what_found_no_room_is_not_overtaken_by_what_would_find_some(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    pair.carries = False
    while pair.first.peer.waiting_bytes < OUTPUT_BYTES_MAX:
        pair.first.peer.ping()
    request = asked_by(pair.first, THERE)
    terminal.send(request)
    assert [len(waiting) for waiting in pair.first.engine.mesh.waiting] == [1]
    pair.first.peer.take_output()
    terminal.send(reversal(pair.first, request))
    assert [len(waiting) for waiting in pair.first.engine.mesh.waiting] == [2]
    pair.carries = True
    pair.advance(0.1)
    assert [one["t"] for one in issuer.read()] == ["0200"]
    assert [one["t"] for one in terminal.read()] == ["0410"]


def test_answer_on_the_other_workers_connection_finds_its_partition(pair):
    terminal = pair.first.terminal()
    theirs = pair.second.issuer()
    pair.carry()
    terminal.send(asked_by(pair.first, HERE))
    asked = theirs.read_one()  # the first worker has no connection of its own
    assert len(written(pair.first, "intent")) == 1
    theirs.answer(asked)
    pair.second.sync()
    assert terminal.read_one()["39"] == "00"
    assert told(pair.first) == 1


def test_link_goes_down_when_nobody_has_a_connection(pair):
    theirs = pair.second.issuer()
    pair.carry()
    assert [worker.link("bank-a").connections.state_name for worker in pair.workers] == ["up", "up"]
    theirs.close()
    pair.carry()
    assert [worker.link("bank-a").connections.state_name for worker in pair.workers] == ["down", "down"]
    assert pair.first.terminal().ask(asked_by(pair.first, HERE))["39"] == "91"


def suspend(pair):
    """The first worker's own connection leaves requests unanswered; an echo test asks whether it is there."""
    mine = pair.first.issuer()
    terminal = pair.first.terminal()
    state = pair.first.link("bank-a")
    for _ in range(state.timeouts_to_suspend):
        terminal.send(asked_by(pair.first, HERE))
    assert len(mine.read()) == state.timeouts_to_suspend
    pair.advance(state.timeout_ns / 1e9 + 1.0)
    assert "0800" in {one["t"] for one in mine.read()}
    assert state.connections.state_name == "suspended"
    return mine


@pytest.mark.parametrize("ends", ["the echo test is not answered", "it closes"])
def test_a_suspended_connection_that_is_gone_leaves_the_link_to_those_of_others(pair, ends):
    theirs = pair.second.issuer()
    pair.carry()
    mine = suspend(pair)
    assert theirs.read() == []
    if ends == "it closes":
        mine.close()
    else:
        pair.advance(pair.first.link("bank-a").echo_timeout_ns / 1e9 + 1.0)
        assert mine.hung_up == "issuer did not answer"
        mine.close()
    connections = pair.first.link("bank-a").connections
    assert (connections.state_name, connections.timeouts_in_a_row) == ("up", 0)
    pair.advance(1.0)
    owed = theirs.read()
    assert [one["t"] for one in owed] == ["0420"] * pair.first.link("bank-a").timeouts_to_suspend
    for one in owed:
        theirs.answer(one)
    terminal = pair.first.terminal()
    terminal.send(asked_by(pair.first, HERE))
    theirs.answer(theirs.read_one())
    assert terminal.read_one()["39"] == "00"


def test_a_suspended_connection_that_is_gone_takes_the_link_down_when_others_have_none(pair):
    theirs = pair.second.issuer()
    pair.carry()
    mine = suspend(pair)
    theirs.close()
    pair.carry()
    connections = pair.first.link("bank-a").connections
    assert connections.state_name == "suspended"  # its own connection may answer again
    mine.close()
    assert connections.state_name == "down"


def test_what_waits_for_a_peer_that_is_lost_never_leaves(pair):
    theirs = pair.second.issuer()
    pair.carry()
    pair.first.terminal().send(asked_by(pair.first, HERE))
    assert theirs.read_one()["t"] == "0200"
    pair.first.advance(pair.first.link("bank-a").timeout_ns / 1e9 + 1.0)
    pair.part()  # before its reversal was given to the peer
    mine = pair.first.issuer()
    said = []
    while not said:
        pair.first.advance(1.0)
        said = mine.read()
    assert [one["t"] for one in said] == ["0421"]
    mine.answer(said[0])
    pair.meet()
    assert theirs.read() == []


def test_what_waits_for_a_peers_connections_is_lost_with_them(pair):
    theirs = pair.second.issuer()
    pair.carry()
    pair.first.syncs = False
    pair.first.terminal().send(asked_by(pair.first, HERE))
    pair.carry()
    theirs.close()
    pair.carry()
    theirs = pair.second.issuer()
    pair.carry()
    pair.first.syncs = True
    assert theirs.read() == []
    pair.advance(pair.first.link("bank-a").timeout_ns / 1e9 + 1.0)
    assert [one["t"] for one in theirs.read()] == ["0420"]  # nobody here knows that it never left


def test_own_connections_go_first(pair):
    mine, theirs = pair.first.issuer(), pair.second.issuer()
    pair.carry()
    terminal = pair.first.terminal()
    for _ in range(4):
        terminal.send(asked_by(pair.first, HERE))
    assert (len(mine.read()), len(theirs.read())) == (4, 0)


def test_each_terminal_of_one_connection_is_answered(pair):
    terminal = pair.first.terminal()
    issuers = [worker.issuer() for worker in pair.workers]
    requests = [asked_by(pair.first, name) for name in TERMINALS]
    for request in requests:
        terminal.send(request)
    pair.carry()
    for issuer in issuers:
        for asked in issuer.read():
            issuer.answer(asked)
    for worker in pair.workers:
        worker.sync()
    assert sorted((one["41"], one["39"]) for one in terminal.read()) == sorted((name, "00") for name in TERMINALS)
    assert terminal.channel.in_flight == 0


@pytest.mark.parametrize("most", [1, 7, 64])
def test_records_may_come_in_any_pieces(pair, most):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    terminal.send(asked_by(pair.first, THERE))
    pair.carry(most=most)
    issuer.answer(issuer.read_one())
    pair.second.engine.partitions.states[0].journal.sync()
    pair.carry(most=most)
    assert terminal.read_one()["39"] == "00"


def test_terminal_that_is_hung_up_by_its_partition_is_closed(pair):
    terminal = pair.first.terminal()
    request = asked_by(pair.first, THERE)
    del request["11"]
    terminal.send(request)
    pair.carry()
    terminal.read()
    assert terminal.hung_up == "message cannot be read"


def test_a_terminals_address_goes_along(pair):
    terminal = pair.first.terminal()
    terminal.channel.called_from("192.0.2.7")
    terminal.send({**asked_by(pair.first, THERE), "64": "0" * 16})
    pair.carry()
    assert [note["peer"] for note in pair.second.told("mac_failure")] == ["192.0.2.7"]


@pytest.mark.parametrize(("certificate", "code"), [("till-8", "00"), (THERE, "58"), (None, "58")])
def test_a_terminals_certificate_goes_along(certificate, code):
    tls = {"certificate": "a.pem", "private_key": "a.key", "client_ca": "ca.pem", "client_certificate": "required"}
    pair = Pair(terminal={"tls": tls}, **ONE_LINK)
    terminal, issuer = pair.first.terminal("iso", certificate), pair.second.issuer()
    terminal.send(asked_by(pair.first, THERE))
    for asked in issuer.read():
        issuer.answer(asked)
    pair.second.sync()
    assert terminal.read_one()["39"] == code
    pair.settle()


def test_nobody_waits_behind_requests_for_a_worker_that_is_away():
    world = World(listeners=[listener("iso", "iso87-ascii", mac="optional")], part=Part(COUNT, (0,)))
    connections = [link.connections for link in world.engine.state.links]
    away, there = (Peer(number, str(number), world.engine.channels, connections) for number in range(2))
    world.engine.join(Mesh([away, there], [None, 0, 1], PATIENCE_MS))
    world.engine.meet(there)
    there.take_output()
    terminal = world.terminal()
    terminal.send(asked_by(world, TERMINALS[1]))
    assert (away.waiting_bytes, terminal.channel.in_flight) == (0, 1)
    terminal.send(asked_by(world, TERMINALS[2]))
    assert there.waiting_bytes > 0, "given at once"
    assert [len(waiting) for waiting in world.engine.mesh.waiting] == [1, 0]
    terminal.send(asked_by(world, TERMINALS[1]))
    world.engine.meet(away)
    assert [len(waiting) for waiting in world.engine.mesh.waiting] == [0, 0], "and in their order"
    assert terminal.channel.in_flight == 3


def test_what_terminals_have_at_others_counts_until_its_answer_has_left(pair):
    theirs = pair.second.issuer()
    terminal = pair.first.terminal()
    pair.carry()
    terminal.send(asked_by(pair.first, THERE))
    pair.carry()
    assert [worker.engine.at_others for worker in pair.workers] == [1, 0]
    theirs.answer(theirs.read_one())
    pair.second.sync()
    assert (pair.first.engine.at_others, pair.second.engine.in_flight) == (1, 0)
    assert terminal.read_one()["39"] == "00"
    assert pair.first.engine.at_others == 0


def test_what_waits_for_a_worker_that_is_away_counts_until_it_is_given_up(pair):
    pair.part()
    terminal = pair.first.terminal()
    terminal.send(asked_by(pair.first, THERE))
    assert pair.first.engine.at_others == 1
    pair.first.advance(PATIENCE_MS / 1000 + 0.25)
    assert pair.first.engine.at_others == 0
    assert terminal.read() == []
    pair.meet()


def test_what_was_sent_for_others_counts_until_it_is_answered(pair):
    theirs = pair.second.issuer()
    terminal = pair.first.terminal()
    pair.carry()
    terminal.send(asked_by(pair.first, HERE))
    asked = theirs.read_one()
    assert [worker.engine.carried for worker in pair.workers] == [0, 1]
    pair.second.engine.lend_nothing()
    pair.carry()
    assert pair.first.link("bank-a").connections.state_name == "down"
    assert pair.first.terminal().ask(asked_by(pair.first, HERE))["39"] == "91"
    theirs.answer(asked)
    assert pair.second.engine.carried == 0
    pair.carry()
    assert terminal.read_one()["39"] == "00"


@pytest.mark.parametrize("ends", ["its time is over", "who asked is lost"])
def test_nobody_waits_for_ever_for_what_was_sent_for_others(pair, ends):
    theirs = pair.second.issuer()
    pair.carry()
    pair.first.terminal().send(asked_by(pair.first, HERE))
    theirs.read_one()
    assert pair.second.engine.carried == 1
    if ends == "who asked is lost":
        pair.part()
    else:
        pair.second.advance(pair.second.link("bank-a").timeout_ns / 1e9)
    assert pair.second.engine.carried == 0
