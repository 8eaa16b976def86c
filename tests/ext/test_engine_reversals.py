"""Reversals: of approvals that nobody was told, of time-outs, and terminals' own; kept and sent until acknowledged."""

from __future__ import annotations

import pytest

from tests.ext.world import CARD, LINKS_AT_ONCE, ONE_ROUTE, VISA, change, link, purchase, reversal


def approve(world, terminal, issuer, **changes):
    """A purchase that was approved and told; the request, and what the issuer saw."""
    name = "cup" if terminal.dialect.name == "cup" else "iso"
    request = purchase(world, name, **changes)
    terminal.send(request)
    asked = issuer.read_one()
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    return request, asked


def owed_reversal(world, terminal, issuer):
    """A purchase that timed out; what the issuer was asked, and the first attempt at its reversal."""
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    return asked, issuer.read_one()


# --- approvals that nobody was told -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cup", "iso"])
@pytest.mark.parametrize("gone", ["before the answer", "before it left"])
def test_approval_that_cannot_be_told_is_reversed(world, name, gone):
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name)
    terminal.send(request)
    asked = issuer.read_one()
    if gone == "before the answer":
        terminal.close()
    issuer.answer(asked)
    terminal.close()
    assert world.engine.owed == 1
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["38"]) == ("0420", "A1B2C3")
    assert taken_back["90"][4:10] == asked["11"]
    assert (taken_back["2"], taken_back["4"], taken_back["41"]) == (CARD, asked["4"], asked["41"])
    again = world.terminal(name)
    assert again.ask(request)["39"] == ("98" if name == "cup" else "68")
    issuer.answer(taken_back)
    assert world.engine.owed == 0
    assert again.ask(request)["39"] == ("98" if name == "cup" else "68")
    assert world.count("undelivered_answers_total") == (gone == "before the answer")


def test_repeat_is_told_of_the_reversal_when_it_is_durable(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    terminal.close()
    world.syncs = False
    again = world.terminal()
    again.send(request)
    assert again.read() == []
    world.journal.sync()
    assert again.read_one()["39"] == "68"


def test_refusal_that_cannot_be_told_is_not_reversed(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    terminal.close()
    issuer.answer(asked, "51")
    world.tick()
    assert issuer.read() == []
    assert world.terminal().ask(request)["39"] == "51"


def test_each_untold_approval_of_a_connection_is_reversed(world):
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(3):
        terminal.send(purchase(world))
    world.journal.sync()
    first, second, third = issuer.read()
    issuer.answer(first)
    issuer.answer(second, "51")
    issuer.answer(third)
    world.journal.sync(4)
    assert [one["39"] for one in terminal.read()] == ["00"]
    terminal.close()
    world.journal.sync()
    world.tick()
    world.journal.sync()
    assert [one["90"][4:10] for one in issuer.read()] == [third["11"]]


# --- the terminal's own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cup", "iso"])
def test_terminal_takes_back_what_was_approved(world, name):
    terminal, issuer = world.terminal(name), world.issuer()
    request, asked = approve(world, terminal, issuer)
    own = reversal(world, request)
    answer = terminal.ask(own)
    assert (answer["t"], answer["39"], answer["11"]) == ("0410", "00", own["11"])
    assert terminal.is_sealed(answer)
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["90"][4:10], taken_back["38"]) == ("0420", asked["11"], "A1B2C3")
    # Repeats of it, and another with a number of its own, are answered alike and change nothing.
    assert terminal.ask(own)["39"] == "00"
    assert terminal.ask(change(own, t="0401"))["39"] == "00"
    if name == "iso":
        assert terminal.ask(reversal(world, request))["39"] == "00"
    issuer.answer(taken_back)
    world.advance(1)
    assert issuer.read() == []
    assert terminal.ask(request)["39"] == ("98" if name == "cup" else "68")


def test_acceptance_is_told_when_the_reversal_is_durable(world):
    terminal, issuer = world.terminal(), world.issuer()
    request, _ = approve(world, terminal, issuer)
    world.syncs = False
    terminal.send(reversal(world, request))
    assert [what for what, _ in world.journal.records[-2:]] == ["reversal", "outcome"]
    assert terminal.read() == []
    world.tick()
    assert issuer.read() == []
    world.journal.sync()
    assert terminal.read_one()["39"] == "00"
    assert issuer.read_one()["t"] == "0420"


@pytest.mark.parametrize("code", ["00", "51", None])
def test_terminal_takes_back_what_is_in_flight(world, code):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.tick()
    assert issuer.read() == []
    if code is None:
        world.advance(16)
    else:
        issuer.answer(asked, code)
    assert terminal.read_one()["39"] == ("51" if code == "51" else "68")
    world.tick()
    taken_back = issuer.read()
    assert len(taken_back) == (code != "51")
    if code == "00":
        assert taken_back[0]["38"] == "A1B2C3"


def test_repeat_that_joins_what_is_taken_back_changes_nothing(world):
    terminal, again, issuer = world.terminal(), world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    assert terminal.ask(reversal(world, request))["39"] == "00"
    again.send(request)
    issuer.answer(asked)
    assert again.read_one()["39"] == "68"
    world.tick()
    assert issuer.read_one()["38"] == "A1B2C3"


def test_terminal_takes_back_what_was_declined(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one(), "51")
    terminal.read_one()
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.tick()
    assert issuer.read() == []


def test_terminal_takes_back_what_timed_out(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.read_one()
    world.advance(16)
    terminal.read_one()
    issuer.answer(issuer.read_one())
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.tick()
    assert issuer.read() == []


@pytest.mark.parametrize("bank", ["bank-a", "bank-b"])
def test_reversal_of_an_unknown_request_goes_where_the_card_belongs(world, bank):
    terminal, issuer = world.terminal(), world.issuer(bank)
    never = purchase(world, f2=VISA if bank == "bank-b" else CARD)
    stan = world.engine.state.numbering.next_stan
    assert terminal.ask(reversal(world, never))["39"] == "00"
    world.tick()
    passed_on = issuer.read_one()
    assert passed_on["t"] == "0420"
    assert (passed_on["2"], passed_on["4"], passed_on["41"]) == (never["2"], never["4"], "10000002")
    assert stan <= int(passed_on["11"]) < world.engine.state.numbering.next_stan
    assert issuer.is_sealed(passed_on) == issuer.mac
    issuer.answer(passed_on, "25")
    # The terminal was promised it: it is told to somebody, kept, and asked again.
    world.tick()
    assert len(world.told("reversal_not_found")) == 1
    assert world.engine.owed == 1
    world.advance(12)
    assert issuer.read_one()["t"] == "0421"


def test_reversal_of_an_unknown_request_has_a_number_of_its_own(world):
    """And an answer of its own: the terminal is told of another one."""
    terminal, issuer = world.terminal(), world.issuer()
    told = terminal.ask(reversal(world, purchase(world)))
    assert told["39"] == "00"
    world.tick()
    passed_on = issuer.read_one()
    assert 1 + int(passed_on["37"][4:], 36) % 999_999 == int(passed_on["11"])
    assert passed_on["37"] != told.get("37")


def test_reversal_of_an_unknown_request_of_an_unknown_card(world):
    terminal = world.terminal()
    never = purchase(world, f2="9999999999999999")
    assert terminal.ask(reversal(world, never))["39"] == "15"
    assert terminal.ask(reversal(world, change(never, f2=None)))["39"] == "25"
    assert world.engine.owed == 0


@pytest.mark.parametrize("state", ["in flight", "finished"])
def test_reversal_of_another_amount_is_refused(world, state):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    if state == "finished":
        issuer.answer(asked)
        terminal.read_one()
    assert terminal.ask(reversal(world, request, f4="000000000999"))["39"] == "13"
    if state == "in flight":
        issuer.answer(asked)
        assert terminal.read_one()["39"] == "00"
    assert world.engine.owed == 0


def test_nobody_takes_back_the_request_of_another_terminal(world):
    terminal, issuer = world.terminal(), world.issuer()
    request, _ = approve(world, terminal, issuer)
    other = world.terminal()
    own = reversal(world, request, f41="10000003", f42="898000000000002")
    assert other.ask(own)["39"] == "00"
    world.tick()
    passed_on = issuer.read_one()
    assert passed_on["41"] == "10000003"
    assert "38" not in passed_on
    issuer.answer(passed_on, "25")
    assert terminal.ask(request)["39"] == "00"


def test_reversal_names_the_newest_of_a_number(world):
    terminal, issuer = world.terminal(), world.issuer()
    first, _ = approve(world, terminal, issuer, f11="000500")
    second, asked = approve(world, terminal, issuer, f11="000500", f12="170000", f4="000000000777")
    assert terminal.ask(reversal(world, second))["39"] == "00"
    world.tick()
    assert issuer.read_one()["90"][4:10] == asked["11"]
    assert terminal.ask(first)["39"] == "00"


@pytest.mark.parametrize("field_90", ["0200", "0200ABCDEF" + "0" * 32, "0" * 42])
def test_original_data_that_names_nothing(world, field_90):
    terminal, issuer = world.terminal(), world.issuer()
    request, _ = approve(world, terminal, issuer)
    own = reversal(world, request, f90=field_90.ljust(42, "0"))
    told = terminal.ask(own)["39"]
    assert told in ("00", "30")
    # What is accepted takes the only payment of this card and amount back that there was just now.
    assert terminal.ask(request)["39"] == ("68" if told == "00" else "00")


# --- store and forward ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mti", "repeated"), [("0400", "0401"), ("0420", "0421")])
def test_reversal_is_repeated_with_growing_pauses(make_world, mti, repeated):
    rules = {"mti": mti, "interval_ms": 1_000, "backoff_max_ms": 4_000}
    world = make_world(
        links=[link("bank-a", "iso87-ascii", reversal=rules, timeouts_to_unhealthy=100)], routes=ONE_ROUTE
    )
    terminal, issuer = world.terminal(), world.issuer()
    _, first = owed_reversal(world, terminal, issuer)
    assert first["t"] == mti
    # Each attempt waits its 15 seconds for an answer, then 1, 2, 4, 4 ... more, and up to an eighth of that.
    for pause in (1, 2, 4, 4, 4):
        world.advance(15 + pause - 0.1, step=0.1)
        assert issuer.read() == []
        attempts = []
        for _ in range(5 + int(pause * 10 / 8)):
            world.advance(0.1)
            attempts = issuer.read()
            if attempts:
                break
        (attempt,) = attempts
        assert attempt["t"] == repeated
        assert (attempt["11"], attempt["37"], attempt["90"]) == (first["11"], first["37"], first["90"])
        assert issuer.is_sealed(attempt)
    assert world.count("reversal_attempts_total", link="bank-a") == 6
    issuer.answer(attempt)
    assert world.engine.owed == 0
    assert world.count("reversals_acknowledged_total", link="bank-a") == 1
    world.advance(60, step=1)
    assert issuer.read() == []


@pytest.mark.parametrize("code", ["00", "25", "94", "21"])
def test_codes_that_end_a_reversal(make_world, code):
    world = make_world(links=LINKS_AT_ONCE)
    terminal, issuer = world.terminal(), world.issuer()
    _, taken_back = owed_reversal(world, terminal, issuer)
    issuer.answer(taken_back, code)
    assert world.engine.owed == 0


@pytest.mark.parametrize("code", ["96", "91", "05", "30", "12"])
def test_codes_that_do_not(world, code):
    terminal, issuer = world.terminal(), world.issuer()
    _, taken_back = owed_reversal(world, terminal, issuer)
    issuer.answer(taken_back, code)
    assert world.engine.owed == 1
    world.advance(9.5)
    assert issuer.read() == []
    world.advance(2)
    assert issuer.read_one()["t"] == "0421"


def test_acknowledgement_must_be_authentic(world):
    terminal, issuer = world.terminal(), world.issuer()
    asked, taken_back = owed_reversal(world, terminal, issuer)
    issuer.answer(taken_back, mac=False)
    issuer.answer(taken_back, f41="10000007")
    issuer.answer(taken_back, t="0210")
    issuer.answer(asked)
    assert world.engine.owed == 1
    issuer.answer(taken_back)
    assert world.engine.owed == 0
    issuer.answer(taken_back)
    assert world.count("link_unmatched_answers_total") == 2


def test_window_of_reversals_at_the_issuer(make_world):
    world = make_world(
        links=[link("bank-a", "iso87-ascii", reversal={"window": 3}, timeouts_to_unhealthy=1000)], routes=ONE_ROUTE
    )
    terminal, issuer = world.terminal(), world.issuer()
    requests = [purchase(world) for _ in range(10)]
    for request in requests:
        terminal.send(request)
    asked = issuer.read()
    world.advance(15.1)
    assert len(terminal.read()) == 10
    seen = []
    while batch := issuer.read():
        assert len(batch) <= 3
        assert world.link("bank-a").saf.at_issuer == len(batch)
        for one in batch:
            seen.append(one["90"][4:10])
            issuer.answer(one)
    assert seen == [one["11"] for one in asked]
    assert world.engine.owed == 0


def test_reversals_rest_while_the_link_is_down_and_go_on_when_it_is_back(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    issuer.close()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    world.advance(100, step=1)
    assert world.engine.owed == 1
    back = world.issuer()
    taken_back = back.read_one()
    assert taken_back["t"] == "0420"
    back.close()
    world.advance(30, step=1)
    again = world.issuer()
    assert again.read_one()["t"] == "0421"


def test_reversal_lost_with_its_connection_is_sent_again(world):
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    world.journal.sync()
    issuer.read_one()
    world.advance(15.5)
    issuer.close()  # with the reversal queued, not sent
    world.syncs = True
    assert terminal.read_one()["39"] == "68"
    back = world.issuer()
    world.advance(26)
    assert back.read_one()["t"] == "0421"


def test_cup_reversal_keeps_the_number_of_its_original(make_world):
    world = make_world(links=[link("bank-a", "cup", match={"verify": [41, 4]})], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    asked, taken_back = owed_reversal(world, terminal, issuer)
    assert taken_back["11"] == asked["11"]
    assert (taken_back["t"], taken_back["39"], taken_back["60"]) == ("0420", "98", asked["60"])
    assert issuer.is_sealed(taken_back)
    # The answer to the reversal is told from the late answer to the request by its MTI.
    issuer.answer(asked)
    assert world.count("link_late_answers_total") == 1
    assert world.engine.owed == 1
    issuer.answer(taken_back)
    assert world.engine.owed == 0


def test_reversals_count_for_the_link_that_they_are_owed_to(world):
    terminal, first, second = world.terminal(), world.issuer(), world.issuer("bank-b")
    for card in (CARD, VISA, VISA):
        terminal.send(purchase(world, f2=card))
    first.read()
    second.read()
    world.advance(15.1)
    terminal.read()
    assert (world.link("bank-a").saf.depth, world.link("bank-b").saf.depth) == (1, 2)
    assert [one["2"] for one in first.read()] == [CARD]
    assert [one["2"] for one in second.read()] == [VISA, VISA]
