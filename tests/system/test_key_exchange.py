"""New keys of a link by messages, with a real daemon and a simulated issuer: sent by the issuer, or asked for."""

import asyncio
import os
import signal

import pytest

from switch.keys.file import KeyFile
from switch.keys.key import check_value
from switch.keys.master import load_master_key
from switch.simulators.key_exchange import IssuerKeys

from .conftest import running
from .daemon import Daemon, until
from .installation import TERMINALS
from .test_link_keys import pays
from .test_master_key import ALGORITHM, ZAK, keys, own_keys
from .test_trace import authswitch
from .unruly import one_bank

__all__ = ["own_keys"]

ZMK = "link/bank-a/zmk"
ZPK = "link/bank-a/zpk"
EXCHANGES = "authswitch_key_exchanges_total"


async def exchanging(installation, bank, ask_seconds=0):
    """Let the link exchange keys under a ZMK that both have."""
    zmk = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    installation.links[-1]["key_exchange"] = {"under": ZMK, "ask_seconds": ask_seconds}
    installation.write()
    check = check_value(ALGORITHM, zmk)
    await keys(installation, "import", ZMK, "--components", "1", "--kcv", check, "--replace", stdin=zmk.hex())
    bank.keys = IssuerKeys(bank.profile, zmk, of_file(installation, ZPK), bank._mac)


def of_file(installation, name):
    secrets = installation.secrets
    with KeyFile.open(secrets.key_file, load_master_key(secrets.master_key_file, None)) as file:
        return file.get(name).value


async def all_pay(installation, daemon, bank):
    for terminal in TERMINALS[:6]:
        assert await pays(installation, daemon, terminal) == "00"
    assert bank.counters.mac_failures == 0
    assert await daemon.metric("authswitch_link_mac_failures_total", link="bank-a") == 0


async def in_use(daemon, bank, workers):
    """Wait until all workers send under the issuer's present key."""
    check = check_value(ALGORITHM, bank.keys.mac.key)
    await until(lambda: len(in_use_lines(daemon, check)) >= workers)


def in_use_lines(daemon, check):
    return [line for line in daemon.said("keys of messages in use") if line["links"].get("bank-a") == check]


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_issuer_sends_new_keys(own_keys, workers):
    installation = own_keys
    installation.workers = workers
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            before = of_file(installation, ZAK)
            paying = asyncio.create_task(all_pay(installation, daemon, bank))
            for count, usage in enumerate(["zak", "zpk", "zak"], 1):
                bank.offer_key(usage)
                await until(lambda count=count: bank.counters.keys["taken"] == count)
                if usage == "zak":
                    await in_use(daemon, bank, workers)
            await paying
            assert of_file(installation, ZPK) == bank.keys.zpk
            assert of_file(installation, ZAK) == bank.keys.mac.key != before
            await in_use(daemon, bank, workers)
            bank.keys.former_mac = None
            await all_pay(installation, daemon, bank)
            assert await daemon.metric(EXCHANGES, link="bank-a", key="zak", result="taken") == 2
            text = (installation.folder / "log").read_text() if (installation.folder / "log").exists() else ""
            assert bank.keys.zpk.hex() not in text.lower()
            for row in (await daemon.status()).get("workers", []):
                os.kill(row["pid"], signal.SIGKILL)
                await until(daemon.is_whole)
            await all_pay(installation, daemon, bank)


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_issuer_is_asked_by_a_command(own_keys, workers):
    installation = own_keys
    installation.workers = workers
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            config = installation.folder / "switch.toml"
            admin = ("--admin", daemon.admin, "--token-file", installation.folder / "operator.token")
            status, output, errors = await authswitch("keys", "--config", config, "exchange", "bank-a", *admin)
            assert status == 0, errors + daemon.tail
            assert f"bank-a: new zak, kcv {check_value(ALGORITHM, bank.keys.mac.key)}" in output
            assert f"bank-a: new zpk, kcv {check_value(ALGORITHM, bank.keys.zpk)}" in output
            assert of_file(installation, ZAK) == bank.keys.mac.key
            await in_use(daemon, bank, workers)
            bank.keys.former_mac = None
            await all_pay(installation, daemon, bank)
            bank.refuse_network = {"key_exchange"}
            status, _, errors = await authswitch("keys", "--config", config, "exchange", "bank-a", *admin)
            assert status
            assert "the issuer refuses" in errors
            status, _, errors = await authswitch("keys", "--config", config, "exchange", "bank-z", *admin)
            assert status
            assert "there is no link bank-z" in errors
            await all_pay(installation, daemon, bank)


async def test_the_issuer_is_asked_until_it_answers_and_at_each_start(own_keys):
    """An answer that got lost leaves the issuer on a key that we do not have: it is asked again."""
    installation = own_keys
    async with one_bank(installation, echo_timeout_ms=300) as bank:
        await exchanging(installation, bank, ask_seconds=3600)
        sent = []
        reply = bank._reply

        def lose_keys(connection, headers, answer):
            if bank.keys.offered and len(sent) < 2:
                sent.append(answer)
            else:
                reply(connection, headers, answer)

        bank._reply = lose_keys
        async with running(installation) as daemon:
            await until(lambda: len(sent) == 2)
            assert await pays(installation, daemon, TERMINALS[0]) == "00", "under the former key, which is still taken"
            await daemon.event("key exchanged", key="zak", seconds=40)
            assert of_file(installation, ZAK) == bank.keys.mac.key
            await until(lambda: of_file(installation, ZPK) == bank.keys.zpk)
            bank.keys.former_mac = None
            await all_pay(installation, daemon, bank)
        made = bank.counters.network["key_exchange"]
        async with running(installation) as daemon:
            await until(lambda: bank.counters.network["key_exchange"] == made + 2)
            await until(lambda: len(daemon.said("key exchanged")) == 2)
            await all_pay(installation, daemon, bank)


async def test_a_daemon_that_dies_over_it_is_on_a_key_that_the_issuer_takes(own_keys):
    """Killed at several moments of an exchange: neither before nor behind any step of it the sides lose each other."""
    installation = own_keys
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        for delay_s in (0, 0.002, 0.004, 0.008, 0.016, 0.1):
            daemon = await Daemon(installation.write()).start()
            await until(lambda: bank._connections)
            bank.offer_key("zak")
            await asyncio.sleep(delay_s)
            daemon.kill()
            await daemon.child.wait()
            await until(lambda: not bank._connections)
            async with running(installation) as daemon:
                await until(lambda: bank._connections)
                await all_pay(installation, daemon, bank)
                sent, taken = bank.keys.offered.get("zak"), bank.counters.keys["taken"]
                if sent is not None:
                    bank.offer_key("zak", sent)
                    await until(lambda taken=taken: bank.counters.keys["taken"] > taken)
                assert of_file(installation, ZAK) == bank.keys.mac.key
                bank.keys.former_mac = None
                await until(lambda daemon=daemon, sent=sent: sent is None or daemon.said("key exchanged"))
                await all_pay(installation, daemon, bank)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-8] + "00000000", "its check value is another one"),
        (lambda text: text[:20], "needed 16 bytes of a key of 3des-2key"),
        (lambda text: "NO KEY", "it has no key in hex digits, and no key block"),
    ],
)
async def test_what_is_no_key_changes_nothing(own_keys, change, words):
    installation = own_keys
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        make = bank.keys.make

        def made(usage, value=None):
            pieces = make(usage, value)
            text = pieces[48][3:].decode()
            return pieces | {48: bank.profile.writer.piece(48, change(text))}

        bank.keys.make = made
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            before = of_file(installation, ZAK)
            bank.offer_key("zak")
            await until(lambda: bank.counters.keys["refused"])
            line = await daemon.event("a key of the issuer was not taken")
            assert words in line["reason"]
            assert of_file(installation, ZAK) == before
            bank.keys.offered.clear()
            await all_pay(installation, daemon, bank)


@pytest.mark.parametrize("usage", ["zak", "zpk"])
async def test_recorded_messages_bring_no_old_key_back(own_keys, usage):
    """Whichever of the former ones it is, also after a restart."""
    installation = own_keys
    recorded, name = [], {"zak": ZAK, "zpk": ZPK}[usage]
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            recorded.append(of_file(installation, name))
            for _ in range(4):
                recorded.append(os.urandom(16))
                bank.offer_key(usage, recorded[-1])
                await until(lambda: not bank.keys.offered)
            assert bank.counters.keys["taken"] == 4
            bank.offer_key(usage, recorded[-1])
            await until(lambda: bank.counters.keys["taken"] == 5)
            assert await daemon.metric(EXCHANGES, link="bank-a", key=usage, result="repeated") == 1
            await recorded_are_refused(installation, bank, daemon, usage, recorded)
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            await recorded_are_refused(installation, bank, daemon, usage, recorded)
            status, listed, _ = await authswitch("keys", "--config", installation.folder / "switch.toml", "list")
            assert (status, "had" in listed) == (0, False)
            bank.offer_key(usage)
            await until(lambda: bank.counters.keys["taken"] == 6)
            await all_pay(installation, daemon, bank)


async def recorded_are_refused(installation, bank, daemon, usage, recorded):
    name, before = {"zak": ZAK, "zpk": ZPK}[usage], bank.counters.keys["refused"]
    for count, value in enumerate(reversed(recorded[:-1]), 1):
        bank.offer_key(usage, value)
        await until(lambda count=count: bank.counters.keys["refused"] == before + count)
        bank.keys.offered.clear()
        assert of_file(installation, name) == recorded[-1]
    words = [line["reason"] for line in daemon.said("a key of the issuer was not taken")]
    assert len(words) == len(recorded) - 1
    assert all("an old message" in each for each in words)
    await all_pay(installation, daemon, bank)


async def test_a_key_without_the_links_mac_is_not_taken(own_keys):
    """Nobody who has no MAC key gives the switch another one."""
    installation = own_keys
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            right, bank._mac = bank._mac, None
            bank.offer_key("zak")
            await until(lambda: bank.counters.keys["refused"] == 1)
            bank._mac = right.with_key(os.urandom(16))
            bank.offer_key("zpk")
            bank._mac = right
            await until(lambda: bank.counters.keys["refused"] == 2)
            assert await daemon.metric("authswitch_link_mac_failures_total", link="bank-a") == 2
            bank.offer_key("zak")
            await until(lambda: bank.counters.keys["taken"] == 1)
            assert of_file(installation, ZAK) == bank.keys.mac.key
            assert not bank.counters.mac_failures, "our answers carry one, too"


async def test_a_forged_answer_to_our_question_is_not_taken(own_keys):
    """The question stands: the right answer is taken behind it, and without one the issuer is asked again."""
    installation = own_keys
    async with one_bank(installation, echo_timeout_ms=500) as bank:
        await exchanging(installation, bank)
        forged, reply = [], bank._reply

        def forge(connection, headers, answer):
            if b"0810" in answer[:24] and bank.keys.offered:
                for wrong in (answer[:-16] + b"0" * 16, answer[:-16] + b"F" * 16):
                    forged.append(wrong)
                    reply(connection, headers, wrong)
                if len(forged) == 2:
                    return
            reply(connection, headers, answer)

        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            before = of_file(installation, ZAK)
            bank._reply = forge
            config = installation.folder / "switch.toml"
            admin = ("--admin", daemon.admin, "--token-file", installation.folder / "operator.token")
            status, _, errors = await authswitch(
                "keys", "--config", config, "exchange", "bank-a", "--key", "zak", *admin
            )
            assert status
            assert "does not answer" in errors
            assert (of_file(installation, ZAK), len(forged)) == (before, 2)
            assert await daemon.metric("authswitch_link_mac_failures_total", link="bank-a") == 2
            assert await daemon.metric(EXCHANGES, link="bank-a", key="zak", result="unanswered") == 1
            line = await daemon.event("key exchanged", key="zak", seconds=30)
            assert len(forged) == 4
            assert await daemon.metric("authswitch_link_mac_failures_total", link="bank-a") == 4
            assert of_file(installation, ZAK) == bank.keys.mac.key != before
            assert line["kcv"] == check_value(ALGORITHM, bank.keys.mac.key)


async def test_who_is_still_on_an_ended_key_may_repeat_the_present_one_and_bring_no_other(own_keys):
    """An issuer whose exchange was never answered, since the line was down for longer than former keys are taken."""
    installation = own_keys
    installation.former = {"former_seconds": 0}
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        async with running(installation) as daemon:
            await until(lambda: bank._connections)
            former = bank._mac
            bank.offer_key("zak")
            await until(lambda: bank.counters.keys["taken"] == 1)
            present, bank._mac = bank._mac, former
            bank.offer_key("zpk")
            await until(lambda: bank.counters.keys["refused"] == 1)
            assert "under a key that has ended" in (await daemon.event("a key of the issuer was not taken"))["reason"]
            bank.keys.offered.clear()
            bank.offer_key("zak", present.key)
            await until(lambda: bank.counters.keys["taken"] == 2)
            assert await daemon.metric(EXCHANGES, link="bank-a", key="zak", result="repeated") == 1
            assert of_file(installation, ZAK) == present.key


async def test_a_recorded_message_puts_no_question_off(own_keys):
    """The present key once more is no new one, however often it comes."""
    installation = own_keys
    async with one_bank(installation) as bank:
        await exchanging(installation, bank, ask_seconds=2)
        async with running(installation) as daemon:

            async def send_again():
                while True:
                    await asyncio.sleep(0.2)
                    if bank._connections and not bank.keys.offered:
                        bank.offer_key("zak", bank._mac.key)

            sending = asyncio.create_task(send_again())
            await until(lambda: len(daemon.said("key exchanged", key="zak", is_new=True)) >= 3, 20)
            sending.cancel()
            assert daemon.said("key exchanged", key="zak", is_new=False)


async def test_an_issuer_that_renews_its_keys_again_and_again(own_keys):
    installation = own_keys
    async with one_bank(installation) as bank:
        await exchanging(installation, bank)
        async with running(installation) as daemon:
            offering = asyncio.create_task(bank.keep_offering(1))
            while bank.counters.keys["taken"] < 4:
                await all_pay(installation, daemon, bank)
            offering.cancel()
            assert not bank.counters.keys["refused"]
            assert await daemon.metric(EXCHANGES, link="bank-a", key="zpk", result="taken") >= 1
