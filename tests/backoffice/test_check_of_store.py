"""``check`` of merchants and terminals that the store has: as it has them now, whatever a copy began with."""

from __future__ import annotations

import pytest

from switch.check.configuration import check_config
from switch.check.registry import OTHER_STORE, read_registry_files
from switch.config import load_config
from switch.merchants.copying import Copy
from switch.merchants.source import changes_since, whole
from switch.store.opening import Store, parse_url

from .registry import Office

MERCHANT = "898000000000001"
ADDED = "10000077"
HEADING = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"


@pytest.fixture
def office(tmp_path, store_url):
    """One whose store has got a terminal since the copy was begun."""
    office = Office(tmp_path, store_url)
    office.store_url = store_url
    office.takes_over()
    text = office.config.read_text()
    files = text[text.index("[registry]") :].split("\n\n")[0]
    office.config.write_text(text.replace(files, '[registry]\nstore_copy = "registry"'))
    read_registry_files(load_config(office.config), keeps_copy=True)
    office.before = check_config(office.config).summary["terminals"]
    status, said = office.imports("terminals", f"{HEADING}\n{ADDED},{MERCHANT},active,,,none,none,\n")
    assert status == 0, said
    return office


def of_start(office):
    return read_registry_files(load_config(office.config), keeps_copy=True)


def test_what_came_since_the_base_is_looked_at(office):
    assert ADDED.encode() not in of_start(office).terminals, "it is behind the base"
    report = check_config(office.config)
    assert (report.valid, report.summary["terminals"]) == (True, office.before + 1)


def test_who_must_be_bound_and_is_not_is_told(office):
    demanded = office.config.read_text().replace("store_copy = ", 'binding = "demanded"\nstore_copy = ')
    office.config.write_text(demanded)
    assert "terminals are bound to nothing: refused" in " ".join(
        one.reason for one in check_config(office.config).problems
    )


def test_without_the_store_its_copy_is_looked_at_with_its_changes(office, tmp_path):
    copy = Copy(load_config(office.config).registry.store_copy)
    base = copy.read().head
    store = Store.open(parse_url(office.store_url, tmp_path))
    with store.reading() as connection:
        later = changes_since(connection, base)
    store.close()
    copy.keep(base, later, later)
    office.config.write_text(office.config.read_text().replace(office.store_url, f"sqlite:{tmp_path}/nowhere.db"))
    report = check_config(office.config)
    assert (report.valid, report.summary["terminals"]) == (True, office.before + 1)
    assert any("is taken instead" in one.reason for one in report.problems)


def test_another_store_than_the_copy_is_of(office, tmp_path):
    copy = Copy(load_config(office.config).registry.store_copy)
    base = copy.read()
    store = Store.open(parse_url(office.store_url, tmp_path))
    with store.reading() as connection:
        files = whole(connection)
    store.close()
    copy.write(type(base)(type(base.head)(base.head.number, bytes(32)), base.merchants, base.terminals))
    assert files.head.number > base.head.number
    report = check_config(office.config)
    assert (report.valid, report.summary["terminals"]) == (True, office.before)
    assert OTHER_STORE in [one.reason for one in report.problems]
