"""Terminals whose keys were replaced while the switch runs: nothing is refused until they have signed in."""

from __future__ import annotations

import pytest

from switch.crypto.pin_block import decrypt_pin_block, encrypt_pin_block
from switch.keys.sign_in import open_sign_in_keys
from switch.tables.key_changes import take_terminal_keys, terminal_key_uses
from switch.tables.registry_changes import take_changes
from tests.ext import world as worlds
from tests.ext.world import (
    CARD,
    CUP_TAK,
    CUP_TMK,
    CUP_TPK,
    MERCHANT,
    ZPK,
    Keys,
    is_sealed,
    purchase,
    reversal,
    seal,
)

TERMINAL = "10000001"
NEW_TAK, NEW_TPK = bytes(range(48, 64)), bytes(range(64, 80))
SIGN_IN = {"t": "0800", "11": "000001", "41": TERMINAL, "42": MERCHANT, "60": "00000001003", "63": "01 "}


class Rotated:
    """The keys of the world; those of one terminal are others, and it has former ones."""

    def __init__(self, **keys: bytes | None) -> None:
        self.keys = keys

    def get(self, name: str, /) -> bytes | None:
        """The clear key of a name; None when there is none."""
        terminal, _, usage = name.removeprefix("terminal/").partition("/")
        if terminal == TERMINAL and usage.replace("/", "_") in self.keys:
            return self.keys[usage.replace("/", "_")]
        return None if "former" in usage else Keys().get(name)


KEPT = {"tak": NEW_TAK, "tpk": NEW_TPK, "former_tak": CUP_TAK, "former_tpk": CUP_TPK}


def take(world, **keys):
    """The key file has changed, and the switch was told to take it up."""
    registry = world.engine.state.registry
    registry.former.keep_ns = 900 * 10**9
    return take_terminal_keys(registry, Rotated(**keys), 0, registry.terminal_count)


def change_row(world, state="active", **keys):
    """The terminal's row has changed in the store, and is read with the keys of the file as it is now."""
    registry = world.engine.state.registry
    registry.former.keep_ns = 900 * 10**9
    listeners = [one.name for one in world.config.listeners]
    _, _, allowed, kinds, algorithm, pin, certificate = worlds.TERMINALS[TERMINAL]
    row = TERMINAL, MERCHANT, state, allowed if allowed in listeners else "", kinds, algorithm, pin, certificate
    changes = worlds.Registry.build(
        f"id,name,state,category,kinds\n{MERCHANT},Another name,active,5411,\n".encode(),
        f"id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n{','.join(row)}\n".encode(),
        Rotated(**keys),
        [kind.label for kind in worlds.Kind],
        listeners,
    )
    take_terminal_keys(changes, Rotated(**keys), 0, changes.terminal_count)
    take_changes(registry, changes)


class Till:
    """The terminal, with a connection and the key that it thinks is its own."""

    def __init__(self, world):
        self.world = world
        self.line = world.terminal("cup")
        self.tak = CUP_TAK

    def sends(self, document):
        """A signed request."""
        self.line.feed(self.line.frame(seal(document, self.line.dialect, "cup-ecb", self.tak)))

    def pays(self, issuer=None, **changes):
        """The code of a payment's answer, and what that requires the terminal to do; its MAC is under the same key."""
        self.sends(purchase(self.world, "cup", **changes))
        if issuer is not None:
            issuer.answer(issuer.read_one())
        return self.is_told()

    def is_told(self):
        """Code and processing requirement of the answer that has come."""
        answer = self.line.read_one()
        assert is_sealed(self.line.raw[-1], answer, self.line.dialect, "cup-ecb", self.tak)
        return answer["39"], self.requirement

    @property
    def requirement(self):
        """The digit of the header of what was read last."""
        return self.line.headers[7] & 15

    def signs_in(self):
        """Take the keys of the answer."""
        answer = self.line.ask(SIGN_IN, mac=False)
        assert (answer["39"], self.requirement) == ("00", 0)
        keys = open_sign_in_keys(CUP_TMK, bytes.fromhex(answer["62"]))
        self.tak = keys.mac_key
        return keys


def test_no_payment_is_refused_when_keys_are_replaced(world):
    till, issuer = Till(world), world.issuer()
    assert till.pays(issuer) == ("00", 0)
    assert take(world, **KEPT) == (1, [])
    assert [till.pays(issuer), till.pays(issuer)] == [("00", 3)] * 2
    assert world.count("former_key_requests_total") == 2
    assert till.signs_in() == (NEW_TPK, NEW_TAK, b"")
    assert till.pays(issuer) == ("00", 0)
    assert world.count("former_key_requests_total") == 2
    assert world.count("mac_failures_total") == 0


def test_former_key_is_taken_for_its_time_after_the_first_message_under_the_new_one(world):
    till, late = Till(world), Till(world)
    take(world, **KEPT)
    world.advance(3600, step=300)
    till, late, issuer = Till(world), Till(world), world.issuer()
    till.signs_in()
    assert till.pays(issuer) == ("00", 0)
    world.advance(899, step=60)
    late.line, till.line = world.terminal("cup"), world.terminal("cup")
    assert late.pays(issuer) == ("00", 3)
    world.advance(2)
    late.sends(purchase(world, "cup"))
    assert (late.line.read_one()["39"], late.requirement) == ("A0", 3)
    assert till.pays(issuer) == ("00", 0)


def test_a_strangers_sign_in_does_not_end_the_former_key(world):
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    document = purchase(world, "cup")
    till.sends(document)
    issuer.answer(issuer.read_one())
    assert till.is_told() == ("00", 3)
    Till(world).signs_in()
    world.advance(901, step=60)
    till.line = world.terminal("cup")
    assert till.pays(issuer) == ("00", 3)
    till.sends(reversal(world, document))
    assert till.is_told() == ("00", 3)


def test_answer_is_under_the_key_of_the_request_whatever_comes_between(world):
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    till.sends(purchase(world, "cup"))
    asked = issuer.read_one()
    other = Till(world)
    other.signs_in()
    world.advance(1)
    issuer.answer(asked)
    assert till.is_told() == ("00", 3)


SECOND = {"tak": bytes(range(80, 96)), "tpk": bytes(range(96, 112))}


@pytest.mark.parametrize(
    ("taken_up", "requirement"),
    [
        ((KEPT,), 3),
        ((KEPT, SECOND | {"former_tak": NEW_TAK, "former_tpk": NEW_TPK}), 3),
        ((KEPT | {"tak": CUP_TAK, "former_tak": CUP_TAK},), 3),
        ((KEPT, {}), 0),
        (({"tak": NEW_TAK, "tpk": NEW_TPK},), 0),
    ],
)
def test_answer_is_under_the_key_of_the_request_whatever_keys_are_taken_up_meanwhile(world, taken_up, requirement):
    """And it asks for a sign-in as its terminal needs one when it is written."""
    till, issuer = Till(world), world.issuer()
    till.sends(purchase(world, "cup"))
    asked = issuer.read_one()
    for keys in taken_up:
        take(world, **keys)
    issuer.answer(asked)
    assert till.is_told() == ("00", requirement)


def test_a_request_that_asked_for_a_sign_in_does_not_when_its_answer_comes_later(world):
    """The keys that were taken up are taken back before that."""
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    till.sends(purchase(world, "cup"))
    asked = issuer.read_one()
    take(world)
    issuer.answer(asked)
    assert till.is_told() == ("00", 0)


def test_answer_is_under_a_former_key_that_is_known_no_more(world):
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    till.sends(purchase(world, "cup"))
    asked = issuer.read_one()
    take(world, **SECOND, former_tak=NEW_TAK, former_tpk=NEW_TPK)
    issuer.answer(asked)
    assert till.is_told() == ("00", 3)


@pytest.mark.parametrize("signs_in_between", [False, True])
def test_a_repeat_that_joins_is_answered_under_its_own_key(world, signs_in_between):
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    document = purchase(world, "cup")
    till.tak = CUP_TAK if signs_in_between else NEW_TAK
    till.sends(document)
    asked = issuer.read_one()
    till.tak = CUP_TAK
    if signs_in_between:
        till.signs_in()
    till.sends(document)
    issuer.answer(asked)
    assert till.is_told() == ("00", 0 if signs_in_between else 3)


def test_repeat_is_answered_under_its_own_key(world):
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    document = purchase(world, "cup")
    till.sends(document)
    issuer.answer(issuer.read_one())
    assert till.is_told() == ("00", 3)
    till.signs_in()
    till.sends(document)
    assert till.is_told() == ("00", 0)
    assert issuer.read() == []


def test_refusals_are_under_the_key_of_the_request(world):
    till = Till(world)
    take(world, **KEPT)
    assert till.pays(f4="000000000000") == ("13", 3)


@pytest.mark.parametrize(("tak", "tpk"), [(CUP_TAK, CUP_TPK), (NEW_TAK, NEW_TPK), (NEW_TAK, CUP_TPK)])
def test_pins_under_both_keys_are_read(world, tak, tpk):
    till, issuer = Till(world), world.issuer()
    block = encrypt_pin_block("1234", CARD, tpk)
    take(world, **KEPT)
    till.tak = tak
    till.sends(purchase(world, "cup", f22="021", f52=block.hex().upper(), f53="2600000000000000", f26="12"))
    asked = issuer.read_one()
    assert decrypt_pin_block(bytes.fromhex(asked["52"]), CARD, ZPK) == "1234"
    issuer.answer(asked)
    assert till.is_told()[0] == "00"


def test_a_row_that_changes_before_the_keys_are_taken_up_brings_the_former_ones(world):
    till, issuer = Till(world), world.issuer()
    assert till.pays(issuer) == ("00", 0)
    change_row(world, **KEPT)
    assert [till.pays(issuer), till.pays(issuer)] == [("00", 3)] * 2
    assert take(world, **KEPT) == (0, [])
    till.signs_in()
    assert till.pays(issuer) == ("00", 0)


def test_a_row_that_changes_leaves_the_time_of_former_keys_as_it_is(world):
    take(world, **KEPT)
    anew = Till(world)
    anew.signs_in()
    assert anew.pays(f4="000000000000") == ("13", 0)
    world.advance(899, step=60)
    change_row(world, **KEPT)
    till, issuer = Till(world), world.issuer()
    assert till.pays(issuer) == ("00", 3)
    world.advance(2)
    till.sends(purchase(world, "cup"))
    assert till.line.read_one()["39"] == "A0"


@pytest.mark.parametrize("state", ["active", "suspended"])
def test_a_row_that_changes_leaves_former_keys_that_the_file_has_no_more(world, state):
    take(world, **KEPT)
    change_row(world, state, tak=NEW_TAK, tpk=NEW_TPK)
    change_row(world, tak=NEW_TAK, tpk=NEW_TPK)
    assert Till(world).pays(world.issuer()) == ("00", 3)


def test_a_row_that_brings_other_keys_alone_drops_the_former_ones(world):
    take(world, **KEPT)
    change_row(world, tak=bytes(range(80, 96)), tpk=NEW_TPK)
    till = Till(world)
    till.sends(purchase(world, "cup"))
    assert till.line.read_one()["39"] == "A0"
    assert world.engine.state.registry.former.in_use == 0


def test_a_leaked_key_is_refused_at_once(world):
    till = Till(world)
    assert take(world, tak=NEW_TAK, tpk=NEW_TPK) == (1, [])
    till.sends(purchase(world, "cup"))
    assert till.line.read_one()["39"] == "A0"


def test_former_keys_that_are_taken_out_are_refused(world):
    till, issuer = Till(world), world.issuer()
    take(world, **KEPT)
    assert till.pays(issuer) == ("00", 3)
    assert take(world, tak=NEW_TAK, tpk=NEW_TPK) == (1, [])
    till.sends(purchase(world, "cup"))
    assert till.line.read_one()["39"] == "A0"
    assert world.engine.state.registry.former.in_use == 0


def test_the_same_file_again_changes_nothing(world):
    take(world, **KEPT)
    till = Till(world)
    till.signs_in()
    assert till.pays(world.issuer()) == ("00", 0)
    assert take(world, **KEPT) == (0, [])
    world.advance(901, step=60)
    late = Till(world)
    late.sends(purchase(world, "cup"))
    assert late.line.read_one()["39"] == "A0"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"tak": None}, "no key terminal/10000001/tak"),
        ({"tak": bytes(7)}, "terminal/10000001/tak has 7 bytes"),
        ({"former_tak": bytes(9)}, "the former tak has 9 bytes"),
        ({"former_tpk": bytes(9)}, "the former tpk has 9 bytes"),
    ],
)
def test_keys_that_do_not_fit_change_nothing(world, keys, reason):
    changed, faults = take(world, **KEPT | keys)
    assert changed == 0
    assert [(terminal, reason in words) for terminal, words in faults] == [(TERMINAL, True)]
    issuer = world.issuer()
    assert Till(world).pays(issuer) == ("00", 0)


def test_for_what_a_terminals_keys_are(world):
    registry = world.engine.state.registry
    uses = terminal_key_uses(registry, 0, registry.terminal_count)
    assert uses == [(id_, row[4], row[5]) for id_, row in worlds.TERMINALS.items()]
    assert terminal_key_uses(registry, 1, 1) == uses[1:2]
    assert terminal_key_uses(registry, registry.terminal_count, 50) == []
