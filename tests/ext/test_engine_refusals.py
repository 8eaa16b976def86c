"""What is refused, with which code, and what it costs: identity, MAC, format, kind, amount, route, limits."""

from __future__ import annotations

import random

import pytest

from tests.ext.world import (
    CARD,
    CLOSED_MERCHANT,
    DONE,
    FULL,
    MERCHANT,
    MORE,
    ONE_ROUTE,
    OTHER_MERCHANT,
    change,
    link,
    listener,
    purchase,
)

# --- who speaks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "unknown_terminal"), [("cup", "97"), ("iso", "58")])
@pytest.mark.parametrize(
    ("terminal_id", "merchant", "code"),
    [
        ("99999999", MERCHANT, None),
        ("10000002", "898000000000777", "03"),
        ("10000002", OTHER_MERCHANT, None),
        ("10000004", MERCHANT, None),  # suspended
        ("10000005", CLOSED_MERCHANT, "03"),
        ("99999999", "898000000000777", "03"),
    ],
)
def test_who_may_not_speak(world, name, unknown_terminal, terminal_id, merchant, code):
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name, f41=terminal_id, f42=merchant)
    answer = terminal.ask(request)
    assert (answer["t"], answer["39"]) == ("0210", code or unknown_terminal)
    assert (answer["11"], answer["41"], answer["42"]) == (request["11"], terminal_id, merchant)
    assert "64" not in answer
    assert issuer.read() == []
    assert world.engine.state.duplicates.in_use == 0


@pytest.mark.parametrize(("field", "code"), [("f41", "58"), ("f42", "03")])
def test_who_does_not_say_who_it_is(world, field, code):
    assert world.terminal().ask(purchase(world, **{field: None}), mac=False)["39"] == code


def test_terminal_of_another_listener(world):
    request = purchase(world, f41="10000006")
    assert world.terminal("iso").ask(request)["39"] == "58"
    cup = world.terminal("cup")
    assert cup.ask(purchase(world, "cup", f41="10000006"))["39"] == "91"


TLS = {"certificate": "a.pem", "private_key": "a.key", "client_ca": "ca.pem", "client_certificate": "required"}


@pytest.mark.parametrize(
    ("certificate", "terminal_id", "code"),
    [
        ("10000002", "10000002", "91"),
        ("10000002", "10000003", "58"),
        ("till-8", "10000008", "91"),
        ("10000008", "10000008", "58"),
        (None, "10000002", "58"),
    ],
)
def test_terminals_are_who_their_certificate_says(make_world, certificate, terminal_id, code):
    world = make_world(listeners=[listener("iso", "iso87-ascii", tls=TLS, mac="optional")])
    terminal = world.terminal("iso", certificate)
    merchant = OTHER_MERCHANT if terminal_id == "10000003" else MERCHANT
    assert terminal.ask(purchase(world, f41=terminal_id, f42=merchant))["39"] == code


# --- the MAC ----------------------------------------------------------------------------------------------------------


def break_mac(message):
    return message[:-1] + bytes([message[-1] ^ 1])


@pytest.mark.parametrize(("name", "code"), [("cup", "A0"), ("iso", "63")])
@pytest.mark.parametrize("fault", ["wrong", "missing", "changed"])
def test_mac_that_is_not_right(world, name, code, fault):
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name)
    sealed = terminal.encode(request, mac=fault != "missing")
    if fault == "wrong":
        sealed = break_mac(sealed)
    elif fault == "changed":
        sealed = sealed.replace(b"10000001", b"10000009").replace(b"10000002", b"10000007")
    assert terminal.feed(terminal.frame(sealed)) == DONE
    answer = terminal.read_one()
    assert answer["39"] == code
    assert terminal.is_sealed(answer)
    assert issuer.read() == []
    assert world.count("mac_failures_total", listener=name) == 1
    failures = world.engine.state.terminal_mac_failures()
    assert sum(failures.values()) == 1
    # The same request with the right MAC is not a duplicate of the forged one.
    terminal.send(request)
    assert issuer.read_one()["4"] == request["4"]


@pytest.mark.parametrize(
    ("policy", "fault", "code"),
    [
        ("optional", "missing", "91"),
        ("optional", "wrong", "63"),
        ("optional", None, "91"),
        ("none", "missing", "91"),
        ("none", "wrong", "91"),
        ("required", "missing", "63"),
    ],
)
def test_what_a_listener_asks_of_macs(make_world, policy, fault, code):
    world = make_world(listeners=[listener("iso", "iso87-ascii", mac=policy)])
    terminal = world.terminal()
    sealed = terminal.encode(purchase(world), mac=fault != "missing")
    terminal.feed(terminal.frame(break_mac(sealed) if fault == "wrong" else sealed))
    answer = terminal.read_one()
    assert answer["39"] == code
    assert ("64" in answer) == (policy != "none")


def test_terminal_without_a_key(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", mac="optional")])
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world, f41="10000008"))
    issuer.answer(issuer.read_one())
    answer = terminal.read_one()
    assert answer["39"] == "00"
    assert "64" not in answer


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cup", "iso"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"f3": "770000"}, "12"),
        ({"t": "0600"}, "12"),
        ({"f4": "000000000000"}, "13"),
        ({"f4": None}, "13"),
        ({"f2": "9999999999999999"}, "15"),
        ({"f2": None}, "30"),
    ],
)
def test_what_cannot_be_done(world, name, changes, code):
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name, **changes)
    answer = terminal.ask(request)
    assert (answer["39"], answer["11"]) == (code, request["11"])
    assert answer["t"] == request["t"][:2] + "10"
    assert issuer.read() == []
    # The same again gets the same answer, and is not tried again.
    assert terminal.ask(request)["39"] == code
    assert world.count("duplicates_repeated_total") == 1


def test_kind_that_the_terminal_may_not_ask(world):
    terminal = world.terminal()
    assert terminal.ask(purchase(world, f41="10000007"))["39"] == "58"


def test_no_link_is_up(world):
    assert world.terminal().ask(purchase(world))["39"] == "91"


def test_answers_of_terminals_are_no_requests(world):
    terminal = world.terminal()
    terminal.send(purchase(world, t="0210"))
    assert terminal.read() == []
    assert terminal.hung_up is None
    assert world.count("unexpected_messages_total", listener="iso") == 1


def test_refusal_that_cannot_be_written_down_is_not_told(world):
    """Nor does it stand in the way of what is: what is queued behind it could never leave."""
    terminal = world.terminal()
    world.journal.fail(noticed=False)
    terminal.send(purchase(world))
    assert world.journal.failed
    assert terminal.read() == []
    assert terminal.channel.waiting_bytes == 0


# --- what cannot be read ----------------------------------------------------------------------------------------------


def test_format_error_where_type_and_number_can_be_read(world):
    terminal = world.terminal()
    request = purchase(world)
    message = terminal.encode(request).replace(b"156", b"15!")
    cut = terminal.encode(request, mac=False)[:-3]
    for one in (cut, message[:-20]):
        terminal.feed(terminal.frame(one))
        answer = terminal.read_one()
        assert (answer["t"], answer["39"], answer["11"]) == ("0210", "30", request["11"])
        assert terminal.is_sealed(answer) or "64" not in answer
    assert world.count("format_errors_total", listener="iso") == 2
    assert terminal.hung_up is None
    assert world.told("format_error")[0]["field"] == 49


@pytest.mark.parametrize("is_cut", [True, False])
def test_who_is_not_known_gets_no_answer_in_the_name_of_the_one_before(world, is_cut):
    """Neither who is a stranger here, nor whose message ends before it says who it is."""
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    assert terminal.is_sealed(terminal.read_one())
    request = purchase(world, f41="99999999")
    message = terminal.encode(request)
    terminal.feed(terminal.frame(message[: message.index(b"99999999")] if is_cut else message))
    answer = terminal.read_one()
    assert (answer["39"], answer["11"]) == ("30" if is_cut else "58", request["11"])
    assert not {"64", "128"} & answer.keys()


@pytest.mark.parametrize(
    "message",
    [
        b"\x00",
        b"0",
        b"02",
        b"0200",
        b"0200FFFF",
        b"0200ZZZZZZZZZZZZZZZZ",
        b"9999" + b"F" * 32,
        b"02007000000000000000" + b"16" + b"4" * 16,  # ends before field 11
    ],
)
def test_without_type_and_number_the_connection_is_closed(world, message):
    terminal = world.terminal()
    terminal.feed(terminal.frame(message))
    assert terminal.read() == []
    assert terminal.hung_up == "message cannot be read"
    assert not terminal.channel.is_open
    assert world.count("format_errors_total", listener="iso") == 1


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_message_without_a_number_is_not_answered(world, name):
    terminal = world.terminal(name)
    terminal.send(purchase(world, name, f11=None))
    assert terminal.read() == []
    assert terminal.hung_up == "message cannot be read"
    assert world.told("format_error")[0]["field"] == 11


def test_what_follows_an_unreadable_message_is_not_looked_at(world):
    terminal, issuer = world.terminal(), world.issuer()
    good = terminal.frame(terminal.encode(purchase(world)))
    terminal.feed(terminal.frame(b"0200") + good)
    terminal.feed(good)
    assert issuer.read() == []
    assert terminal.read() == []


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_random_bytes_harm_nobody(world, name):
    dice = random.Random(8583)
    terminal, issuer = world.terminal(name), world.issuer()
    for size in (1, 2, 7, 64, 65_536):
        hostile = world.terminal(name)
        hostile.feed(dice.randbytes(size))
        hostile.read()
        hostile.close()
    for _ in range(200):
        hostile = world.terminal(name)
        request = bytearray(terminal.encode(purchase(world, name)))
        for _ in range(3):
            request[dice.randrange(len(request))] = dice.randrange(256)
        hostile.feed(hostile.frame(bytes(request)))
        hostile.read()
        hostile.close()
    terminal.send(purchase(world, name))
    asked = [one for one in issuer.read() if one["4"] == "000000001000"]
    issuer.answer(asked[-1])
    assert terminal.read_one()["39"] == "00"


def test_length_above_the_limit(world):
    terminal = world.terminal()
    terminal.feed(b"\xff\xff0200")
    assert terminal.read() == []
    assert terminal.hung_up == "frame cannot be read"
    assert world.count("frame_errors_total", listener="iso") == 1
    assert world.told("frame_error")[0]["listener"] == "iso"


def test_keep_alives_are_counted(world):
    terminal = world.terminal()
    terminal.feed(b"\x00\x00" * 5)
    assert world.count("keep_alives_total", listener="iso") == 5


# --- limits -----------------------------------------------------------------------------------------------------------


def test_table_of_transactions_is_full(make_world):
    world = make_world(limits={"transactions_in_flight_max": 3})
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(3):
        terminal.send(purchase(world))
    assert terminal.read() == []
    assert terminal.ask(purchase(world))["39"] == "96"
    assert world.count("refused_at_limit_total", limit="transactions") == 1
    asked = issuer.read()
    issuer.answer(asked[0])
    assert terminal.read_one()["39"] == "00"
    terminal.send(purchase(world))
    assert len(issuer.read()) == 1


def test_no_payment_is_taken_that_could_not_be_reversed(make_world):
    world = make_world(limits={"reversals_max": 2})
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    terminal.send(purchase(world))
    assert terminal.ask(purchase(world))["39"] == "96"
    assert world.count("refused_at_limit_total", limit="reversals") == 1
    for one in issuer.read():
        issuer.answer(one)
    # Approved, but on their way to the terminal: they may yet have to be reversed.
    terminal.send(purchase(world))
    assert [one["39"] for one in terminal.read()] == ["00", "00", "96"]
    terminal.send(purchase(world))
    assert len(issuer.read()) == 1


def test_duplicate_window_is_full_of_requests_under_way(make_world):
    world = make_world(limits={"transactions_in_flight_max": 4, "duplicate_window_count_max": 4})
    terminal, issuer = world.terminal(), world.issuer()
    requests = [purchase(world) for _ in range(4)]
    for request in requests:
        terminal.send(request)
    for one in issuer.read():
        issuer.answer(one)
    answers = terminal.read()
    assert [one["39"] for one in answers] == ["00"] * 4


def test_requests_of_one_connection_under_way(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii", requests_in_flight_max=2)])
    terminal, issuer = world.terminal(), world.issuer()
    frames = b"".join(terminal.frame(terminal.encode(purchase(world))) for _ in range(5))
    assert terminal.feed(frames) == FULL
    assert terminal.channel.in_flight == 2
    first, second = issuer.read()
    issuer.answer(second)
    assert len(terminal.read()) == 1
    assert terminal.feed(b"") == FULL
    (third,) = issuer.read()
    issuer.answer(first)
    issuer.answer(third)
    assert terminal.feed(b"") == FULL
    for one in issuer.read():
        issuer.answer(one)
    assert terminal.feed(b"") == DONE
    issuer.answer(issuer.read_one()) if world.engine.in_flight else None
    assert {one["11"] for one in terminal.read()} <= {f"{n:06}" for n in range(1, 6)}
    assert terminal.channel.in_flight == 0


def test_one_connection_does_not_keep_the_others_waiting(world):
    terminal = world.terminal()
    frame = terminal.frame(terminal.encode(purchase(world, f41="99999999"), mac=False))
    assert terminal.feed(frame * 200) == MORE
    assert len(terminal.read()) == 64
    assert terminal.feed(b"") == MORE
    assert terminal.feed(frame) == MORE
    assert terminal.feed(b"") == DONE
    assert len(terminal.read()) == 201 - 64


def test_in_flight_limit_of_a_link(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", in_flight_max=2)], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(2):
        terminal.send(purchase(world))
    assert terminal.ask(purchase(world))["39"] == "91"
    issuer.answer(issuer.read()[0])
    assert terminal.read_one()["39"] == "00"
    terminal.send(purchase(world))
    assert len(issuer.read()) == 1


def test_series_that_find_no_room_are_not_missed(make_world):
    world = make_world()
    stats = world.stats
    while True:
        try:
            stats.histogram("filler_seconds", "Takes the room.", {"number": str(stats.slots_used)})
        except ValueError:
            break
    while stats.slots_used < stats.slots:
        stats.counter("filler_total", "Takes the room.", {"number": str(stats.slots_used)})
    terminal, issuer = world.terminal(), world.issuer()
    for code in ("00", "05", "14", "51", "54", "55", "61", "62", "65", "75", "91"):
        terminal.send(purchase(world))
        issuer.answer(issuer.read_one(), code)
        assert terminal.read_one()["39"] == code
    assert world.engine.state.meters.uncounted == 8


def test_card_numbers_are_not_told(world):
    terminal = world.terminal()
    terminal.ask(purchase(world, f2="9999999999999999"))
    terminal.feed(terminal.frame(terminal.encode(change(purchase(world), f49="15!"))[:-30]))
    assert CARD not in repr(world.notes)
