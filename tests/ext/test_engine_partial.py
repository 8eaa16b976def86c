"""Approvals of a part of the amount, and answers whose fields are the issuer's own."""

from __future__ import annotations

import itertools

import pytest

from tests.ext.journal_world import JournalWorld
from tests.ext.world import AT_ONCE, LINKS, LISTENERS, ONE_ROUTE, change, link, listener, purchase, reversal

ASKED, PART, MORE = "000000010000", "000000004000", "000000010001"
TAKES_IT, DOES_NOT = "22000001" + "000" + "50" + "1", "22000001" + "000" + "50" + "0"
PARTIAL = {"partial_approval": True}


def world_with(make_world, *, dialect="iso87-ascii", listeners=LISTENERS, **changes):
    return make_world(listeners=listeners, links=[link("bank-a", dialect, **(PARTIAL | changes))], routes=ONE_ROUTE)


def listener_that(policy):
    return [listener("cup", "cup", partial_approval=policy), listener("iso", "iso87-ascii", partial_approval=policy)]


def asked(world, name="iso", **fields):
    """A payment at its issuer: terminal, issuer, what the terminal sent, what the issuer got."""
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name, f4=ASKED, **fields)
    terminal.send(request)
    return terminal, issuer, request, issuer.read_one()


# --- who may be told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "policy", "field_60", "link_may", "is_told"),
    [
        ("cup", "marked", TAKES_IT, True, True),
        ("cup", "marked", DOES_NOT, True, False),
        ("cup", "marked", "22000001", True, False),
        ("cup", "always", DOES_NOT, True, True),
        ("cup", "never", TAKES_IT, True, False),
        ("cup", "marked", TAKES_IT, False, False),
        ("iso", "marked", None, True, False),
        ("iso", "always", None, True, True),
        ("iso", "always", None, False, False),
    ],
)
def test_part_is_told_to_whom_it_may_be(make_world, name, policy, field_60, link_may, is_told):
    world = world_with(make_world, listeners=listener_that(policy), partial_approval=link_may)
    fields = {} if field_60 is None else {"f60": field_60}
    terminal, issuer, request, question = asked(world, name, **fields)
    issuer.answer(question, "10", f4=PART, f38="A1B2C3")
    answer = terminal.read_one()
    world.tick()
    if is_told:
        assert (answer["39"], answer["4"], answer["38"]) == ("10", PART, "A1B2C3")
        assert issuer.read() == []
        assert world.count("transactions_total", reason="partially_approved") == 1
        # The same again gets the same.
        assert terminal.ask(request)["4"] == PART
    else:
        assert (answer["39"], answer.get("38")) == ("05", None)
        taken_back = issuer.read_one()
        assert (taken_back["t"], taken_back["4"], taken_back["37"]) == ("0420", PART, question["37"])
        assert world.count("transactions_total", reason="partial_not_accepted") == 1
        assert terminal.ask(request)["39"] == "05"
        issuer.answer(taken_back)
    assert world.count("link_timeouts_total") == 0
    assert world.count("link_mismatched_answers_total") == 0
    world.settle()


@pytest.mark.parametrize("amount", [ASKED, PART])
@pytest.mark.parametrize("dialect", ["iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary"])
def test_terminal_takes_a_part_back_by_either_amount(make_world, dialect, amount):
    world = world_with(make_world, dialect=dialect, listeners=listener_that("always"))
    terminal, issuer, request, question = asked(world)
    issuer.answer(question, "002" if dialect.startswith("iso93") else "10", f4=PART)
    assert terminal.read_one()["39"] == "10"
    assert terminal.ask(reversal(world, request, f4=amount))["39"] == "00"
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"][1:], taken_back["4"]) == ("420", PART)
    issuer.answer(taken_back)
    assert world.engine.owed == 0
    assert terminal.ask(reversal(world, request, f4="000000007777", f11=world.stan()))["39"] in ("13", "25")


def test_part_that_nobody_was_told_of_is_taken_back(make_world):
    world = world_with(make_world, listeners=listener_that("always"))
    terminal, issuer, _, question = asked(world)
    terminal.close()
    issuer.answer(question, "10", f4=PART)
    world.tick()
    assert issuer.read_one()["4"] == PART


def test_part_whose_terminal_has_given_up_is_taken_back(make_world):
    world = world_with(make_world, listeners=listener_that("always"))
    terminal, issuer, request, question = asked(world)
    assert terminal.ask(reversal(world, request, f4=ASKED))["39"] == "00"
    issuer.answer(question, "10", f4=PART)
    assert terminal.read_one()["39"] == "68"
    world.tick()
    assert issuer.read_one()["4"] == PART


def test_late_part_is_taken_back(make_world):
    world = world_with(make_world, listeners=listener_that("always"))
    terminal, issuer, _, question = asked(world)
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    taken_back = issuer.read_one()
    assert taken_back["4"] == ASKED
    issuer.answer(taken_back, "25")
    issuer.answer(question, "10", f4=PART)
    sent: list[dict[str, str]] = []
    for _ in range(120):
        world.advance(0.5)
        if sent := issuer.read():
            break
    (again,) = sent
    assert (again["t"], again["37"], again["4"]) == ("0421", question["37"], PART)
    issuer.answer(again)
    assert world.engine.owed == 0


def test_late_part_behind_a_reversal_that_found_nothing_is_taken_back(make_world):
    world = world_with(make_world, listeners=listener_that("always"), reversal=AT_ONCE)
    _, issuer, _, question = asked(world)
    world.advance(16)
    issuer.answer(issuer.read_one(), "25")
    assert world.engine.owed == 0
    issuer.answer(question, "10", f4=PART)
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["37"], taken_back["4"]) == ("0420", question["37"], PART)
    issuer.answer(taken_back)
    assert world.engine.owed == 0


def test_part_that_is_the_whole_is_an_approval(make_world):
    world = world_with(make_world, partial_approval=False)
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, "10")
    answer = terminal.read_one()
    assert (answer["39"], answer["4"]) == ("00", ASKED)
    assert issuer.read() == []


def test_part_without_an_amount_is_taken_back(make_world):
    world = world_with(make_world, listeners=listener_that("always"))
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, "10", f4=None)
    assert terminal.read_one()["39"] == "05"
    world.tick()
    assert issuer.read_one()["4"] == ASKED


# --- amounts ----------------------------------------------------------------------------------------------------------


def kind_of_end(world, terminal):
    """What a terminal is told at once, or after the time-out: approved in full, in part, declined, or no answer."""
    answers = terminal.read()
    if not answers:
        world.advance(16)
        assert terminal.read_one()["39"] == "68"
        return "no answer"
    return {"00": "all", "10": "part"}.get(answers[0]["39"], "declined")


CODES, AMOUNTS = ("00", "10", "11", "16", "05"), (None, "000000000000", PART, ASKED, MORE)
VERIFY = ([41, 4], [41], [41, 7])


@pytest.mark.parametrize("verify", VERIFY, ids=str)
@pytest.mark.parametrize(("code", "amount"), list(itertools.product(CODES, AMOUNTS)))
def test_what_may_be_told(make_world, verify, code, amount):
    """More is never approved, less only as a part, under whatever code and whatever is verified."""
    world = world_with(make_world, listeners=listener_that("always"), match={"verify": verify})
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, code, f4=amount)
    end = kind_of_end(world, terminal)
    if code == "05":
        agrees = 4 not in verify or amount in (None, "000000000000", ASKED)
        assert end == ("declined" if agrees else "no answer")
    elif amount == MORE:
        assert end == "no answer"
    elif amount == ASKED:
        assert end in ("all", "declined")
        assert end == "all" or code in ("11", "16")
    elif code == "10":
        assert end == {None: "declined", PART: "part"}.get(amount, "no answer")
    elif amount is not None:
        assert end == ("no answer" if 4 in verify else "part" if amount == PART else "declined")
    world.tick()
    reversed_or_told = world.engine.owed == 1 or end in ("all", "part") or code == "05" or end == "declined"
    assert reversed_or_told
    world.settle()


@pytest.mark.parametrize(("policy", "code"), [("always", "10"), ("never", "05")])
@pytest.mark.parametrize("said", ["00", "10"])
def test_issuer_that_calls_a_part_an_approval_is_not_quoted(make_world, said, policy, code):
    """Its terminal would take it for the whole amount."""
    world = world_with(make_world, listeners=listener_that(policy), match={"verify": [41]})
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, said, f4=PART)
    answer = terminal.read_one()
    assert (answer["39"], answer.get("4")) == (code, PART if code == "10" else ASKED)
    world.tick()
    assert [sent["t"] for sent in issuer.read()] == ([] if code == "10" else ["0420"])


# --- mismatches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"f7": "0101010101"}, {"f4": None}, {"f7": None}, {"f41": None}])
def test_what_issuers_do_of_their_own_is_no_mismatch(make_world, changes):
    world = world_with(make_world)
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, **changes)
    assert terminal.read_one()["39"] == "00"
    assert world.count("link_mismatched_answers_total") == 0


@pytest.mark.parametrize(
    ("changes", "match", "field"),
    [
        ({"f41": "10000009"}, {}, 41),
        ({"f4": MORE}, {}, 4),
        ({"f4": PART}, {}, 4),
        ({"f7": "0101010101"}, {"verify": [41, 7]}, 7),
        ({"f41": None}, {"verify": [41, 4], "required": [41]}, 41),
        ({"f41": None, "f4": None}, {}, "none repeated"),
        ({"f11": "000777"}, {"by": "rrn"}, 11),
    ],
)
def test_mismatch_is_named_and_is_no_time_out(make_world, changes, match, field):
    world = world_with(make_world, timeouts_to_unhealthy=1, match=match)
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, **changes)
    assert terminal.read() == []
    assert [note["field"] for note in world.told("link_mismatched_answer")] == [field]
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    assert issuer.read_one()["t"] == "0420"
    assert world.link("bank-a").connections.state_name == "up"
    assert world.count("link_timeouts_total") == 0
    assert world.count("link_mismatched_requests_total") == 1
    assert world.count("transactions_total", reason="answer_mismatched") == 1
    (outcome,) = [details for what, details in world.journal.records if what == "outcome"]
    assert outcome["reason"] == "answer_mismatched"


def test_right_answer_may_follow_a_wrong_one(make_world):
    world = world_with(make_world)
    terminal, issuer, _, question = asked(world)
    issuer.answer(question, f41="10000009")
    issuer.answer(question)
    assert terminal.read_one()["39"] == "00"
    assert world.count("link_mismatched_requests_total") == 0


# --- over a restart ---------------------------------------------------------------------------------------------------


def test_part_outlives_a_restart():
    changes = {
        "links": [link("bank-a", "iso87-binary", mac=False, **PARTIAL), LINKS[1]],
        "listeners": listener_that("always"),
        "routes": ONE_ROUTE,
    }
    world = JournalWorld(**changes)
    terminal, issuer, request, question = asked(world)
    issuer.answer(question, "10", f4=PART)
    assert terminal.read_one()["4"] == PART
    after = world.killed(**changes)
    terminal = after.terminal("iso")
    again = terminal.ask(request)
    assert (again["39"], again["4"]) == ("10", PART)
    assert terminal.ask(reversal(after, change(request), f4=PART, f11=after.stan()))["39"] == "00"
    third = after.killed(**changes)
    taken_back = third.issuer().read_one()
    assert (taken_back["t"], taken_back["4"]) == ("0420", PART)
    third.settle()


# --- what the issuer is told of the terminal --------------------------------------------------------------------------

SHORT = "22000001"
UNMARKED = SHORT + "000" + "50"
ACCOUNT = "123"


@pytest.mark.parametrize(
    ("name", "policy", "link_may", "sent", "told"),
    [
        ("cup", "marked", True, TAKES_IT, TAKES_IT),
        ("cup", "marked", True, TAKES_IT + ACCOUNT, TAKES_IT + ACCOUNT),
        ("cup", "marked", True, DOES_NOT, DOES_NOT),
        ("cup", "marked", True, UNMARKED, UNMARKED),
        ("cup", "always", True, DOES_NOT + ACCOUNT, TAKES_IT + ACCOUNT),
        ("cup", "always", True, UNMARKED, TAKES_IT),
        ("cup", "always", True, SHORT, SHORT + "000" + "00" + "1"),
        ("cup", "always", False, TAKES_IT, DOES_NOT),
        ("cup", "never", True, TAKES_IT + ACCOUNT, DOES_NOT + ACCOUNT),
        ("cup", "never", False, SHORT, SHORT),
        ("iso", "marked", True, None, "22"),
        ("iso", "always", True, None, "22000000" + "000" + "00" + "1"),
        ("iso", "always", False, None, "22"),
    ],
)
def test_cup_issuer_is_told_whether_a_part_can_be_taken(make_world, name, policy, link_may, sent, told):
    world = world_with(make_world, dialect="cup", listeners=listener_that(policy), partial_approval=link_may)
    fields = {} if sent is None else {"f60": sent}
    terminal, issuer, request, question = asked(world, name, **fields)
    assert question["60"] == told
    issuer.answer(question, "10", f4=PART)
    answer = terminal.read_one()
    assert (answer["39"], answer.get("60")) == ("10" if told[13:14] == "1" else "05", sent)
    if answer["39"] == "10":
        # What the terminal takes back names the payment as its issuer knows it.
        assert terminal.ask(reversal(world, request, f4=PART))["39"] == "00"
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["4"], taken_back["60"]) == ("0420", PART, told)


def test_mark_may_stand_in_a_field_of_its_own(make_world, tmp_path):
    path = tmp_path / "marked.toml"
    path.write_text(
        'extends = "iso87-ascii"\n[partial_approval]\nfield = "47"\nvalue = "YES"\ndenial = "NO "\n'
        '[policy.request]\n47 = ["compute:partial_approval", "forward"]\n'
    )
    for policy, sent, told in (("always", None, "YES"), ("marked", "YES", "YES"), ("marked", "PERHAPS", "NO HAPS")):
        world = world_with(
            make_world, dialect=str(path), listeners=[listener("iso", str(path), partial_approval=policy)]
        )
        _, _, _, question = asked(world, **({} if sent is None else {"f47": sent}))
        assert question["47"] == told
