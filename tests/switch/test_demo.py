"""The demo's parts: its world, and the comparison of receipts with ledgers."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from switch.base.masking import passes_luhn
from switch.check.configuration import check_config
from switch.config.loader import load_config
from switch.demo.daemon import Daemon, DaemonError
from switch.demo.reconcile import Reconciliation, reconcile
from switch.demo.run import CONVERGENCE_S
from switch.demo.world import FLEETS, ISSUERS, build_world, sample_pan, write_config
from switch.keys import KeyFile, load_master_key
from switch.simulators.ledger import Entry, Identity, Ledger
from switch.simulators.receipts import Receipt


def receipt(kind: str = "purchase", state: str = "approved", rrn: str = "1", amount: int = 100) -> Receipt:
    return Receipt(kind, "T1", "M1", "000001", "000001", "", "", amount, "156", rrn, "A1", "00", state)


def ledger(*entries: tuple[str, str, str, int], merchant: str = "M1") -> Ledger:
    book = Ledger("bank")
    for number, (kind, state, rrn, amount) in enumerate(entries):
        entry = Entry(kind, f"{number:06d}", "", rrn, "T1", merchant, "", amount, "156", "", "", "A1", state)
        book.add(Identity("2", entry.stan, "", rrn, "T1"), entry)
    return book


@pytest.mark.parametrize(
    ("kind", "state", "booked"),
    [
        ("purchase", "approved", "approved"),
        ("purchase", "voided", "voided"),
        ("purchase", "reversed", "reversed"),
        ("purchase", "declined", "declined"),
        ("purchase", "declined", "reversed"),
        ("refund", "approved", "approved"),
        ("preauthorization", "completed", "completed"),
        ("balance_inquiry", "unknown", "approved"),
    ],
)
def test_what_agrees(kind: str, state: str, booked: str) -> None:
    result = reconcile([receipt(kind, state)], [ledger((kind, booked, "1", 100))])
    assert result.agrees, result.differences
    assert (result.receipts, result.entries) == (1, 1)


def test_a_refusal_by_the_switch_and_a_missing_answer_need_no_entry() -> None:
    assert reconcile([receipt(state="declined"), receipt(state="unknown", rrn="")], [ledger()]).agrees


def test_an_unanswered_request_that_was_reversed_agrees() -> None:
    unanswered = receipt(state="unknown", rrn="")
    assert reconcile([unanswered], [ledger(("purchase", "reversed", "9", 100))]).agrees


def test_what_a_terminal_took_back_must_not_stand() -> None:
    taken_back = receipt(state="taken_back", rrn="")
    assert reconcile([taken_back], [ledger()]).agrees
    assert reconcile([taken_back], [ledger(("purchase", "reversed", "9", 100))]).agrees
    assert not reconcile([taken_back], [ledger(("purchase", "approved", "9", 100))]).agrees


def test_a_time_out_without_a_number_may_have_been_reversed() -> None:
    told = receipt(state="declined", rrn="")
    assert reconcile([told], [ledger(("purchase", "reversed", "9", 100))]).agrees
    assert not reconcile([told], [ledger(("purchase", "approved", "9", 100))]).agrees


@pytest.mark.parametrize(
    ("receipts", "entries", "words"),
    [
        ([receipt()], [], "no issuer knows it"),
        ([], [("purchase", "approved", "1", 100)], "no terminal has a receipt"),
        ([receipt(state="declined")], [("purchase", "approved", "1", 100)], "its issuer has it as approved"),
        ([receipt()], [("purchase", "reversed", "1", 100)], "its issuer has it as reversed"),
        ([receipt()], [("purchase", "approved", "1", 101)], "no issuer knows it"),
        ([receipt()], [("purchase", "approved", "1", 100)] * 2, "no terminal has a receipt"),
        ([receipt(state="unknown", rrn="")], [("purchase", "approved", "9", 100)], "its terminal got no answer"),
    ],
)
def test_what_does_not_agree(receipts: list[Receipt], entries: list[tuple[str, str, str, int]], words: str) -> None:
    result = reconcile(receipts, [ledger(*entries)])
    assert not result.agrees
    assert words in result.differences[0]


def test_another_merchant_does_not_agree() -> None:
    result = reconcile([receipt()], [ledger(("purchase", "approved", "1", 100), merchant="M2")])
    assert "for merchant M2" in result.differences[0]


def test_an_rrn_that_came_again_is_told_apart_by_its_amount() -> None:
    receipts = [receipt(state="declined", amount=5), receipt(amount=7)]
    assert reconcile(receipts, [ledger(("purchase", "approved", "1", 7))]).agrees


def test_a_refusal_takes_no_entry_from_an_approval_with_its_number() -> None:
    refused = receipt("balance_inquiry", "declined", amount=0)
    refused.authorization_code = ""
    receipts = [refused, receipt("balance_inquiry", amount=0)]
    assert reconcile(receipts, [ledger(("balance_inquiry", "approved", "1", 0))]).agrees


def test_only_the_first_differences_are_put_in_words() -> None:
    result = Reconciliation()
    for _ in range(1000):
        result.note("x")
    assert result.difference_count == 1000
    assert len(result.differences) < 100


def test_card_numbers_have_their_check_digit() -> None:
    pans = [sample_pan("622500", number) for number in range(50)]
    assert all(passes_luhn(pan) and len(pan) == 16 for pan in pans)
    assert len(set(pans)) == 50


@pytest.mark.parametrize("link_timeout_ms", [500, 2_000, 5_000])
def test_every_reversal_of_the_demo_can_end_while_it_waits(tmp_path: Path, link_timeout_ms: int) -> None:
    """An original that no issuer ever got is looked for until the horizon; then one more attempt ends it."""
    world = build_world(tmp_path, 3)
    write_config(world, {plan.name: 7000 + number for number, plan in enumerate(ISSUERS)}, link_timeout_ms)
    links = load_config(world.config).links
    assert len(links) == len(ISSUERS)
    for link in links:
        horizon_s = link.reversal.booking_horizon_seconds
        assert horizon_s * 1000 >= link.timeout_ms
        sent_at_s, pause_s = 0.0, link.reversal.interval_ms / 1000
        while sent_at_s <= horizon_s:
            sent_at_s, pause_s = sent_at_s + pause_s, 2 * pause_s
        assert sent_at_s < CONVERGENCE_S / 1.5


async def test_a_start_that_takes_too_long_says_so(tmp_path: Path) -> None:
    world = build_world(tmp_path, 3)
    write_config(world, {plan.name: 7000 + number for number, plan in enumerate(ISSUERS)})
    with pytest.raises(DaemonError, match=r"did not start within 0\.01 s"):
        await Daemon(world.config).start(timeout_s=0.01)


async def test_a_start_that_is_refused_says_why_and_no_time(tmp_path: Path) -> None:
    config = tmp_path / "switch.toml"
    config.write_text("")
    with pytest.raises(DaemonError, match=r"did not start:\n(.|\n)*is required"):
        await Daemon(config).start()


def test_the_world_is_one_that_the_switch_accepts(tmp_path: Path) -> None:
    world = build_world(tmp_path, 7)
    write_config(world, {plan.name: 7000 + number for number, plan in enumerate(ISSUERS)})
    report = check_config(world.config)
    assert report.valid
    assert sum(len(identities) for identities in world.identities.values()) == 7
    assert set(world.identities) == {fleet.name for fleet in FLEETS}
    master_key = load_master_key(tmp_path / "master.key")
    with KeyFile.open(tmp_path / "keys.sealed", master_key) as keys:
        for identities in world.identities.values():
            for identity in identities:
                assert f"terminal/{identity.terminal}/tak" in keys
    mutual = world.identities["iso-mtls"][0].tls
    assert mutual is not None
    assert mutual.verify_mode is ssl.CERT_REQUIRED
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("*.key")} == {0}
