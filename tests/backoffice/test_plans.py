"""Plans on offer, and the text of contracts: versions that never change."""

from __future__ import annotations

import pytest

from switch.applications.contracts import import_text
from switch.applications.plans import (
    body_of,
    hash_of,
    import_plans,
    load_plans,
    offered_plan,
    plan_of,
    plans_on_offer,
    set_offered,
    side_by_side,
)
from switch.files.problems import ConfigError
from switch.store.changing import changing
from switch.store.problems import NoSuchError, RefusedError
from switch.store.proving import flaws

from .acquiring import AT, CONTRACT, SAMPLES

PLANS = load_plans(SAMPLES / "plans.toml")


def change(store, how, *arguments, **named):
    with changing(store, "chief", "because", AT) as one:
        return how(one, *arguments, **named)


def test_plans_are_imported_once_and_never_change(store):
    assert change(store, import_plans, PLANS) == 2
    assert change(store, import_plans, PLANS) == 0
    with store.reading() as connection:
        assert plans_on_offer(connection) == list(PLANS)
    dearer = PLANS[0].model_copy(update={"terminals_included": 9})
    with pytest.raises(RefusedError, match="plan shop@1 is there and says something else"):
        change(store, import_plans, [dearer])
    assert change(store, import_plans, [dearer.model_copy(update={"id": "shop@2"})]) == 1
    with store.reading() as connection:
        assert not list(flaws(connection))


def test_a_plan_is_for_whom_it_is_offered_to_and_as_long(store):
    change(store, import_plans, PLANS)
    assert change(store, set_offered, "shop@1", is_offered=False)
    assert not change(store, set_offered, "shop@1", is_offered=False)
    with store.reading() as connection:
        assert offered_plan(connection, "stall@1", "person").small_merchant.credit_day_minor.value == 100_000
        assert plan_of(connection, "shop@1").title == "Shop"
        for key, kind, words in (
            ("shop@1", "company", "no longer offered"),
            ("stall@1", "company", "not for a company"),
            ("tent@1", "person", "there is no plan tent@1"),
        ):
            with pytest.raises(RefusedError, match=words):
                offered_plan(connection, key, kind)
    with pytest.raises(NoSuchError, match="there is no plan tent@1"):
        change(store, set_offered, "tent@1", is_offered=True)


def test_plans_stand_side_by_side():
    lines = dict(side_by_side(PLANS))
    assert lines["debit card"] == ["0.50 %, at most 20.00 CNY", "0.45 %, at most 18.00 CNY"]
    assert lines["foreign card"] == ["2.60 %", "not taken"]
    fees = [PLANS[0].fees[0].model_copy(update={"rate_ppm": ppm, "cap_minor": None}) for ppm in (5_250, 49, 100_000)]
    plans = [PLANS[0].model_copy(update={"fees": (fee,)}) for fee in fees]
    assert dict(side_by_side(plans))["debit card"] == ["0.525 %", "0.0049 %", "10.00 %"]
    assert lines["deposit"] == ["199.00 CNY, back after 365 days if the terminal comes back whole", "none"]
    assert lines["credit cards a day"][1] == "1,000.00 CNY (unconfirmed (2016): one identity at one acquirer)"
    lower = "lower fees of small merchants: debit card 0.405 %, at most 16.20 CNY"
    assert lines["benefits"] == [
        "no monthly fee: each further terminal a month 0.00 CNY (2026-11-01 to 2027-01-31)",
        f"{lower} (2026-10-01 to 2027-09-30; the acquirer's own offer)",
    ]
    assert lines["a rise is told before, days"][0] == "30 (令2024-4 art. 62)"


def test_a_plan_whose_benefits_have_names_alone_has_the_hash_that_it_had(tmp_path):
    text = (SAMPLES / "plans.toml").read_text().replace("terminal_month_minor = 0\n", "")
    (tmp_path / "plans.toml").write_text(text)
    plan = load_plans(tmp_path / "plans.toml")[0]
    assert hash_of(body_of(plan)) == "ea46654a51384f3241ada54d7d9beef734e8459cefe0cdf724da8fb8618c30f2"
    with_price = PLANS[0]
    assert '"terminal_month_minor":0' in body_of(with_price).partition('"benefits"')[2].partition("]")[0]
    assert hash_of(body_of(with_price)) != hash_of(body_of(plan))


def test_benefits_at_one_time_say_different_prices(tmp_path):
    text = (SAMPLES / "plans.toml").read_text()
    more = '[[plan.benefits]]\nname = "more"\nbegins = {}\nends = {}\nfees = [{{ card_type = "{}", rate_ppm = 0 }}]\n'
    for begins, ends, card_type in (
        ("2026-10-01", "2027-09-30", "credit"),
        ("2027-10-01", "2027-12-31", "debit"),
        ("2026-09-01", "2026-09-30", "debit"),
    ):
        (tmp_path / "plans.toml").write_text(text + more.format(begins, ends, card_type))
        assert len(load_plans(tmp_path / "plans.toml")[1].benefits) == 2
    for begins, ends, card_type, words in (
        ("2027-09-30", "2027-12-31", "debit", "two benefits say at one time: the fee of debit cards"),
        ("2026-10-01", "2026-10-01", "foreign", "a fee of cards that are not taken: foreign"),
    ):
        (tmp_path / "plans.toml").write_text(text + more.format(begins, ends, card_type))
        with pytest.raises(ConfigError, match=words):
            load_plans(tmp_path / "plans.toml")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("shop@1", "shop", "text of the form"),
        ("ends = 2027-01-31", "ends = 2026-10-31", "ends before it begins"),
        ('card_type = "credit"', 'card_type = "debit"', "a type of card has two fees"),
        ("rate_ppm = 5000", "rate_ppm = 500000", "at most 100000"),
        ("rate_ppm = 5000", "rate = 5000", "did you mean"),
        ("[plan.small_merchant.credit_day_minor]", "[plan.small_merchant.day]", "small_merchant"),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path, before, after, words):
    text = (SAMPLES / "plans.toml").read_text()
    (tmp_path / "plans.toml").write_text(text.replace(before, after))
    with pytest.raises(ConfigError, match=words):
        load_plans(tmp_path / "plans.toml")


def test_a_plan_for_persons_has_limits(tmp_path):
    text = (SAMPLES / "plans.toml").read_text().replace('offered_to = ["company"]', 'offered_to = ["person"]')
    (tmp_path / "plans.toml").write_text(text)
    with pytest.raises(ConfigError, match="needs small_merchant"):
        load_plans(tmp_path / "plans.toml")


def test_a_text_is_named_by_its_hash(store):
    key = change(store, import_text, "acceptance", CONTRACT)
    assert change(store, import_text, "another title", CONTRACT) == key
    assert change(store, import_text, "acceptance", CONTRACT + "5. More.\n") != key
    with pytest.raises(RefusedError, match="needed a text"):
        change(store, import_text, "acceptance", " \n")
