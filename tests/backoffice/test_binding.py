"""What terminals are bound to, as people change it: by verification, by two, and never by a row alone."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from switch.applications.reports import reports
from switch.config import load_config
from switch.config.key_file import open_key_file
from switch.merchants.suspects import ALTERED, OTHER_ELEMENTS, Proof, Suspect, SuspectFolder, tell_store
from switch.store.opening import Store, parse_url
from switch.tables.binding import BINDING_KEY

from .acquiring import POLICY
from .registry import MINE, WHY, Office, call

MERCHANT = "898000000000001"
ACCOUNT = "6222020000000001"
IDENTITY = "91310000MA1FL0000X"
SEEN = ("--verified", "live video", "--verified-by", "lin", "--verified-on", "2026-11-28", "--reference", "V-17")
HERE = ("--place", "Harbour Road 12", "--position", "+31.2304+121.4737/", "--serial-number", "S1")


class BoundOffice(Office):
    """An office with the sample's rows, and a key for bindings."""

    def __init__(self, folder, store_url):
        super().__init__(folder, store_url)
        self.store_url = store_url
        self.takes_over()
        status, said = call("keys", "--config", self.config, "generate", "registry/rbk", "--algorithm", "aes-256")
        assert status == 0, said

    def secret(self, name, value):
        file = self.folder / name
        file.write_text(f"{value}\n")
        return f"--{name}-file", file

    def says(self, account, *options, identity=IDENTITY):
        """Arguments by which a merchant's account is changed."""
        files = (*self.secret("identity", identity), *self.secret("account", account))
        return "merchants", "change", MERCHANT, *files, *options, *WHY

    def binds(self, *options):
        return "terminals", "bind", MINE, *options, *WHY

    def is_bound(self):
        self.does(*self.says(ACCOUNT))
        self.does(*self.binds(*HERE))

    def store(self):
        return Store.open(parse_url(self.store_url, self.folder))

    def alters(self, statement):
        store = self.store()
        try:
            with store.writing() as connection:
                assert connection.execute(text(statement)).rowcount == 1
        finally:
            store.close()

    def proof(self):
        """Goes through all bindings."""
        config = load_config(self.config)
        with open_key_file(config.keys) as keys:
            return Proof(keys.value(BINDING_KEY), config.switch.acquirer_id)

    def suspects(self):
        """Who is not as bound."""
        store = self.store()
        try:
            with store.reading() as connection:
                return self.proof().next(connection)
        finally:
            store.close()

    def whole_text(self):
        """All that the database says, as a backup has it."""
        self.does("store", "backup", self.folder / "backup.db")
        return (self.folder / "backup.db").read_bytes()


@pytest.fixture
def office(tmp_path, store_url):
    return BoundOffice(tmp_path / "office", store_url)


def test_a_terminal_is_bound_and_no_secret_is_kept(office):
    assert "nothing is known yet of identity and account" in office.refuses(*office.binds(*HERE))
    assert "needed identity, too" in office.refuses(
        "merchants", "change", MERCHANT, *office.secret("account", ACCOUNT), *WHY
    )
    office.is_bound()
    assert "nothing changed" in office.does(*office.binds())
    kept = office.whole_text()
    assert ACCOUNT.encode() not in kept
    assert IDENTITY.encode() not in kept
    assert office.does("audit", "verify")


def test_what_a_terminal_is_bound_as_is_not_changed_without_a_verification(office):
    assert "needed a serial number and a place" in office.refuses(*office.binds())
    office.is_bound()
    for options in (("--place", "elsewhere"), ("--serial-number", "S2"), ("--position", "+31+121/")):
        assert "must be verified anew" in office.refuses(*office.binds(*options))
    for options in (("--place", "elsewhere"), ("--serial-number", "S2")):
        assert "changed by `terminals bind`" in office.refuses("terminals", "change", MINE, *options, *WHY)
    assert "belong together" in office.refuses(*office.binds("--place", "elsewhere", "--verified", "on site"))
    assert "a verification is" in office.refuses(*office.binds("--place", "x", *SEEN[:1], "a letter", *SEEN[2:]))
    assert "is no position" in office.refuses(*office.binds("--position", "north", *SEEN))
    assert "bound" in office.does(*office.binds("--place", "elsewhere", *SEEN))
    assert office.shown("terminals", MINE)["place"] == "elsewhere"
    assert office.does("audit", "verify")


def test_an_account_is_changed_with_all_terminals_or_not_at_all(office):
    office.is_bound()
    other = "6222020000000002"
    assert "must be verified anew" in office.refuses(*office.says(other))
    office.does(*office.says(other, *SEEN))
    assert office.suspects() == []
    office.alters(f"UPDATE terminals SET serial_number = 'S9' WHERE id = '{MINE}'")
    assert "is not as it was bound" in office.refuses(*office.says(ACCOUNT, *SEEN))
    office.does(*office.binds("--serial-number", "S1", *SEEN))
    office.does(*office.says(ACCOUNT, *SEEN))
    assert office.suspects() == []


ALTERATIONS = {
    f"UPDATE terminals SET serial_number = '{{0}}' WHERE id = '{MINE}'": Suspect(ALTERED, MINE),
    f"UPDATE terminals SET place = '{{0}}' WHERE id = '{MINE}'": Suspect(ALTERED, MINE),
    f"UPDATE terminal_bindings SET position = '{{0}}' WHERE id = '{MINE}'": Suspect(ALTERED, MINE),
    f"UPDATE terminal_bindings SET bound_to = '{{0}}' WHERE id = '{MINE}'": Suspect(ALTERED, MINE),
    f"UPDATE terminal_bindings SET binding = '{{0}}' WHERE id = '{MINE}'": Suspect(ALTERED, MINE),
    f"UPDATE merchant_elements SET account = '{{0}}' WHERE id = '{MERCHANT}'": Suspect(
        OTHER_ELEMENTS, MERCHANT, subject="merchants"
    ),
    f"UPDATE merchant_elements SET identity = '{{0}}' WHERE id = '{MERCHANT}'": Suspect(
        OTHER_ELEMENTS, MERCHANT, subject="merchants"
    ),
}


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_element_that_is_altered_is_found(office, data):
    if "is_ready" not in office.__dict__:
        office.is_ready = True
        office.is_bound()
        assert office.suspects() == []
    statement = data.draw(st.sampled_from(list(ALTERATIONS)))
    altered = data.draw(st.text("0123456789abcdefS", max_size=20).filter(lambda one: one != "S1"))
    store = office.store()
    try:
        proof = office.proof()
        with store.writing() as connection:
            point = connection.begin_nested()
            connection.execute(text(statement.format(altered)))
            assert proof.next(connection) == [ALTERATIONS[statement]]
            point.rollback()
    finally:
        store.close()


def test_the_key_that_terminals_are_bound_under_stays(office):
    """Under another one all of them would be suspended, and each released by two people."""
    keys = ("keys", "--config", office.config)
    make = ("generate", BINDING_KEY, "--algorithm", "aes-256", "--replace")
    assert call(*keys, *make)[0] == 0, "nothing is bound under it yet"
    office.is_bound()
    config = load_config(office.config)
    with open_key_file(config.keys) as file:
        before = file.value(BINDING_KEY)
    alone = ("keys", "--file", config.keys.file, "--master-key-file", config.keys.master_key_file)
    for arguments, words in (
        ((*keys, *make), "terminals are bound under it (1)"),
        ((*keys, "remove", BINDING_KEY), "terminals are bound under it (1)"),
        ((*alone, "remove", BINDING_KEY), "only with --config can be seen"),
        ((*keys, "export", BINDING_KEY, "--under", BINDING_KEY), "goes to nobody else"),
    ):
        status, said = call(*arguments)
        assert (status in (1, 2), words in " ".join(said.replace("│", " ").split())) == (True, True), said
    with open_key_file(config.keys) as file:
        assert file.value(BINDING_KEY) == before
    assert office.suspects() == []


def test_a_case_must_be_closed_before_two_release(office):
    office.is_bound()
    store = office.store()
    for _ in range(2):
        tell_store(store, Suspect("elsewhere", MINE, "+0+0/"))
    store.close()
    assert office.shown("terminals", MINE)["state"] == "suspended"
    (case,) = (json.loads(line) for line in office.does("cases", "list", "--state", "open", "--json").splitlines())
    assert (case["kind"], case["subject"], case["row"]) == ("elsewhere", "terminals", MINE)
    assert json.loads(case["facts"]) == {"said": "+0+0/"}
    assert "case 1 is open" in office.refuses("terminals", "release", MINE, *WHY)
    office.does("cases", "close", "1", *WHY)
    assert "closed already" in office.refuses("cases", "close", "1", *WHY)
    assert office.shown("cases", "1")["state"] == "closed"
    office.does("terminals", "release", MINE, *WHY)
    assert office.does("audit", "verify")


def gets_people(office, as_user):
    """System users 1, 2 and 3 are registrar, approver and reviewer from now on; the first one asks."""
    users = {role: as_user(number) for number, role in enumerate(("registrar", "approver", "reviewer"), 1)}
    as_user(os.getuid())
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    for role, user in users.items():
        office.does("people", "add", role, "--name", role, "--role", role, "--system-user", user, *WHY)
    as_user(1)


def test_with_people_two_move_a_terminal_that_is_bound_to_nothing(office, as_user):
    gets_people(office, as_user)
    said = "--place", "Kai 3", "--serial-number", "S1"
    office.does("terminals", "change", MINE, *said, *WHY)  # what was not known before
    before = office.shown("terminals", MINE)
    for other in (("--place", "elsewhere"), ("--serial-number", "S2"), ("--place", "")):
        changes = ("terminals", "change", MINE, *other, *WHY)
        assert "must be verified anew" in office.refuses(*changes)
    status, told = office.imports("terminals", terminal_file({**before, "place": "elsewhere"}), "--replace")
    assert status == 2
    assert "two people are needed" in " ".join(told.split())
    assert office.shown("terminals", MINE) == before
    assert "kept with a proposal" in office.refuses("terminals", "change", MINE, "--model", "P2", *SEEN, *WHY)
    assert "changed" in office.does("terminals", "change", MINE, "--model", "P2", *said, *WHY)
    assert "proposal 1 waits" in office.does("terminals", "change", MINE, "--place", "elsewhere", *SEEN, *WHY)
    assert office.shown("terminals", MINE)["place"] == "Kai 3"
    as_user(2)
    assert "approved" in office.does("proposals", "approve", 1, *WHY)
    now = office.shown("terminals", MINE)
    assert (now["place"], now["serial_number"], now["model"]) == ("elsewhere", "S1", "P2")


def test_with_people_two_bind_a_terminal_elsewhere_than_it_was(office, as_user):
    office.does(*office.says(ACCOUNT))
    gets_people(office, as_user)
    office.does("terminals", "change", MINE, "--place", "Kai 3", *WHY)
    assert "must be verified" in office.refuses(*office.binds(*HERE))
    assert "proposal 1 waits" in office.does(*office.binds(*HERE, *SEEN))
    assert office.shown("terminals", MINE)["place"] == "Kai 3"
    assert "bound" in office.does(*office.binds("--serial-number", "S1"))


def terminal_file(row):
    """A file with one terminal."""
    return "\n".join([",".join(row), ",".join(value or "" for value in row.values()), ""])


def test_with_people_two_change_an_account_and_release(office, as_user):
    office.is_bound()
    gets_people(office, as_user)
    before = office.shown("terminals", MINE)
    assert "must be verified anew" in office.refuses(*office.says("6222020000000002"))
    assert "proposal 1 waits" in office.does(*office.says("6222020000000002", *SEEN))
    assert "6222020000000002" not in office.does("proposals", "show", 1)
    assert "proposal 2 waits" in office.does(*office.binds("--place", "elsewhere", *SEEN))
    assert office.shown("terminals", MINE) == before
    assert "may not" in office.refuses("proposals", "approve", 1, *WHY)
    as_user(2)
    for number in (1, 2):
        assert "approved" in office.does("proposals", "approve", number, *WHY)
    assert office.shown("terminals", MINE)["place"] == "elsewhere"
    assert office.suspects() == []
    store = office.store()
    tell_store(store, Suspect("elsewhere", MINE, "+0+0/"))
    store.close()
    assert "cases.close is needed" in office.refuses("cases", "close", 1, *WHY)
    as_user(3)
    office.does("cases", "close", 1, *WHY)
    as_user(1)
    assert "proposal 3 waits" in office.does("terminals", "release", MINE, *WHY)
    assert office.shown("terminals", MINE)["state"] == "suspended"
    as_user(2)
    assert "approved" in office.does("proposals", "approve", 3, *WHY)
    assert office.shown("terminals", MINE)["state"] == "active"


def test_suspects_are_kept_until_they_are_taken_away(tmp_path):
    folder = SuspectFolder(tmp_path / "suspended")
    assert folder.all() == []
    one, other = Suspect("elsewhere", "1000000/", "x"), Suspect(ALTERED, "10000002")
    for suspect in (one, one, other):
        folder.put(suspect)
    (tmp_path / "suspended" / "torn.json").write_text("{")
    assert sorted(folder.all(), key=lambda suspect: suspect.row) == [one, other]
    folder.remove(one)
    assert SuspectFolder(tmp_path / "suspended").all() == [other]


def test_another_account_or_identity_is_told_to_the_authority(office):
    """Also of a merchant that has no application, whose account is kept here as a hash alone."""
    office.is_bound()
    office.does(*office.says(ACCOUNT, *SEEN))
    count = len(told(office))
    office.does(*office.says("6222020000000099", *SEEN))
    office.does(*office.says("6222020000000099", *SEEN, identity="91310000MA1FL0000Y"))
    office.does(*office.says("6222020000000099", *SEEN, identity="91310000MA1FL0000Y"))
    assert told(office)[count:] == [("merchant changed", MERCHANT)] * 2


def told(office):
    store = office.store()
    try:
        with store.reading() as connection:
            return [(one.what, one.subject) for one in reports(connection, POLICY.report_days)]
    finally:
        store.close()
