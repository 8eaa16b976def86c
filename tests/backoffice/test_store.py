"""The store: one schema in both databases, one writer, and an audit that cannot be changed unseen."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

import switch.cli.store_opening  # noqa: F401 - with it all tables
from switch.merchants.tables import ACTIVATIONS, MERCHANTS, TERMINALS
from switch.store.audit import AUDIT, BEGINNING, Head, head
from switch.store.changing import changing
from switch.store.columns import METADATA
from switch.store.copying import back_up, restore
from switch.store.migrating import newest_version, require_newest, upgrade, version_of
from switch.store.opening import CONNECT_SECONDS, Store, parse_url
from switch.store.problems import NoSuchError, StoreError, UnfitError
from switch.store.proving import flaws

AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
SHOP = {"id": "898000000000001", "name": "Harbour Bookshop", "category": "5942", "since": AT}
TILL = {"id": "10000001", "merchant": SHOP["id"], "mac_algorithm": "aes-cmac", "pin_format": "iso-0"}


def add(store, table, *rows, why="taken on"):
    with changing(store, "chen", why, AT) as change:
        change.insert_all(table, rows)


def all_flaws(store, known=BEGINNING):
    with store.reading() as connection:
        return [(flaw.where, flaw.reason) for flaw in flaws(connection, known)]


def audit_of(store):
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(select(AUDIT).order_by(AUDIT.c.number)).mappings()]


def head_of(store):
    with store.reading() as connection:
        return head(connection)


def behind_its_back(store, statement):
    """What somebody with the database's own tools does."""
    with store.writing() as connection:
        connection.exec_driver_sql(statement)


def without_guard(store):
    """Somebody who owns the database takes the guard away."""
    if store.is_sqlite:
        for what in ("update", "delete"):
            behind_its_back(store, f"DROP TRIGGER audit_stays_{what}")
    else:
        behind_its_back(store, "DROP TRIGGER audit_stays ON audit")


# --- schema -----------------------------------------------------------------------------------------------------------


def test_the_migrations_make_what_the_tables_say(store):
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_an_upgrade_says_from_which_version_to_which_and_is_nothing_twice(empty_store):
    assert upgrade(empty_store) == (None, newest_version())
    assert upgrade(empty_store) == (newest_version(), newest_version())


def test_a_database_without_tables_is_refused_with_what_to_do(empty_store):
    with pytest.raises(StoreError, match=r"has no tables yet; `authswitch store upgrade"):
        require_newest(empty_store)


def test_a_database_of_a_newer_program_is_left_alone(store):
    behind_its_back(store, "UPDATE alembic_version SET version_num = '9999'")
    for attempt in (require_newest, upgrade):
        with pytest.raises(StoreError, match="a newer program has changed it to version 9999"):
            attempt(store)
    with store.reading() as connection:
        assert version_of(connection) == "9999"


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_file_is_its_owners_alone(tmp_path):
    Store.open(parse_url(f"sqlite:{tmp_path}/store.db"), makes_file=True).close()
    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "needed"),
        ("mysql://a@b/c", "needed"),
        ("sqlite:", "path of a file"),
        ("sqlite:///x", "path of a file"),
        ("postgresql://a@b", "needed"),
        ("postgresql://a:secret@localhost/c", "no password"),
        ("postgresql://a@db.example/c", "verify-full"),
        ("postgresql://a@db.example/c?sslmode=require", "verify-full"),
    ],
)
def test_an_address_that_is_wrong_or_unsafe_is_refused(url, reason):
    with pytest.raises(StoreError, match=reason) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["postgresql://a@localhost/c", "postgresql://a@/c?host=/run", "postgresql://a@b/c?sslmode=verify-full"]
)
def test_servers_that_are_here_or_proved(url):
    assert parse_url(url).drivername == "postgresql+psycopg"


def test_a_server_that_hangs_is_given_up_and_asked_again(server):
    store = Store.open(parse_url(server.database()), answer_seconds=1.0)
    began_s = time.monotonic()
    with (
        pytest.raises(StoreError, match="has said nothing for 1 seconds"),
        store.reading() as connection,
        server.hanging(),
    ):
        connection.exec_driver_sql("SELECT 1")
    assert time.monotonic() - began_s < CONNECT_SECONDS
    with server.hanging(), pytest.raises(StoreError, match="timeout"), store.reading():
        pass
    with pytest.raises(StoreError, match="statement timeout"), store.reading() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(30)")
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT 2").scalar_one() == 2
    store.close()


def test_what_cannot_be_reached_is_said_without_its_password():
    url = parse_url("postgresql://authswitch@127.0.0.1:1/none")
    with pytest.raises(StoreError, match=r"postgresql://authswitch.*127.0.0.1:1/none: .*refused") as refused:
        Store.open(url, "swordfish")
    assert "swordfish" not in str(refused.value)


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_says_who_why_when_and_what_was_there_before(store):
    add(store, MERCHANTS, SHOP)
    with changing(store, "li", "moved to another trade", AT) as change:
        assert change.update(MERCHANTS, SHOP["id"], {"category": "5999", "name": SHOP["name"]})
    added, changed = audit_of(store)
    assert (added["who"], added["why"], added["at"]) == ("chen", "taken on", AT)
    assert (added["subject"], added["row"], added["before"]) == ("merchants", SHOP["id"], None)
    assert json.loads(added["after"])["category"] == "5942"
    assert (changed["who"], changed["why"]) == ("li", "moved to another trade")
    assert json.loads(changed["before"]) == {"category": "5942"}
    assert json.loads(changed["after"]) == {**json.loads(added["after"]), "category": "5999"}


def test_a_deleted_row_is_kept_in_the_audit(store):
    add(store, MERCHANTS, SHOP)
    with changing(store, "li", "by mistake", AT) as change:
        change.delete(MERCHANTS, SHOP["id"])
    gone = audit_of(store)[-1]
    assert gone["after"] is None
    assert json.loads(gone["before"])["name"] == SHOP["name"]
    assert all_flaws(store) == []


def test_what_changes_nothing_is_not_written_down(store):
    add(store, MERCHANTS, SHOP)
    with changing(store, "li", "no reason at all", AT) as change:
        assert not change.update(MERCHANTS, SHOP["id"], {"name": SHOP["name"]})
    assert len(audit_of(store)) == 1


def test_a_row_that_is_not_there_is_not_changed(store):
    with pytest.raises(NoSuchError, match="merchants has no 42"), changing(store, "li", "a try", AT) as change:
        change.update(MERCHANTS, "42", {"name": "x"})
    with pytest.raises(NoSuchError), changing(store, "li", "a try", AT) as change:
        change.delete(MERCHANTS, "42")


def test_a_change_that_fails_has_not_happened(store):
    def half_of_it():
        with changing(store, "li", "half of it", AT) as change:
            change.insert(MERCHANTS, SHOP)
            change.insert(TERMINALS, {**TILL, "merchant": "nobody"})

    with pytest.raises(StoreError):
        half_of_it()
    assert audit_of(store) == []
    with store.reading() as connection:
        assert connection.execute(select(MERCHANTS)).all() == []


def test_a_refusal_of_the_database_tells_no_value(store):
    add(store, MERCHANTS, SHOP)
    with pytest.raises(StoreError) as refused:
        add(store, MERCHANTS, SHOP)
    assert SHOP["name"] not in str(refused.value)
    assert SHOP["id"] not in str(refused.value)


@pytest.mark.parametrize(("who", "why"), [("", "x"), ("x", "  "), ("x", "a\nb"), ("x" * 65, "x"), ("x", "x" * 401)])
def test_nobody_changes_anything_without_a_name_and_a_reason(store, who, why):
    with pytest.raises(UnfitError, match="needed wh"), changing(store, who, why) as change:
        change.insert(MERCHANTS, SHOP)


def test_a_moment_is_kept_in_utc_and_needs_its_zone(store):
    add(store, MERCHANTS, {**SHOP, "since": AT.astimezone(timezone(timedelta(hours=8)))})
    with store.reading() as connection:
        assert connection.execute(select(MERCHANTS.c.since)).scalar_one() == AT
        assert connection.execute(text("SELECT since FROM merchants")).scalar_one() == "2026-11-27T08:30:00.000000Z"
    with pytest.raises(StoreError):
        add(store, MERCHANTS, {**SHOP, "id": "2", "since": datetime(2026, 1, 1)})
    assert all_flaws(store) == []


def test_writers_wait_for_one_another(store):
    """Of very many at once each is in the chain, and none is lost."""
    failed = []

    def work(number):
        try:
            for more in range(5):
                add(store, MERCHANTS, {**SHOP, "id": f"{number}-{more}"})
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert head_of(store).number == 40
    assert all_flaws(store) == []


# --- the chain --------------------------------------------------------------------------------------------------------


@pytest.fixture
def audited(store):
    """Some rows with a history."""
    add(store, MERCHANTS, SHOP, {**SHOP, "id": "2", "name": "Tea, Silk & Paper 茶"})
    add(store, TERMINALS, TILL)
    with changing(store, "li", "lost", AT) as change:
        change.update(TERMINALS, TILL["id"], {"state": "suspended"})
    return store


def test_the_chain_can_be_computed_by_anybody(audited):
    before = bytes(32)
    for row in audit_of(audited):
        at = row["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        said = [row["number"], at, row["who"], row["why"], row["subject"], row["row"], row["before"], row["after"]]
        line = json.dumps([*said, before.hex()], separators=(",", ":"), ensure_ascii=False)
        before = hashlib.sha256(line.encode()).digest()
        assert row["hash"] == before
    assert head_of(audited).hash == before
    assert all_flaws(audited) == []


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"])
def test_the_audit_is_append_only(audited, statement):
    with pytest.raises(StoreError, match="append-only"):
        behind_its_back(audited, statement)
    assert len(audit_of(audited)) == 4


@pytest.mark.parametrize(
    "change", ["at = '2026-01-01T00:00:00.000000Z'", "who = 'x'", "why = 'x'", "subject = 'x'", "row = 'x'",
               "before = '{}'", "after = '{}'", "after = NULL"],
)  # fmt: skip
def test_each_column_of_the_audit_is_under_its_hash(audited, change):
    without_guard(audited)
    behind_its_back(audited, f"UPDATE audit SET {change} WHERE number = 2")
    assert ("audit 2", "its hash is not that of what stands there, behind what is before") in all_flaws(audited)


def test_a_row_that_was_taken_out_of_the_audit_is_missed(audited):
    without_guard(audited)
    behind_its_back(audited, "DELETE FROM audit WHERE number = 2")
    assert ("audit 2", "is not there; what follows has number 3") in all_flaws(audited)


def test_an_end_that_was_cut_off_is_seen_by_its_rows_and_by_a_noted_head(audited):
    noted = head_of(audited)
    without_guard(audited)
    behind_its_back(audited, "DELETE FROM audit WHERE number = 4")
    assert ("terminals 10000001", "is not as audit 3 left it") in all_flaws(audited)
    behind_its_back(audited, "UPDATE terminals SET state = 'active'")
    assert all_flaws(audited) == []
    assert all_flaws(audited, noted) == [("audit 4", "is not there, though a head of 4 rows was noted")]


def test_a_history_that_was_written_anew_is_seen_by_a_noted_head(audited):
    noted = Head(2, bytes(32))
    assert all_flaws(audited, noted) == [("audit 2", "has another hash than the one that was noted")]


@pytest.mark.parametrize(
    ("statement", "flaw"),
    [
        ("UPDATE merchants SET name = 'x' WHERE id = '2'", ("merchants 2", "is not as audit 2 left it")),
        ("DELETE FROM merchants WHERE id = '2'", ("merchants 2", "is not there, though audit 2 left it there")),
        (
            "INSERT INTO merchants SELECT '3', name, state, category, kinds, since FROM merchants WHERE id = '2'",
            ("merchants 3", "nobody is known to have put it there"),
        ),
    ],
)
def test_a_row_that_was_changed_behind_the_audits_back_is_named(audited, statement, flaw):
    behind_its_back(audited, statement)
    assert all_flaws(audited) == [flaw]


# --- backup -----------------------------------------------------------------------------------------------------------


def rows_of(store):
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in METADATA.sorted_tables
        }


def test_a_backup_has_every_row_and_can_be_restored_into_either(audited, server, tmp_path):
    assert back_up(audited, tmp_path / "backup") == 7
    for url in (f"sqlite:{tmp_path}/restored", server.database()):
        restored = Store.open(parse_url(url), makes_file=True)
        try:
            assert restore(tmp_path / "backup", restored) == 7
            assert rows_of(restored) == rows_of(audited)
            assert all_flaws(restored, head_of(audited)) == []
            add(restored, MERCHANTS, {**SHOP, "id": "9"}, why="life goes on")
            with pytest.raises(StoreError, match="append-only"):
                behind_its_back(restored, "DELETE FROM audit")
        finally:
            restored.close()


def test_a_backup_is_a_file_of_its_owner_alone_and_is_never_overwritten(audited, tmp_path):
    back_up(audited, tmp_path / "backup")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="never overwritten"):
        back_up(audited, tmp_path / "backup")


def test_a_restore_needs_an_empty_database(audited, tmp_path):
    back_up(audited, tmp_path / "backup")
    with pytest.raises(StoreError, match="needs a database that is empty"):
        restore(tmp_path / "backup", audited)


def test_a_backup_that_was_changed_is_not_restored(audited, server, tmp_path):
    back_up(audited, tmp_path / "backup")
    with sqlite3.connect(tmp_path / "backup") as changed:
        changed.execute("UPDATE terminals SET state = 'active'")
    changed.close()
    fresh = Store.open(parse_url(server.database()))
    with pytest.raises(StoreError, match="terminals 10000001 is not as audit 4 left it; nothing was restored"):
        restore(tmp_path / "backup", fresh)
    fresh.close()


def test_a_table_that_the_program_does_not_know_is_not_left_out_in_silence(audited, tmp_path):
    behind_its_back(audited, "CREATE TABLE more (id INTEGER)")
    with pytest.raises(StoreError, match="has tables that this program does not know: more"):
        back_up(audited, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("content", [b"", b"something else" * 100])
def test_what_is_no_backup_is_said(store, tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(StoreError, match="file"):
        restore(tmp_path / "file", store)


def test_a_query_is_planned_for_the_table_as_it_is(store):
    """Prepared while an import finds the table empty, it would read the whole table for ever."""
    if store.is_sqlite:
        return
    with store.reading() as connection:
        for _ in range(20):
            connection.execute(text("SELECT number FROM audit WHERE number = :number"), {"number": 1})
        assert connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0


def test_a_table_that_others_name_is_made_anew_with_its_rows(empty_store):
    """Terminals were allowed one state more: SQLite can only make the table anew."""
    settings = Config()
    settings.set_main_option("script_location", "switch.store:migrations")
    till = {**TILL, "state": "suspended", "place": "Kai 3", "serial_number": "SN-1"}
    with empty_store.writing() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0009")
        connection.execute(MERCHANTS.insert(), SHOP)
        connection.execute(TERMINALS.insert(), till)
        waiting = {"id": till["id"], "code_hash": bytes(32), "tries_left": 5, "expires_at": AT}
        connection.execute(ACTIVATIONS.insert(), waiting)
    assert upgrade(empty_store) == ("0009", newest_version())
    with empty_store.writing() as connection:
        found = connection.execute(select(TERMINALS)).mappings().one()
        assert {name: found[name] for name in till} == till
        assert connection.execute(select(ACTIVATIONS.c.id)).scalar_one() == till["id"]
        connection.execute(TERMINALS.update().values(state="awaiting"))
    with pytest.raises(StoreError, match=r"(?i)foreign key"), empty_store.writing() as connection:
        connection.execute(TERMINALS.delete())
    with pytest.raises(StoreError, match=r"(?i)check"), empty_store.writing() as connection:
        connection.execute(TERMINALS.update().values(state="lost"))


def test_a_schema_that_leaves_rows_without_those_that_they_name_is_refused(store):
    with pytest.raises(StoreError), store.changing_schema() as connection:
        connection.execute(TERMINALS.insert(), {**TILL, "merchant": "nobody"})
    assert rows_of(store)["terminals"] == []


def test_another_store_of_the_same_process_gives_up_no_locks(tmp_path):
    """A switch opens the store for its registry and for its rules; what commands write meanwhile, both see."""
    url = parse_url(f"sqlite:{tmp_path}/store.db")
    first = Store.open(url, makes_file=True)
    upgrade(first)
    second = Store.open(url, makes_file=True)
    for number in range(3):
        merchant = SHOP | {"id": f"89800000000010{number}"}
        values = ", ".join(f"'{merchant[name]}'" for name in ("id", "name", "category"))
        written = f"INSERT INTO merchants (id, name, category, state, kinds, since) VALUES ({values}, 'active', '', '')"
        other = "import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); base.execute(sys.argv[2]); base.commit()"
        subprocess.run([sys.executable, "-c", other, f"{tmp_path}/store.db", written], check=True)
        assert (tmp_path / "store.db-wal").exists(), "who ends last takes the log away, and thinks that he does"
        for store in (first, second):
            with store.reading() as connection:
                assert connection.exec_driver_sql("SELECT count(*) FROM merchants").scalar_one() == number + 1
    with sqlite3.connect(tmp_path / "store.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    first.close()
    second.close()
