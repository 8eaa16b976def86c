"""A terminal that awaits its first sign-in: what it may do, and what puts it into service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from switch.tables.binding import binding_of
from switch.tables.registry_changes import put_into_service, suspend, take_changes
from tests.ext.test_engine_binding import (
    CUP_TERMINAL,
    KEY,
    TLS,
    elements,
    merchant_row,
    registry_of,
    said,
    terminal_row,
)
from tests.ext.world import MERCHANT, START_S, listener, purchase, reversal

NOW_S = START_S + 100
IN_TIME = 30
ISO_TERMINAL = "10000002"
CUP_SIGN_IN = {"t": "0800", "11": "000001", "41": CUP_TERMINAL, "42": MERCHANT, "60": "00000001003", "63": "001"}
ISO_SIGN_ON = {"t": "0800", "7": "0115080000", "11": "000001", "41": ISO_TERMINAL, "70": "001"}
ECHO = {**CUP_SIGN_IN, "t": "0820", "60": "00000001301"}
AWAITS = "the terminal awaits its first sign-in"
OVERDUE = "the time for the terminal's first sign-in is over"


def awaiting(world, terminal=CUP_TERMINAL, *, seconds=IN_TIME, **changed):
    """The registry, in which a terminal awaits its first sign-in for so long."""
    until = (datetime.fromtimestamp(NOW_S, UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    row = terminal_row(elements(merchant_row())) | {"id": terminal, "state": f"awaiting until {until}", **changed}
    if terminal == CUP_TERMINAL:
        row["mac_algorithm"] = "cup-ecb"
    row["binding"] = binding_of(KEY, row).hex()
    registry = world.engine.state.registry
    take_changes(registry, registry_of(merchant_row(), row, registry.listener_names))
    assert state_of(world, terminal) == "awaiting"
    return registry


def state_of(world, terminal=CUP_TERMINAL):
    return world.engine.state.registry.describe_terminal(terminal)["state"]


def reason(world):
    return world.told("terminal_refused")[-1]["reason"]


def pays(world, terminal, issuer):
    """The response code to a purchase that the issuer approves, if it is asked."""
    terminal.send(purchase(world, "cup", f59=said()))
    for asked in issuer.read():
        issuer.answer(asked)
    return terminal.read_one()["39"]


def test_it_may_sign_in_and_nothing_else(world):
    registry = awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    for request in (purchase(world, "cup", f59=said()), {**CUP_SIGN_IN, "t": "0820", "60": "00000001002"}, ECHO):
        assert terminal.ask(request, mac=request["t"] == "0200")["39"] == "97"
        assert reason(world) == AWAITS
    assert (state_of(world), registry.signed_in, issuer.read()) == ("awaiting", [], [])
    answer = terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)
    assert (answer["39"], "62" in answer) == ("00", True)
    assert (state_of(world), registry.signed_in) == ("awaiting", []), "nobody has proven who he is"
    assert terminal.ask(purchase(world, "cup", f59=said()), mac=False)["39"] != "00"
    assert state_of(world) == "awaiting"


def test_the_first_message_under_its_keys_puts_it_into_service(world):
    registry = awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    assert pays(world, terminal, issuer) == "00"
    assert state_of(world) == "active"
    assert registry.signed_in == [(CUP_TERMINAL, NOW_S)]
    assert world.told("terminal_in_service") == [{"listener": "cup", "terminal": CUP_TERMINAL, "kind": "purchase"}]
    assert pays(world, terminal, issuer) == "00"
    assert len(registry.signed_in) == 1


def network(code):
    """A message of network management, such as 0820 with 60.3 = 301."""
    return {**CUP_SIGN_IN, "t": "0820" if code in ("301", "372") else "0800", "60": f"00000001{code}"}


@pytest.mark.parametrize("code", ["301", "360", "370", "372", "380"])
def test_what_it_needs_for_its_first_payment_it_may_load_once_it_has_keys(world, code):
    registry = awaiting(world)
    terminal = world.terminal("cup")
    asks = network(code)
    assert terminal.ask({**asks, "59": said()}, mac=False)["39"] == "97"
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    assert terminal.ask({**asks, "59": said()}, mac=False)["39"] != "97"
    assert terminal.ask({**asks, "59": said(serial="another")}, mac=False)["39"] == "97"
    assert (state_of(world), registry.signed_in) == ("awaiting", []), "that is no proof"
    world.advance(IN_TIME)
    assert terminal.ask({**asks, "59": said()}, mac=False)["39"] == "97"
    assert reason(world) == OVERDUE


@pytest.mark.parametrize("signs_in", ["mac", "certificate"])
def test_a_sign_in_that_is_proven_puts_it_into_service_at_once(make_world, signs_in):
    options = {"mac": "none", "tls": TLS} if signs_in == "certificate" else {"mac": "optional"}
    world = make_world(listeners=[listener("iso", "iso87-ascii", **options)])
    registry = awaiting(world, ISO_TERMINAL)
    stranger, terminal = world.terminal("iso"), world.terminal("iso", ISO_TERMINAL)
    if signs_in == "certificate":
        assert stranger.ask(ISO_SIGN_ON, mac=False)["39"] == "58"
    else:
        assert stranger.ask(ISO_SIGN_ON, mac=False)["39"] == "00"
    assert state_of(world, ISO_TERMINAL) == "awaiting"
    assert terminal.ask(ISO_SIGN_ON, mac=signs_in == "mac")["39"] == "00"
    assert state_of(world, ISO_TERMINAL) == "active"
    assert registry.signed_in == [(ISO_TERMINAL, NOW_S)]


def test_another_machine_does_not_sign_in(world):
    awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    assert terminal.ask({**CUP_SIGN_IN, "59": said(serial="another")}, mac=False)["39"] == "97"
    assert pays(world, terminal, issuer) == "97"
    assert state_of(world) == "awaiting"


def test_another_machine_with_its_keys_is_suspended(world):
    registry = awaiting(world)
    terminal = world.terminal("cup")
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    assert terminal.ask(purchase(world, "cup", f59=said(serial="another")))["39"] == "97"
    assert state_of(world) == "suspended"
    assert [one[0] for one in registry.suspects] == [CUP_TERMINAL]


def signed_in(make_world, **rules):
    """A terminal that has its keys, and has proven nothing yet."""
    world = make_world(registry=rules)
    awaiting(world)
    terminal = world.terminal("cup")
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    return world, terminal, world.issuer()


@pytest.mark.parametrize("rules", [{}, {"serial_number": "demanded"}])
def test_another_machine_is_not_put_into_service_by_any_kind_of_request(make_world, rules):
    world, terminal, issuer = signed_in(make_world, **rules)
    assert terminal.ask(purchase(world, "cup", f3="010000", f59=said(serial="another")))["39"] == "97"
    assert (state_of(world), issuer.read()) == ("suspended", [])


@pytest.mark.parametrize("demanded", ["serial_number", "position"])
def test_what_does_not_say_what_is_demanded_puts_nobody_into_service(make_world, demanded):
    world, terminal, issuer = signed_in(make_world, **{demanded: "demanded"})
    text = said(**{demanded.removesuffix("_number"): ""})
    assert terminal.ask(purchase(world, "cup", f3="010000", f59=text))["39"] == "97"
    assert (state_of(world), reason(world), issuer.read()) == ("awaiting", AWAITS, [])
    assert pays(world, terminal, issuer) == "00"
    assert state_of(world) == "active"


def test_a_reversal_puts_nobody_into_service(make_world):
    world, terminal, _ = signed_in(make_world)
    terminal.ask(reversal(world, purchase(world, "cup")))
    assert state_of(world) == "awaiting"


def test_a_sign_in_that_is_refused_its_keys_is_none(world):
    awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    assert terminal.ask({**CUP_SIGN_IN, "60": "00000001004", "59": said()}, mac=False)["39"] == "63"
    assert pays(world, terminal, issuer) == "97"


def test_its_time_is_over(world):
    awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    world.advance(IN_TIME - 1)
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    world.advance(1)
    assert pays(world, terminal, issuer) == "97"
    assert reason(world) == OVERDUE
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "97"
    assert reason(world) == OVERDUE
    assert state_of(world) == "awaiting"
    awaiting(world, seconds=2 * IN_TIME)
    assert pays(world, terminal, issuer) == "00", "it was given new time"


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_what_people_did_meanwhile_holds(world, state):
    registry = awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    row = terminal_row(elements(merchant_row())) | {"id": CUP_TERMINAL, "mac_algorithm": "cup-ecb", "state": state}
    row["binding"] = binding_of(KEY, row).hex()
    take_changes(registry, registry_of(merchant_row(), row, registry.listener_names))
    assert pays(world, terminal, issuer) == "97"
    assert not put_into_service(registry, CUP_TERMINAL)
    assert (state_of(world), registry.signed_in) == (state, [])


def test_it_is_served_though_the_store_does_not_know_it_yet(world):
    registry = awaiting(world)
    assert put_into_service(registry, CUP_TERMINAL)
    assert not put_into_service(registry, CUP_TERMINAL)
    assert not put_into_service(registry, "nobody")
    assert pays(world, world.terminal("cup"), world.issuer()) == "00"
    awaiting(world)
    assert suspend(registry, CUP_TERMINAL)
    assert state_of(world) == "suspended"


def test_what_it_has_asked_for_is_told_again_after_a_restart_that_has_forgotten_it(world):
    awaiting(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    assert terminal.ask({**CUP_SIGN_IN, "59": said()}, mac=False)["39"] == "00"
    terminal.send(bought := purchase(world, "cup", f59=said()))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    awaiting(world)
    assert terminal.ask(bought)["39"] == "00"
    assert terminal.ask(reversal(world, bought))["39"] == "00"
    assert pays(world, terminal, issuer) == "97"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("awaiting until tomorrow", "names no moment"),
        ("awaiting until 2026-12-01T08:30:00", "names no time zone"),
        ("awaiting", "unknown state"),
    ],
)
def test_a_moment_that_is_none(state, words):
    row = terminal_row("") | {"state": state, "binding": ""}
    with pytest.raises(Exception, match=words):
        registry_of(merchant_row(), row)


def test_one_that_must_be_bound_and_is_not_waits_for_nothing():
    row = terminal_row("") | {"state": "awaiting until 2026-12-01T08:30:00+00:00", "binding": ""}
    assert registry_of(merchant_row(), row).describe_terminal(ISO_TERMINAL)["state"] == "suspended"
