"""The applicants' process takes up its rules as they are: also what is replaced while it reads them."""

from __future__ import annotations

import pytest

from switch.applicants import rules
from switch.applicants.rules import KeptRules
from switch.config import load_config

from .registry import Office


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    text = made.config.read_text()
    made.config.write_text(f'{text}\n[applications]\nrules = "sample/acquiring/rules.toml"\n')
    made.does("store", "renew-key")
    return made


def replace(office, old, new):
    """Another file in the place of the rules, as an editor puts it there."""
    file = office.folder / "sample" / "acquiring" / "rules.toml"
    other = file.with_name("new")
    text = file.read_text()
    assert old in text
    other.write_text(text.replace(old, new))
    other.replace(file)


def test_rules_that_are_replaced_while_they_are_read_are_read_again(office, monkeypatch):
    kept, real = KeptRules(load_config(office.config)), rules.open_rules

    def open_and_replace(config):
        opened = real(config)
        if opened[0].policy.secret_tries_max == 7:
            replace(office, "secret_tries_max = 7", "secret_tries_max = 9")
        return opened

    monkeypatch.setattr(rules, "open_rules", open_and_replace)
    first = kept.now().policy.secret_tries_max
    replace(office, f"secret_tries_max = {first}", "secret_tries_max = 7")
    assert kept.now().policy.secret_tries_max == 7
    assert kept.now().policy.secret_tries_max == 9
    assert kept.now() is kept.now()


def test_a_list_that_comes_late_is_taken_up(office):
    kept = KeptRules(load_config(office.config))
    before, lists = kept.now(), office.folder / "sample" / "acquiring"
    replace(office, 'blocked = "', 'blocked = "late-')
    assert kept.now() is before
    name = next(lists.glob("blocked*")).name
    (lists / name).rename(lists / f"late-{name}")
    assert kept.now() is not before
