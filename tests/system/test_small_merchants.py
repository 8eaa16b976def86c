"""Small merchants of one person: credit cards have one limit at all of their machines, by the rules of the sample."""

from __future__ import annotations

import json
import shutil

import pytest

from switch.simulators.scenario import PaymentCard
from tests.backoffice.conftest import server, store_url  # noqa: F401 - fixtures
from tests.backoffice.registry import WHY
from tests.leaks import Leaks
from tests.switch.test_riskcontrol import SAMPLE

from .conftest import running
from .installation import CARD, MAC, MERCHANT, TERMINALS, profile_of
from .terminal import Terminal
from .test_registry_of_store import Shop
from .test_trace import authswitch
from .test_workers import SPOKEN
from .unruly import one_bank

STALL, SECOND_STALL, SHOP = MERCHANT, "898000000000002", "898000000000003"
OF = {STALL: TERMINALS[0], SECOND_STALL: TERMINALS[1], SHOP: TERMINALS[2]}
IDENTITY, CREDIT_CODE = "11010519491231002X", "91310000MA1FL0000X"
DEBIT = PaymentCard(pan="6217000000000014")
OVER_LIMIT = "61"
RULE = "small-merchant-day@1"
SOURCE = "unconfirmed (2016): 1,000 yuan a day for one identity at one acquirer"


@pytest.fixture
def stalls(installation, store_url):  # noqa: F811
    installation.store_url = store_url
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.workers = 2
    installation.routes["6217"] = "bank-a"
    installation.risk = (SAMPLE / "risk.toml").read_text()
    shutil.copy(SAMPLE / "card-types.csv", installation.folder / "card-types.csv")
    return Stalls(installation)


class Stalls(Shop):
    """Two stalls of one person, and a shop with a licence."""

    async def open(self):
        await self.takes_over([OF[STALL]])
        await self.does("store", "renew-key")
        for merchant in (SECOND_STALL, SHOP):
            await self.does("merchants", "add", merchant, "--name", "Kai", "--category", "5942", *WHY)
            options = ("--merchant", merchant, "--mac", MAC, "--pin", "iso-0")
            await self.does("terminals", "add", OF[merchant], *options, *WHY)
        for merchant, number, of_class in (
            (STALL, IDENTITY, "small"),
            (SECOND_STALL, IDENTITY, "small"),
            (SHOP, CREDIT_CODE, "company"),
        ):
            await self.says(merchant, number, of_class)

    async def says(self, merchant, number, of_class, *seen):
        """Who holds a merchant."""
        (self.folder / "account").write_text("6222020000000001\n")
        (self.folder / "identity").write_text(f"{number}\n")
        files = ("--identity-file", self.folder / "identity", "--account-file", self.folder / "account")
        await self.does("merchants", "change", merchant, *files, "--class", of_class, *seen, *WHY)

    async def pays(self, daemon, merchant, yuan, card=CARD):
        """The response code of a payment."""

        def change(pieces):
            pieces[42] = profile_of(SPOKEN).writer.piece(42, merchant)

        async with await Terminal.connect(self.installation, daemon.ports["pos"], SPOKEN) as till:
            return await till.code(OF[merchant], amount_minor=yuan * 100, card=card, change=change)

    async def journal(self, daemon):
        """What the journal has of refusals by a rule."""
        status, output, _ = await authswitch("journal", "dump", daemon.config, "--json")
        assert status == 0
        return [record for record in map(json.loads, output.splitlines()) if record.get("rule")]


async def test_one_identity_has_one_limit_at_all_its_stalls(stalls):
    async with one_bank(stalls.installation):
        await stalls.open()
        async with running(stalls.installation) as daemon:
            assert await stalls.pays(daemon, STALL, 600) == "00"
            assert await stalls.pays(daemon, SECOND_STALL, 401) == OVER_LIMIT
            assert await stalls.pays(daemon, SECOND_STALL, 400, PaymentCard(pan="6225000000000022")) == "00"
            assert await stalls.pays(daemon, STALL, 1) == OVER_LIMIT
            assert await stalls.pays(daemon, STALL, 5_000, DEBIT) == "00"
            assert await stalls.pays(daemon, SHOP, 5_000) == "00"
            await daemon.counted("authswitch_risk_refused_total", 2, rule=RULE)
        async with running(stalls.installation) as daemon:
            assert await stalls.pays(daemon, SECOND_STALL, 1) == OVER_LIMIT
            assert await stalls.pays(daemon, SECOND_STALL, 5_000, DEBIT) == "00"
            # Who becomes a company, by its new number, has no such limit from then on; the other stall has.
            seen = ("--verified", "on site", "--verified-by", "jo", "--verified-on", "2026-11-28", "--reference", "V-1")
            await stalls.says(STALL, "91310000MA1FL0001X", "company", *seen)
            await daemon.counted("authswitch_registry_change", await stalls.changes())
            assert await stalls.pays(daemon, STALL, 1_500) == "00"
            assert await stalls.pays(daemon, SECOND_STALL, 1) == OVER_LIMIT
        refusals = await stalls.journal(daemon)
        assert {record["rule"]["id"] for record in refusals} == {RULE}
        assert {record["rule"]["source"] for record in refusals} == {SOURCE}
        status, told, _ = await authswitch("trace", daemon.config, f"{OF[SECOND_STALL]}/{refusals[0]['stan']}")
        assert status == 0, told
        assert RULE in told
        assert SOURCE in told
        apart = [stalls.folder / "identity"]
        secrets = Leaks({"the identity number": IDENTITY, "the credit code": CREDIT_CODE})
        assert secrets.in_files(stalls.folder, apart) == {}
