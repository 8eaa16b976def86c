"""Who holds merchants, in the store: by an application or by a command, and told to the switch without the number."""

from __future__ import annotations

import csv

import pytest
from sqlalchemy import select

from switch.applications.taking_on import Machine, assign, note_identities
from switch.merchants.binding_desk import Binder, wanted_of
from switch.merchants.source import changes_since, whole
from switch.merchants.tables import IDENTITIES
from switch.store.audit import AUDIT, head
from switch.store.changing import changing, row_of
from switch.store.problems import RefusedError
from switch.store.proving import flaws

from .acquiring import AT, LEAKS, PERSON, accepted
from .registry import WHY, call
from .test_binding import BoundOffice
from .test_taking_on import MERCHANT, SEEN
from .test_taking_on import Office as Acquirer

NUMBER = "11010519491231002X"
KNOWN_MERCHANT, OTHER_MERCHANT = "898000000000001", "898000000000002"


@pytest.fixture
def acquirer(store, tmp_path):
    opened = Acquirer(store, tmp_path, PERSON)
    yield opened
    opened.keys.close()


def second_application(acquirer):
    """Of the same person, for another stall."""
    acquirer.reference = accepted(acquirer.store, PERSON, "she has a second stall")


def rows_of(data):
    """Merchants of a file, by their numbers: class and what stands for their identity."""
    lines = list(csv.reader(data.decode().splitlines()))
    places = lines[0].index("class"), lines[0].index("same_identity")
    return {cells[0]: tuple(cells[place] for place in places) for cells in lines[1:]}


def test_two_merchants_of_one_person_are_known_as_ones(acquirer):
    before = acquirer.reads(head)
    first = acquirer.assigns(Machine("SN-1")).merchant
    second_application(acquirer)
    second = acquirer.assigns(Machine("SN-2")).merchant
    told = rows_of(acquirer.reads(whole).merchants)
    assert told[first] == told[second] == ("small", acquirer.reads(row_of, IDENTITIES, first)["same_identity"])
    changes = acquirer.reads(changes_since, before)
    assert {key: row["same_identity"] for key, row in changes.merchants.items()} == {
        first: told[first][1], second: told[first][1],
    }  # fmt: skip
    registry = acquirer.registry()
    assert registry.describe_merchant(first)["merchant_class"] == "small"
    assert registry.describe_merchant(first)["same_identity"] == told[second][1][:16]
    assert not list(acquirer.reads(lambda connection: list(flaws(connection))))
    texts = acquirer.reads(lambda connection: connection.execute(select(AUDIT.c.after)).scalars().all())
    assert LEAKS.in_bytes(" ".join(filter(None, texts)).encode()) == set()


def test_of_merchants_that_were_taken_on_before_it_is_noted_once(acquirer):
    merchant = acquirer.assigns(Machine("SN-1")).merchant
    known = acquirer.reads(row_of, IDENTITIES, merchant)
    with changing(acquirer.store, "jo", "as an earlier version left it", AT) as change:
        change.delete(IDENTITIES, merchant)
    assert rows_of(acquirer.reads(whole).merchants)[merchant] == ("", "")
    before = acquirer.reads(head)
    for noted in ([merchant], []):
        with acquirer.at_work() as (clerk, _):
            assert note_identities(clerk.change) == noted
    assert acquirer.reads(row_of, IDENTITIES, merchant) == known
    assert acquirer.reads(changes_since, before).merchants[merchant]["class"] == "small"


def test_with_a_binding_key_it_is_the_same(acquirer):
    acquirer.has_binding_key()
    merchant = acquirer.assigns(Machine("SN-1")).merchant
    held = acquirer.reads(row_of, IDENTITIES, merchant)
    second_application(acquirer)
    with acquirer.at_work() as (clerk, registrar):
        done = assign(clerk, registrar, acquirer.keys, acquirer.reference, [Machine("SN-2")])
    assert acquirer.reads(row_of, IDENTITIES, done.merchant)["same_identity"] == held["same_identity"]


def test_another_identity_of_a_merchant_needs_the_key_and_a_verification(acquirer):
    acquirer.has_binding_key()
    acquirer.assigns(Machine("SN-1"))
    with acquirer.at_work() as (_, registrar):
        binder = Binder(registrar)
        wanted = wanted_of(binder.hashes_of(MERCHANT, {"identity": NUMBER}), SEEN)
    (merchant,) = rows_of(acquirer.reads(whole).merchants)
    with acquirer.at_work() as (_, registrar), pytest.raises(RefusedError, match="has no store/sik"):
        Binder(registrar).set_elements(merchant, wanted)
    other = {**wanted, "same_identity": "1f" * 32, "class": "company"}
    unseen = {name: other[name] for name in ("identity", "same_identity", "class")}
    with acquirer.at_work() as (_, registrar), pytest.raises(RefusedError, match="must be verified anew"):
        Binder(registrar).set_elements(merchant, unseen)
    with acquirer.at_work() as (_, registrar):
        assert Binder(registrar).set_elements(merchant, other)
        assert not Binder(registrar).set_elements(merchant, other)
    assert rows_of(acquirer.reads(whole).merchants)[merchant] == ("company", "1f" * 32)
    of_class = {name: {**other, "class": "small"}[name] for name in ("identity", "same_identity", "class")}
    with acquirer.at_work() as (_, registrar), pytest.raises(RefusedError, match="must be verified anew"):
        Binder(registrar).set_elements(merchant, of_class)


def test_the_command_says_of_which_class_a_merchant_is(tmp_path, store_url):
    office = BoundOffice(tmp_path, store_url)
    says = office.says("6222020000000001", "--class", "small", identity=NUMBER)
    status, said = call(says[0], says[1], office.config, *says[2:])
    assert (status, "has no store/sik" in said) == (1, True), said
    office.does("store", "renew-key")
    office.does(*says)
    office.does(*office.says("6222020000000001", identity=NUMBER))
    other = ("merchants", "change", OTHER_MERCHANT, *says[3:])
    office.does(*other)
    assert office.shown("merchants", KNOWN_MERCHANT)["same_identity"] == [OTHER_MERCHANT]
    assert office.shown("merchants", OTHER_MERCHANT)["class"] == "small"
    store = office.store()
    try:
        with store.reading() as connection:
            told = rows_of(whole(connection).merchants)
    finally:
        store.close()
    assert told.pop(KNOWN_MERCHANT) == told.pop(OTHER_MERCHANT)
    assert set(told.values()) == {("", "")}
    assert NUMBER.encode() not in office.whole_text()
    for wrong in (("--class", "large"), ("--class", "small")):
        files = office.secret("identity", NUMBER) if wrong[1] == "large" else ()
        status, said = call("merchants", "change", office.config, KNOWN_MERCHANT, *files, *wrong, *WHY)
        assert status == 2, said
