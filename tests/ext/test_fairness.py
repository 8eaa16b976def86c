"""Who floods gets a bounded number of messages handled in a turn of the loop; then the others have theirs."""

from __future__ import annotations

import pytest

from tests.ext.wire import Wire
from tests.ext.world import issuer_answer, purchase

MESSAGES_A_TURN = 64
FLOOD = 1000


@pytest.fixture
def wire(world):
    wire = Wire(world)
    yield wire
    wire.close()


def flood(peer, data):
    """Send more than one turn handles."""
    peer.socket.setblocking(True)
    peer.socket.sendall(data)
    peer.socket.setblocking(False)


def requests(world):
    return world.count("requests_total", listener="iso")


def test_other_terminals_wait_for_one_turn_of_a_flood_at_most(world, wire):
    flooding, patient = wire.terminal(), wire.terminal()
    wire.turn()
    flood(flooding, flooding.frames(purchase(world, f2="4111111111111111") for _ in range(FLOOD)))
    patient.send(purchase(world, f2="4111111111111111"))
    wire.turn()
    assert requests(world) == MESSAGES_A_TURN + 1
    assert patient.read_one()["39"] == "91"
    while (seen := requests(world)) < FLOOD + 1:
        wire.turn()
        flooding.read()
        assert 0 <= requests(world) - seen <= MESSAGES_A_TURN


def test_a_terminal_that_floods_waits_with_its_requests_in_flight(world, wire):
    """The bound on what waits for issuers holds in the same turn, and what was read meanwhile is not lost."""
    issuer, flooding = wire.issuer(), wire.terminal()
    wire.turn()
    limit = world.listener("iso").in_flight_max
    flood(flooding, flooding.frames(purchase(world) for _ in range(3 * limit)))
    wire.until(lambda: world.engine.in_flight == limit)
    wire.turn(5)
    assert flooding.channel.in_flight == world.engine.in_flight == limit
    answered = []

    def answer_all():
        for asked in issuer.read():
            issuer.answer(asked)
        answered.extend(flooding.read())
        assert flooding.channel.in_flight <= limit
        return len(answered) == 3 * limit

    wire.until(answer_all)
    assert {answer["39"] for answer in answered} == {"00"}


def test_an_issuer_that_floods_does_not_keep_terminals_waiting(world, wire):
    issuer, patient = wire.issuer(), wire.terminal()
    wire.turn()
    stray = issuer_answer(purchase(world) | {"37": "000000000001"})
    flood(issuer, issuer.frames([stray]) * FLOOD)
    patient.send(purchase(world, f2="4111111111111111"))
    wire.turn()
    assert world.count("link_unmatched_answers_total", link="bank-a") == MESSAGES_A_TURN
    wire.turn()
    assert len(patient.read()) == 1
    assert world.count("link_unmatched_answers_total", link="bank-a") == 2 * MESSAGES_A_TURN


def test_keep_alives_count_as_messages(world, wire):
    flooding = wire.terminal()
    wire.turn()
    flood(flooding, bytes(2) * FLOOD)
    wire.turn()
    assert world.count("keep_alives_total", listener="iso") == MESSAGES_A_TURN
    wire.turn()
    assert world.count("keep_alives_total", listener="iso") == 2 * MESSAGES_A_TURN
