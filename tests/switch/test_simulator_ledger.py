"""The simulated issuer, asked message by message: its decisions, and what its ledger says of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.ledger import Identity, Ledger, Original
from switch.simulators.rules import AmountRule, AmountTable, Card, Decider, PanRule, Rules
from switch.wire.framing import Deframer
from tests.switch.simulated import NO_RULES, Recorder, profile_of


def test_decisions_by_card_pan_amount_and_balance() -> None:
    rules = Rules(
        cards=(Card(pan="6225000000000014", balance_minor=5_000), Card(pan="4111111111111111", refusal="lost_card")),
        pans=(PanRule(prefix="5454", refusal="restricted_card"),),
        amounts=(AmountRule(ending="51", refusal="insufficient_funds"), AmountRule(ending="951", refusal="wrong_pin")),
    )
    decider = Decider(rules)
    assert decider.decide("6225000000000014", 5_000, debit=True) == "approved"
    assert decider.decide("6225000000000014", 5_001, debit=True) == "insufficient_funds"
    assert decider.decide("4111111111111111", 1, debit=False) == "lost_card"
    assert decider.decide("5454545454545454", 1, debit=False) == "restricted_card"
    assert decider.decide("3000000000000004", 1_051, debit=True) == "insufficient_funds"
    assert decider.decide("3000000000000004", 1_051, debit=False) == "approved"
    assert decider.decide("3000000000000004", 1_951, debit=True) == "wrong_pin"
    decider.book("6225000000000014", 4_000)
    assert decider.balance("6225000000000014") == 1_000
    assert Decider(Rules(unknown_card="invalid_card")).decide("3000000000000004", 1, debit=False) == "invalid_card"
    with pytest.raises(ValueError, match="same PAN twice"):
        Rules(cards=(Card(pan="6225000000000014"), Card(pan="6225000000000014")))


@given(st.lists(st.tuples(st.text("0123456789", min_size=1, max_size=4), st.sampled_from("abc")), max_size=6))
def test_the_longest_ending_of_an_amount_wins(pairs: list[tuple[str, str]]) -> None:
    rules = {ending: AmountRule(ending=ending, refusal=refusal) for ending, refusal in pairs}
    table = AmountTable(tuple(rules.values()))
    for amount in (0, 5, 51, 951, 1951, 123_456):
        digits = f"{amount:012d}"
        matching = [rule for rule in rules.values() if digits.endswith(rule.ending)]
        expected = max(matching, key=lambda rule: len(rule.ending)).refusal if matching else None
        assert table.refusal(amount) == expected


Asking = Callable[..., AbstractAsyncContextManager[tuple[Issuer, Callable[..., dict[int, str]]]]]


@pytest.fixture
def asking() -> Asking:
    """An issuer without sockets, asked message by message."""

    @asynccontextmanager
    async def ask_issuer(
        rules: Rules = NO_RULES, *, charge_after_reversal: bool = False
    ) -> AsyncIterator[tuple[Issuer, Callable[..., dict[int, str]]]]:
        profile = profile_of("iso87-ascii")
        issuer = Issuer(profile, IssuerSettings(rules=rules, charge_after_reversal=charge_after_reversal))

        def ask(mti: str, fields: dict[int, str]) -> dict[int, str]:
            recorder = Recorder()
            pieces = {number: profile.writer.piece(number, text) for number, text in fields.items()}
            issuer.receive(recorder, b"", profile.writer.message(mti, pieces))  # type: ignore[arg-type]
            (frame,) = recorder.frames
            ((_, message),) = Deframer(profile.framing).feed(frame)
            answer = profile.scan(message)
            return {0: answer.mti, **{number: answer.text(number) for number in answer.fields}}

        yield issuer, ask

    return ask_issuer


def purchase(stan: str = "000001", **changes: str) -> dict[int, str]:
    fields = {
        2: "6225000000000014",
        3: "000000",
        4: "000000001000",
        7: "1123035715",
        11: stan,
        32: "10000001",
        37: f"000000{stan}",
        41: "10000001",
        42: "898000000000001",
        49: "156",
    }
    return fields | {int(name[1:]): text for name, text in changes.items()}


def original_data(stan: str) -> str:
    return "0200" + stan + "1123035715" + "00010000001" + "00000000000"


async def test_a_repeated_request_is_charged_once_and_answered_alike(asking: Asking) -> None:
    async with asking() as (issuer, ask):
        first = ask("0200", purchase())
        again = ask("0201", purchase())
    assert first == again
    assert (first[0], first[39]) == ("0210", "00")
    assert issuer.counters.repeats == 1
    assert [(entry.received, entry.state) for entry in issuer.ledger.entries] == [(2, "approved")]


async def test_a_reversal_is_idempotent_and_gives_the_money_back(asking: Asking) -> None:
    card = Card(pan="6225000000000014", balance_minor=1_500)
    async with asking(Rules(cards=(card,), amounts=())) as (issuer, ask):
        assert ask("0200", purchase())[39] == "00"
        assert ask("0200", purchase("000002"))[39] == "51"
        reversal = purchase("000003", f90=original_data("000001"))
        answers = [ask(mti, reversal) for mti in ("0420", "0421", "0421", "0400")]
        assert {answer[39] for answer in answers} == {"00"}
        assert [answer[0] for answer in answers] == ["0430", "0430", "0430", "0410"]
        assert issuer.decider.balance(card.pan) == 1_500
        assert ask("0200", purchase("000004"))[39] == "00"
    assert [(entry.state, entry.reversals) for entry in issuer.ledger.entries] == [
        ("reversed", 4),
        ("declined", 0),
        ("approved", 0),
    ]


async def test_an_original_that_comes_after_its_reversal_is_refused(asking: Asking) -> None:
    async with asking() as (issuer, ask):
        assert ask("0420", purchase("000003", f90=original_data("000001")))[39] == "25"
        assert ask("0200", purchase("000001"))[39] == "05"
        assert ask("0200", purchase("000002"))[39] == "00"
    assert list(issuer.ledger.orphan_reversals.values()) == [1]
    assert issuer.ledger.totals().charged_count == 1


async def test_an_original_that_comes_after_its_reversal_is_charged_by_some(asking: Asking) -> None:
    async with asking(charge_after_reversal=True) as (issuer, ask):
        taken_back = purchase("000003", f90=original_data("000001"))
        assert ask("0420", taken_back)[39] == "25"
        assert ask("0200", purchase("000001"))[39] == "00"
        assert issuer.ledger.totals().charged_count == 1
        assert ask("0420", taken_back)[39] == "00"
    assert issuer.ledger.totals().charged_count == 0


async def test_a_void_undoes_its_original_once_and_its_reversal_restores_it(asking: Asking) -> None:
    async with asking() as (issuer, ask):
        first = ask("0200", purchase())
        void = purchase("000002", f3="020000", f37=first[37], f38=first[38])
        assert ask("0200", void)[39] == "00"
        assert issuer.ledger.totals().voided_minor == 1_000
        assert ask("0200", {**void, 11: "000003"})[39] == "12"
        assert ask("0200", {**void, 11: "000004", 37: "999999999999", 38: "999999"})[39] == "25"
        assert ask("0420", purchase("000005", f3="020000", f90=original_data("000002")))[39] == "00"
    totals = issuer.ledger.totals()
    assert (totals.charged_minor, totals.voided_count) == (1_000, 0)


async def test_the_reversal_of_a_completion_leaves_the_hold(asking: Asking) -> None:
    card = Card(pan="6225000000000014", balance_minor=1_500)
    async with asking(Rules(cards=(card,), amounts=())) as (issuer, ask):
        first = ask("0100", purchase(f25="06"))
        completion = purchase("000002", f4="000000000800", f25="06", f37=first[37], f38=first[38])
        assert ask("0220", completion)[39] == "00"
        assert issuer.decider.balance(card.pan) == 700
        assert issuer.ledger.entries[0].state == "completed"
        assert ask("0420", purchase("000003", f90=original_data("000002")))[39] == "00"
        assert issuer.decider.balance(card.pan) == 500
    assert [entry.state for entry in issuer.ledger.entries] == ["approved", "reversed"]


async def test_a_balance_inquiry_gives_the_balance(asking: Asking) -> None:
    async with asking(Rules(cards=(Card(pan="6225000000000014", balance_minor=123_45),))) as (_, ask):
        answer = ask("0200", {n: text for n, text in purchase(f3="310000").items() if n != 4})
    assert (answer[39], answer[54]) == ("00", "0002156C000000012345")


async def test_the_ledger_as_json_holds_no_card_number(asking: Asking, tmp_path) -> None:
    async with asking() as (issuer, ask):
        first = ask("0200", purchase())
        ask("0200", purchase("000002", f3="020000", f37=first[37], f38=first[38]))
    issuer.ledger.write(tmp_path / "ledger.json")
    text = (tmp_path / "ledger.json").read_text()
    document = json.loads(text)
    assert "6225000000000014" not in text
    assert document["entries"][0]["pan"] == "622500******0014"
    assert document["entries"][1]["original"] == {"rrn": first[37], "stan": "000001"}
    assert document["totals"]["voided_count"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]


async def test_what_cannot_be_read_is_counted(asking: Asking) -> None:
    async with asking() as (issuer, _):
        issuer.receive(None, b"", b"0200nonsense")  # type: ignore[arg-type]
    assert issuer.counters.unreadable == 1


def test_the_ledger_tells_one_use_of_a_stan_from_the_next() -> None:
    ledger = Ledger("bank")
    identity = Identity("2", "000001", "1123035715", "000000000001", "10000001")
    assert ledger.find_repeat(identity) is None
    assert ledger.find_original(Original("000001", "1123035715", "", "10000001", "")) is None
    ledger.add_orphan(Original("000001", "1123035715", "", "10000001", ""))
    assert ledger.is_orphaned(identity)
    assert not ledger.is_orphaned(identity._replace(occasion="1123035716"))
