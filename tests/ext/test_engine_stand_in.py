"""Stand-in: what the switch approves while no link can be asked, within which limits, and what the issuer hears."""

from __future__ import annotations

import pytest

from switch.saf.owed_entries import close_entry
from switch.tables.risk import Risk
from switch.tables.rule_terms import BandTerms, RuleTerms
from switch.tables.time_windows import WindowTable
from tests.ext.world import CARD, VISA, change, link, listener, original_data, purchase, reversal

RULE = {
    "limits": [
        {
            "currency": "156",
            "amount_max": 20_000,
            "outstanding_max": 100_000,
            "card_amount_max": 30_000,
            "card_count_max": 3,
        }
    ]
}


def limits(**changes):
    return {"limits": [RULE["limits"][0] | changes]}


def two_links(rule=RULE, **changes):
    return {
        "links": [
            link("bank-a", "iso87-ascii", stand_in=rule, **changes),
            link("bank-b", "iso87-ascii"),
        ],
        "routes": ["6,,,,,,bank-a:1|bank-b:2", "4,,,,,,bank-b:1"],
    }


def outstanding(world):
    """What the issuer of cards 6 was not told of yet, in yuan's minor units."""
    return world.link("bank-a").stand_in.outstanding(156)


@pytest.fixture
def world(make_world):
    """One link that stands in for cards 6; nobody does for cards 4."""
    return make_world(**two_links())


@pytest.mark.parametrize("name", ["iso", "cup"])
def test_approved_while_the_link_is_down_and_told_when_it_is_back(world, name):
    terminal = world.terminal(name)
    request = purchase(world, name)
    answer = terminal.ask(request)
    assert (answer["t"], answer["39"]) == ("0210", "00")
    assert answer["38"].startswith("SI")
    assert terminal.is_sealed(answer)
    assert world.count("stand_in_approvals_total", link="bank-a", currency="156") == 1
    assert world.count("stand_in_amount_total", link="bank-a", currency="156") == 1000
    assert world.count("stand_in_outstanding", link="bank-a", currency="156") == 1000
    world.advance(600, step=10)
    issuer = world.issuer()
    told = issuer.read_one()
    assert told["t"] == "0220"
    assert (told["2"], told["4"], told["3"], told["41"]) == (CARD, request["4"], "000000", request["41"])
    assert (told["37"], told["38"], told["39"], told["60"]) == (answer["37"], answer["38"], "00", "STIP")
    assert issuer.is_sealed(told)
    issuer.answer(told)
    assert world.engine.owed == 0
    assert world.count("stand_in_outstanding", link="bank-a", currency="156") == 0
    assert world.count("transactions_total", kind="purchase", reason="approved", link="bank-a") == 1
    assert [what for what, _ in world.journal.records] == ["advice", "outcome", "attempt", "reversed"]
    assert world.journal.records[1][1]["stand_in"]


@pytest.mark.parametrize(
    ("spoken", "place", "mark"),
    [
        ("iso87-binary", "60", "STIP"),
        ("iso93-ascii", "25", "1003"),
        ("iso93-binary", "25", "1003"),
        ("cup", "61", "000000000000000002"),
    ],
)
def test_each_dialect_has_its_mark(make_world, spoken, place, mark):
    section = link("bank-a", spoken, stand_in=RULE, match={"verify": [41, 4]})
    world = make_world(links=[section], routes=["6,,,,,,bank-a:1"])
    terminal = world.terminal()
    answer = terminal.ask(purchase(world))
    issuer = world.issuer()
    told = issuer.read_one()
    assert told[place] == mark
    assert told["38"] == answer["38"]
    assert told["t"][1:] == "220"
    issuer.answer(told, "000" if "93" in spoken else "00")
    assert world.engine.owed == 0


def test_preauthorization_is_told_as_one(make_world):
    world = make_world(**two_links(RULE | {"kinds": ["preauthorization"]}))
    terminal = world.terminal()
    assert terminal.ask(purchase(world))["39"] == "91"
    assert terminal.ask(purchase(world, t="0100"))["39"] == "00"
    issuer = world.issuer()
    told = issuer.read_one()
    assert (told["t"], told["3"]) == ("0120", "000000")
    issuer.answer(told)
    assert world.engine.owed == 0


def test_authorization_code_is_made_of_the_number(world):
    terminal = world.terminal()
    answer = terminal.ask(purchase(world))
    number = 1 + int(answer["37"][4:], 36) % 999_999
    assert answer["38"][:2] == "SI"
    assert int(answer["38"][2:], 36) == number
    issuer = world.issuer()
    assert int(issuer.read_one()["11"]) == number


def test_repeat_gets_the_stored_answer(world):
    terminal = world.terminal()
    request = purchase(world)
    first = terminal.ask(request)
    assert terminal.ask(change(request, t="0201")) == first
    issuer = world.issuer()
    told = issuer.read_one()
    assert terminal.ask(request) == first
    issuer.answer(told)
    assert terminal.ask(request) == first
    world.tick()
    assert issuer.read() == []
    assert world.count("stand_in_approvals_total") == 1


def test_nothing_leaves_before_both_records_are_durable(world):
    terminal = world.terminal()
    world.syncs = False
    terminal.send(purchase(world))
    issuer = world.issuer()
    for durable in (0, 1):
        world.journal.sync(durable)
        assert terminal.read() == []
        assert issuer.read() == []
    world.journal.sync(2)
    assert terminal.read_one()["39"] == "00"
    assert issuer.read_one()["t"] == "0220"
    world.syncs = True


# --- when -------------------------------------------------------------------------------------------------------------


def test_not_while_a_link_of_the_route_is_up(world):
    terminal, other = world.terminal(), world.issuer("bank-b")
    terminal.send(purchase(world))
    assert terminal.read() == []
    other.answer(other.read_one(), "51")
    assert terminal.read_one()["39"] == "51"


def test_not_for_a_busy_link(make_world):
    world = make_world(
        links=[link("bank-a", "iso87-ascii", stand_in=RULE, in_flight_max=16)], routes=["6,,,,,,bank-a:1"]
    )
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(16):
        terminal.send(purchase(world))
    assert terminal.ask(purchase(world))["39"] == "91"
    for asked in issuer.read():
        issuer.answer(asked)
    assert len(terminal.read()) == 16


def test_not_after_a_time_out(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    assert world.count("stand_in_approvals_total") == 0


def test_for_a_link_that_is_suspended(make_world):
    world = make_world(**two_links(timeouts_to_unhealthy=1))
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    world.advance(15.5)
    assert terminal.read_one()["39"] == "68"
    assert world.link("bank-a").connections.state_name == "suspended"
    assert terminal.ask(purchase(world))["39"] == "00"
    world.tick()
    assert {one["t"] for one in issuer.read()} <= {"0800", "0420"}


def test_for_an_issuer_that_has_signed_off(make_world):
    world = make_world(**two_links(sign_on=True))
    terminal, issuer = world.terminal(), world.issuer()
    issuer.answer(issuer.read_one())
    issuer.send({"t": "0800", "7": "0115080000", "11": "000001", "70": "002"})
    assert issuer.read_one()["39"] == "00"
    assert terminal.ask(purchase(world))["39"] == "00"
    issuer.send({"t": "0800", "7": "0115080000", "11": "000002", "70": "001"})
    assert {one["t"] for one in issuer.read()} == {"0810", "0220"}


def test_off_unless_configured(make_world):
    world = make_world()
    assert world.terminal().ask(purchase(world))["39"] == "91"


def test_drain_stands_in_for_nobody(world):
    terminal = world.terminal()
    world.engine.drain()
    assert terminal.ask(purchase(world))["39"] == "91"


# --- what is covered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "changes", "limit"),
    [
        (RULE, {"t": "0100"}, "kind"),
        (RULE, {"f3": "010000"}, "kind"),
        (RULE | {"bins": ["622588", "622599-622600"]}, {}, "bin"),
        (RULE, {"f52": "0123456789ABCDEF"}, "pin"),
        (RULE, {"f49": "840"}, "currency"),
        (RULE, {"f49": None}, "currency"),
        (RULE, {"f4": "000000020001"}, "amount"),
        (limits(card_amount_max=20_000), {"f4": "000000020001"}, "amount"),
        (limits(card_amount_max=9_000), {"f4": "000000009001"}, "card_amount"),
        (limits(outstanding_max=20_000, card_amount_max=None), {"f4": "000000020001"}, "amount"),
    ],
)
def test_not_covered(make_world, rule, changes, limit):
    world = make_world(**two_links(rule))
    terminal = world.terminal()
    request = purchase(world, **changes)
    assert terminal.ask(request)["39"] == "91"
    assert world.count("stand_in_refused_total", link="bank-a", limit=limit) == 1
    assert world.count("stand_in_refused_total") == 1
    assert world.engine.owed == 0
    # A payment that was refused once is never charged.
    world.issuer()
    assert terminal.ask(request)["39"] == "91"


@pytest.mark.parametrize("bins", [["6225"], ["6225880", "6225000-6225999"], [CARD]])
def test_covered_cards(make_world, bins):
    world = make_world(**two_links(RULE | {"bins": bins}))
    assert world.terminal().ask(purchase(world))["39"] == "00"


def test_pin_where_it_is_allowed(make_world):
    world = make_world(**two_links(RULE | {"pin": True}))
    terminal = world.terminal()
    assert terminal.ask(purchase(world, f52="0123456789ABCDEF"))["39"] == "00"
    issuer = world.issuer()
    assert not {"26", "52", "53"} & issuer.read_one().keys()


def test_limits_of_a_card(world):
    terminal = world.terminal()
    assert [terminal.ask(purchase(world, f4=f"{amount:012d}"))["39"] for amount in (20_000, 10_001, 10_000)] == [
        "00",
        "91",
        "00",
    ]
    assert world.count("stand_in_refused_total", limit="card_amount") == 1
    other = "6225000000000022"
    assert [terminal.ask(purchase(world, f2=other))["39"] for _ in range(4)] == ["00", "00", "00", "91"]
    assert world.count("stand_in_refused_total", limit="card_count") == 1
    # A day later, and the issuer still away: counted anew.
    world.advance(100_000, step=500)
    assert world.terminal().ask(purchase(world, f2=other))["39"] == "00"


def test_outstanding_amount_is_bounded(make_world):
    world = make_world(**two_links(limits(outstanding_max=30_000, card_amount_max=None, card_count_max=None)))
    terminal = world.terminal()
    answers = [terminal.ask(purchase(world, f4="000000020000"))["39"] for _ in range(2)]
    assert answers == ["00", "91"]
    assert world.count("stand_in_refused_total", limit="outstanding") == 1
    issuer = world.issuer()
    issuer.answer(issuer.read_one())
    issuer.close()
    assert terminal.ask(purchase(world, f4="000000020000"))["39"] == "00"


def test_what_an_operator_closes_is_outstanding_no_more(make_world):
    world = make_world(**two_links(limits(outstanding_max=30_000)))
    terminal = world.terminal()
    told = terminal.ask(purchase(world, f4="000000020000"))
    close_entry(world.engine.state, rrn=told["37"], what="advice", name="Mei Lin", reason="told by phone")
    assert world.count("stand_in_outstanding", link="bank-a") == 0
    assert terminal.ask(purchase(world, f2="6225000000000022", f4="000000020000"))["39"] == "00"


def test_each_currency_has_its_own_limit_of_a_card(make_world):
    world = make_world(**two_links({"limits": [RULE["limits"][0], RULE["limits"][0] | {"currency": "840"}]}))
    terminal = world.terminal()
    asked = [purchase(world, f4="000000020000", f49=currency) for currency in ("156", "840", "156", "840")]
    assert [terminal.ask(one)["39"] for one in asked] == ["00", "00", "91", "91"]
    assert world.count("stand_in_refused_total", limit="card_amount") == 2


def test_no_route_no_stand_in(world):
    assert world.terminal().ask(purchase(world, f2=VISA))["39"] == "91"
    assert world.terminal().ask(purchase(world, f2="9999999999999999"))["39"] == "15"


def test_room_is_kept_for_the_reversal(make_world):
    world = make_world(limits={"reversals_max": 3, "transactions_in_flight_max": 2}, **two_links())
    terminal = world.terminal()
    assert [terminal.ask(purchase(world))["39"] for _ in range(3)] == ["00", "00", "96"]
    assert outstanding(world) == 2_000, "what finds no room is not counted"


def test_journal_that_fails_approves_nothing(world):
    terminal = world.terminal()
    world.journal.fail()
    assert terminal.ask(purchase(world))["39"] == "96"
    assert world.engine.owed == 0
    assert outstanding(world) == 0


# --- what is taken back -----------------------------------------------------------------------------------------------


def test_terminal_that_is_gone_cancels_it(world):
    terminal = world.terminal()
    request = purchase(world, f4="000000020000")
    terminal.send(request)
    terminal.close()
    assert world.engine.owed == 0
    assert world.journal.records[-1] == (
        "cancelled",
        {"advice": 1, "original": 1, "cause": "untold"},
    )
    assert world.count("stand_in_outstanding", link="bank-a") == 0
    terminal = world.terminal()
    assert terminal.ask(request)["39"] == "68"
    # Its card may spend that again.
    assert terminal.ask(purchase(world, f4="000000020000"))["39"] == "00"


def test_terminal_that_is_gone_after_the_advice_was_sent(world):
    """Both wait for the same records: the link's end may read first."""
    terminal = world.terminal()
    request = purchase(world)
    terminal.send(request)
    issuer = world.issuer()
    told = issuer.read_one()
    terminal.close()
    world.tick()
    assert issuer.read() == []
    assert world.engine.owed == 2
    issuer.answer(told)
    world.tick()
    undone = issuer.read_one()
    assert (undone["t"], undone["90"][:10], undone["38"]) == ("0420", f"0220{told['11']}", told["38"])
    issuer.answer(undone)
    assert world.engine.owed == 0
    assert world.terminal().ask(request)["39"] == "68"


def test_reversal_of_the_terminal_cancels_it(world):
    terminal = world.terminal()
    request = purchase(world)
    terminal.ask(request)
    assert terminal.ask(reversal(world, request, f4="000000000999"))["39"] == "13"
    assert terminal.ask(reversal(world, request))["39"] == "00"
    assert world.engine.owed == 0
    issuer = world.issuer()
    world.tick()
    assert issuer.read() == []
    assert terminal.ask(request)["39"] == "68"


@pytest.mark.parametrize("is_sent", [False, True])
def test_reversal_that_names_it_loosely_ends_its_repeats(world, is_sent):
    terminal = world.terminal()
    request = purchase(world)
    assert terminal.ask(request)["39"] == "00"
    issuer = world.issuer() if is_sent else None
    world.tick()
    loose = reversal(world, request, f7="0115080500", f12="160500", f90=original_data(request)[:10] + "0" * 32)
    assert terminal.ask(loose)["39"] == "00"
    assert terminal.ask(request)["39"] != "00", "it is taken back"
    assert terminal.ask(reversal(world, request))["39"] == "00"
    issuer = issuer or world.issuer()
    world.tick()
    if is_sent:
        issuer.answer(issuer.read_one())
        world.tick()
        issuer.answer(issuer.read_one())
    assert issuer.read() == []
    assert world.engine.owed == 0


@pytest.mark.parametrize("is_told", [False, True])
def test_what_is_taken_back_later_leaves_its_card_its_limit(make_world, is_told):
    """Seconds later another slice of the card's window is under way."""
    world = make_world(**two_links(RULE | {"window_seconds": 70}))
    request = purchase(world, f4="000000020000")
    assert world.terminal().ask(request)["39"] == "00"
    if is_told:
        issuer = world.issuer()
        issuer.answer(issuer.read_one())
        issuer.close()
    world.advance(15, step=5)
    terminal = world.terminal()
    assert terminal.ask(reversal(world, request))["39"] == "00"
    assert terminal.ask(purchase(world, f4="000000020000"))["39"] == "00"


def test_reversal_of_another_payment_of_that_number_leaves_it_alone(world):
    terminal = world.terminal()
    request = purchase(world)
    terminal.ask(request)
    never_came = change(request, f7="0114080000", f13="0114")
    assert terminal.ask(reversal(world, never_came))["39"] == "00"
    issuer = world.issuer()
    world.tick()
    # Nobody knows it here: its issuer is asked by the moment that the terminal names, and the payment goes on.
    told, passed_on = sorted(issuer.read(), key=lambda message: message["t"])
    assert (told["t"], passed_on["t"]) == ("0220", "0420")
    assert passed_on["90"][10:20] == "0114080000" != told["7"]
    issuer.answer(passed_on)
    issuer.answer(told)
    assert world.engine.owed == 0
    assert terminal.ask(request)["39"] == "00"


def test_reversal_of_the_terminal_follows_an_advice_that_was_sent(world):
    terminal = world.terminal()
    request = purchase(world)
    terminal.ask(request)
    issuer = world.issuer()
    told = issuer.read_one()
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.tick()
    assert issuer.read() == []
    issuer.answer(told, "51")
    world.tick()
    undone = issuer.read_one()
    assert undone["t"] == "0420"
    issuer.answer(undone)
    assert world.engine.owed == 0
    assert len(world.told("advice_declined")) == 1


def test_reversal_waits_until_its_advice_has_been_told_to_a_link_that_comes_late(world):
    terminal = world.terminal()
    request = purchase(world)
    terminal.ask(request)
    issuer = world.issuer()
    issuer.read_one()
    issuer.close()
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.advance(40)
    (told,) = world.issuer().read()
    issuer = world.lines[-1]
    assert told["t"] == "0221"
    issuer.answer(told)
    world.tick()
    issuer.answer(issuer.read_one())
    assert world.engine.owed == 0


def test_answer_is_stored_for_its_own_listener(make_world):
    world = make_world(listeners=[listener("iso", "iso87-ascii"), listener("ebcdic", "iso87-ebcdic")], **two_links())
    request = purchase(world)
    assert world.terminal("iso").ask(request)["39"] == "00"
    assert world.terminal("ebcdic").ask(request)["39"] == "94"


def test_reversal_that_finds_no_room_gives_its_card_nothing_back(make_world):
    """It stands as it was, and may be asked for once more: the card's window must not shrink each time."""
    world = make_world(limits={"reversals_max": 3, "transactions_in_flight_max": 3}, **two_links())
    terminal, issuer = world.terminal(), world.issuer()
    issuer.close()
    paid = purchase(world)
    assert terminal.ask(paid)["39"] == "00"
    issuer = world.issuer()
    issuer.answer(issuer.read_one())
    issuer.close()
    others = [purchase(world, f2="6225000000000022") for _ in range(3)]
    assert [terminal.ask(one)["39"] for one in others[:2]] == ["00"] * 2  # two advices, and one reversal
    assert terminal.ask(reversal(world, others[2]))["39"] == "00"
    assert [terminal.ask(reversal(world, paid))["39"] for _ in range(3)] == ["96"] * 3
    issuer = world.issuer()
    for one in issuer.read():
        issuer.answer(one)
    issuer.close()
    assert world.engine.owed == 0
    assert [terminal.ask(purchase(world))["39"] for _ in range(3)] == ["00", "00", "91"]
    assert world.count("stand_in_refused_total", limit="card_count") == 1


def test_a_case_is_raised_about_what_stand_in_approves_and_not_about_what_it_refuses(make_world):
    rule = RuleTerms(name="all", value="amount", bands=(BandTerms(name="look", then="case"),))
    world = make_world(**two_links(), risk=Risk.build(None, WindowTable(64), rules=[rule]))
    terminal = world.terminal()
    codes = [terminal.ask(purchase(world, f4=f"{amount:012d}"))["39"] for amount in (1_000, 20_001)]
    assert codes == ["00", "91"]
    told = [(what, details.get("request")) for what, details in world.journal.records]
    assert [what for what, _ in told].count("ruled") == 1
    advice = next(place for place, (what, _) in enumerate(told, 1) if what == "advice")
    assert ("ruled", advice) in told
