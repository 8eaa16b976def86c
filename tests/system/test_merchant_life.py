"""A merchant's whole life, by public commands and real sockets: from the application to the last refusal."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import tomllib

import pytest
from typer.testing import CliRunner

from switch.cli import people, store_opening
from switch.cli.main import app
from switch.crypto.pin_block import decrypt_pin_block, encrypt_pin_block
from switch.keys.key import Key, check_value, generate_value
from switch.keys.sign_in import open_sign_in_keys
from switch.keys.wrapping import unwrap_key
from switch.simulators.dialect_profile import MacSetting, moment
from tests.backoffice.acquiring import JPEG, PDF, PNG, SAMPLES
from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.leaks import Leaks

from .conftest import running
from .daemon import until
from .installation import CARD, MAC, profile_of
from .terminal import Terminal
from .test_master_key import own_keys  # noqa: F401 - a fixture
from .test_trace import authswitch
from .unruly import one_bank

WITHIN_SECONDS = 15
OFFICE = (
    ("jo.tan", "Jo Tan", "registrar", "jo"),
    ("rita", "Rita Wu", "reviewer", "rita"),
    ("ann", "Ann Li", "approver", "ann"),
)
SERIAL = "SN-0001"
FIRST_PLACE = "+39.908700+116.397500/"
NEXT_PLACE = "+39.950000+116.300000/"
SEEN = ("--verified", "on site", "--verified-by", "Jo Tan", "--verified-on", "2026-11-28", "--reference", "V-17")
PIN = "4713"
NO_STORE = "postgresql://nobody@127.0.0.1:1/nothing"
SALE_MINOR = 120_00
LIMIT_REACHED = "61"
NO_MERCHANT = "03"
NO_TERMINAL = "97"
RULE = """
[[limits]]
name = "merchant-day"
version = 3
per = "merchant"
currency = "156"
window_seconds = 86400
amount_max = 25000
text = "250.00 a day at a new merchant"
source = "its contract"
"""


class Town:
    """The people who work with the switch's commands, and the shop's machine."""

    def __init__(self, installation, monkeypatch):
        self.installation = installation
        self.folder = installation.folder
        self.config = self.folder / "switch.toml"
        self.user = "owner"
        for module in (store_opening, people):
            monkeypatch.setattr(module, "system_user", lambda: self.user)
        self.merchant = self.terminal = ""
        self.stans = iter(range(1, 1000))
        self.serials = {}
        self.batches = {}
        self.working = {}
        self.zmk = generate_value("3des-2key")
        self.said = []

    async def does(self, user, group, command, *arguments, typed=""):
        """What a command says that somebody types; it must go well."""
        self.user = user
        line = [group, command, str(self.config), *map(str, arguments)]
        result = await asyncio.to_thread(CliRunner().invoke, app, line, input=typed)
        assert result.exit_code == 0, (line, result.output, result.exception)
        self.said.append(result.output)
        return result.output

    async def changed(self, daemon, *arguments, typed=""):
        """The same, and the daemon's workers have taken it."""
        output = await self.does(*arguments, typed=typed)
        audit = json.loads(await self.does("owner", "store", "show", "--json"))["rows"]["audit"]
        await daemon.counted("authswitch_registry_change", audit)
        return output

    async def changed_by_two(self, daemon, *arguments):
        """One proposes it, another approves it."""
        said = await self.does("jo", *arguments, "--why", "as it is now")
        number = re.search(r"proposal (\d+)", said)[1]
        await self.changed(daemon, "ann", "proposals", "approve", number, "--why", "seen")

    # --- the office ---------------------------------------------------------------------------------------------------

    async def opens(self):
        """A store, people, plans and a text of a contract; its hash."""
        shutil.copytree(SAMPLES, self.folder / "acquiring", dirs_exist_ok=True)
        self.installation.applications = {"rules": "acquiring/rules.toml"}
        self.installation.write()
        await self.does("owner", "store", "upgrade")
        await self.does("owner", "store", "renew-key")
        await self.does("owner", "people", "first", "mei.lin", "--name", "Mei Lin", "--why", "begins")
        for person, name, role, user in OFFICE:
            options = ("--name", name, "--role", role, "--system-user", user)
            await self.does("owner", "people", "add", person, *options, "--why", "hired")
        await self.does("jo", "plans", "import", SAMPLES / "plans.toml", "--why", "prices")
        known = ("--components", "1", "--kcv", check_value("3des-2key", self.zmk))
        importing = ("keys", "--config", self.config, "import", "installer/zmk", *known)
        status, _, errors = await authswitch(*importing, stdin=self.zmk.hex())
        assert status == 0, errors
        text = ("--title", "Card acceptance", "--why", "texts")
        return (await self.does("jo", "contracts", "import", SAMPLES / "contract.txt", *text)).strip()

    async def applies(self, text):
        """An application, approved by two people, whose contract is accepted; its reference."""
        entered = await self.does("jo", "applications", "enter", SAMPLES / "company.toml", "--why", "x", "--json")
        one = json.loads(entered)["reference"]
        for kind, name, content in (
            ("licence", "licence.pdf", PDF),
            ("identity card", "card.png", PNG),
            ("photo of the shop", "shop.jpg", JPEG),
        ):
            (self.folder / name).write_bytes(content)
            paper = (self.folder / name, "--kind", kind)
            await self.does("jo", "applications", "add-document", one, *paper, "--why", "by mail")
        await self.does("jo", "applications", "submit", one, "--why", "all is there")
        await self.does("rita", "applications", "review", one, "--risk", "low", "--why", "papers seen")
        await self.does("ann", "applications", "approve", one, "--why", "as reviewed")
        await self.does("jo", "applications", "offer", one, "--text", text, "--why", "approved")
        signed = ("--text", text, "--by", "Zhang San", "--how", "on paper")
        await self.does("jo", "applications", "accept", one, *signed, "--why", "by mail")
        return one

    async def state_of(self, one):
        """Of an application."""
        return json.loads(await self.does("jo", "applications", "show", one, "--json"))["state"]

    async def are_given_terminals(self, reference, *serials):
        """The application has a merchant, and machines with keys."""
        machines = [word for serial in serials for word in ("--machine", f"{serial}:A920")]
        assigning = ("assign", reference, *machines, "--why", "signed", "--json")
        assigned = json.loads(await self.does("jo", "applications", *assigning))
        self.merchant = assigned["merchant"]
        self.serials = dict(zip(assigned["codes"], serials, strict=True))
        self.terminal = next(iter(self.serials))

    async def terminal_is(self, state):
        """Wait until the store says so."""

        async def is_so():
            return json.loads(await self.does("jo", "terminals", "show", self.terminal, "--json"))["state"] == state

        await until(is_so, WITHIN_SECONDS)

    async def why_it_is_so(self):
        """Who has changed the terminal last, and why."""
        lines = await self.does("owner", "audit", "list", "--table", "terminals", "--row", self.terminal, "--json")
        return [(one["who"], one["why"]) for one in map(json.loads, lines.splitlines())]

    async def is_installed(self):
        """The master key, as who installs the machine gets it: under a key that he has."""
        keys = ("keys", "--config", self.config)
        named = f"terminal/{self.terminal}/tmk"
        status, output, errors = await authswitch(*keys, "export", named, "--under", "installer/zmk", "--json")
        assert status == 0, errors
        wrapped = json.loads(output)
        assert wrapped["kcv"]
        under = Key("installer/zmk", "zmk", "3des-2key", self.zmk)
        return unwrap_key(under, "3des-2key", bytes.fromhex(wrapped["key"]))

    # --- the machine --------------------------------------------------------------------------------------------------

    def says(self, pieces, place):
        """Field 59: which machine it is, and where."""
        inner = "".join(
            f"{tag}{len(value):03}{value}" for tag, value in (("02", self.serials[self.terminal]), ("06", place))
        )
        pieces[59] = profile_of("cup").writer.piece(59, f"A2{len(inner):03}{inner}")

    async def exchange(self, daemon, message):
        """An answer; its MAC is right, where it has one."""
        async with await Terminal.connect(self.installation, daemon.ports["pos"], "cup") as till:
            till.send(message)
            _, data, answer = await till.receive()
        if till.profile.mac_field(answer):
            assert till.profile.mac_is_right(answer, data, MacSetting(MAC, self.working[self.terminal].mac_key))
        return answer

    async def signs_in(self, daemon, master_key):
        """Sign in; the response code."""
        profile = profile_of("cup")
        message = profile.network_request(
            "sign_on", f"{next(self.stans):06}", terminal=self.terminal, merchant=self.merchant
        )
        answer = await self.exchange(daemon, message)
        if answer.text(39) == "00":
            self.working[self.terminal] = open_sign_in_keys(master_key, answer.raw(62), mac_key_form="own")
            self.batches[self.terminal] = answer.text(60)[2:8]
        return answer.text(39)

    async def pays(self, daemon, amount_minor=SALE_MINOR, place=FIRST_PLACE):
        """A purchase with PIN: its STAN and the response code."""
        profile = profile_of("cup")
        stan = f"{next(self.stans):06}"
        pieces = profile.request(
            "purchase",
            terminal=self.terminal,
            merchant=self.merchant,
            batch=self.batches[self.terminal],
            stan=stan,
            card=CARD,
            amount_minor=amount_minor,
            currency="156",
            at=moment(),
        )
        working = self.working[self.terminal]
        pieces[52] = encrypt_pin_block(PIN, CARD.pan, working.pin_key)
        pieces[53] = profile.writer.piece(53, "2600000000000000")
        self.says(pieces, place)
        signing = MacSetting(MAC, working.mac_key)
        answer = await self.exchange(daemon, profile.signed(profile.request_mti("purchase"), pieces, signing))
        return stan, answer.text(39)

    async def traced(self, stan):
        """What ``trace`` says of a request, for people."""
        status, output, errors = await authswitch("trace", self.config, f"{self.terminal}/{stan}")
        assert status == 0, (output, errors)
        self.said.append(output)
        return output

    async def charged(self):
        """What the journal says was charged, RRN and amount of each; and which rules have refused something."""
        status, output, _ = await authswitch("journal", "dump", self.config, "--json")
        assert status == 0
        self.said.append(output)
        records = [json.loads(line) for line in output.splitlines()]
        asked = {(one["partition"], one["position"]): one["amount_minor"] for one in records if one["type"] == "INTENT"}
        ended = [one for one in records if one["type"] == "OUTCOME"]
        charged = {one["rrn"]: asked[one["partition"], one["intent"]] for one in ended if one["approved"]}
        return charged, {one["rule"]["id"] for one in ended if "rule" in one}

    async def is_suspended_by_the_switch(self):
        """Wait until a case about the machine is open; its number."""

        async def is_open():
            listed = await self.does("rita", "cases", "list", "--json")
            return [json.loads(line) for line in listed.splitlines()]

        (case,) = await until(is_open, WITHIN_SECONDS)
        assert (case["kind"], case["row"]) == ("elsewhere", self.terminal)
        return case["id"]

    async def tells_no_secret(self, daemon, master_key):
        """No secret stands in clear in what the switch has written and said."""
        form = tomllib.loads((SAMPLES / "company.toml").read_text())
        working = self.working[self.terminal]
        pin_block = encrypt_pin_block(PIN, CARD.pan, working.pin_key)
        opened = int(f"04{PIN}FFFFFFFFFF", 16) ^ int(CARD.pan[3:15], 16)
        leaks = Leaks(
            self.installation.secrets.keys
            | {"card": CARD.pan, "PIN block": pin_block, "opened PIN block": opened.to_bytes(8)}
            | {"master key": master_key, "MAC key": working.mac_key, "PIN key": working.pin_key}
            | {name: form[name] for name in ("identity", "representative", "account")}
        )
        await self.does("owner", "store", "backup", self.folder / "backup.db")
        by_hand = [self.folder / "acquiring"]
        assert leaks.in_files(self.folder, by_hand) == {}
        assert "backup.db" in Leaks({"name": form["legal_name"]}).in_files(self.folder, by_hand), (
            "it sees what is clear"
        )
        for path in ("/metrics", "/status", "/readyz", "/reversals"):
            self.said.append((await daemon.get(path))[1])
        for text in (*self.said, daemon.log):
            assert leaks.in_bytes(text.encode()) == set(), text


def collecting_pins(installation, pins):
    """The issuer notes each PIN that it is told, then does as always."""
    zpk = installation.secrets.keys["link/bank-a/zpk"]

    def mangle(issuer, exchange, answer):
        pins.append(decrypt_pin_block(bytes.fromhex(exchange.message.text(52)), CARD.pan, zpk))
        issuer.deliver(exchange, answer)

    return mangle


@pytest.fixture
def town(own_keys, store_url, monkeypatch):  # noqa: F811
    own_keys.store_url = store_url
    own_keys.journal = {"mode": "files", "directory": "journal"}
    own_keys.risk = RULE
    own_keys.workers = 2
    return Town(own_keys, monkeypatch)


async def test_from_the_application_to_the_last_refusal(town):
    pins = []
    async with one_bank(town.installation) as bank:
        bank.mangle = collecting_pins(town.installation, pins)
        town.installation.listeners[0]["dialect"] = "cup"
        text = await town.opens()
        async with running(town.installation) as daemon:
            reference = await town.applies(text)
            await town.are_given_terminals(reference, SERIAL)
            await town.changed_by_two(daemon, "terminals", "bind", town.terminal, "--position", FIRST_PLACE, *SEEN)
            master_key = await town.is_installed()
            await town.terminal_is("awaiting")
            assert await town.signs_in(daemon, master_key) == "00"
            assert [(await town.pays(daemon))[1] for _ in range(2)] == ["00", "00"]
            await town.terminal_is("active")
            assert await town.state_of(reference) == "active"
            who, why = (await town.why_it_is_so())[0]
            assert (who.partition(" on ")[0], why) == ("daemon", "first sign-in")
            stan, told = await town.pays(daemon)
            assert told == LIMIT_REACHED
            assert "merchant-day@3: 250.00 a day at a new merchant (source: its contract)" in await town.traced(stan)
            await town.changed_by_two(daemon, "terminals", "move", town.terminal, "--place", "Lake Road 3", *SEEN)
            await town.changed_by_two(daemon, "terminals", "bind", town.terminal, "--position", NEXT_PLACE, *SEEN)
            assert (await town.pays(daemon, 3_00, NEXT_PLACE))[1] == "00"
            assert (await town.pays(daemon, 3_00, FIRST_PLACE))[1] == NO_TERMINAL
            assert (await town.pays(daemon, 3_00, NEXT_PLACE))[1] == NO_TERMINAL, "it is suspended"
            case = await town.is_suspended_by_the_switch()
            await town.does("rita", "cases", "close", case, "--why", "its clock of positions was late")
            await town.changed_by_two(daemon, "terminals", "release", town.terminal)
            assert (await town.pays(daemon, 4_00, NEXT_PLACE))[1] == "00"
            await town.changed(daemon, "jo", "terminals", "suspend", town.terminal, "--why", "a holiday")
            assert (await town.pays(daemon, 1_00, NEXT_PLACE))[1] == NO_TERMINAL
            await town.changed_by_two(daemon, "terminals", "release", town.terminal)
            await town.changed_by_two(daemon, "merchants", "close", town.merchant)
            assert (await town.pays(daemon, 1_00, NEXT_PLACE))[1] == NO_MERCHANT
            assert await town.signs_in(daemon, master_key) == NO_MERCHANT
            await town.tells_no_secret(daemon, master_key)
    charged, rules = await town.charged()
    assert sorted(charged.values()) == [3_00, 4_00, SALE_MINOR, SALE_MINOR]
    assert charged == {entry.rrn: entry.amount_minor for entry in bank.ledger.entries if entry.state == "approved"}
    assert bank.ledger.totals().charged_minor == sum(charged.values())
    assert bank.ledger.totals().reversed_count == 0
    assert rules == {"merchant-day@3"}
    assert pins == [PIN] * len(charged)
    assert "whole" in await town.does("owner", "audit", "verify")


async def test_a_first_sign_in_outlives_workers_and_the_store(town):
    installation = town.installation
    folder = town.folder / "registry" / "signed-in"
    url = installation.store_url
    async with one_bank(installation) as bank:
        installation.listeners[0]["dialect"] = "cup"
        text = await town.opens()
        async with running(installation) as daemon:
            await town.are_given_terminals(await town.applies(text), "SN-1", "SN-2")
            first, second = town.serials
            await town.changed(daemon, "jo", "terminals", "new-code", second, "--why", "lost")
        installation.store_url = NO_STORE
        async with running(installation) as daemon:
            for town.terminal in (first, second):
                assert await town.signs_in(daemon, await town.is_installed()) == "00"
                assert (await town.pays(daemon, 1_00, ""))[1] == "00"
            await until(lambda: len([*folder.glob("*.json")]) == 2)
            for row in (await daemon.status())["workers"]:
                os.kill(row["pid"], signal.SIGKILL)
            await daemon.event("worker serves", times=4)
            for town.terminal in (first, second):
                assert (await town.pays(daemon, 1_00, ""))[1] == "00"
        async with running(installation) as daemon:
            for town.terminal in (first, second):
                assert (await town.pays(daemon, 1_00, ""))[1] == "00"
        installation.store_url = url
        installation.write()
        await town.does("jo", "terminals", "suspend", second, "--why", "nobody knows it")
        async with running(installation) as daemon:
            town.terminal = first
            await town.terminal_is("active")
            await until(lambda: not any(folder.glob("*.json")))
            assert (await town.pays(daemon, 1_00, ""))[1] == "00"
            town.terminal = second
            assert (await town.pays(daemon, 1_00, ""))[1] == NO_TERMINAL
            await town.terminal_is("suspended")
            await town.changed(daemon, "jo", "terminals", "release", second, "--why", "it is ours")
            assert (await town.pays(daemon, 1_00, ""))[1] == NO_TERMINAL
            await town.terminal_is("awaiting")
            assert await town.signs_in(daemon, await town.is_installed()) == "00"
            assert (await town.pays(daemon, 1_00, ""))[1] == "00"
            await town.terminal_is("active")
    assert bank.ledger.totals().charged_count == 8
