"""Every command of docs/applications.md, in its order and by who types it there; and what commands refuse."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.applications.states import table
from switch.cli import people, store_opening
from switch.cli.main import app

from .acquiring import JPEG, PDF, PNG, SAMPLES
from .registry import MINE, Office

PAGE = Path(__file__).parents[2] / "docs" / "applications.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"(authswitch .*?)\s+# (\w+)")
ACCOUNT = "11001018800058000002"
APPLIED = '\n[applications]\nrules = "sample/acquiring/rules.toml"\n'


def commands():
    lines = [line for block in BLOCK.findall(PAGE.read_text()) for line in block.splitlines()]
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), [line for line, one in zip(lines, found, strict=True) if one is None]
    return [one.groups() for one in found]


class Desk:
    """What is typed, by whom, with what the commands before it have said."""

    def __init__(self, folder, store_url, monkeypatch):
        self.office = Office(folder / "switch", store_url)
        self.config = self.office.config
        self.config.write_text(self.config.read_text() + APPLIED)
        self.user = "owner"
        for module in (store_opening, people):
            monkeypatch.setattr(module, "system_user", lambda: self.user)
        monkeypatch.chdir(folder)
        for name, content in (("licence.pdf", PDF), ("card.png", PNG), ("shop.jpg", JPEG)):
            (folder / name).write_bytes(content)
        self.said = {}

    def types(self, user, text, typed=""):
        self.user = user
        for name, value in self.said.items():
            text = text.replace(name, value)
        text = text.replace("/etc/authswitch/switch.toml", str(self.config))
        text = text.replace("/etc/authswitch", str(self.config.parent))
        result = CliRunner().invoke(app, shlex.split(text)[1:], input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result.exit_code, result.output

    def does(self, user, text, typed=""):
        status, output = self.types(user, text, typed)
        assert status == 0, f"{text}\n{output}"
        return output

    def notes(self, text, output):
        """Keep what later commands need."""
        for pattern, name in (
            (r"^reference (\w+)$", "K7Q2M9XW4T"),
            (r"^merchant (\d{15})$", "898110059420001"),
            (r"^terminal 30000001  code (\w+)", "CODE"),
            (r"^(\d+) .*merchant taken on", "REPORT"),
        ):
            found = re.search(pattern, output, re.MULTILINE)
            if found:
                self.said[name] = found[1]
        if "contracts import" in text:
            self.said["1f3a"] = output.strip()


@pytest.fixture
def desk(tmp_path, store_url, monkeypatch):
    return Desk(tmp_path, store_url, monkeypatch)


def test_every_command_of_the_page(desk):
    everything = ""
    for text, user in commands():
        typed = {"merchants account": f"{ACCOUNT}\n", "terminals activate": f"{desk.said.get('CODE')}\n"}
        output = desk.does(user, text, next((line for part, line in typed.items() if part in text), ""))
        desk.notes(text, output)
        everything += output
    assert desk.said["898110059420001"] == "898110059420001"
    assert "application K7Q2M9XW4T: returned".replace("K7Q2M9XW4T", desk.said["K7Q2M9XW4T"]) in everything
    assert Path("seen.pdf").read_bytes() == PDF
    reference = desk.said["K7Q2M9XW4T"]
    row = json.loads(desk.does("jo", f"authswitch applications show /etc/authswitch/switch.toml {reference} --json"))
    assert (row["state"], row["reviewed_by"], row["approved_by"]) == ("active", "rita", "ann")
    profile = json.loads(
        desk.does("jo", "authswitch merchants profile /etc/authswitch/switch.toml 898110059420001 --json")
    )
    assert (profile["account_masked"], profile["risk"]) == ("*" * 16 + "0002", "medium")
    told = [
        json.loads(line)
        for line in desk.does("jo", "authswitch reports due /etc/authswitch/switch.toml --all --json").splitlines()
    ]
    assert [(one["what"], one["reference"]) for one in told] == [
        ("merchant taken on", "PCAC-2026-118"),
        ("merchant changed", None),
        ("terminal changed", None),
    ]
    Path("account").write_text("11001018800058000003\n")
    beside = "authswitch merchants change /etc/authswitch/switch.toml 898110059420001 --account-file account --why x"
    status, output = desk.types("jo", beside)
    assert (status, "`merchants account` changes both" in re.sub(r"\s+", " ", output)) == (1, True)
    assert "whole" in desk.does("owner", "authswitch audit verify /etc/authswitch/switch.toml")
    for secret in (ACCOUNT, "11001018800058000001", "11010519491231002X", "91350100M000100Y43"):
        assert secret not in everything


def test_the_page_has_the_steps_as_they_are():
    assert table() in PAGE.read_text()


def begin(desk):
    for text, user in commands()[:8]:
        desk.notes(text, desk.does(user, text))
    output = desk.does("jo", f"authswitch applications enter {desk.config} {SAMPLES}/company.toml --why x --json")
    desk.said["K7Q2M9XW4T"] = json.loads(output)["reference"]
    assert json.loads(output)["secret"] not in desk.does("jo", f"authswitch applications list {desk.config} --json")


def test_what_commands_refuse(desk):
    begin(desk)
    for user, text, words in (
        ("rita", f"applications submit {desk.config} K7Q2M9XW4T --why x", "may not do this"),
        ("jo", f"applications review {desk.config} K7Q2M9XW4T --risk low --why x", "you have entered"),
        ("jo", f"applications list {desk.config} --state lost", "needed one of draft"),
        ("jo", f"applications show {desk.config} NOSUCHONE1", "there is no application"),
        ("jo", f"applications enter {desk.config} {desk.config} --why x", "unknown key"),
        ("jo", f"applications add-document {desk.config} K7Q2M9XW4T {desk.config} --kind licence --why x", "no type"),
        ("jo", f"applications add-document {desk.config} K7Q2M9XW4T nothing.pdf --kind x --why x", "No such file"),
        ("jo", f"applications save-document {desk.config} K7Q2M9XW4T-1 --output o --why x", "may not do this"),
        ("jo", f"applications assign {desk.config} K7Q2M9XW4T --machine A --why x", "assign needs accepted"),
        ("jo", f"contracts show {desk.config} K7Q2M9XW4T", "has no contract"),
        ("jo", f"plans withdraw {desk.config} tent@1 --why x", "there is no plan tent@1"),
        ("jo", f"reports mark {desk.config} 1 --reference R --why x", "nothing waits to be reported as 1"),
        ("rita", f"plans import {desk.config} {SAMPLES}/plans.toml --why x", "may not do this"),
    ):
        status, output = desk.types(user, f"authswitch {text}")
        assert status in (1, 2), text
        assert words in re.sub(r"\s+", " ", output), text


def test_without_a_store_key_it_is_told_what_to_do(desk):
    desk.does("owner", f"authswitch applications list {desk.config}")  # nothing is opened for it
    status, output = desk.types("owner", f"authswitch applications daily {desk.config} --why x")
    assert status == 1
    assert "authswitch store renew-key" in re.sub(r"\s+", " ", output)


def test_a_configuration_without_rules_is_told(desk):
    desk.config.write_text(desk.config.read_text().replace(APPLIED, ""))
    status, output = desk.types("owner", f"authswitch applications daily {desk.config} --why x")
    assert status == 2
    assert "names the rules by which merchants are taken on" in re.sub(r"\s+", " ", output)


def test_a_terminal_is_suspended_whatever_the_rules_are(desk):
    """Nor is a key of the store needed, which nobody has made here."""
    desk.office.takes_over()
    (desk.config.parent / "sample" / "acquiring" / "sanctions.csv").write_text("nothing\n")
    assert "suspended" in desk.does("owner", f"authswitch terminals suspend {desk.config} {MINE} --why x")


def test_check_reads_the_rules(desk):
    rules = desk.config.parent / "sample" / "acquiring" / "rules.toml"
    rules.write_text(rules.read_text().replace("value = 18", "value = -18"))
    status, output = desk.types("owner", f"authswitch check {desk.config}")
    assert status == 2
    assert "age_years_min.value" in output
