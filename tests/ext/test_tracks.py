"""Tracks that a terminal has enciphered in the manner of China UnionPay's POS dialect: opened, and sent on in clear."""

from __future__ import annotations

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.crypto.track_data import decrypt_track
from tests.ext.test_key_overlap import KEPT, NEW_TAK, Till, take
from tests.ext.world import CUP_TAK, CUP_TPK, Keys, issuer_answer, link, purchase, reversal

TDK = bytes.fromhex("0123456789ABCDEF1122334455667788")
TRACK_2 = "6225000000000014D28122017819991683021"
TRACK_3 = "996225000000000014D1560000000000000000003781999216000005080000000000000000000000D000000000003D0000000000"
PUBLISHED = "1234567890123456789D0508201781999168302"
"""A track 2 and its block, of an acquirer's description of this form of encryption."""


def enciphered(track: str, key: bytes = TDK) -> str:
    """As a terminal does it, with another library."""
    packed = bytes.fromhex(track + "0" * (len(track) % 2))
    block = Cipher(TripleDES((key * 3)[:24] if len(key) < 24 else key), modes.ECB()).encryptor().update(packed[-9:-1])
    return (packed[:-9] + block + packed[-1:]).hex().upper()[: len(track)]


def test_the_block_is_that_of_the_published_example():
    packed = bytes.fromhex(PUBLISHED + "0")
    assert packed[-9:-1].hex() == "0820178199916830"
    assert decrypt_track(TDK, bytes.fromhex(enciphered(PUBLISHED) + "0")) == packed


@settings(deadline=None)
@given(
    track=st.integers(18, 104).flatmap(lambda size: st.text("0123456789D", min_size=size, max_size=size)),
    size=st.sampled_from([8, 16, 24]),
    data=st.data(),
)
def test_what_was_enciphered_opens(track, size, data):
    key = data.draw(st.binary(min_size=size, max_size=size))
    packed = bytes.fromhex(track + "0" * (len(track) % 2))
    sent = bytes.fromhex(enciphered(track, key) + "0" * (len(track) % 2))
    assert decrypt_track(key, sent) == packed


@pytest.mark.parametrize(("key", "track"), [(TDK, bytes(8)), (TDK, bytes(16) + b"\xff"), (bytes(7), bytes(19))])
def test_what_does_not_open(key, track):
    with pytest.raises(ValueError, match=r"track|key"):
        decrypt_track(key, track)


@pytest.fixture
def keyed(make_world, monkeypatch):
    """A world whose CUP terminals have a track key."""
    found = Keys.get
    monkeypatch.setattr(Keys, "get", lambda keys, name: TDK if name.endswith("/tdk") else found(keys, name))
    return make_world()


def asking(world, **changes):
    return purchase(world, "cup", **{"f35": enciphered(TRACK_2), "f53": "2610000000000000", **changes})


def test_the_issuer_gets_it_in_clear(keyed):
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    request = asking(keyed, f36=enciphered(TRACK_3))
    terminal.send(request)
    asked = issuer.read_one()
    assert asked["35"].replace("=", "D") == TRACK_2
    assert asked["36"].replace("=", "D") == TRACK_3
    issuer.send(issuer_answer(asked))
    answer = terminal.read_one()
    assert (answer["39"], answer["53"]) == ("00", "2610000000000000")
    terminal.send(request)
    assert terminal.read_one()["39"] == "00"
    assert not issuer.read(), "a repeat is told what the first was"
    assert TRACK_2 not in repr(keyed.notes)


def test_a_short_track_names_its_card_all_the_same(keyed):
    """The card number itself is enciphered in part, where the issuer has put little behind it."""
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    short = TRACK_2[:26]
    terminal.send(asking(keyed, f2=None, f35=enciphered(short)))
    asked = issuer.read_one()
    assert asked["35"].replace("=", "D") == short
    issuer.send(issuer_answer(asked))
    assert terminal.read_one()["39"] == "00"


def test_a_track_in_clear_stays_as_it_is(keyed):
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    terminal.send(asking(keyed, f35=TRACK_2, f53="2600000000000000"))
    assert issuer.read_one()["35"].replace("=", "D") == TRACK_2


@pytest.mark.parametrize("track", [enciphered(TRACK_2, bytes(range(16))), "6225D1"])
def test_what_does_not_open_goes_to_nobody(keyed, track):
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    answer = terminal.ask(asking(keyed, f35=track))
    assert answer["39"] == "63"
    assert not issuer.read()
    assert [(told["fault"], told["field"]) for told in keyed.told("request_refused")] == [("track", 35)]


def test_a_terminal_without_a_track_key_is_refused(world):
    terminal = world.terminal("cup")
    assert terminal.ask(asking(world))["39"] == "63"
    assert world.told("request_refused")[0]["fault"] == "track_key"


OTHER_TDK = bytes(range(112, 128))


def pay(terminal, issuer, request):
    """Have a payment approved."""
    terminal.send(request)
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"


@pytest.mark.parametrize("tdk", [OTHER_TDK, None])
@pytest.mark.parametrize("changes", [{}, {"f2": None}, {"f2": None, "f35": enciphered(TRACK_2[:26])}])
def test_a_repeat_is_told_what_became_of_it_whether_its_track_opens_or_not(keyed, tdk, changes):
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    request = asking(keyed, **changes)
    pay(terminal, issuer, request)
    take(keyed, tak=CUP_TAK, tpk=CUP_TPK, tdk=tdk)
    terminal.send(request)
    assert terminal.read_one()["39"] == "00"
    assert not issuer.read()
    terminal.send({**request, "4": "000000009999"})
    assert terminal.read_one()["39"] == "94", "another amount is no repeat"


@pytest.mark.parametrize("changes", [{}, {"f2": None}])
def test_a_reversal_goes_to_the_issuer_whether_its_track_opens_or_not(keyed, changes):
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    request = asking(keyed, **changes)
    pay(terminal, issuer, request)
    take(keyed, tak=CUP_TAK, tpk=CUP_TPK, tdk=OTHER_TDK)
    terminal.send({**reversal(keyed, request), "35": request["35"], "53": request["53"]})
    assert terminal.read_one()["39"] == "00"
    keyed.advance(1)
    assert [message["t"] for message in issuer.read()] == ["0420"]


def test_a_reversal_of_a_payment_that_nobody_knows_is_sent_without_its_track(make_world, keyed):
    world = make_world(links=[link("bank-a", "cup")], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal("cup"), world.issuer()
    request = asking(world, f35=enciphered(TRACK_2, OTHER_TDK))
    terminal.send({**reversal(world, request), "35": request["35"], "53": request["53"]})
    assert terminal.read_one()["39"] == "00"
    [taken_back] = issuer.read()
    assert taken_back["t"] in ("0400", "0420")
    assert "35" not in taken_back


def test_tracks_under_the_former_key_open_while_that_is_taken(keyed):
    till, issuer = Till(keyed), keyed.issuer()
    take(keyed, **KEPT, tdk=OTHER_TDK, former_tdk=TDK)
    assert till.tak == CUP_TAK
    till.sends(asking(keyed))
    issuer.answer(issuer.read_one())
    assert till.is_told() == ("00", 3)
    till.tak = NEW_TAK
    stored = asking(keyed)
    till.sends(stored)
    asked = issuer.read_one()
    assert asked["35"].replace("=", "D") == TRACK_2
    issuer.answer(asked)
    assert till.is_told()[0] == "00"


def test_what_is_no_track_and_is_not_said_to_be_enciphered_is_refused(keyed):
    terminal, issuer = keyed.terminal("cup"), keyed.issuer()
    answer = terminal.ask(asking(keyed, f35="6225000000000014D2812ABC", f53="2600000000000000"))
    assert answer["39"] == "30"
    assert not issuer.read()


def test_an_issuer_of_the_same_dialect_is_told_that_it_is_in_clear(make_world, keyed):
    world = make_world(links=[link("bank-a", "cup")], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal("cup"), world.issuer()
    terminal.send(asking(world))
    asked = issuer.read_one()
    assert (asked["35"], asked["53"]) == (TRACK_2, "2600000000000000")
    assert issuer.is_sealed(asked)
