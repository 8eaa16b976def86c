"""Terminals that are bound to what their merchant is: what an altered row, another machine or another place does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect.kinds import Kind
from switch.machine.note_queue import STRANGERS
from switch.server.suspects import KINDS
from switch.tables.binding import BINDING_KEY, BindingRule, binding_of, elements_of, secret_hash
from switch.tables.registry import (
    BOUND_MERCHANT_COLUMNS,
    BOUND_TERMINAL_COLUMNS,
    MERCHANT_COLUMNS,
    TERMINAL_COLUMNS,
    Registry,
)
from switch.tables.registry_changes import RegistryChange, suspend, take_changes
from tests.ext.world import MERCHANT, Keys, listener, purchase, reversal

KEY = bytes(range(32))
RULE = BindingRule("48010000", is_demanded=True, metres_max=200)
HERE = "+31.230400+121.473700/"
SERIAL = "00000302A1B2C3"
FROM_TERMINAL = "10000002"


class BindingKeys(Keys):
    def get(self, name):
        return KEY if name == BINDING_KEY else super().get(name)


def merchant_row(**changed):
    row = {"id": MERCHANT, "name": "Shop", "state": "active", "category": "5411", "kinds": ""}
    secrets = {"identity": secret_hash(KEY, "identity", MERCHANT, "91310000X"), "account": account("6222 0001")}
    return {**row, **secrets, **changed}


def account(number):
    return secret_hash(KEY, "account", MERCHANT, number)


def elements(merchant, acquirer=RULE.acquirer):
    return elements_of(KEY, acquirer, merchant["id"], merchant["identity"], merchant["account"]).hex()


def terminal_row(bound_to, key=KEY, **changed):
    row = dict.fromkeys(BOUND_TERMINAL_COLUMNS, "")
    row |= {"id": FROM_TERMINAL, "merchant": MERCHANT, "state": "active", "mac_algorithm": "x9.19"}
    row |= {"pin_format": "iso-0", "serial_number": SERIAL, "place": "Harbour Road 12", "position": HERE}
    row["bound_to"] = bound_to
    row["binding"] = binding_of(key, row).hex()
    return {**row, **changed}


def registry_of(merchant, terminal, listeners=("iso",), rule=RULE):
    def table(columns, row):
        plain = {*BOUND_MERCHANT_COLUMNS, *TERMINAL_COLUMNS}
        cells = (row.get(name, "") if name in plain else f'"{row[name]}"' for name in columns)
        return f"{','.join(columns)}\n{','.join(cells)}\n".encode()

    files = table(BOUND_MERCHANT_COLUMNS, merchant), table(BOUND_TERMINAL_COLUMNS, terminal)
    return Registry.build(*files, BindingKeys(), [kind.label for kind in Kind], listeners, rule=rule)


def take(world, merchant, terminal):
    registry = world.engine.state.registry
    take_changes(registry, registry_of(merchant, terminal, registry.listener_names))


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_as_it_was_bound():
    merchant = merchant_row()
    registry = registry_of(merchant, terminal_row(elements(merchant)))
    described = registry.describe_terminal(FROM_TERMINAL)
    assert (described["state"], described["serial_number"]) == ("active", SERIAL)
    assert described["position"] == (31_230_400, 121_473_700)
    assert described["bound_to"] == registry.describe_merchant(MERCHANT)["elements"] == elements(merchant)[:32]
    assert registry.altered == []


characters = st.characters(codec="utf-8", categories=("L", "N", "P"), exclude_characters='"')
texts = st.text(characters, min_size=1, max_size=20)


@settings(deadline=None)
@given(st.sampled_from(["serial_number", "place", "position", "bound_to", "binding"]), texts)
def test_any_single_column_of_a_terminal_that_is_altered_is_noticed(column, text):
    merchant = merchant_row()
    bound = terminal_row(elements(merchant))
    if text == bound[column]:
        return
    registry = registry_of(merchant, {**bound, column: text})
    assert registry.describe_terminal(FROM_TERMINAL)["state"] == "suspended"
    assert registry.altered == [FROM_TERMINAL]


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=60),
    texts,
    st.sampled_from([HERE, ""]),
)
def test_any_row_is_as_it_was_bound(serial_number, place, position):
    """Whatever stands in its cells: the switch's own reader and the back office agree on every byte."""
    says = {"serial_number": serial_number.replace('"', ""), "place": place, "position": position}
    merchant = merchant_row()
    row = terminal_row(elements(merchant)) | says
    registry = registry_of(merchant, {**row, "binding": binding_of(KEY, row).hex()})
    assert registry.altered == []
    assert registry.describe_terminal(FROM_TERMINAL)["state"] == "active"
    assert registry.describe_terminal(FROM_TERMINAL)["serial_number"] == says["serial_number"]


@settings(deadline=None)
@given(st.sampled_from(["identity", "account", "acquirer"]), st.text("0123456789abcdef", min_size=1, max_size=64))
def test_any_single_element_of_a_merchant_that_is_altered_is_noticed(element, text):
    merchant = merchant_row()
    bound = terminal_row(elements(merchant))
    rule = RULE._replace(acquirer=text) if element == "acquirer" else RULE
    altered = merchant if element == "acquirer" else {**merchant, element: text}
    registry = registry_of(altered, bound, rule=rule)
    assert registry.describe_terminal(FROM_TERMINAL)["bound_to"] != registry.describe_merchant(MERCHANT)["elements"]


def test_a_binding_of_another_key_is_none():
    merchant = merchant_row()
    registry = registry_of(merchant, terminal_row(elements(merchant), key=bytes(32)))
    assert registry.altered == [FROM_TERMINAL]


@pytest.mark.parametrize(("is_demanded", "state"), [(True, "suspended"), (False, "active")])
def test_bound_to_nothing(is_demanded, state):
    rule = RULE._replace(is_demanded=is_demanded)
    registry = registry_of(merchant_row(), {**terminal_row(""), "binding": ""}, rule=rule)
    assert registry.describe_terminal(FROM_TERMINAL)["state"] == state
    assert (registry.unbound_count, registry.altered) == (int(is_demanded), [])


def test_parts_cannot_pass_from_one_to_the_next():
    row = terminal_row("x")
    moved = {**row, "serial_number": row["serial_number"] + "H", "place": row["place"][1:]}
    assert row["place"][0] == "H"
    assert binding_of(KEY, row) != binding_of(KEY, moved)
    assert secret_hash(KEY, "account", MERCHANT, "1") != secret_hash(KEY, "identity", MERCHANT, "1")
    assert secret_hash(KEY, "account", MERCHANT, "1") != secret_hash(KEY, "account", MERCHANT[:-1], "1")


# --- payments ---------------------------------------------------------------------------------------------------------


def test_terminals_that_are_bound_anew_are_served_in_each_turn(world):
    merchant = merchant_row()
    take(world, merchant, terminal_row(elements(merchant)))
    terminal, issuer = world.terminal("iso"), world.issuer()
    now = {**merchant, "account": account("6222 0002")}
    registry = world.engine.state.registry

    def is_served_while_taking(row):
        change = RegistryChange(registry, registry_of(now, row, registry.listener_names))
        while change.take(1):
            terminal.send(purchase(world, f41=FROM_TERMINAL))
            issuer.answer(issuer.read_one())
            assert terminal.read_one()["39"] == "00"

    is_served_while_taking(terminal_row(elements(now)))
    assert registry.describe_terminal(FROM_TERMINAL)["bound_to"] == elements(now)[:32]
    # One that was left as it was is refused once all are taken.
    take(world, merchant, terminal_row(elements(merchant)))
    is_served_while_taking(terminal_row(elements(merchant)))
    assert terminal.ask(purchase(world, f41=FROM_TERMINAL))["39"] == "58"


def test_the_merchants_account_was_changed(world):
    merchant = merchant_row()
    take(world, merchant, terminal_row(elements(merchant)))
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(bought := purchase(world, f41=FROM_TERMINAL))
    issuer.answer(issuer.read_one())
    assert (told := terminal.read_one())["39"] == "00"
    take(world, {**merchant, "account": account("6222 0002")}, terminal_row(elements(merchant)))
    assert terminal.ask(purchase(world, f41=FROM_TERMINAL))["39"] == "58"
    assert issuer.read() == []
    assert world.notes[-1][1]["reason"] == "the terminal is bound to other elements than its merchant has now"
    assert terminal.ask(bought)["38"] == told["38"]
    now = {**merchant, "account": account("6222 0002")}
    take(world, now, terminal_row(elements(now)))
    terminal.send(purchase(world, f41=FROM_TERMINAL))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"


def test_the_merchants_elements_stay_where_they_were_read_without_the_key(world):
    merchant = merchant_row()
    registry = world.engine.state.registry
    take(world, merchant, terminal_row(elements(merchant)))
    before = registry.describe_merchant(MERCHANT)["elements"]
    rows = ",".join(MERCHANT_COLUMNS), ",".join(merchant[name] for name in MERCHANT_COLUMNS), ""
    files = "\n".join(rows).encode(), ",".join(TERMINAL_COLUMNS).encode()
    take_changes(registry, Registry.build(*files, {}, registry.kind_names, registry.listener_names))
    assert registry.describe_merchant(MERCHANT)["elements"] == before


def test_suspended_whatever_the_store_says(world):
    registry = world.engine.state.registry
    world.issuer()
    assert suspend(registry, FROM_TERMINAL)
    assert not suspend(registry, "nobody")
    assert world.terminal("iso").ask(purchase(world, f41=FROM_TERMINAL))["39"] == "58"


TLS = {"certificate": "a.pem", "private_key": "a.key", "client_ca": "ca.pem", "client_certificate": "required"}


@pytest.fixture
def given_other_listeners(make_world):
    """A terminal that has paid on one listener, and may now use another one only."""

    def make(mac_policy, certificate=None, **options):
        here = listener("here", "iso87-ascii", mac=mac_policy, **options)
        world = make_world(listeners=[here, listener("there", "iso87-ascii")])
        merchant = merchant_row()
        row = terminal_row(elements(merchant), listeners="here")
        take(world, merchant, row)
        terminal, issuer = world.terminal("here", certificate), world.issuer()
        terminal.send(bought := purchase(world, "here", f41=FROM_TERMINAL))
        issuer.answer(issuer.read_one())
        assert terminal.read_one()["39"] == "00"
        take(world, merchant, {**row, "listeners": "there"})
        return world, terminal, issuer, bought

    return make


@pytest.mark.parametrize(
    ("mac_policy", "options"),
    [("required", {}), ("optional", {}), ("none", {"tls": TLS})],
    ids=["mac", "own will", "tls"],
)
def test_given_other_listeners_it_is_told_what_it_asked_for_before(given_other_listeners, mac_policy, options):
    world, terminal, issuer, bought = given_other_listeners(mac_policy, FROM_TERMINAL, **options)
    assert terminal.ask(purchase(world, "here", f41=FROM_TERMINAL))["39"] == "58"
    assert world.notes[-1][1]["reason"] == "terminal not allowed on this listener"
    assert terminal.ask(bought)["39"] == "00"
    assert terminal.ask(reversal(world, bought))["39"] == "00"
    world.tick()
    assert issuer.read_one()["t"] == "0420"


@pytest.mark.parametrize("mac_policy", ["none", "optional"])
def test_given_other_listeners_nobody_speaks_for_it_who_proves_nothing(given_other_listeners, mac_policy):
    world, terminal, issuer, bought = given_other_listeners(mac_policy)
    for request in (bought, reversal(world, bought), purchase(world, "here", f41=FROM_TERMINAL)):
        assert terminal.ask(request, mac=False)["39"] == "58"
    assert issuer.read() == []


# --- what it says of itself -------------------------------------------------------------------------------------------

CUP_TERMINAL = "10000001"
METRES_99 = "+31.231290+121.473700/"
KILOMETRE = "+31.239400+121.473700/"


def said(serial=SERIAL, position=HERE):
    """Field 59: tags in tags."""
    values = (("01", "02"), ("02", serial), ("06", position))
    inner = "".join(f"{tag}{len(text):03}{text}" for tag, text in values if text)
    return f"A1002xyA2{len(inner):03}{inner}"


def bound_cup(world, **rules):
    merchant = merchant_row()
    row = terminal_row(elements(merchant))
    row |= {"id": CUP_TERMINAL, "mac_algorithm": "cup-ecb"}
    row["binding"] = binding_of(KEY, row).hex()
    names = [one.name for one in world.engine.state.listeners]
    registry = registry_of(merchant, row, names)
    take_changes(world.engine.state.registry, registry)
    return world.engine.state.registry


def test_who_is_where_it_should_be_buys(world):
    bound_cup(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    for text in (said(), said(position=METRES_99), said(position=""), said(serial=""), None, "A2999", "A20"):
        terminal.send(purchase(world, "cup", f59=text))
        issuer.answer(issuer.read_one())
        assert terminal.read_one()["39"] == "00", text


@pytest.mark.parametrize(
    ("text", "what", "words"),
    [
        (said(serial="00000302A1B2C4"), "00000302A1B2C4", "the terminal says another serial number than is registered"),
        (said(serial="x" * 64), "x" * 64, "the terminal says another serial number than is registered"),
        (said(position=KILOMETRE), KILOMETRE, "the terminal is elsewhere than it is registered"),
    ],
)
def test_who_is_not_is_suspended_at_once(world, text, what, words):
    registry = bound_cup(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    bought = purchase(world, "cup", f59=said())
    terminal.send(bought)
    issuer.answer(issuer.read_one())
    told = terminal.read_one()
    assert terminal.ask(purchase(world, "cup", f59=text))["39"] == "97"
    assert issuer.read() == []
    assert registry.describe_terminal(CUP_TERMINAL)["state"] == "suspended"
    (suspect,) = registry.suspects
    assert (suspect[0], STRANGERS[suspect[1]], suspect[2]) == (CUP_TERMINAL, words, what)
    assert words in KINDS, "a case of it has a name"
    assert ("terminal_elsewhere", words) in [(event, details.get("reason")) for event, details in world.notes]
    # From the next message on, whatever it says; and what it asked for before is told to it again.
    assert terminal.ask(purchase(world, "cup", f59=said()))["39"] == "97"
    assert terminal.ask(bought)["38"] == told["38"]
    assert len(registry.suspects) == 1


def move(registry, position):
    """Those who may have moved the terminal."""
    row = terminal_row(elements(merchant_row())) | {
        "id": CUP_TERMINAL,
        "mac_algorithm": "cup-ecb",
        "position": position,
    }
    row["binding"] = binding_of(KEY, row).hex()
    take_changes(registry, registry_of(merchant_row(), row, registry.listener_names))


def test_what_comes_again_from_before_a_move_is_no_suspicion(world):
    registry = bound_cup(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    bought = purchase(world, "cup", f59=said())
    terminal.send(bought)
    issuer.answer(issuer.read_one())
    told = terminal.read_one()
    move(registry, KILOMETRE)
    assert terminal.ask(bought)["38"] == told["38"]
    assert terminal.ask(reversal(world, bought))["39"] == "00"
    assert registry.suspects == []
    terminal.send(purchase(world, "cup", f59=said(position=KILOMETRE)))
    issuer.answer(next(one for one in issuer.read() if one["t"] == "0200"))
    assert terminal.read_one()["39"] == "00"


def test_who_is_not_and_proves_nothing_is_only_refused(world):
    """Else anybody who knows a terminal's number could have it suspended."""
    registry = bound_cup(world)
    terminal = world.terminal("cup")
    sign_in = {"t": "0800", "11": "000001", "41": CUP_TERMINAL, "42": MERCHANT, "60": "00000001003", "63": "001"}
    assert terminal.ask({**sign_in, "59": said(serial="other")}, mac=False)["39"] == "97"
    assert registry.describe_terminal(CUP_TERMINAL)["state"] == "active"
    assert registry.suspects == []
    assert terminal.ask({**sign_in, "59": said()}, mac=False)["39"] == "00"


@pytest.mark.parametrize(
    ("demanded", "text"),
    [
        ("serial_number", said(serial="")),
        ("position", said(position="")),
        ("position", said(position="unknown")),
        ("position", None),
    ],
)
def test_who_does_not_say_what_must_be_said(make_world, demanded, text):
    world = make_world(registry={demanded: "demanded"})
    registry = bound_cup(world)
    assert world.terminal("cup").ask(purchase(world, "cup", f59=text))["39"] == "97"
    assert registry.describe_terminal(CUP_TERMINAL)["state"] == "suspended"


ANY_KIND = (
    {"f3": "010000"},
    {"t": "0220", "f3": "200000", "f60": "25000001", "f61": "000001000001"},
    {"t": "0220", "f60": "30000001"},
)


@pytest.mark.parametrize("kind", ANY_KIND, ids=["cash advance", "refund", "advice"])
@pytest.mark.parametrize("text", [said(serial="another"), said(position=KILOMETRE)], ids=["machine", "place"])
def test_whatever_kind_of_request_it_says_it_in(world, kind, text):
    registry = bound_cup(world)
    assert world.terminal("cup").ask(purchase(world, "cup", f59=text, **kind))["39"] == "97"
    assert registry.describe_terminal(CUP_TERMINAL)["state"] == "suspended"


def test_silence_is_suspicious_only_where_the_dialect_demands_to_be_told(make_world):
    world = make_world(registry={"serial_number": "demanded", "position": "demanded"})
    registry = bound_cup(world)
    terminal, issuer = world.terminal("cup"), world.issuer()
    terminal.send(purchase(world, "cup", f3="010000"))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    assert registry.describe_terminal(CUP_TERMINAL)["state"] == "active"
