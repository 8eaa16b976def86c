"""What is wrong with a message is told in the same words, with the same byte, by the log, ``decode`` and ``trace``."""

from __future__ import annotations

import random

import pytest

from switch.dialect import load_dialect
from switch.messages.opened import open_message
from switch.wire.faults import CHARACTERS, CONTENTS, FAULT_NAMES, fault_words, of_dialect, with_reason
from switch.wire.scan import FAULT_NAMES as SCANNED
from tests.ext.world import MERCHANT, OTHER_MERCHANT, change, issuer_answer, purchase

DIALECTS = {"cup": "cup", "iso": "iso87-ascii"}


def reasons(world, event):
    return [with_reason(details) for details in world.told(event)]


def shown(message, name):
    return open_message(message, load_dialect(DIALECTS[name])).error


@pytest.mark.parametrize("name", DIALECTS)
def test_log_and_decode_say_the_same_of_whatever_is_damaged(world, name):
    dice = random.Random(1987)
    damaged = 0
    for _ in range(400):
        terminal = world.terminal(name)
        message = bytearray(terminal.encode(purchase(world, name)))
        for _ in range(dice.randrange(1, 3)):
            message[dice.randrange(2, len(message))] = dice.randrange(256)
        del message[dice.choice([len(message), dice.randrange(2, len(message))]) :]
        told = len(world.told("format_error"))
        terminal.feed(terminal.frame(bytes(message)))
        terminal.read()
        terminal.close()
        error = shown(bytes(message), name)
        if error:
            damaged += 1
            (line,) = reasons(world, "format_error")[told:]
            assert (line["listener"], line["dialect"]) == (name, DIALECTS[name])
            assert of_dialect(line["dialect"], line["reason"]) == error
            assert f"at byte {line['byte']}" in error
        else:
            lacking = reasons(world, "format_error")[told:]
            assert all(line["fault"] == "missing" for line in lacking)
    assert damaged > 100


def test_the_place_and_what_was_there_are_told(world):
    terminal = world.terminal()
    message = terminal.encode(purchase(world, f41="TERM\x00001"))
    at = message.index(b"\x00")
    terminal.feed(terminal.frame(message))
    (line,) = reasons(world, "format_error")
    needed = "needs letters, digits and blanks" if "letters" in line["reason"] else "needs printable characters"
    assert line["reason"] == f"field 41: {needed}, has a control character (0x00), at byte {at}"
    assert line == {
        "listener": "iso",
        "dialect": "iso87-ascii",
        "fault": "content",
        "field": 41,
        "byte": at,
        "reason": line["reason"],
    }
    assert shown(message, "iso") == f"iso87-ascii: {line['reason']}"


@pytest.mark.parametrize("name", DIALECTS)
def test_missing_card_number_has_its_line_and_is_counted(world, name):
    terminal = world.terminal(name)
    request = purchase(world, name, f2=None, f35=None)
    assert terminal.ask(request)["39"] == "30"
    (line,) = reasons(world, "format_error")
    assert (line["fault"], line["field"], line["terminal"]) == ("missing", 2, request["41"])
    message = terminal.encode(request)
    first = open_message(message, load_dialect(DIALECTS[name])).fields[0]
    assert (first.field, line["byte"]) == ("3", first.position)
    assert line["reason"] == f"field 2: is needed, and is not there, at byte {first.position}"
    assert world.count("format_errors_total", listener=name) == 1


@pytest.mark.parametrize(
    ("changes", "code", "event", "fault", "field"),
    [
        ({"f4": None}, "13", "request_refused", "amount", 4),
        ({"f4": "000000000000"}, "13", "request_refused", "amount", 4),
        ({"f3": "770000"}, "12", "request_refused", "kind", 3),
        ({"f11": None}, None, "format_error", "missing", 11),
    ],
)
def test_every_refusal_of_a_field_has_its_line(world, changes, code, event, fault, field):
    terminal = world.terminal()
    terminal.send(purchase(world, **changes))
    answers = terminal.read()
    assert [answer["39"] for answer in answers] == ([code] if code else [])
    (line,) = reasons(world, event)
    assert (line["fault"], line["field"], line["dialect"]) == (fault, field, "iso87-ascii")


def test_number_of_another_request_has_its_line(world):
    terminal = world.terminal()
    first = purchase(world)
    terminal.ask(first)
    assert terminal.ask(change(first, f4="000000009999"))["39"] in ("26", "94")
    (line,) = reasons(world, "conflicting_repeat")
    assert (line["fault"], line["field"]) == ("conflict", 11)


def test_macs_have_their_lines(world):
    terminal = world.terminal()
    message = terminal.encode(purchase(world))
    terminal.feed(terminal.frame(message[:-1] + bytes([message[-1] ^ 1])))
    without = terminal.encode(purchase(world), mac=False)
    terminal.feed(terminal.frame(without))
    wrong, absent = reasons(world, "mac_failure")
    at = open_message(message, load_dialect("iso87-ascii")).fields[-1]
    assert at.field == "64"
    assert wrong["reason"] == f"field 64: the MAC is wrong, at byte {at.position}"
    assert absent["reason"] == f"field 64: a MAC is needed, and is not there, at byte {len(without)}"
    assert wrong["terminal"] == absent["terminal"]


@pytest.mark.parametrize(
    ("terminal_id", "merchant", "why"),
    [
        ("99999999", MERCHANT, "terminal not registered"),
        ("10000002", "898000000000777", "merchant not registered"),
        ("10000002", OTHER_MERCHANT, "terminal of another merchant"),
        ("10000004", MERCHANT, "terminal suspended or closed"),
    ],
)
def test_who_may_not_speak_is_told_why(world, terminal_id, merchant, why):
    world.terminal().ask(purchase(world, f41=terminal_id, f42=merchant))
    (line,) = world.told("terminal_refused")
    assert line == {"listener": "iso", "terminal": terminal_id, "merchant": merchant, "reason": why}


def test_message_that_cannot_be_read_has_one_line(world):
    """What stands behind the fault is not known: nobody is a stranger by that."""
    terminal = world.terminal()
    message = bytearray(terminal.encode(purchase(world), mac=False))
    at = bytes(message).index(b"012", 40)  # field 22
    message[at] = ord("x")
    terminal.feed(terminal.frame(bytes(message)))
    assert len(world.told("format_error")) == 1
    assert world.told("terminal_refused") == []


def test_answer_that_is_no_request_has_its_line(world):
    world.terminal().send(purchase(world, t="0210"))
    assert world.told("unexpected_message") == [{"listener": "iso", "mti": "0210"}]


def test_broken_frame_is_told_in_words(world):
    world.terminal().feed(b"\xff\xff0200")
    (line,) = world.told("frame_error")
    assert line["dialect"] == "iso87-ascii"
    assert line["reason"].startswith("frame refused (too-long) at byte 0: the message has 65535 bytes, at most ")


def test_unknown_code_of_an_issuer_is_told_and_counted(world):
    terminal, issuer = world.terminal(), world.issuer()
    for code in ("Z9", "51"):
        terminal.send(purchase(world))
        issuer.answer(issuer.read_one(), code)
        terminal.read_one()
    (line,) = world.told("link_unknown_code")
    assert (line["link"], line["code"], line["mti"]) == ("bank-a", "Z9", "0210")
    assert world.count("link_unknown_codes_total", link="bank-a") == 1


def test_issuers_answer_that_says_nothing_is_told_with_its_place(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.send(change(issuer_answer(asked), f39=None))
    (line,) = reasons(world, "link_format_error")
    assert (line["link"], line["fault"], line["field"]) == ("bank-a", "missing", 39)
    assert line["byte"] > 0


def test_every_fault_has_words():
    assert SCANNED is FAULT_NAMES
    assert len(set(FAULT_NAMES)) == len(FAULT_NAMES)
    for name in FAULT_NAMES:
        assert fault_words(name, 35, 7, 3, 4).startswith("field 35: ")
    for sort in range(len(CHARACTERS) + 3):
        for content in range(len(CONTENTS) + 3):
            assert "0x41" not in fault_words("content", 2, 1, content, sort | 0x41 << 8) or sort in (5, 6)
