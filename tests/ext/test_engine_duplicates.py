"""One request, one outcome: repeats join, get the stored answer, or are refused; nothing is asked twice."""

from __future__ import annotations

import pytest

from tests.ext.world import LINKS_AT_ONCE, OTHER_MERCHANT, VISA, change, harmless_sides, listener, purchase, reversal


def world_of_three_places(make_world, tmp_path):
    """Long private fields are kept with an outcome, and soon find no room."""
    return make_world(
        limits={"duplicate_window_count_max": 1, "transactions_in_flight_max": 2}, **harmless_sides(tmp_path)
    )


def test_repeat_of_a_finished_request_gets_the_stored_answer(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    terminal.read_one()
    first = terminal.raw[-1]
    again = world.terminal()
    again.send(request)
    again.read_one()
    assert again.raw[-1] == first
    terminal.send(change(request, t="0201"))
    assert terminal.read_one()["39"] == "00"
    assert issuer.read() == []
    assert world.count("duplicates_repeated_total", listener="iso") == 2


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_repeat_of_a_request_in_flight_joins_it(world, name):
    first, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name)
    first.send(request)
    asked = issuer.read_one()
    second = world.terminal(name)
    second.send(request)
    assert issuer.read() == []
    assert (first.channel.in_flight, second.channel.in_flight) == (0, 1)
    issuer.answer(asked)
    assert first.read() == []
    assert second.read_one()["39"] == "00"
    assert world.count("duplicates_joined_total", listener=name) == 1
    assert len([1 for what, _ in world.journal.records if what == "intent"]) == 1


def test_joined_on_the_same_connection(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    terminal.send(request)
    assert terminal.channel.in_flight == 1
    issuer.answer(issuer.read_one())
    assert len(terminal.read()) == 1
    assert terminal.channel.in_flight == 0


def test_joined_answer_carries_the_newest_connections_headers(world):
    first, second, issuer = world.terminal("cup"), world.terminal("cup"), world.issuer()
    request = purchase(world, "cup")
    for terminal, address in ((first, "0001"), (second, "0002")):
        headers = bytes.fromhex(f"60{address}0000613100311108")
        terminal.feed(terminal.frame(terminal.encode(request), headers))
    issuer.answer(issuer.read_one())
    assert first.read() == []
    second.read_one()
    assert second.headers == bytes.fromhex("6000000002613100311108")


def test_connection_that_was_full_reads_on_when_another_joins(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", requests_in_flight_max=1)])
    first, second, issuer = world.terminal(), world.terminal(), world.issuer()
    request, next_one = purchase(world), purchase(world)
    first.feed(first.frame(first.encode(request)) + first.frame(first.encode(next_one)))
    asked = issuer.read_one()
    world.engine.state.channels.dirty.clear()
    assert first.read() == []
    second.send(request)
    assert first.channel in world.engine.state.channels.dirty
    first.feed(b"")
    assert int(issuer.read_one()["11"]) == int(asked["11"]) % 999_999 + 1


@pytest.mark.parametrize("changes", [{"f4": "000000009999"}, {"f2": VISA}, {"f3": "010000"}])
@pytest.mark.parametrize("finished", [False, True])
def test_number_of_another_request_is_refused(world, changes, finished):
    terminal, issuer = world.terminal(), world.issuer()
    world.issuer("bank-b")
    request = purchase(world)
    terminal.send(request)
    if finished:
        issuer.answer(issuer.read_one())
        terminal.read_one()
    answer = terminal.ask(change(request, **changes))
    assert answer["39"] == "94"
    assert answer["4"] == changes.get("f4", request["4"])
    assert world.count("duplicates_conflicting_total", listener="iso") == 1


def test_stored_answer_is_not_given_in_another_dialect(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii"), listener("packed", "iso87-binary")])
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    other = world.terminal("packed")
    assert other.ask(request)["39"] == "94"
    terminal.send(in_flight := purchase(world))
    assert other.ask(in_flight)["39"] == "94"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("iso", {"f12": "160001"}),
        ("iso", {"f13": "0116"}),
        ("iso", {"f41": "10000003", "f42": OTHER_MERCHANT}),
        ("iso", {"t": "0100"}),
        ("cup", {"f60": "22000002"}),
        ("cup", {"f41": "10000009"}),
    ],
)
def test_what_makes_another_request(world, name, changes):
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name)
    terminal.send(request)
    processing = {"f3": "030000", "f60": "10000001"} if name == "cup" and "t" in changes else {}
    terminal.send(change(request, **changes, **processing))
    assert len(issuer.read()) == 2


def test_what_was_declined_is_not_asked_again(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one(), "51")
    assert terminal.read_one()["39"] == "51"
    assert terminal.ask(request)["39"] == "51"
    assert issuer.read() == []


def test_finished_requests_are_forgotten_after_the_window(make_world):
    world = make_world(limits={"duplicate_window_seconds": 30})
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    terminal.read_one()
    world.advance(29, step=1)
    assert terminal.ask(request)["39"] == "00"
    world.advance(3, step=1)
    assert world.engine.state.duplicates.in_use == 0
    terminal.send(request)
    assert issuer.read_one()["t"] == "0200"


def test_approval_that_waits_to_leave_is_not_forgotten(make_world):
    world = make_world(limits={"duplicate_window_seconds": 3})
    slow, quick, issuer = world.terminal(), world.terminal(), world.issuer()
    slow.send(purchase(world))
    issuer.answer(issuer.read_one(), f38="SLOW01")
    world.advance(5, step=1)
    quick.send(purchase(world))
    issuer.answer(issuer.read_one())
    assert quick.read_one()["39"] == "00"
    slow.close()
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["38"]) == ("0420", "SLOW01")


def test_approval_that_cannot_be_kept_is_not_told(make_world, tmp_path):
    world = world_of_three_places(make_world, tmp_path)
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one(), f62="I" * 999, f63="J" * 999)
    assert terminal.read_one()["39"] == "96"
    world.tick()
    assert issuer.read_one()["t"] == "0420"
    assert terminal.ask(request)["39"] == "96"
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"


def test_approval_that_is_kept_without_its_request_is_not_told(make_world, tmp_path):
    """There is room for the answer, but not for what its reversal is made of."""
    world = world_of_three_places(make_world, tmp_path)
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    issuer.answer(asked, f62="I" * 999, f63="J" * 300)
    assert terminal.read_one()["39"] == "96"
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["37"]) == ("0420", asked["37"])
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.tick()
    assert issuer.read() == []


def test_repeat_that_was_told_is_not_reversed_with_the_first(world):
    world.syncs = False
    first, second, issuer = world.terminal(), world.terminal(), world.issuer()
    request = purchase(world)
    first.send(request)
    world.journal.sync()
    issuer.answer(issuer.read_one())
    second.send(request)
    world.journal.sync()
    assert second.read_one()["39"] == "00"
    first.close()
    world.tick()
    assert issuer.read() == []
    assert world.engine.owed == 0


def test_repeat_that_was_not_told_either(world):
    first, second, issuer = world.terminal(), world.terminal(), world.issuer()
    request = purchase(world)
    first.send(request)
    issuer.answer(issuer.read_one())
    second.send(request)
    first.close()
    assert world.engine.owed == 0
    second.close()
    assert world.engine.owed == 1
    world.tick()
    assert issuer.read_one()["t"] == "0420"
    assert world.terminal().ask(request)["39"] == "68"


def test_what_was_refused_at_a_limit_is_never_charged(make_world):
    world = make_world(limits={"transactions_in_flight_max": 1})
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    request = purchase(world)
    assert terminal.ask(request)["39"] == "96"
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    assert terminal.ask(request)["39"] == "96"
    assert issuer.read() == []


def test_reversal_that_was_refused_at_a_limit_is_taken_when_it_comes_again(make_world):
    world = make_world(limits={"reversals_max": 8}, links=LINKS_AT_ONCE)
    terminal, issuer = world.terminal(), world.issuer()
    refused = None
    for _ in range(8):
        request = reversal(world, purchase(world))
        if terminal.ask(request)["39"] == "96":
            refused = request
            break
    assert refused is not None
    while world.engine.owed:
        world.tick()
        for asked in issuer.read():
            issuer.answer(asked, "25")
    assert terminal.ask(refused)["39"] == "00"


@pytest.mark.parametrize("code", ["05", "51", "Z3"])
def test_a_decline_whose_answer_finds_no_room_is_told_again(make_world, tmp_path, code):
    world = world_of_three_places(make_world, tmp_path)
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one(), code, f62="I" * 999, f63="J" * 999)
    first = terminal.read_one()
    assert (first["39"], len(first["62"])) == ("05" if code == "Z3" else code, 999)
    again = terminal.ask(request)
    assert (again["39"], again["37"], again.get("62")) == (first["39"], first["37"], None)
    assert issuer.read() == []
