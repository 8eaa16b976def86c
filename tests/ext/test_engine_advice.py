"""Advices of terminals: taken when durable, answered at once, and delivered by the switch from then on."""

from __future__ import annotations

import pytest

from switch.tables.risk import Risk
from switch.tables.risk_rules import kinds_mask
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable
from tests.ext.numbers import NO_CEILING, spend_numbers
from tests.ext.world import CARD, OTHER_MERCHANT, VISA, change, link, listener, purchase, reversal


def advice(world, name="iso", **changes):
    """A purchase that the terminal approved by itself."""
    extra = {"f60": "30000001"} if name == "cup" else {"f38": "654321", "f37": None}
    return purchase(world, name, **({"t": "0220"} | extra | changes))


def one_link(dialect="iso87-ascii", **changes):
    return {"links": [link("bank-a", dialect, **changes)], "routes": ["6,,,,,,bank-a:1"]}


@pytest.mark.parametrize("name", ["iso", "cup"])
def test_advice_is_answered_at_once_and_delivered(world, name):
    terminal, issuer = world.terminal(name), world.issuer()
    request = advice(world, name)
    answer = terminal.ask(request)
    assert (answer["t"], answer["39"]) == ("0230", "00")
    assert all(answer[field] == request[field] for field in ("3", "4", "11", "41", "42"))
    assert terminal.is_sealed(answer)
    world.tick()
    told = issuer.read_one()
    assert told["t"] == "0220"
    assert (told["2"], told["4"], told["3"], told["41"]) == (CARD, request["4"], "000000", request["41"])
    assert told["37"] == answer["37"]
    assert told.get("38") == request.get("38")
    assert issuer.is_sealed(told)
    issuer.answer(told)
    assert world.engine.owed == 0
    assert world.count("advices_total", link="bank-a") == 1
    assert world.count("advices_acknowledged_total", link="bank-a") == 1
    assert world.count("advices_declined_total") == 0
    assert world.count("transactions_total", kind="advice", reason="approved", link="bank-a") == 1
    world.advance(60)
    assert issuer.read() == []


@pytest.mark.parametrize(("mti", "kind"), [("0120", "preauthorization_advice"), ("0220", "advice")])
@pytest.mark.parametrize("spoken", ["iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary"])
def test_advice_keeps_its_class_in_every_dialect(make_world, mti, kind, spoken):
    world = make_world(links=[link("bank-a", spoken, match={"verify": [41, 4]})], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal(), world.issuer()
    answer = terminal.ask(advice(world, t=mti))
    assert (answer["t"], answer["39"]) == (f"{mti[:2]}30", "00")
    world.tick()
    told = issuer.read_one()
    assert told["t"] == ("1" if "93" in spoken else "0") + mti[1:]
    assert told["39"] == ("000" if "93" in spoken else "00")
    if "93" in spoken:
        assert "25" not in told or told["25"] != "1003"
    issuer.answer(told, "000" if "93" in spoken else "00", f38=None)
    assert world.engine.owed == 0
    assert world.count("transactions_total", kind=kind) == 1


def test_dates_are_those_of_the_payment(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.ask(advice(world, f12="091500", f13="0114"))
    world.tick()
    told = issuer.read_one()
    assert (told["12"], told["13"]) == ("091500", "0114")


def test_sensitive_fields_stay_here(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = advice(world, f35=f"{CARD}=28122010000000000000", f45="B123^TEST^2812", f2=None)
    terminal.ask(request)
    world.tick()
    told = issuer.read_one()
    assert told["2"] == CARD
    assert not {"35", "36", "45", "52", "53", "55"} & told.keys()
    for _, details in world.journal.records:
        assert all(b"28122010" not in value for value in details.values() if isinstance(value, bytes))


def test_repeat_gets_the_stored_answer(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = advice(world)
    first = terminal.ask(request)
    world.tick()
    told = issuer.read_one()
    for mti in ("0221", "0220"):
        assert terminal.ask(change(request, t=mti)) == first
    other = world.terminal()
    assert other.ask(change(request, t="0221")) == first
    world.tick()
    assert issuer.read() == []
    issuer.answer(told)
    assert terminal.ask(change(request, t="0221")) == first
    world.tick()
    assert issuer.read() == []
    assert terminal.ask(change(request, f4="000000009999"))["39"] == "94"


def test_nothing_leaves_before_both_records_are_durable(world):
    terminal, issuer = world.terminal(), world.issuer()
    world.syncs = False
    terminal.send(advice(world))
    world.tick()
    assert [what for what, _ in world.journal.records][:2] == ["advice", "outcome"]
    for durable in (0, 1):
        world.journal.sync(durable)
        assert terminal.read() == []
        assert issuer.read() == []
    world.journal.sync(2)
    assert terminal.read_one()["39"] == "00"
    assert issuer.read_one()["t"] == "0220"
    world.syncs = True


def test_answer_that_cannot_be_told_changes_nothing(world):
    """Its terminal asks again; what has happened has happened."""
    terminal, issuer = world.terminal(), world.issuer()
    request = advice(world)
    terminal.send(request)
    terminal.close()
    world.tick()
    issuer.answer(issuer.read_one())
    assert world.engine.owed == 0
    assert world.terminal().ask(change(request, t="0221"))["39"] == "00"
    world.tick()
    assert issuer.read() == []


def test_attempts_are_repeated_until_one_is_answered(make_world):
    rules = {"interval_ms": 1_000, "backoff_max_ms": 2_000}
    world = make_world(**one_link(reversal=rules, timeouts_to_unhealthy=100))
    terminal, issuer = world.terminal(), world.issuer()
    terminal.ask(advice(world))
    world.tick()
    first = issuer.read_one()
    for _ in range(3):
        attempts = []
        while not attempts:
            world.advance(0.5)
            attempts = issuer.read()
        (again,) = attempts
        assert again["t"] == "0221"
        assert {k: v for k, v in again.items() if k not in ("t", "64")} == {
            k: v for k, v in first.items() if k not in ("t", "64")
        }
        assert issuer.is_sealed(again)
    assert world.count("advice_attempts_total", link="bank-a") == 4
    issuer.answer(again)
    assert world.engine.owed == 0


@pytest.mark.parametrize("code", ["91", "96", "90", "68"])
def test_issuer_that_could_not_take_note_is_asked_again(world, code):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.ask(advice(world))
    world.tick()
    issuer.answer(issuer.read_one(), code)
    assert world.engine.owed == 1
    world.advance(12)
    issuer.answer(issuer.read_one(), "94")
    assert world.engine.owed == 0
    assert world.count("advices_declined_total") == 0


def test_issuer_that_found_its_mac_wrong_has_taken_no_note(make_world):
    world = make_world(**one_link(dialect="cup"))
    terminal, issuer = world.terminal(), world.issuer()
    terminal.ask(advice(world))
    world.tick()
    told = issuer.read_one()
    issuer.answer(told, "A0")
    assert world.engine.owed == 1
    world.advance(12)
    again = issuer.read_one()
    assert (again["t"], again["11"]) == ("0221", told["11"])
    issuer.answer(again)
    assert world.engine.owed == 0
    assert world.count("advices_declined_total") == 0


@pytest.mark.parametrize("code", ["05", "51", "12", "30", "62"])
def test_decline_ends_it_and_is_told_to_the_operator(world, code):
    terminal, issuer = world.terminal(), world.issuer()
    answer = terminal.ask(advice(world))
    world.tick()
    issuer.answer(issuer.read_one(), code)
    assert world.engine.owed == 0
    assert world.count("advices_acknowledged_total", link="bank-a") == 1
    assert world.count("advices_declined_total", link="bank-a") == 1
    (note,) = world.told("advice_declined")
    assert (note["link"], note["rrn"], note["stand_in"]) == ("bank-a", answer["37"], False)
    assert world.journal.records[-1][0] == "reversed"


def test_forged_answer_ends_nothing(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.ask(advice(world))
    world.tick()
    told = issuer.read_one()
    issuer.answer(told, mac=False)
    issuer.answer(told, f41="99999999")
    issuer.answer(change(told, t="0200"))
    issuer.answer(change(told, t="0420"))
    assert world.engine.owed == 1
    issuer.answer(told)
    assert world.engine.owed == 0
    issuer.answer(told)
    assert world.count("link_unmatched_answers_total", link="bank-a") >= 1


def test_link_down_keeps_it_and_sign_on_resumes(world):
    terminal = world.terminal()
    answers = [terminal.ask(advice(world)) for _ in range(5)]
    assert {answer["39"] for answer in answers} == {"00"}
    world.advance(3600, step=60)
    issuer = world.issuer()
    told = issuer.read()
    assert [one["37"] for one in told] == [answer["37"] for answer in answers]
    for one in told:
        issuer.answer(one)
    assert world.engine.owed == 0


def test_window_bounds_what_is_at_the_issuer(make_world):
    world = make_world(**one_link(reversal={"window": 2}))
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(5):
        terminal.ask(advice(world))
    world.tick()
    seen = 0
    while told := issuer.read():
        assert len(told) <= 2
        seen += len(told)
        for one in told:
            issuer.answer(one)
        world.tick()
    assert seen == 5


def test_store_that_is_full_refuses_what_may_come_again(make_world):
    world = make_world(limits={"reversals_max": 3, "transactions_in_flight_max": 2})
    terminal = world.terminal()
    requests = [advice(world) for _ in range(3)]
    assert [terminal.ask(request)["39"] for request in requests] == ["00", "00", "96"]
    assert world.count("refused_at_limit_total", limit="reversals") == 1
    issuer = world.issuer()
    for told in issuer.read():
        issuer.answer(told)
    assert terminal.ask(change(requests[2], t="0221"))["39"] == "00"


def test_advice_that_finds_no_number_may_come_again(world):
    terminal, issuer = world.terminal(), world.issuer()
    taken = advice(world)
    spend_numbers(world)
    assert terminal.ask(taken)["39"] == "91"
    world.engine.state.numbering.ceiling = NO_CEILING
    world.advance(1)
    assert terminal.ask(change(taken, t="0221"))["39"] == "00"
    world.tick()
    assert issuer.read_one()["t"] == "0220"


def test_journal_that_fails_refuses(world):
    terminal, issuer = world.terminal(), world.issuer()
    world.journal.fail()
    assert terminal.ask(advice(world))["39"] == "96"
    world.tick()
    assert issuer.read() == []
    assert world.engine.owed == 0


def test_drain_takes_no_advice(world):
    terminal, issuer = world.terminal(), world.issuer()
    known = advice(world)
    terminal.ask(known)
    world.engine.drain()
    assert terminal.ask(advice(world))["39"] == "91"
    assert terminal.ask(change(known, t="0221"))["39"] == "00"
    world.tick()
    issuer.answer(issuer.read_one())


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"f41": "10000099"}, "58"),
        ({"f42": OTHER_MERCHANT}, "58"),
        ({"f41": "10000007"}, "58"),
        ({"f2": "9999999999999999"}, "15"),
        ({"f2": None}, "30"),
        ({"f4": "000000000000"}, "13"),
        ({"f4": None}, "13"),
    ],
)
def test_what_is_checked(world, changes, code):
    terminal, issuer = world.terminal(), world.issuer()
    assert terminal.ask(advice(world, **changes))["39"] in {code, "03"}
    world.tick()
    assert issuer.read() == []
    assert world.engine.owed == 0


def test_wrong_mac_is_refused(world):
    terminal = world.terminal()
    assert terminal.ask(advice(world), mac=False)["39"] in {"63", "A0"}
    assert world.engine.owed == 0


def test_kinds_of_advices_that_a_dialect_lacks_are_refused(world):
    terminal = world.terminal("cup")
    assert terminal.ask(advice(world, "cup", t="0120"))["39"] == "12"


def daily(kinds):
    """A limit of a card, on sums, counts and single amounts."""
    mask = kinds_mask(kinds)
    return RuleTerms(
        name="daily", kinds=mask, window_ms=60_000, currency=156, amount_max=1500, single_max=1200, count_max=100
    )


def test_limits_do_not_refuse_but_count(make_world):
    risk = Risk.build(None, WindowTable(64), rules=[daily(("purchase", "advice"))])
    world = make_world(risk=risk)
    terminal, issuer = world.terminal(), world.issuer()
    taken = advice(world, f4="000000001300")
    assert terminal.ask(taken)["39"] == "00"
    assert terminal.ask(purchase(world))["39"] == "61"
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    terminal.send(purchase(world))
    world.tick()
    issuer.answer(next(one for one in issuer.read() if one["t"] == "0200"))
    assert terminal.read_one()["39"] == "00"


def test_route_by_card(world):
    terminal, issuer, other = world.terminal(), world.issuer(), world.issuer("bank-b")
    terminal.ask(advice(world, f2=VISA))
    world.tick()
    assert issuer.read() == []
    other.answer(other.read_one())
    assert world.engine.owed == 0


def test_link_that_is_up_is_preferred(make_world):
    links = [link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")]
    world = make_world(links=links, routes=["6,,,,,,bank-a:1|bank-b:2"])
    terminal, second = world.terminal(), world.issuer("bank-b")
    terminal.ask(advice(world))
    world.tick()
    second.answer(second.read_one())
    second.close()
    terminal.ask(advice(world))
    world.tick()
    first = world.issuer()
    first.answer(first.read_one())
    assert world.engine.owed == 0


# --- order ------------------------------------------------------------------------------------------------------------


def test_advice_that_was_not_sent_is_cancelled(world):
    terminal = world.terminal()
    taken = advice(world)
    terminal.ask(taken)
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    assert world.engine.owed == 0
    assert world.journal.records[-2][0] == "cancelled"
    assert world.journal.records[-2][1]["cause"] == "terminal"
    assert world.count("advices_cancelled_total", link="bank-a") == 1
    issuer = world.issuer()
    world.tick()
    assert issuer.read() == []
    # It is known, and will not be sent again; nor is it told as anything but taken.
    assert terminal.ask(change(taken, t="0221"))["39"] == "00"
    world.tick()
    assert issuer.read() == []


@pytest.mark.parametrize("spoken", ["iso87-ascii", "cup"])
def test_reversal_waits_behind_an_advice_that_was_sent(make_world, spoken):
    verify = [41, 4] if spoken == "cup" else [41, 4, 7]
    world = make_world(
        links=[link("bank-a", spoken, match={"verify": verify}, reversal={"interval_ms": 1_000})],
        routes=["6,,,,,,bank-a:1"],
    )
    terminal, issuer = world.terminal(), world.issuer()
    taken = advice(world)
    terminal.ask(taken)
    world.tick()
    told = issuer.read_one()
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    assert world.engine.owed == 2
    # First the advice, however long that takes.
    for _ in range(3):
        world.advance(20)
        assert {one["t"] for one in issuer.read()} == {"0221"}
    issuer.answer(change(told, t="0220"))
    world.tick()
    undone = issuer.read_one()
    assert undone["t"] == "0420"
    if spoken == "cup":
        assert undone["11"] == told["11"]
    else:
        assert undone["90"][:10] == f"0220{told['11']}"
    issuer.answer(undone)
    assert world.engine.owed == 0
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    world.tick()
    assert issuer.read() == []


def test_reversal_after_the_acknowledgement(world):
    terminal, issuer = world.terminal(), world.issuer()
    taken = advice(world)
    terminal.ask(taken)
    world.tick()
    told = issuer.read_one()
    issuer.answer(told)
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    world.tick()
    undone = issuer.read_one()
    assert (undone["t"], undone["90"][:10]) == ("0420", f"0220{told['11']}")
    issuer.answer(undone)
    assert world.engine.owed == 0


def test_reversal_that_overtakes_its_advice(world):
    """No issuer is told of the advice, and its terminal is not asked to send it again and again."""
    terminal, issuer = world.terminal(), world.issuer()
    taken = advice(world)
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    world.tick()
    issuer.answer(issuer.read_one(), "25")
    assert terminal.ask(taken)["39"] == "00"
    world.tick()
    assert issuer.read() == []


def test_reversal_finds_an_advice_that_the_window_has_forgotten(make_world):
    world = make_world(limits={"duplicate_window_seconds": 20})
    terminal = world.terminal()
    taken, other = advice(world), advice(world)
    terminal.ask(taken)
    terminal.ask(other)
    world.advance(60, step=1)
    terminal = world.terminal()
    assert terminal.ask(reversal(world, taken, f4="000000000999"))["39"] == "13"
    assert terminal.ask(reversal(world, taken))["39"] == "00"
    assert world.engine.owed == 1
    issuer = world.issuer()
    assert issuer.read_one()["4"] == other["4"]


def test_advices_and_requests_share_no_number(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii")], **one_link(timeouts_to_unhealthy=100))
    terminal, issuer = world.terminal(), world.issuer()
    terminal.ask(advice(world))
    world.tick()
    told = issuer.read_one()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    assert told["11"] != asked["11"]
    issuer.answer(asked)
    issuer.answer(told)
    assert terminal.read_one()["39"] == "00"
