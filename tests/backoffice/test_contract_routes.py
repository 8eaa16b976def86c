"""Plans on offer, texts of contracts and what was accepted, by the API: the same rows that the commands make."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from switch.access.actor import Actor
from switch.access.people import add_or_change
from switch.access.tokens import issue
from switch.applications.plans import body_of, load_plans
from switch.store.changing import changing

from .acquiring import CONTRACT, SAMPLES, accepted
from .api import Api

SHOP, STALL = (json.loads(body_of(plan)) for plan in load_plans(SAMPLES / "plans.toml"))
BECAUSE = {"why": "prices of 2027"}


@pytest.fixture
def api(tmp_path, store_url):
    made = Api(tmp_path / "switch", store_url)
    yield made
    assert made.ends() == 0


def test_a_plan_is_offered_shown_and_withdrawn(api):
    assert api.refuses("vi", "POST", "/v1/plans", {"plan": SHOP, **BECAUSE})[0] == 403
    status, row, _ = api.asks("jo", "POST", "/v1/plans", {"plan": SHOP, **BECAUSE})
    assert (status, row["id"], row["state"], row["plan"]) == (201, "shop@1", "offered", SHOP)
    assert row["hash"] == sha256(body_of(load_plans(SAMPLES / "plans.toml")[0]).encode()).hexdigest()
    assert api.asks("jo", "POST", "/v1/plans", {"plan": SHOP, **BECAUSE})[0] == 200
    api.does("jo", "POST", "/v1/plans", {"plan": STALL, **BECAUSE})
    dearer = {**SHOP, "terminals_included": 9}
    status, words = api.refuses("jo", "POST", "/v1/plans", {"plan": dearer, **BECAUSE})
    assert (status, words) == (409, "plan shop@1 is there and says something else: what changes is a new version")
    assert [one["id"] for one in api.does("vi", "GET", "/v1/plans")["items"]] == ["shop@1", "stall@1"]
    assert api.does("jo", "POST", "/v1/plans/shop@1/withdraw", BECAUSE)["state"] == "withdrawn"
    assert [one["id"] for one in api.does("vi", "GET", "/v1/plans?state=offered")["items"]] == ["stall@1"]
    assert api.does("jo", "POST", "/v1/plans/shop@1/offer", BECAUSE)["state"] == "offered"
    assert api.does("vi", "GET", "/v1/plans/shop@1")["plan"] == SHOP
    assert api.refuses("jo", "POST", "/v1/plans/tent@1/withdraw", BECAUSE)[0] == 404
    api.office.does("audit", "verify")


def test_all_that_is_wrong_with_a_plan_is_told_and_nothing_is_offered(api):
    wrong = {**SHOP, "currency": "yuan", "settlement_days": "soon", "rebate": 1}
    status, document, _ = api.asks("jo", "POST", "/v1/plans", {"plan": wrong, **BECAUSE})
    assert status == 409
    assert {one["field"] for one in document["errors"]} == {"currency", "settlement_days", "rebate"}
    assert api.does("vi", "GET", "/v1/plans")["items"] == []


def test_a_text_is_named_by_its_hash(api):
    body = {"title": "Card acceptance", "text": CONTRACT, "why": "texts"}
    key = api.does("jo", "POST", "/v1/contract-texts", body)["id"]
    assert key == sha256(CONTRACT.encode()).hexdigest()
    assert api.does("jo", "POST", "/v1/contract-texts", {**body, "title": "Again"})["title"] == "Card acceptance"
    assert api.does("vi", "GET", f"/v1/contract-texts/{key}")["text"] == CONTRACT
    assert [one["id"] for one in api.does("vi", "GET", "/v1/contract-texts")["items"]] == [key]
    assert api.refuses("vi", "GET", f"/v1/contract-texts/{'0' * 64}")[0] == 404
    assert api.refuses("jo", "POST", "/v1/contract-texts", {**body, "text": " "})[0] == 409
    for title in ("a\nb", " "):
        status, words = api.refuses("jo", "POST", "/v1/contract-texts", {**body, "title": title})
        assert (status, words) == (422, "needed a title: 1 to 120 printable characters")


def test_what_was_accepted_is_shown_to_who_reviews(api):
    with changing(api.store, "chen", "hired") as change:
        add_or_change(change, "rita", {"name": "Rita", "roles": "reviewer"})
        api.tokens["rita"] = issue(change, Actor("rita"), "rita", "test", 7)
    reference = accepted(api.store)
    key = sha256(CONTRACT.encode()).hexdigest()
    assert api.refuses("vi", "GET", "/v1/contracts")[0] == 403
    (row,) = api.does("rita", "GET", "/v1/contracts?plan=shop@1")["items"]
    assert (row["id"], row["text"], row["accepted_by"]) == (reference, key, "Zhang San")
    assert api.does("rita", "GET", f"/v1/contracts/{reference}") == row
    assert api.does("rita", "GET", "/v1/contracts?plan=stall@1")["items"] == []
    assert api.refuses("rita", "GET", "/v1/contracts/K7Q2M9XW4T")[0] == 404
