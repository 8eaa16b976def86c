"""`authswitch store` and `authswitch audit`, as an operator calls them, with either database."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.cli.main import app
from switch.merchants.tables import MERCHANTS
from switch.store.changing import changing
from switch.store.migrating import newest_version
from switch.store.opening import Store, parse_url

ROOT = Path(__file__).resolve().parents[2]
SHOP = {
    "id": "898000000000001",
    "name": "Harbour Bookshop",
    "category": "5942",
    "since": datetime(2026, 1, 1, tzinfo=UTC),
}


def call(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


@pytest.fixture
def config(tmp_path, store_url):
    """A configuration that names a database."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    file = tmp_path / "configs" / "loopback.toml"
    file.write_text(f'{file.read_text()}\n[store]\nurl = "{store_url}"\n')
    return file


@pytest.fixture
def used(config, store_url):
    """The same, with tables, and somebody who has changed a row."""
    assert call("store", "upgrade", config)[0] == 0
    store = Store.open(parse_url(store_url))
    with changing(store, "chen", "taken on") as change:
        change.insert(MERCHANTS, SHOP)
    with changing(store, "li", "moved to another trade") as change:
        change.update(MERCHANTS, SHOP["id"], {"category": "5999"})
    yield store
    store.close()


def test_tables_are_made_once(config):
    status, output = call("store", "show", config)
    if "sqlite" in config.read_text():
        assert status == 1
        assert "there is no such file; `authswitch store upgrade CONFIG` makes it" in output
        assert not list(config.parent.rglob("store.db*"))
    else:
        assert status == 0
        assert "none: it has no tables yet" in output
    assert f"tables of version {newest_version()} made" in call("store", "upgrade", config)[1]
    assert f"is of version {newest_version()} already" in call("store", "upgrade", config)[1]
    shown = json.loads(call("store", "show", config, "--json")[1])
    assert shown["version"] == shown["newest"] == newest_version()
    assert set(shown["rows"]) >= {"audit", "merchants", "terminals"}
    assert not any(shown["rows"].values())


def test_without_tables_it_is_said_what_to_do(config, tmp_path):
    for command in (
        ("audit", "verify", config),
        ("audit", "list", config),
        ("store", "backup", config, tmp_path / "b"),
    ):
        status, output = call(*command)
        assert status == 1
        assert "authswitch store upgrade" in output


def test_without_a_store_it_is_said_what_lacks():
    status, output = call("store", "show", ROOT / "configs" / "loopback.toml")
    assert status == 2
    assert "there is no [store]" in output


def test_a_wrong_address_is_found_by_check_and_by_the_command(config, store_url):
    config.write_text(config.read_text().replace(store_url, "postgresql://a:swordfish@db.example/x"))
    for command in ("check", config), ("store", "show", config):
        status, output = call(*command)
        assert status == 2
        assert "no password may stand in the configuration" in " ".join(output.split())
        assert "swordfish" not in output


def test_a_password_file_that_others_can_read_is_refused(config, tmp_path):
    (tmp_path / "password").write_text("swordfish")
    (tmp_path / "password").chmod(0o644)
    config.write_text(f'{config.read_text()}password_file = "{tmp_path}/password"\n')
    for command in ("check", config), ("store", "show", config):
        status, output = call(*command)
        assert status != 0
        assert "others can use it" in output
        assert "swordfish" not in output


def test_the_audit_is_verified_and_its_head_holds(used, config):
    status, output = call("audit", "verify", config)
    assert status == 0
    assert "whole: 2 changes" in output
    noted = output.split("head: ")[1].strip()
    assert call("audit", "verify", config, "--head", noted)[0] == 0
    wrong = noted[:-1] + ("0" if noted[-1] != "0" else "1")
    assert call("audit", "verify", config, "--head", wrong)[0] == 1
    assert call("audit", "verify", config, "--head", "nonsense")[0] == 2
    assert used.place in call("store", "show", config)[1]


def test_a_row_that_was_changed_behind_its_back_is_named(used, config):
    with used.writing() as connection:
        connection.exec_driver_sql("UPDATE merchants SET name = 'x'")
    status, output = call("audit", "verify", config)
    assert status == 1
    assert "merchants 898000000000001: is not as audit 2 left it" in output
    answer = json.loads(call("audit", "verify", config, "--json")[1])
    assert answer["flaws"] == [{"where": "merchants 898000000000001", "reason": "is not as audit 2 left it"}]


@pytest.mark.usefixtures("used")
def test_changes_are_listed_the_newest_first(config):
    lines = [json.loads(line) for line in call("audit", "list", config, "--json")[1].splitlines()]
    assert [(one["number"], one["who"]) for one in lines] == [(2, "li"), (1, "chen")]
    assert lines[0]["before"] == {"category": "5942"}
    table = call("audit", "list", config, "--row", SHOP["id"], "--who", "li")[1]
    assert "category: '5942' -> '5999'" in table
    assert "chen" not in table


@pytest.mark.usefixtures("used")
def test_a_backup_is_restored_where_nothing_is(config, server, store_url, tmp_path):
    status, output = call("store", "backup", config, tmp_path / "backup")
    assert (status, "3 rows" in output) == (0, True)
    status, output = call("store", "restore", config, tmp_path / "backup")
    assert (status, "needs a database that is empty" in output) == (1, True)
    config.write_text(config.read_text().replace(store_url, server.database()))
    assert "3 rows restored" in call("store", "restore", config, tmp_path / "backup")[1]
    assert "whole: 2 changes" in call("audit", "verify", config)[1]
