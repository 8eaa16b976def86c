"""Sockets and the state machine: real connections, in a loop that turns when the test says so."""

import contextlib
import os
import socket
from pathlib import Path

import pytest

from tests.ext.wire import OUTPUT_BYTES_MAX, Wire
from tests.ext.world import purchase

EVENTS_A_TURN = 256
READ_BYTES = 65_536


@pytest.fixture
def wire(world):
    wire = Wire(world)
    yield wire
    assert not wire.loop.mistakes
    wire.close()


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def asked_by(terminal, issuer, world, count=1):
    """Requests of a terminal, as they came to the issuer."""
    terminal.send(*(purchase(world) for _ in range(count)))
    asked = []
    terminal.wire.until(lambda: asked.extend(issuer.read()) or len(asked) == count)
    return asked


def clog(terminal, world):
    """Let a terminal ask without reading until its kernel takes nothing more; how much waits for it here."""
    request = purchase(world, f2="4111111111111111")
    terminal.send(request)
    terminal.read_one()
    while not terminal.channel.waiting_bytes:
        terminal.send(*[request] * 20)
        terminal.wire.turn(3)
    return terminal.channel.waiting_bytes


# --- in and out -------------------------------------------------------------------------------------------------------


def test_what_one_turn_brings_is_written_at_once(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    asked = asked_by(terminal, issuer, world, 3)
    for request in asked:
        issuer.answer(request)
    answers = []
    wire.until(lambda: answers.extend(terminal.read()) or answers)
    assert [answer["39"] for answer in answers] == ["00"] * 3


def test_message_is_whole_however_it_is_cut(world, wire):
    """A frame in two pieces, cut at each of its bytes, and each piece read in a turn of its own."""
    terminal = wire.terminal()
    request = purchase(world, f2="4111111111111111")
    terminal.send(request)
    expected = terminal.read_one()
    frame = terminal.frames([request])
    for place in range(1, len(frame)):
        terminal.socket.sendall(frame[:place])
        wire.turn()
        assert terminal.read() == []
        terminal.socket.sendall(frame[place:])
        assert terminal.read_one() == expected, place


def test_message_in_single_bytes_is_answered(world, wire):
    terminal = wire.terminal()
    for byte in terminal.frames([purchase(world, f2="4111111111111111")]):
        terminal.socket.sendall(bytes([byte]))
        wire.turn()
    assert terminal.read_one()["39"] == "91"


@pytest.mark.parametrize("size", [READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 2 * READ_BYTES])
def test_all_is_read_however_full_the_read_is(world, wire, size):
    """Nothing tells again that there is more: what one read leaves behind is asked for without being told."""
    terminal = wire.terminal()
    frame = terminal.frames([purchase(world, f2="4111111111111111")])
    data = bytes(size - len(frame) & ~1) + frame  # keep-alives, and then a request
    terminal.socket.setblocking(True)
    terminal.socket.sendall(data)
    terminal.socket.setblocking(False)
    assert terminal.read_one()["39"] == "91"


def test_more_connections_than_one_turn_hears_are_all_heard(world, wire):
    terminals = [wire.terminal() for _ in range(EVENTS_A_TURN + 40)]
    wire.turn()
    for terminal in terminals:
        terminal.send(purchase(world, f2="4111111111111111"))
    wire.turn()
    assert world.count("requests_total", listener="iso") == EVENTS_A_TURN
    for terminal in terminals:
        assert terminal.read_one()["39"] == "91"


def test_what_waits_for_the_journal_leaves_when_it_is_durable(world, wire):
    world.syncs = False
    terminal, issuer = wire.terminal(), wire.issuer()
    terminal.send(purchase(world))
    wire.turn(5)
    assert issuer.read() == []
    world.sync()
    wire.reactor.flush_gated()
    (asked,) = issuer.read()
    issuer.answer(asked)
    wire.turn(5)
    assert terminal.read() == []
    world.sync()
    wire.reactor.flush_gated()
    assert terminal.read()[0]["39"] == "00"


# --- who does not read ------------------------------------------------------------------------------------------------


def test_rest_of_the_output_leaves_when_the_peer_reads(world, wire):
    terminal = wire.terminal(receive_bytes=4096)
    clog(terminal, world)
    wire.until(lambda: terminal.read() and not terminal.channel.waiting_bytes)
    assert not terminal.lost


def test_frame_of_which_a_part_has_left_is_finished_before_the_connection_is_cut(world, wire):
    """An approval of which only a part could leave was not told: it is reversed."""
    terminal, issuer = wire.terminal(receive_bytes=4096), wire.issuer()
    wire.turn()
    clog(terminal, world)
    terminal.send(purchase(world))
    asked = []
    wire.until(lambda: asked.extend(issuer.read()) or asked)
    issuer.answer(asked[0])
    wire.until(lambda: world.engine.state.duplicates.untold)
    terminal.socket.close()
    wire.until(lambda: terminal.lost)
    assert world.engine.owed == 1
    issuer.answer(issuer.read_one())
    wire.until(lambda: world.engine.owed == 0)


def test_approval_behind_a_peer_that_does_not_read_is_reversed(world, wire):
    terminal, issuer = wire.terminal(receive_bytes=4096), wire.issuer()
    wire.turn()
    clog(terminal, world)
    terminal.send(purchase(world))
    asked = []
    wire.until(lambda: asked.extend(issuer.read()) or asked)
    issuer.answer(asked[0])
    wire.until(lambda: world.engine.state.duplicates.untold)
    world.engine.abandon_untold()
    wire.until(lambda: terminal.lost)
    assert world.engine.owed == 1
    issuer.answer(issuer.read_one())
    wire.until(lambda: world.engine.owed == 0)


def test_peer_that_leaves_too_much_unread_is_cut(world, wire):
    deaf, other = wire.terminal(receive_bytes=4096), wire.terminal()
    request = purchase(world, f2="4111111111111111")
    wire.turn()
    while not deaf.lost:
        with contextlib.suppress(ConnectionError, BlockingIOError):
            deaf.send(*[request] * 20)
        wire.turn(2)
        assert deaf.channel.waiting_bytes <= OUTPUT_BYTES_MAX + READ_BYTES
    assert deaf.lost == ["peer does not read"]
    assert world.count("slow_consumers_total") == 1
    other.send(request)
    assert other.read_one()["39"] == "91"


# --- ends -------------------------------------------------------------------------------------------------------------


def test_approval_for_a_connection_that_is_cut_is_reversed(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    (asked,) = asked_by(terminal, issuer, world)
    terminal.connection.abort("enough")
    issuer.answer(asked)
    wire.until(lambda: terminal.lost)
    assert terminal.lost == ["enough"]
    assert terminal.is_closed()
    issuer.answer(issuer.read_one())
    wire.until(lambda: world.engine.owed == 0)


def test_approval_whose_sending_fails_is_reversed(world, wire):
    """The kernel says that the peer is gone when the answer is handed to it: so it took none of it."""
    world.syncs = False
    terminal, issuer = wire.terminal(), wire.issuer()
    terminal.send(purchase(world))
    wire.turn(5)
    world.sync()
    wire.reactor.flush_gated()
    (asked,) = issuer.read()
    issuer.answer(asked)
    wire.turn(5)
    terminal.reset()
    world.sync()
    wire.reactor.flush_gated()
    wire.until(lambda: terminal.lost)
    assert world.engine.owed == 1


def test_connection_that_is_given_up_first_gets_the_answers_that_it_waits_for(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    (asked,) = asked_by(terminal, issuer, world)
    terminal.socket.sendall(b"\xff\xff")
    wire.turn(3)
    assert not terminal.lost
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    wire.until(lambda: terminal.lost)
    assert terminal.lost == ["frame cannot be read"]
    assert terminal.is_closed()
    assert world.engine.owed == 0


def test_reset_in_the_middle_of_a_request_reverses_its_approval(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    (asked,) = asked_by(terminal, issuer, world)
    terminal.reset()
    wire.until(lambda: terminal.lost)
    assert terminal.lost == ["Connection reset by peer"]
    issuer.answer(asked)
    issuer.answer(issuer.read_one())
    wire.until(lambda: world.engine.owed == 0)


def test_request_that_comes_together_with_the_end_is_answered(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    terminal.send(purchase(world))
    terminal.socket.shutdown(socket.SHUT_WR)
    asked = issuer.read_one()
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    wire.until(lambda: terminal.lost)
    assert terminal.lost == ["closed by peer"]
    assert terminal.is_closed()
    assert world.engine.owed == 0


def test_peer_that_shut_its_side_gets_each_of_its_answers(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    asked = asked_by(terminal, issuer, world, 3)
    terminal.socket.shutdown(socket.SHUT_WR)
    wire.turn(3)
    for request in asked:
        issuer.answer(request)
        assert terminal.read_one()["39"] == "00"
    wire.until(lambda: terminal.lost)
    assert world.engine.owed == 0


def test_answer_to_a_peer_that_is_gone_was_not_told(world, wire):
    """Its end looked like that of one that waits for its answers, until the answer was sent."""
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    (asked,) = asked_by(terminal, issuer, world)
    terminal.socket.close()
    wire.turn(3)
    assert not terminal.lost
    issuer.answer(asked)
    wire.until(lambda: terminal.lost)
    assert terminal.lost == ["peer was gone before its answer"]
    issuer.answer(issuer.read_one())
    wire.until(lambda: world.engine.owed == 0)


def test_peer_that_shut_its_side_and_asks_nothing_is_closed(wire):
    terminal = wire.terminal()
    wire.turn()
    terminal.socket.shutdown(socket.SHUT_WR)
    wire.until(lambda: terminal.lost)
    assert terminal.is_closed()


def test_issuer_that_shuts_its_side_has_nothing_more_to_say(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    asked_by(terminal, issuer, world)
    issuer.socket.shutdown(socket.SHUT_WR)
    wire.until(lambda: issuer.lost)
    assert issuer.lost == ["closed by peer"]


def test_connection_that_is_refused_at_the_door_is_closed(world, wire):
    far, near = wire.pair()
    peer = wire.terminal_at(far)
    lost = []
    connection = type(peer.connection)(
        wire.reactor, peer.channel, lambda _: "not you", lambda one, why: lost.append((one.was_open, why))
    )
    connection.open(near.detach())
    wire.until(lambda: lost)
    assert lost == [(False, "not you")]
    assert peer.is_closed()
    assert world.engine.state.channels.open_count == 0


def test_mistake_in_one_connection_harms_no_other(world, wire):
    far, near = wire.pair()
    wrong = wire.terminal_at(far)

    def stumble(_connection, _why):
        raise ValueError("wrong")

    connection = type(wrong.connection)(wire.reactor, wrong.channel, None, stumble)
    connection.open(near.detach())
    other = wire.terminal()
    far.close()
    other.send(purchase(world, f2="4111111111111111"))
    assert other.read_one()["39"] == "91"
    wire.until(lambda: not wrong.channel.is_open)
    assert [str(mistake) for mistake in wire.loop.mistakes] == ["wrong"]
    wire.loop.mistakes.clear()


def test_no_descriptor_is_left_however_a_connection_ends(world, wire):
    before = descriptors()
    for end in ("close", "reset", "hang up", "abort", "half"):
        peers = [wire.terminal() for _ in range(20)]
        for peer in peers:
            peer.send(purchase(world, f2="4111111111111111"))
        wire.turn(2)
        for peer in peers:
            if end == "close":
                peer.socket.close()
            elif end == "reset":
                peer.reset()
            elif end == "half":
                peer.socket.shutdown(socket.SHUT_WR)
            elif end == "hang up":
                peer.connection.hang_up("enough")
            else:
                peer.connection.abort("enough")
        wire.until(lambda peers=peers: all(peer.lost for peer in peers))
        for peer in peers:
            peer.socket.close()
        assert descriptors() == before, end


def test_socket_that_cannot_be_watched_is_closed(wire):
    far, near = wire.pair()
    peer = wire.terminal_at(far)
    file = os.open("/dev/null", os.O_RDONLY)
    before = descriptors()
    with pytest.raises(PermissionError):
        peer.connection.open(file)
    assert descriptors() == before - 1
    near.close()


def test_all_are_closed_when_the_reactor_stops(world, wire):
    terminal, issuer = wire.terminal(), wire.issuer()
    wire.turn()
    wire.reactor.stop()
    assert terminal.lost == issuer.lost == ["the switch ends"]
    assert world.engine.state.channels.open_count == 0
    wire.reactor.start()
