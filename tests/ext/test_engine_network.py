"""Network management with issuers and terminals, the health of links, silence, and the drain."""

from __future__ import annotations

import pytest

from tests.ext.world import ONE_ROUTE, link, listener, purchase

SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"


def one_link(dialect_name="iso87-ascii", **changes):
    """Arguments of a world with one link, which signs on and tests the line when it is idle for a minute."""
    settings = {"sign_on": True, "echo_interval_ms": 60_000, "echo_timeout_ms": 5_000} | changes
    return {"links": [link("bank-a", dialect_name, **settings)], "routes": ONE_ROUTE}


def says_goodbye(issuer, goodbye):
    """The issuer answers our sign-off, and is hung up."""
    issuer.answer(goodbye, mac=False)
    issuer.read()
    assert issuer.hung_up == "signed off"


def signed_on(world):
    """A connection whose sign-on was accepted."""
    issuer = world.issuer()
    issuer.answer(issuer.read_one(), mac=False)
    assert world.link("bank-a").connections.state_name == "up"
    return issuer


# --- sign-on ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect_name", ["iso87-ascii", "iso87-binary", "iso93-ascii", "cup"])
def test_sign_on(make_world, dialect_name):
    world = make_world(**one_link(dialect_name, match={"verify": [41, 4]}))
    issuer, terminal = world.issuer(), world.terminal()
    asked = issuer.read_one()
    assert asked["t"] == ("1804" if dialect_name == "iso93-ascii" else "0800")
    assert world.link("bank-a").connections.state_name == "down"
    assert terminal.ask(purchase(world))["39"] == "91"
    answer = {name: asked[name] for name in ("7", "11", "12", "24", "60", "70") if name in asked}
    code = "800" if dialect_name == "iso93-ascii" else "00"
    issuer.send({**answer, "t": asked["t"][:2] + "1" + asked["t"][3], "39": code}, mac=False)
    assert world.link("bank-a").connections.state_name == "up"
    assert world.told("link_up") == [{"link": "bank-a"}]
    terminal.send(purchase(world))
    assert issuer.read_one()["t"] in ("0200", "1200")


def test_refused_sign_on(make_world):
    world = make_world(**one_link())
    issuer = world.issuer()
    issuer.answer(issuer.read_one(), "91", mac=False)
    issuer.read()
    assert issuer.hung_up == "issuer refused the sign-on"
    assert world.link("bank-a").connections.state_name == "down"
    assert world.count("link_network_failures_total") == 1


def test_sign_on_that_is_not_answered(make_world):
    world = make_world(**one_link())
    issuer = world.issuer()
    issuer.read_one()
    world.advance(4.9)
    assert issuer.hung_up is None
    world.advance(0.2)
    issuer.read()
    assert issuer.hung_up == "issuer did not answer"


def test_sign_on_is_sent_when_there_is_room_for_it(make_world):
    world = make_world(**one_link(), limits={"transactions_in_flight_max": 1})
    first = signed_on(world)
    terminal = world.terminal()
    terminal.send(purchase(world))
    second = world.issuer()
    assert second.read() == []
    first.answer(first.read_one())
    assert terminal.read_one()["39"] == "00"
    world.advance(0.5)
    assert second.read_one()["70"] == SIGN_ON


def test_answer_to_the_sign_on_of_another_connection(make_world):
    world = make_world(**one_link())
    first, second = world.issuer(), world.issuer()
    asked, other = first.read_one(), second.read_one()
    first.answer(other, mac=False)
    assert world.count("link_mismatched_answers_total") == 1
    assert world.link("bank-a").connections.state_name == "down"
    first.answer(asked, mac=False)
    second.answer(other, mac=False)
    assert len(world.link("bank-a").connections.channels) == 2


def test_work_is_shared_among_connections(make_world):
    world = make_world(**one_link())
    issuers = [signed_on(world) for _ in range(3)]
    terminal = world.terminal()
    for _ in range(9):
        terminal.send(purchase(world))
    asked = [issuer.read() for issuer in issuers]
    assert [len(one) for one in asked] == [3, 3, 3]
    issuers[1].close()
    assert world.link("bank-a").connections.state_name == "up"
    for request in (*asked[0], *asked[1], *asked[2]):
        issuers[0].answer(request)
    assert len(terminal.read()) == 9


# --- echo tests and health --------------------------------------------------------------------------------------------


def test_idle_line_is_tested(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.advance(60)
    assert issuer.read() == []
    world.advance(0.5)
    asked = issuer.read_one()
    assert (asked["t"], asked["70"]) == ("0800", ECHO)
    world.advance(3)
    issuer.answer(asked, mac=False)
    world.advance(30, step=1)
    assert issuer.read() == []
    assert issuer.hung_up is None


def test_echo_test_that_is_not_answered(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.advance(61)
    issuer.read_one()
    world.advance(5.1)
    assert world.link("bank-a").connections.state_name == "down"
    issuer.read()
    assert issuer.hung_up == "issuer did not answer"
    assert world.terminal().ask(purchase(world))["39"] == "91"


def test_echo_test_that_is_refused(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.advance(61)
    issuer.answer(issuer.read_one(), "96", mac=False)
    issuer.read()
    assert issuer.hung_up == "issuer refused the echo test"


def test_connection_that_is_hung_up_gets_no_more_work(make_world):
    world = make_world(**one_link())
    issuer, other = signed_on(world), signed_on(world)
    world.advance(60.5)
    issuer.read_one()
    other.answer(other.read_one(), mac=False)
    world.advance(5.1)
    assert issuer.hung_up == "issuer did not answer"
    assert issuer.channel.is_open  # it stands until its output has left, which nobody has looked at yet
    terminal = world.terminal()
    for _ in range(4):
        terminal.send(purchase(world))
    assert len(other.read()) == 4
    assert issuer.read() == []


def test_link_is_suspended_after_time_outs_and_comes_back(make_world):
    world = make_world(**one_link(timeouts_to_unhealthy=3))
    issuer, terminal = signed_on(world), world.terminal()
    for _ in range(3):
        terminal.send(purchase(world))
    issuer.read()
    world.advance(15.1)
    assert len(terminal.read()) == 3
    assert world.link("bank-a").connections.state_name == "suspended"
    assert world.told("link_suspended") == [{"link": "bank-a", "timeouts": 3}]
    assert terminal.ask(purchase(world))["39"] == "91"
    asked = issuer.read_one()  # nothing but the echo test: reversals rest as well
    assert asked["70"] == ECHO
    issuer.answer(asked, mac=False)
    assert world.link("bank-a").connections.state_name == "up"
    assert [one["t"] for one in issuer.read()] == ["0420"] * 3
    terminal.send(purchase(world))
    assert issuer.read_one()["t"] == "0200"


def test_suspended_link_that_does_not_come_back(make_world):
    world = make_world(**one_link(timeouts_to_unhealthy=1, echo_interval_ms=0))
    issuer, terminal = signed_on(world), world.terminal()
    terminal.send(purchase(world))
    issuer.read_one()
    world.advance(15.1)
    world.advance(5.1)
    terminal.read()
    issuer.read()
    assert issuer.hung_up == "issuer did not answer"
    assert world.link("bank-a").connections.state_name == "down"
    back = signed_on(world)
    assert back.read_one()["t"] == "0420"


def test_an_answer_ends_the_row_of_time_outs(make_world):
    world = make_world(**one_link(timeouts_to_unhealthy=2))
    issuer, terminal = signed_on(world), world.terminal()
    for _ in range(3):
        terminal.send(purchase(world))
        issuer.read()
        world.advance(15.1)
        for one in issuer.read():
            issuer.answer(one)
        terminal.read()
        assert world.link("bank-a").connections.state_name == "up"
    assert world.told("link_suspended") == []


# --- what issuers send ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(SIGN_ON, "00"), (ECHO, "00"), (SIGN_OFF, "00"), ("201", "00"), ("161", "12")]
)
def test_issuers_own_network_messages(make_world, number, code):
    world = make_world(**one_link())
    issuer = signed_on(world)
    issuer.send({"t": "0800", "7": "0115080000", "11": "004711", "70": number}, mac=False)
    answer = issuer.read_one()
    assert (answer["t"], answer["39"], answer["11"], answer["70"]) == ("0810", code, "004711", number)
    assert world.link("bank-a").connections.state_name == ("down" if number == SIGN_OFF else "up")


def test_issuer_that_signs_off_gets_no_work_until_it_signs_on(make_world):
    world = make_world(**one_link())
    issuer, terminal = signed_on(world), world.terminal()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.send({"t": "0800", "7": "0115080000", "11": "000001", "70": SIGN_OFF}, mac=False)
    issuer.read_one()
    assert terminal.ask(purchase(world))["39"] == "91"
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    world.advance(200, step=1)
    assert issuer.read() == []
    issuer.send({"t": "0800", "7": "0115080000", "11": "000002", "70": SIGN_ON}, mac=False)
    assert issuer.read_one()["39"] == "00"
    terminal.send(purchase(world))
    assert issuer.read_one()["t"] == "0200"


def test_issuer_that_signs_off_during_an_echo_test_stays_off(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.advance(61)
    echo = issuer.read_one()
    issuer.send({"t": "0800", "7": "0115080000", "11": "000001", "70": SIGN_OFF}, mac=False)
    issuer.read_one()
    issuer.answer(echo, mac=False)
    assert world.link("bank-a").connections.state_name == "down"
    assert issuer.read() == []


def test_what_an_issuer_may_not_ask(world):
    issuer = world.issuer()
    issuer.send({"t": "0200", "3": "000000", "11": "000001"}, mac=False)
    assert issuer.read() == []
    assert world.count("link_unexpected_messages_total") == 1


# --- terminals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [SIGN_ON, SIGN_OFF, ECHO])
def test_network_messages_of_terminals(world, number):
    terminal = world.terminal()
    request = {"t": "0800", "7": "0115080000", "11": "000001", "41": "10000002", "70": number}
    answer = terminal.ask(request, mac=False)
    assert (answer["t"], answer["39"], answer["11"], answer["70"]) == ("0810", "00", "000001", number)
    assert terminal.ask({**request, "41": "99999999"}, mac=False)["39"] == "58"


def test_cut_over_is_not_the_terminals_to_ask(world):
    terminal = world.terminal()
    request = {"t": "0800", "7": "0115080000", "11": "000001", "41": "10000002", "70": "201"}
    assert terminal.ask(request, mac=False)["39"] == "12"


# --- silence ----------------------------------------------------------------------------------------------------------


def test_frame_that_never_ends(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", partial_frame_timeout_ms=2_000)])
    terminal = world.terminal()
    frame = terminal.frame(terminal.encode(purchase(world, f41="99999999"), mac=False))
    for byte in frame[:20]:
        terminal.feed(bytes([byte]))
        world.advance(0.1)
    assert terminal.hung_up is None
    world.advance(0.5)
    assert terminal.hung_up == "frame was not finished in time"


def test_time_of_a_partial_frame_begins_with_it(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", partial_frame_timeout_ms=2_000)])
    terminal = world.terminal()
    frame = terminal.frame(terminal.encode(purchase(world, f41="99999999"), mac=False))
    terminal.feed(frame[:10])
    for _ in range(10):  # every chunk ends one frame and begins the next
        world.advance(1)
        terminal.feed(frame[10:] + frame[:10])
    assert terminal.hung_up is None
    assert len(terminal.read()) == 10
    terminal.feed(frame[10:])
    world.advance(10)
    assert terminal.hung_up is None


def test_silent_connections_are_closed(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", idle_timeout_ms=12_000)])
    silent, waiting, busy, issuer = world.terminal(), world.terminal(), world.terminal(), world.issuer()
    waiting.send(purchase(world))
    world.advance(6)
    busy.feed(b"\x00\x00")
    asked = issuer.read_one()
    world.advance(6.5)
    assert (silent.hung_up, waiting.hung_up, busy.hung_up) == ("idle", None, None)
    issuer.answer(asked)
    assert waiting.read_one()["39"] == "00"
    world.advance(0.5)
    assert waiting.hung_up == "idle"


def test_ten_thousand_connections_that_say_nothing(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", idle_timeout_ms=5_000)])
    lines = [world.terminal() for _ in range(10_000)]
    assert world.engine.state.channels.open_count == 10_000
    world.advance(6.5, step=0.05)
    assert all(line.hung_up == "idle" for line in lines)


def test_limits_of_many_connections_are_looked_at_by_and_by(make_world):
    """No tick walks more than a slice of them; with a tick every 10 ms all had their turn in time."""
    world = make_world(listeners=[listener("iso", "iso87-ascii", idle_timeout_ms=5_000)])
    lines = [world.terminal() for _ in range(5_000)]
    world.advance(5.0)
    cut = ticks = 0
    while cut < len(lines):
        world.advance(0.01)
        now = sum(line.hung_up is not None for line in lines)
        assert now - cut <= 1_000
        cut = now
        ticks += 1
    assert ticks <= 35


def test_new_connection_that_says_nothing_is_closed_sooner(make_world):
    world = make_world(
        listeners=[listener("iso", "iso87-ascii", first_message_timeout_ms=3_000, idle_timeout_ms=60_000)]
    )
    silent, begun, spoken, kept = world.terminal(), world.terminal(), world.terminal(), world.terminal()
    issuer = world.issuer()
    begun.feed(b"\x00")
    spoken.send(purchase(world))
    issuer.answer(issuer.read_one())
    assert spoken.read_one()["39"] == "00"
    kept.feed(b"\x00\x00")
    world.advance(3.5)
    assert (silent.hung_up, begun.hung_up) == ("no message in time", "no message in time")
    assert (spoken.hung_up, kept.hung_up) == (None, None)


def test_terminal_that_does_not_read(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    world.journal.sync()
    world.advance(9.5)
    assert terminal.hung_up is None
    world.advance(1)
    assert terminal.hung_up == "peer does not read"
    terminal.close()
    world.tick()
    assert issuer.read_one()["t"] == "0420"


@pytest.mark.parametrize(
    ("syncs", "reason"), [(True, "peer does not read"), (False, "journal does not become durable")]
)
def test_link_that_does_not_read_fails_over(make_world, syncs, reason):
    world = make_world(**one_link(timeout_ms=60_000))
    terminal, issuer = world.terminal(), signed_on(world)
    terminal.send(purchase(world))
    if syncs:
        world.journal.sync()
    world.advance(9.5)
    assert issuer.hung_up is None
    world.advance(1)
    assert issuer.hung_up == reason
    assert world.link("bank-a").connections.state_name == "down"


def test_busy_connection_is_not_taken_for_one_that_does_not_read(make_world):
    """Output that always waits a little, each time other output, is no stall."""
    world = make_world(**one_link(timeout_ms=60_000))
    terminal, issuer = world.terminal(), signed_on(world)
    for _ in range(30):
        terminal.send(purchase(world))
        world.advance(0.5)
        assert issuer.read_one()["t"] == "0200"
    assert issuer.hung_up is None


def test_silent_link_is_opened_again(make_world):
    world = make_world(**one_link(echo_interval_ms=0, idle_timeout_ms=30_000))
    issuer = signed_on(world)
    world.advance(30.5)
    assert issuer.hung_up == "idle"
    assert world.link("bank-a").connections.state_name == "down"
    partial = signed_on(world)
    partial.feed(b"\x00")
    world.advance(10.5)
    assert partial.hung_up == "frame was not finished in time"


# --- drain ------------------------------------------------------------------------------------------------------------


def test_drain_finishes_what_is_in_flight(make_world):
    world = make_world(**one_link())
    issuer, terminal, idle = signed_on(world), world.terminal(), world.terminal()
    finished, waiting = purchase(world), purchase(world)
    terminal.send(finished)
    issuer.answer(issuer.read_one())
    terminal.read_one()
    terminal.send(waiting)
    asked = issuer.read_one()
    world.engine.drain()
    assert terminal.ask(purchase(world))["39"] == "91"
    assert terminal.ask(finished)["39"] == "00"
    world.advance(0.5)
    assert (idle.hung_up, terminal.hung_up) == ("draining", None)
    assert world.engine.in_flight == 1
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    assert world.engine.in_flight == 0
    world.advance(0.5)
    assert terminal.hung_up == "draining"
    world.engine.sign_off()
    goodbye = issuer.read_one()
    assert goodbye["70"] == SIGN_OFF
    assert world.link("bank-a").connections.state_name == "down"
    says_goodbye(issuer, goodbye)


def test_issuer_that_signs_on_while_we_sign_off_gets_no_work(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.engine.sign_off()
    goodbye = issuer.read_one()
    issuer.send({"t": "0800", "7": "0115080000", "11": "000001", "70": SIGN_ON}, mac=False)
    assert issuer.read_one()["39"] == "00"
    assert world.link("bank-a").connections.channels == []
    says_goodbye(issuer, goodbye)


def test_sign_off_that_is_not_answered(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.engine.sign_off()
    issuer.read_one()
    world.advance(5.5)
    assert issuer.hung_up == "issuer did not answer"


def test_sign_off_waits_for_the_echo_test_before_it(make_world):
    world = make_world(**one_link())
    issuer = signed_on(world)
    world.advance(61)
    echo = issuer.read_one()
    world.engine.sign_off()
    assert issuer.read() == []
    issuer.answer(echo, mac=False)
    goodbye = issuer.read_one()
    assert goodbye["70"] == SIGN_OFF
    says_goodbye(issuer, goodbye)


def test_sign_off_of_a_link_without_sign_on(make_world):
    world = make_world(**one_link(sign_on=False))
    issuer, terminal = world.issuer(), world.terminal()
    world.engine.sign_off()
    issuer.read()
    assert issuer.hung_up == "draining"
    assert terminal.ask(purchase(world))["39"] == "91"


def test_connection_that_has_not_signed_on_yet_is_hung_up(make_world):
    world = make_world(**one_link())
    issuer = world.issuer()
    issuer.read_one()
    world.engine.sign_off()
    issuer.read()
    assert issuer.hung_up == "draining"
