"""Terminals whose PIN keys come of a base key, in the store: refused without one, and no reason not to start."""

from __future__ import annotations

import pytest

from switch.check.configuration import check_config

from .registry import MERCHANT, MINE, WHY, Office

BASE_KEY = '\n[[base_key]]\nserial_numbers = "FFFF987654"\nkey = "dukpt/acme/bdk"\n'
NEEDED = "pin_format iso-0+dukpt: needed is a [[base_key]] with cipher des"


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path, f"sqlite:{tmp_path}/store.db")
    office.takes_over()
    text = office.config.read_text()
    files = text[text.index("[registry]") :].split("\n\n")[0]
    office.config.write_text(text.replace(files, '[registry]\nstore_copy = "registry"'))
    return office


def test_a_row_without_a_base_key_is_refused_when_it_comes(office):
    said = office.refuses("terminals", "change", MINE, "--pin", "iso-0+dukpt", *WHY)
    assert f"terminal {MINE}: {NEEDED}" in said.replace("│ ", "")
    assert "None:" not in said
    row = f"10000098,{MERCHANT},active,,,none,iso-0+dukpt,"
    heading = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"
    status, said = office.imports("terminals", f"{heading}\n{row}\n")
    assert status != 0
    assert NEEDED in " ".join(said.split())


def test_a_base_key_that_is_taken_away_keeps_nobody_from_starting(office):
    plain = office.config.read_text()
    office.config.write_text(plain + BASE_KEY)
    office.does("terminals", "change", MINE, "--pin", "iso-0+dukpt", *WHY)
    office.config.write_text(plain)
    found = [one for one in check_config(office.config).problems if NEEDED in one.reason]
    assert [one.severity for one in found] == ["warning"]
    assert found[0].file.endswith("registry: terminals")
