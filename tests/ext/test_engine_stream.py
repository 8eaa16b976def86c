"""The same conversation, however its bytes are cut."""

from __future__ import annotations

import pytest

from tests.ext.world import DONE, ONE_ROUTE, World, link, purchase

NETWORK = {"7": "0115080000", "11": "000900", "70": "301"}


def conversation(name, cut_terminal=None, cut_issuer=None):
    """Two purchases, a wrong MAC, a keep-alive and an echo test; each side's bytes are cut once, or nowhere.

    Gives all that both sides were sent, and how many bytes each of them sent.
    """
    world = World(links=[link("bank-a", "iso87-ascii", sign_on=True)], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(name), world.issuer()
    seen = []

    def look():
        for line in (terminal, issuer):
            line.read()
            seen.extend(line.raw)

    def send(line, data, cut):
        pieces = [data] if cut is None else [data[:cut], data[cut:]]
        for piece in pieces:
            if piece:
                assert line.feed(piece) == DONE

    asked = issuer.read_one()
    issuer.answer(asked, mac=False)
    good = [terminal.encode(purchase(world, name, f4=f"{amount:012}")) for amount in (100, 200)]
    wrong = good[0][:-1] + bytes([good[0][-1] ^ 1])
    data = b"".join([terminal.frame(good[0]), b"\x00\x00", terminal.frame(wrong), terminal.frame(good[1])])
    send(terminal, data, cut_terminal)
    terminal_bytes = len(data)
    terminal.read()
    seen.extend(terminal.raw)
    requests = issuer.read()
    seen.extend(issuer.raw)
    answers = [issuer.encode({**one, "t": "0210", "39": "00"}) for one in map(dict, map(strip_mac, requests))]
    echo = issuer.encode({"t": "0800", **NETWORK}, mac=False)
    data = b"".join(map(issuer.frame, [answers[0], echo, answers[1]]))
    send(issuer, data, cut_issuer)
    look()
    world.settle()
    return seen, terminal_bytes, len(data)


def strip_mac(document):
    return {field: value for field, value in document.items() if field != "64"}


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_terminal_cut_at_every_byte(name):
    whole, terminal_bytes, _ = conversation(name)
    assert len(whole) == 6
    for cut in range(1, terminal_bytes):
        assert conversation(name, cut_terminal=cut)[0] == whole, cut


def test_issuer_cut_at_every_byte():
    whole, _, issuer_bytes = conversation("cup")
    for cut in range(1, issuer_bytes):
        assert conversation("cup", cut_issuer=cut)[0] == whole, cut


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_byte_by_byte(world, name):
    terminal, issuer = world.terminal(name), world.issuer()
    for byte in terminal.frame(terminal.encode(purchase(world, name))):
        assert terminal.feed(bytes([byte])) == DONE
    asked = issuer.read_one()
    answer = issuer.encode({**strip_mac(asked), "t": "0210", "39": "00"})
    for byte in issuer.frame(answer):
        assert issuer.feed(bytes([byte])) == DONE
    assert terminal.read_one()["39"] == "00"


def test_many_to_a_read(world):
    terminal, issuer = world.terminal(), world.issuer()
    frames = b"".join(terminal.frame(terminal.encode(purchase(world))) for _ in range(50))
    terminal.feed(frames)
    asked = issuer.read()
    assert len(asked) == 50
    issuer.feed(b"".join(issuer.frame(issuer.encode({**strip_mac(one), "t": "0210", "39": "00"})) for one in asked))
    assert [one["11"] for one in terminal.read()] == [f"{number:06}" for number in range(1, 51)]
