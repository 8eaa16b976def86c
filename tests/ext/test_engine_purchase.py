"""Requests there and back: every pair of dialects, what is translated, and in which order it is written down."""

from __future__ import annotations

import iso8583
import pytest

from switch.crypto.pin_block import decrypt_pin_block, encrypt_pin_block
from tests.ext.world import (
    CARD,
    CUP_TPK,
    DONE,
    ISO_TPK,
    MERCHANT,
    ONE_ROUTE,
    TERMINALS,
    VISA,
    ZPK,
    change,
    dialect,
    issuer_answer,
    link,
    listener,
    purchase,
)

TERMINAL_DIALECTS = ("cup", "iso87-ascii", "iso87-binary")
LINK_DIALECTS = ("iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary", "cup")


@pytest.mark.parametrize("name", ["cup", "iso"])
@pytest.mark.parametrize(("bank", "card"), [("bank-a", CARD), ("bank-b", VISA)])
def test_purchase_there_and_back(world, name, bank, card):
    terminal, issuer = world.terminal(name), world.issuer(bank)
    request = purchase(world, name, f2=card)
    assert terminal.send(request) == DONE
    assert terminal.read() == []
    asked = issuer.read_one()
    assert (asked["t"], asked["2"], asked["3"], asked["4"]) == ("0200", card, "000000", request["4"])
    assert (asked["41"], asked["42"], asked["49"]) == (request["41"], request["42"], "156")
    assert asked["32"].lstrip("0") == "10000001"
    assert 1 + int(asked["37"][4:], 36) % 999_999 == int(asked["11"])
    assert issuer.is_sealed(asked) == issuer.mac
    assert ("64" in asked) == issuer.mac
    issuer.answer(asked)
    answer = terminal.read_one()
    assert (answer["t"], answer["39"], answer["38"]) == ("0210", "00", "A1B2C3")
    assert {field: answer[field] for field in ("11", "41", "42", "4")} == {
        field: request[field] for field in ("11", "41", "42", "4")
    }
    assert answer["37"] == asked["37"]
    assert terminal.is_sealed(answer)
    assert world.count("transactions_total", reason="approved", listener=name, link=bank) == 1
    assert world.count("link_answer_seconds_count", link=bank) == 1


@pytest.mark.parametrize("issuing", LINK_DIALECTS)
@pytest.mark.parametrize("asking", TERMINAL_DIALECTS)
@pytest.mark.parametrize("code", ["00", "51"])
def test_every_pair_of_dialects(make_world, asking, issuing, code):
    world = make_world(
        listeners=[listener("pos", asking)],
        links=[link("bank-a", issuing, match={"verify": [41, 4]})],
        routes=ONE_ROUTE,
    )
    terminal, issuer = world.terminal("pos"), world.issuer("bank-a")
    request = purchase(world, "pos")
    terminal.send(request)
    asked = issuer.read_one()
    assert issuer.is_sealed(asked)
    declined = "116" if issuing.startswith("iso93") else code
    issuer.answer(asked, "00" if code == "00" else declined)
    answer = terminal.read_one()
    assert (answer["39"], answer["11"], answer["4"]) == (code, request["11"], request["4"])
    assert answer.get("38") == ("A1B2C3" if code == "00" else None)
    assert terminal.is_sealed(answer)


def test_tpdu_addresses_change_places_in_the_answer(world):
    terminal, issuer = world.terminal("cup"), world.issuer()
    headers = bytes.fromhex("6012345678") + bytes.fromhex("613100311108")
    terminal.feed(terminal.frame(terminal.encode(purchase(world, "cup")), headers))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    assert terminal.headers == bytes.fromhex("6056781234") + bytes.fromhex("613100311108")


@pytest.mark.parametrize("code", ["01", "05", "14", "51", "54", "55", "61", "62", "65", "75", "91", "96"])
def test_what_the_issuer_declines_is_told_with_its_code(world, code):
    terminal, issuer = world.terminal("cup"), world.issuer()
    terminal.send(purchase(world, "cup"))
    issuer.answer(issuer.read_one(), code)
    assert terminal.read_one()["39"] == code
    assert world.engine.owed == 0


def test_approval_that_cannot_be_written_for_its_terminal_is_taken_back(make_world, tmp_path):
    """Not even in the switch's own words is it told that it was approved."""
    path = tmp_path / "short.toml"
    path.write_text('extends = "iso87-ascii"\n[fields]\n44 = {format = "n..25"}\n')
    world = make_world(listeners=[listener("iso", str(path))], links=[link("bank-a", "iso87-ascii")], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.answer(asked, f44="SEVENTY")
    assert terminal.read_one()["39"] == "96"
    assert [details["field"] for details in world.told("answer_not_composable")] == [44]
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["37"], taken_back["38"]) == ("0420", asked["37"], "A1B2C3")
    issuer.answer(taken_back)
    assert world.engine.owed == 0


def test_answers_in_any_order_go_to_their_own_requests(world):
    terminal, issuer = world.terminal(), world.issuer()
    requests = [purchase(world, f4=f"{amount:012}") for amount in range(100, 110)]
    for request in requests:
        terminal.send(request)
    asked = issuer.read()
    assert len({one["11"] for one in asked}) == len(requests)
    for one in reversed(asked):
        issuer.answer(one, f38=one["4"][-6:])
    answers = terminal.read()
    assert [one["11"] for one in answers] == [one["11"] for one in reversed(requests)]
    assert all(one["38"] == one["4"][-6:] for one in answers)


def test_terminals_do_not_see_one_another(world):
    terminals = [world.terminal(), world.terminal(), world.terminal("cup")]
    issuer = world.issuer()
    requests = [
        purchase(world, f4="000000000111"),
        purchase(world, f41="10000003", f42="898000000000002", f4="000000000222"),
        purchase(world, "cup", f4="000000000333"),
    ]
    for terminal, request in zip(terminals, requests, strict=True):
        terminal.send(request)
    for asked in reversed(issuer.read()):
        issuer.answer(asked)
    for terminal, request in zip(terminals, requests, strict=True):
        answer = terminal.read_one()
        assert (answer["41"], answer["4"], answer["11"]) == (request["41"], request["4"], request["11"])


def test_the_numbers_of_requests_on_a_link_are_its_own(world):
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(3):
        terminal.send(purchase(world, f11="000777", f12=f"{160000 + _:06}"))
    first, second, third = (int(asked["11"]) for asked in issuer.read())
    assert (second, third) == (first + 1, first + 2)


# --- PIN and secrets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "key"), [("cup", CUP_TPK), ("iso", ISO_TPK)])
@pytest.mark.parametrize(("bank", "card"), [("bank-a", CARD), ("bank-b", VISA)])
def test_pin_goes_on_under_the_key_of_the_link(world, name, key, bank, card):
    terminal, issuer = world.terminal(name), world.issuer(bank)
    block = encrypt_pin_block("43218", card, key).hex().upper()
    terminal.send(purchase(world, name, f2=card, f22="021", f52=block))
    asked = issuer.read_one()
    assert asked["52"] != block
    assert decrypt_pin_block(bytes.fromhex(asked["52"]), card, ZPK) == "43218"


@pytest.mark.parametrize("on_link", ["iso-0", "iso-3", "iso-4"])
@pytest.mark.parametrize("at_terminal", ["iso-0", "iso-1", "iso-3", "iso-4"])
def test_pin_goes_on_in_the_format_of_the_link(make_world, monkeypatch, tmp_path, at_terminal, on_link):
    world = world_of_formats(make_world, monkeypatch, tmp_path, at_terminal, on_link)
    terminal, issuer = world.terminal("iso"), world.issuer()
    block = encrypt_pin_block("43218", CARD, ISO_TPK, at_terminal).hex().upper()
    terminal.send(purchase(world, "iso", f22="021", f52=block))
    asked = issuer.read_one()
    assert decrypt_pin_block(bytes.fromhex(asked["52"]), CARD, ZPK, on_link) == "43218"


@pytest.mark.parametrize("at_terminal", ["iso-0", "iso-3", "iso-4"])
def test_pin_that_is_bound_to_a_card_goes_nowhere_without_one(make_world, monkeypatch, tmp_path, at_terminal):
    world = world_of_formats(make_world, monkeypatch, tmp_path, at_terminal, "iso-1")
    terminal, issuer = world.terminal("iso"), world.issuer()
    block = encrypt_pin_block("43218", CARD, ISO_TPK, at_terminal).hex().upper()
    assert terminal.ask(purchase(world, "iso", f22="021", f52=block))["39"] == "63"
    assert issuer.read() == []


@pytest.mark.parametrize(("at_terminal", "size"), [("iso-0", 16), ("iso-4", 8), ("iso-4", 0)])
def test_pin_block_of_another_size_is_refused(make_world, monkeypatch, tmp_path, at_terminal, size):
    """In a field that takes both; of a terminal, its format says how long its blocks are."""
    world = world_of_formats(make_world, monkeypatch, tmp_path, at_terminal, "iso-0", "b..16")
    terminal, issuer = world.terminal("iso"), world.issuer()
    assert terminal.ask(purchase(world, "iso", f52="A5" * size))["39"] == "30"
    assert issuer.read() == []


def world_of_formats(make_world, monkeypatch, tmp_path, at_terminal, on_link, field=""):
    """A terminal and a link whose PIN blocks are of these formats, and whose field 52 is as long as needed."""
    monkeypatch.setitem(TERMINALS, "10000002", (MERCHANT, "active", "", "", "x9.19", at_terminal, ""))
    names = []
    for pin_format in (at_terminal, on_link):
        needed = field or ("b128" if pin_format == "iso-4" else "b64")
        path = tmp_path / f"{pin_format}.toml"
        path.write_text(f'extends = "iso87-ascii"\nfields.52 = {{ format = "{needed}" }}\n')
        names.append(str(path))
    pin = {"format": on_link, "key": "link/bank-a/zpk"}
    links = [link("bank-a", names[1], pin=pin)]
    return make_world(listeners=[listener("iso", names[0])], links=links, routes=ONE_ROUTE)


@pytest.mark.parametrize("block", ["0000000000000000", "FFFFFFFFFFFFFFFF"])
def test_pin_block_that_is_none_is_refused(world, block):
    terminal, issuer = world.terminal(), world.issuer()
    assert terminal.ask(purchase(world, f52=block))["39"] == "63"
    assert issuer.read() == []


def test_pin_to_a_link_without_a_key_is_refused(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", pin=None)], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    block = encrypt_pin_block("1234", CARD, ISO_TPK).hex().upper()
    assert terminal.ask(purchase(world, f52=block))["39"] == "63"
    assert issuer.read() == []


TRACK = f"{CARD}=28121010000012345678"


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_card_is_read_from_track_2_where_field_2_is_absent(world, name):
    terminal, issuer = world.terminal(name), world.issuer()
    track = TRACK.replace("=", "D") if name == "cup" else TRACK
    request = purchase(world, name, f2=None, f35=track)
    terminal.send(request)
    asked = issuer.read_one()
    assert asked["2"] == CARD
    assert asked["35"].replace("D", "=") == TRACK
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_no_secret_is_kept_beside_the_message_on_its_way(world, name):
    terminal, issuer = world.terminal(name), world.issuer()
    pin_key = CUP_TPK if name == "cup" else ISO_TPK
    block = encrypt_pin_block("4321", CARD, pin_key)
    track = TRACK.replace("=", "D") if name == "cup" else TRACK
    chip = "9F2608A1B2C3D4E5F60718"
    terminal.send(purchase(world, name, f22="051", f35=track, f52=block.hex().upper(), f55=chip))
    asked = issuer.read_one()
    assert asked["55"] == chip
    terminal.close()
    issuer.answer(asked)  # nobody is told of it: it is kept and reversed
    pin = bytes.fromhex(asked["52"])
    secrets = [block, pin, bytes.fromhex(chip)]
    secrets += [one.hex().upper().encode() for one in secrets]
    secrets += [b"28121010000012345678", bytes.fromhex("2812101000001234")]
    kept = [value for _, details in world.journal.records for value in details.values() if isinstance(value, bytes)]
    assert len(kept) > 3
    for secret in secrets:
        assert not any(secret in one for one in kept), secret.hex()
    world.tick()
    reversed_ = issuer.read_one()
    assert {"35", "52", "55"}.isdisjoint(reversed_)


# --- durable first ----------------------------------------------------------------------------------------------------


def test_intent_before_the_issuer_and_outcome_before_the_terminal(world):
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    assert [what for what, _ in world.journal.records] == ["intent"]
    assert issuer.read() == []
    world.journal.sync()
    asked = issuer.read_one()
    issuer.answer(asked)
    assert [what for what, _ in world.journal.records] == ["intent", "outcome"]
    assert terminal.read() == []
    world.journal.sync()
    assert terminal.read_one()["39"] == "00"
    assert world.journal.records[1][1]["answer"] == terminal.raw[-1]


def test_output_waits_in_its_order(world):
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(3):
        terminal.send(purchase(world))
    world.journal.sync(2)
    asked = issuer.read()
    assert len(asked) == 2
    world.journal.sync()
    assert len(issuer.read()) == 1
    for one in asked:
        issuer.answer(one)
    world.journal.sync(4)
    assert [one["11"] for one in terminal.read()] == ["000001"]
    world.journal.sync()
    assert [one["11"] for one in terminal.read()] == ["000002"]


def test_refusals_that_store_nothing_wait_for_nothing(world):
    world.syncs = False
    terminal = world.terminal()
    assert terminal.ask(purchase(world, f41="99999999"), mac=False)["39"] == "58"
    assert world.journal.written == 0


def test_refusals_with_a_natural_key_wait_for_their_record(world):
    world.syncs = False
    terminal = world.terminal()
    request = purchase(world, f2="9999999999999999")
    terminal.send(request)
    assert terminal.read() == []
    terminal.send(request)  # a repeat gets the stored answer, not earlier than the first would
    assert terminal.read() == []
    world.journal.sync()
    assert [one["39"] for one in terminal.read()] == ["15", "15"]


def test_without_a_journal_no_work_is_taken_and_nothing_is_told(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    world.journal.fail()
    issuer.answer(asked)
    assert terminal.read() == []
    terminal.send(request)
    assert terminal.read() == []
    assert terminal.ask(purchase(world))["39"] == "96"


def test_pyiso8583_reads_what_is_sent(world):
    terminal, issuer = world.terminal("cup"), world.issuer()
    terminal.send(purchase(world, "cup"))
    asked = issuer.read_one()
    again, _ = iso8583.encode(dict(asked), dialect("iso87-ascii").layout)
    assert bytes(again) == issuer.raw[-1]


def test_kinds_are_written_in_the_words_of_the_link(world):
    terminal, issuer = world.terminal("cup"), world.issuer()
    inquiry = purchase(world, "cup", f3="310000", f4=None, f60="01000001")
    terminal.send(inquiry)
    asked = issuer.read_one()
    assert (asked["t"], asked["3"]) == ("0200", "310000")
    answer = issuer_answer(asked, f54="1002156C000000012300", f38=None)
    issuer.send(change(answer))
    told = terminal.read_one()
    assert (told["39"], told["54"]) == ("00", "1002156C000000012300")
    assert world.count("transactions_total", kind="balance_inquiry") == 1
