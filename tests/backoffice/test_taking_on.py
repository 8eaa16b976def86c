"""Merchants that were taken on: numbers, keys, codes, licences, reviews, and what the authority is told."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from switch.access.actor import Actor
from switch.applications.applying import Clerk, application_of
from switch.applications.forms import Form
from switch.applications.looking_after import (
    due_soon,
    kinds_of_proposals,
    note_review,
    profile_of,
    propose_account,
    propose_place,
    refuse_account_of_profile,
    renew_licence,
    suspend_unlicensed,
)
from switch.applications.reports import mark_reported, reports
from switch.applications.taking_on import Machine, activate, assign, issue_code, note_first_sign_in
from switch.check.terminal_keys import TerminalKeys
from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.merchants.binding_desk import Binder, Verification, wanted_of
from switch.merchants.binding_tables import BINDINGS, ELEMENTS
from switch.merchants.cases import close_case
from switch.merchants.registering import Registrar
from switch.merchants.rows import Compiler
from switch.merchants.source import changes_since, whole
from switch.merchants.suspects import Proof, Suspect, tell
from switch.merchants.tables import ACTIVATIONS, MERCHANTS, TERMINALS
from switch.proposals.deciding import Desk, proposal_of
from switch.store.audit import AUDIT, head
from switch.store.changing import changing, row_of
from switch.store.problems import RefusedError
from switch.store.proving import flaws
from switch.tables.binding import BINDING_KEY, BindingRule

from .acquiring import AT, COMPANY, PERSON, POLICY, RULES, accepted

MERCHANT = "898110059420001"
TERMINAL = "30000001"
DAY = timedelta(days=1)
ACQUIRER = "00000000"
SEEN = Verification("on site", "jo", AT.date(), "V-17")
DEMANDED = BindingRule(ACQUIRER, is_demanded=True)


class Office:
    """A store with an application that was accepted, and a key file."""

    def __init__(self, store, folder, form=COMPANY):
        self.store = store
        self.reference = accepted(store, form)
        self.keys = KeyFile.create(folder / "keys", bytes(32))
        terminal_keys = TerminalKeys(self.keys)
        self.compiler = Compiler(terminal_keys, ["pos"], terminal_keys.misfits, BindingRule(ACQUIRER))

    @contextmanager
    def at_work(self, name="jo", at=AT):
        with changing(self.store, name, "a test", at) as change:
            yield Clerk(change, Actor(name), RULES), Registrar(change, self.compiler)

    def assigns(self, *machines):
        with self.at_work() as (clerk, registrar):
            return assign(clerk, registrar, self.keys, self.reference, machines)

    def activates(self, code, at=AT, terminal=TERMINAL):
        with self.at_work(at=at) as (clerk, registrar):
            return activate(clerk, registrar, terminal, code)

    def reads(self, how, *arguments):
        with self.store.reading() as connection:
            return how(connection, *arguments)

    def state(self, table, key):
        return self.reads(row_of, table, key)["state"]

    def told(self, **named):
        with self.store.reading() as connection:
            return list(reports(connection, POLICY.report_days, **named))

    def demands_bindings(self):
        """Make the switch refuse terminals that are bound to nothing."""
        self.compiler = replace(self.compiler, rule=DEMANDED)

    def has_binding_key(self):
        self.keys.put(Key(BINDING_KEY, "rbk", "aes-256", generate_value("aes-256")))

    def registry(self):
        """What a switch that demands bindings makes of the store."""
        files = self.reads(whole)
        return replace(self.compiler, rule=DEMANDED).compiled(
            files.merchants, files.terminals, ("merchants", "terminals")
        )

    def suspects(self):
        """Who is not as bound."""
        return self.reads(Proof(self.keys.get(BINDING_KEY).value, ACQUIRER).next)

    def desk(self, change, name):
        return Desk(change, Actor(name), kinds_of_proposals(lambda: RULES, self.compiler))


@pytest.fixture
def office(store, tmp_path):
    opened = Office(store, tmp_path)
    yield opened
    opened.keys.close()


@pytest.fixture
def open_office(office):
    """With a merchant and a terminal that is active."""
    done = office.assigns(Machine("SN-1", "A920"))
    assert office.activates(done.codes[TERMINAL]) == ""
    return office


# --- numbers, keys and codes ------------------------------------------------------------------------------------------


def test_a_merchant_gets_numbers_keys_and_codes(office):
    done = office.assigns(Machine("SN-1", "A920"), Machine("SN-2", place="Kai 3"))
    assert done.merchant == MERCHANT
    assert list(done.codes) == ["30000001", "30000002"]
    assert all(code not in repr(done) for code in done.codes.values())
    assert [*office.keys.names()][:3] == [f"terminal/{TERMINAL}/{one}" for one in ("tak", "tmk", "tpk")]
    second = office.reads(row_of, TERMINALS, "30000002")
    assert (second["state"], second["serial_number"], second["place"]) == ("awaiting", "SN-2", "Kai 3")
    assert office.reads(application_of, office.reference)["state"] == "terminals_assigned"
    profile = office.reads(profile_of, MERCHANT)
    assert RULES.sealer.text("merchant_profiles", "account", profile, MERCHANT) == COMPANY.account.get_secret_value()
    assert profile["review_due"] == AT.date() + 1_095 * DAY
    assert profile["credit_day_minor"] is None
    with pytest.raises(RefusedError, match="assign needs accepted"):
        office.assigns(Machine("SN-3"))


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ((), "asks for 2 terminals, not 0"),
        ((Machine("a"), Machine("b"), Machine("c")), "asks for 2 terminals, not 3"),
        ((Machine("a"), Machine("a")), "serial number a is that of terminal"),
    ],
)
def test_an_assignment_happens_as_a_whole_or_not_at_all(office, machines, words):
    with pytest.raises(RefusedError, match=words):
        office.assigns(*machines)
    with pytest.raises(RefusedError, match="there is no merchant"):
        office.state(MERCHANTS, MERCHANT)


@pytest.mark.parametrize("is_demanded", [True, False])
def test_what_is_assigned_is_bound(office, is_demanded):
    """Else a switch that demands it would refuse them."""
    office.has_binding_key()
    if is_demanded:
        office.demands_bindings()
    done = office.assigns(Machine("SN-1"), Machine("SN-2", place="Kai 3"))
    assert [office.activates(code, terminal=terminal) for terminal, code in done.codes.items()] == ["", ""]
    registry = office.registry()
    assert (registry.unbound_count, registry.altered) == (0, [])
    assert office.suspects() == []
    kept = office.reads(lambda connection: repr(connection.execute(select(ELEMENTS)).all()))
    assert COMPANY.account.get_secret_value() not in kept
    assert COMPANY.identity.get_secret_value() not in kept
    assert not office.reads(lambda connection: list(flaws(connection)))


def test_without_the_key_nothing_is_assigned_where_bindings_are_demanded(office):
    office.demands_bindings()
    with pytest.raises(RefusedError, match="the key file has no registry/rbk"):
        office.assigns(Machine("SN-1"))
    with pytest.raises(RefusedError, match="there is no merchant"):
        office.state(MERCHANTS, MERCHANT)


def test_a_number_that_has_keys_already_is_passed_over(office):
    """Those of an assignment whose transaction did not come to its end, or of a machine of another registry."""
    value = generate_value("3des-2key")
    office.keys.put(Key("terminal/30000001/tak", "tak", "3des-2key", value))
    assert list(office.assigns(Machine("SN-1"), Machine("SN-2")).codes) == ["30000002", "30000003"]
    assert office.keys.get("terminal/30000001/tak").value == value


def test_what_has_letters_in_it_is_no_number(office):
    with office.at_work() as (_, registrar):
        registrar.add_merchant({"id": "89811005942000A", "name": "By hand", "category": "5942"})
        for terminal in ("30000A00", "30000005", "3000000A"):
            one = {"id": terminal, "merchant": "89811005942000A", "mac_algorithm": "none", "pin_format": "none"}
            registrar.add_terminal(one)
    done = office.assigns(Machine("SN-1"))
    assert (done.merchant, list(done.codes)) == (MERCHANT, ["30000006"])


def test_the_longest_name_that_an_applicant_can_tell_is_taken_on(store, tmp_path):
    told = {name: getattr(COMPANY, name) for name in Form.model_fields}
    longest = Form.model_validate(told | {"trading_name": "书" * 85})
    office = Office(store, tmp_path, longest)
    office.assigns(Machine("SN-1"))
    with pytest.raises(ValidationError, match="255 bytes"):
        Form.model_validate(told | {"trading_name": "书" * 86})


def test_numbers_end_somewhere(office):
    with office.at_work() as (_, registrar):
        registrar.add_merchant({"id": "898110059429999", "name": "The last", "category": "5942"})
    with pytest.raises(RefusedError, match="no number of 15 digits is left that begins with 89811005942"):
        office.assigns(Machine("SN-1"))


def test_a_small_merchant_has_limits_of_its_own(store, tmp_path):
    office = Office(store, tmp_path, PERSON)
    done = office.assigns(Machine("SN-1"))
    profile = office.reads(profile_of, done.merchant)
    assert (profile["credit_day_minor"], profile["credit_month_minor"]) == (100_000, 1_000_000)
    assert profile["limits_since"] == AT.date()
    office.keys.close()


def test_the_code_puts_a_terminal_into_service_once(office):
    done = office.assigns(Machine("SN-1"), Machine("SN-2"))
    code = done.codes[TERMINAL]
    assert "the code is wrong; 4 tries are left" in office.activates(done.codes["30000002"])
    assert office.state(TERMINALS, TERMINAL) == "awaiting"
    assert office.activates(code.lower()) == ""
    assert office.state(TERMINALS, TERMINAL) == "active"
    assert office.reads(application_of, office.reference)["state"] == "active"
    assert "does not wait for a code" in office.activates(code)
    assert office.activates(done.codes["30000002"], terminal="30000002") == ""
    with office.at_work() as (_, registrar):
        registrar.set_state(TERMINALS, TERMINAL, "suspended")
    assert "does not wait for a code" in office.activates(code)
    with office.at_work() as (clerk, _), pytest.raises(RefusedError, match="was activated before"):
        issue_code(clerk.change, RULES.sealer, POLICY.activation, TERMINAL)


def test_wrong_codes_and_time_are_limited_and_a_new_code_helps(office):
    code = office.assigns(Machine("SN-1")).codes[TERMINAL]
    assert "time of the code was over" in office.activates(code, AT + 3 * DAY)
    for left in (4, 3, 2, 1, 0):
        assert f"{left} tries are left" in office.activates("wrong")
    assert "too many wrong codes" in office.activates(code)
    with office.at_work(at=AT + 4 * DAY) as (clerk, _):
        new = issue_code(clerk.change, RULES.sealer, POLICY.activation, TERMINAL)
    assert "the code is wrong" in office.activates(code, AT + 5 * DAY)
    assert office.activates(new, AT + 5 * DAY) == ""


def test_a_terminal_that_waits_is_released_by_its_code_alone(office):
    office.assigns(Machine("SN-1"))
    with office.at_work() as (_, registrar), pytest.raises(RefusedError, match="awaits its first sign-in"):
        registrar.set_state(TERMINALS, TERMINAL, "active")


def sets(office, state):
    with office.at_work() as (_, registrar):
        assert registrar.set_state(TERMINALS, TERMINAL, state)


def signs_in(office):
    """A switch tells the store of a first sign-in; whether that was still awaited."""
    with changing(office.store, "daemon on a", "first sign-in", AT + DAY) as change:
        return note_first_sign_in(change, TERMINAL, AT)


def test_the_first_sign_in_puts_a_terminal_into_service_once(office):
    code = office.assigns(Machine("SN-1")).codes[TERMINAL]
    assert signs_in(office)
    assert office.state(TERMINALS, TERMINAL) == "active"
    assert office.reads(row_of, ACTIVATIONS, TERMINAL)["used_at"] == AT
    assert office.reads(application_of, office.reference)["state"] == "active"
    told = office.reads(lambda connection: connection.execute(select(AUDIT).order_by(AUDIT.c.number)).mappings().all())
    assert {(one["who"], one["why"]) for one in told[-3:]} == {("daemon on a", "first sign-in")}
    assert not signs_in(office)
    assert "does not wait for a code" in office.activates(code)


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_what_people_did_before_the_store_knew_of_a_sign_in_holds(office, state):
    code = office.assigns(Machine("SN-1")).codes[TERMINAL]
    sets(office, state)
    assert not signs_in(office)
    assert office.state(TERMINALS, TERMINAL) == state
    assert f"terminal {TERMINAL} is {state}" in office.activates(code)


def test_who_is_released_before_it_was_ever_active_awaits_its_first_sign_in_again(office):
    code = office.assigns(Machine("SN-1")).codes[TERMINAL]
    sets(office, "suspended")
    with office.at_work() as (clerk, _):
        code = issue_code(clerk.change, RULES.sealer, POLICY.activation, TERMINAL)
    sets(office, "active")
    assert office.state(TERMINALS, TERMINAL) == "awaiting"
    assert office.activates(code) == ""
    sets(office, "suspended")
    sets(office, "active")
    assert office.state(TERMINALS, TERMINAL) == "active"


def test_one_of_which_a_case_was_closed_is_still_activated_by_its_code(office):
    code = office.assigns(Machine("SN-1")).codes[TERMINAL]
    with changing(office.store, "daemon", "a test", AT) as change:
        tell(change, Suspect("elsewhere", TERMINAL))
        close_case(change, Actor("rita"), 1)
        alone = Registrar(change, office.compiler, is_alone=True)
        assert alone.needs_two(TERMINALS, TERMINAL, "active")
        Registrar(change, office.compiler).set_state(TERMINALS, TERMINAL, "active")
        assert activate(Clerk(change, Actor("jo"), RULES), alone, TERMINAL, code) == ""
    assert office.state(TERMINALS, TERMINAL) == "active"


def test_the_switch_reads_until_when_a_sign_in_is_awaited(office):
    office.assigns(Machine("SN-1"))

    def row():
        lines = office.reads(whole).terminals.decode().splitlines()
        return dict(zip(lines[0].split(","), lines[1].split(","), strict=True))

    assert row()["state"] == f"awaiting until {(AT + 3 * DAY).isoformat()}"
    before = office.reads(head)
    with office.at_work(at=AT + DAY) as (clerk, _):
        issue_code(clerk.change, RULES.sealer, POLICY.activation, TERMINAL)
    changed = office.reads(changes_since, before)
    assert [one["state"] for one in changed.terminals.values()] == [f"awaiting until {(AT + 4 * DAY).isoformat()}"]
    due = [(one.merchant, one.what, one.day) for one in office.reads(due_soon, POLICY, AT)]
    assert due == [(MERCHANT, f"first sign-in of {TERMINAL}", (AT + 4 * DAY).date())]


# --- after that -------------------------------------------------------------------------------------------------------


def test_another_account_needs_two_people_and_a_verification(open_office):
    account = {"number": "11001018800058000002", "holder": "Harbour Books Limited"}
    store = open_office.store
    with open_office.at_work() as (clerk, _):
        desk = open_office.desk(clerk.change, "jo")
        for wrong, seen, words in (
            ({"number": "12"}, SEEN, "6 to 32 digits"),
            ({}, None, "verified anew"),
            ({}, replace(SEEN, how=" "), "a verification is"),
            ({"holder": ""}, SEEN, "needed a holder"),
            ({"holder": "golden gate VOUCHERS"}, SEEN, "this name is on the list"),
            ({"holder": "Primerov, Ivan Testovich"}, SEEN, r"say what was found .* is like Ivan Testovich Primerov"),
            ({"holder": "Primerov, Ivan Testovich", "found": " "}, SEEN, "say what was found"),
            ({"found": "x" * 65}, SEEN, "needed what was found"),
        ):
            with pytest.raises(RefusedError, match=words):
                propose_account(desk, RULES.sealer, MERCHANT, account | wrong, seen, lasts=DAY)
        number = propose_account(desk, RULES.sealer, MERCHANT, account, SEEN, lasts=DAY)
    assert "000000002" not in open_office.reads(proposal_of, number)["wanted"]
    before = open_office.reads(profile_of, MERCHANT)["account_hash"]
    with changing(store, "jo", "x", AT) as change, pytest.raises(RefusedError, match="is your own"):
        open_office.desk(change, "jo").approve(number)
    with changing(store, "ann", "x", AT) as change:
        assert open_office.desk(change, "ann").approve(number).state == "approved"
    profile = open_office.reads(profile_of, MERCHANT)
    assert RULES.sealer.text("merchant_profiles", "account", profile, MERCHANT) == account["number"]
    assert profile["account_hash"] != before
    assert not open_office.reads(lambda connection: list(flaws(connection)))


def test_who_is_like_one_under_sanctions_holds_an_account_where_somebody_has_looked_into_it(open_office):
    account = {"number": "11001018800058000002", "holder": "Primerov, Ivan Testovich", "found": "born 1990, not 1950"}
    with open_office.at_work() as (clerk, _):
        number = propose_account(open_office.desk(clerk.change, "jo"), RULES.sealer, MERCHANT, account, SEEN, lasts=DAY)
    assert account["found"] in open_office.reads(proposal_of, number)["wanted"]
    with changing(open_office.store, "ann", "x", AT) as change:
        assert open_office.desk(change, "ann").approve(number).state == "approved"
    assert open_office.reads(profile_of, MERCHANT)["account_holder"] == account["holder"]


def test_another_place_needs_two_people(open_office):
    with open_office.at_work() as (clerk, _):
        desk = open_office.desk(clerk.change, "jo")
        with pytest.raises(RefusedError, match="stands there already"):
            propose_place(desk, TERMINAL, COMPANY.place, SEEN, DAY)
        with pytest.raises(RefusedError, match="this place is on the list of those that are not taken on"):
            propose_place(desk, TERMINAL, "MARKET road 99", SEEN, DAY)
        number = propose_place(desk, TERMINAL, "Harbour Road 14", SEEN, DAY)
    with changing(open_office.store, "ann", "x", AT) as change:
        open_office.desk(change, "ann").approve(number)
    assert open_office.reads(row_of, TERMINALS, TERMINAL)["place"] == "Harbour Road 14"


@pytest.fixture
def bound_office(office):
    """With a terminal that is bound and active."""
    office.has_binding_key()
    assert office.activates(office.assigns(Machine("SN-1")).codes[TERMINAL]) == ""
    return office


def test_another_account_binds_the_terminals_to_it(bound_office):
    """What a merchant is paid on and what its terminals are bound to is one account."""
    account = {"number": "11001018800058000002", "holder": "Harbour Books Limited"}
    before = bound_office.reads(row_of, ELEMENTS, MERCHANT)
    with bound_office.at_work() as (clerk, registrar):
        number = propose_account(
            bound_office.desk(clerk.change, "jo"), RULES.sealer, MERCHANT, account, SEEN, lasts=DAY
        )
        wanted = Binder(registrar).hashes_of(MERCHANT, {"account": account["number"]})
    with changing(bound_office.store, "ann", "x", AT) as change:
        assert bound_office.desk(change, "ann").approve(number).state == "approved"
    after = bound_office.reads(row_of, ELEMENTS, MERCHANT)
    assert after == {**before, **wanted, **SEEN.columns()}
    assert [(one.what, one.subject) for one in bound_office.told() if one.what == "merchant changed"] == [
        ("merchant changed", MERCHANT)
    ]
    assert bound_office.suspects() == []
    assert (bound_office.registry().unbound_count, bound_office.registry().altered) == (0, [])
    with bound_office.store.reading() as connection, pytest.raises(RefusedError, match="`merchants account` changes"):
        refuse_account_of_profile(connection, MERCHANT)


def test_a_bound_terminal_is_bound_to_another_place(bound_office):
    with bound_office.at_work() as (clerk, registrar):
        Binder(registrar).bind(TERMINAL, wanted_of({"position": "+31.2304+121.4737/"}, SEEN))
        number = propose_place(bound_office.desk(clerk.change, "jo"), TERMINAL, "Harbour Road 14", SEEN, DAY)
    with changing(bound_office.store, "ann", "x", AT) as change:
        assert bound_office.desk(change, "ann").approve(number).state == "approved"
    assert bound_office.reads(row_of, TERMINALS, TERMINAL)["place"] == "Harbour Road 14"
    binding = bound_office.reads(row_of, BINDINGS, TERMINAL)
    assert (binding["position"], binding["verified_by"]) == ("", "jo")
    assert bound_office.suspects() == []


def midnight(day):
    """As the acquirer's clock has it."""
    return datetime.combine(day, time(), RULES.zone)


def test_days_are_those_of_the_acquirer(open_office):
    """Shortly after its midnight, when it is the day before in UTC."""
    at = midnight(AT.date() + 10 * DAY)
    assert at.astimezone(UTC).date() == AT.date() + 9 * DAY
    with open_office.at_work("rita", at=at) as (clerk, _):
        with pytest.raises(RefusedError, match="has ended already"):
            renew_licence(clerk.change, RULES, MERCHANT, AT.date() + 9 * DAY)
        assert renew_licence(clerk.change, RULES, MERCHANT, at.date())
        assert note_review(clerk.change, RULES, MERCHANT, "high") == at.date() + POLICY.reviews.days("high") * DAY
    assert [one.day for one in open_office.reads(due_soon, POLICY, at) if one.what == "licence"] == [at.date()]


def test_a_licence_that_ends_is_told_before_and_suspends(open_office):
    end = COMPANY.licence_until
    assert open_office.reads(due_soon, POLICY, AT) == []
    due = open_office.reads(due_soon, POLICY, midnight(end - 30 * DAY))
    assert [(one.what, one.day) for one in due if one.what == "licence"] == [("licence", end)]
    with open_office.at_work() as (clerk, registrar):
        assert suspend_unlicensed(registrar, end) == []
        assert suspend_unlicensed(registrar, end + DAY) == [MERCHANT]
        assert suspend_unlicensed(registrar, end + DAY) == []
        with pytest.raises(RefusedError, match="has ended already"):
            renew_licence(clerk.change, RULES, MERCHANT, AT.date() - DAY)
        assert renew_licence(clerk.change, RULES, MERCHANT, end + 365 * DAY)
    assert open_office.state(MERCHANTS, MERCHANT) == "suspended"


def test_a_review_is_due_by_the_class_of_risk(open_office):
    with open_office.at_work("rita") as (clerk, _):
        with pytest.raises(RefusedError, match="needed a class of risk"):
            note_review(clerk.change, RULES, MERCHANT, "none")
        day = note_review(clerk.change, RULES, MERCHANT, "high")
    assert day == AT.date() + 365 * DAY
    due = open_office.reads(due_soon, POLICY, midnight(day))
    assert [(one.what, one.source) for one in due] == [("review", POLICY.reviews.high.source)]
    with open_office.at_work() as (clerk, _), pytest.raises(RefusedError, match="not taken on by an application"):
        note_review(clerk.change, RULES, "898000000000001", "low")


def test_what_is_closed_is_looked_after_no_more(open_office):
    with open_office.at_work() as (clerk, registrar):
        registrar.set_state(MERCHANTS, MERCHANT, "closed")
        with pytest.raises(RefusedError, match="is closed"):
            renew_licence(clerk.change, RULES, MERCHANT, AT.date() + DAY)
    assert open_office.reads(due_soon, POLICY, AT + 4_000 * DAY) == []


def test_the_authority_is_told_what_was_done_however_it_was_done(open_office):
    assert [(one.what, one.subject) for one in open_office.told()] == [("merchant taken on", MERCHANT)]
    with open_office.at_work() as (_, registrar):
        registrar.alter(MERCHANTS, MERCHANT, {"name": "Harbour Paper"})
        registrar.alter(TERMINALS, TERMINAL, {"model": "A930"})
        registrar.set_state(MERCHANTS, MERCHANT, "closed")
    found = open_office.told()
    assert [one.what for one in found] == [
        "merchant taken on",
        "merchant changed",
        "terminal deregistered",
        "merchant closed",
    ]
    assert {one.due_at for one in found} == {AT + 2 * DAY}
    assert "259号" in found[0].source
    with changing(open_office.store, "jo", "told", AT) as change:
        for numbers, reference, words in (([1], "R-1", "nothing waits"), ([found[0].number], " ", "reference")):
            with pytest.raises(RefusedError, match=words):
                mark_reported(change, Actor("jo"), POLICY.report_days, numbers, reference)
        numbers = [found[0].number, found[2].number, found[0].number]
        mark_reported(change, Actor("jo"), POLICY.report_days, numbers, "R-1")
    assert [one.what for one in open_office.told()] == ["merchant changed", "merchant closed"]
    marked = next(one for one in open_office.told(is_all=True) if one.mark)
    assert marked.mark == {"reported_by": "jo", "reported_at": AT, "reference": "R-1"}
    with changing(open_office.store, "jo", "again", AT) as change, pytest.raises(RefusedError, match="nothing waits"):
        mark_reported(change, Actor("jo"), POLICY.report_days, numbers, "R-2")
    assert not open_office.reads(lambda connection: list(flaws(connection)))
