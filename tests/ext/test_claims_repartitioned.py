"""What refers to a payment counts against it whatever becomes of the partitions, and whoever is in which."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.journal.changing import Change, Changed, change_partitions, in_order
from switch.journal.partitions import lay_out, partition_folder
from tests.ext.claims_world import OTHER_TILL, SALE, TILL, Switch, Worker
from tests.ext.journal_world import DAYS, KEY, SEGMENT_BYTES, WINDOW_SECONDS
from tests.ext.memory_disk import MemoryDisk
from tests.ext.world import reversal

LAST_TILL = "10000009"
TILLS = (SALE, TILL, OTHER_TILL, LAST_TILL)
PAID = 1_000
DAY_SECONDS = 86_400
COUNTS = (1, 2, 3, 4, 5)


def begun(count):
    """With ``refuse``: where a payment of before the change is not found, its issuer is not asked."""
    return Switch([tuple(range(count))], not_found="refuse")


def changed(switch: Switch, count: int) -> Changed:
    """Drain it, change its partitions on a real disk, and start it again with what there is then."""
    switch.step()
    for journal in switch.workers[0].journals:
        journal.stop()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "journal"
        directory.mkdir()
        lay_out(directory, switch.count)
        for number, disk in switch.disks.items():
            for name in disk.names():
                (partition_folder(directory, number) / name).write_bytes(disk._where(name)[name])
        done = change_partitions(
            Change(
                directory=directory,
                partitions=count,
                wrapping_keys=KEY,
                segment_bytes=SEGMENT_BYTES,
                window_s=WINDOW_SECONDS,
                kept_s=DAYS * DAY_SECONDS,
                instance=0,
                instances=1,
                reserved_to=0,
                terminal_of=lambda *_: None,
                tell=lambda _: None,
            ),
            lambda _: None,
        )
        switch.disks = {number: MemoryDisk() for number in range(count)}
        for number, disk in switch.disks.items():
            for file in partition_folder(directory, number).iterdir():
                disk._where(file.name)[file.name] = bytearray(file.read_bytes())
    switch.count = count
    switch.owned = [tuple(range(count))]
    stans = switch.workers[0]._stans
    switch.workers = [Worker(switch, switch.owned[0], switch.now_s)]
    switch.workers[0]._stans = stans
    return done


def code(switch, document, issuer="00"):
    return switch.ask(document, issuer)[1]["39"]


def take_back(switch, request):
    """A terminal takes a request back, and its issuer says yes to it."""
    told = code(switch, reversal(switch.workers[0], request))
    for _ in range(4):
        switch.step(0.5)
        switch.answer(request["41"])
    switch.step(0.5)
    return told


class Paid:
    """A sale, and what is left of it."""

    def __init__(self, switch, till):
        self.switch, self.till = switch, till
        _, self.told = switch.ask(switch.purchase(till, f4=f"{PAID:012d}"))
        assert self.told["39"] == "00"
        self.left = PAID
        self.is_voided = False
        self.refunds = []  # that stand: amount, request, answer

    def refund(self, till, amount, issuer="00"):
        request = self.switch.undoing("refund", till, self.told, f4=f"{amount:012d}")
        return request, self.switch.ask(request, issuer)[1]

    def do(self, what, till, amount):
        """Something that refers to it; what is not found since is refused, and counts for nothing."""
        if what == "void":
            told = code(self.switch, self.switch.undoing("void", till, self.told))
            if told == "00":
                assert (self.left, self.is_voided) == (PAID, False)
                self.is_voided = True
        elif what in ("refund", "declined"):
            request, answer = self.refund(till, amount, "00" if what == "refund" else "05")
            if answer["39"] == "00":
                assert amount <= self.left
                assert not self.is_voided
                self.left -= amount
                self.refunds.append((amount, request, answer))
        elif self.refunds:
            amount, request, answer = self.refunds.pop(0)
            if what == "take a refund back":
                assert take_back(self.switch, request) == "00"
            else:
                assert code(self.switch, self.switch.undoing("refund_void", request["41"], answer)) == "00"
                self.switch.step()
            self.left += amount

    def check(self):
        """Its own terminal finds it, always."""
        expected = "12" if self.is_voided else "13"
        assert self.refund(self.till, self.left + 1)[1]["39"] == expected
        if self.is_voided or self.left < PAID:
            assert code(self.switch, self.switch.undoing("void", self.till, self.told)) == "12"
        if self.left and not self.is_voided:
            left, part = self.left, max(self.left // 2, 1)
            self.do("refund", self.till, part)
            assert self.left == left - part


KINDS = st.sampled_from(["refund", "refund", "declined", "take a refund back", "void a refund", "void"])
DEEDS = st.lists(st.tuples(KINDS, st.sampled_from(TILLS), st.integers(1, 600)), max_size=4)


@settings(deadline=None, max_examples=40)
@given(
    before=st.sampled_from(COUNTS),
    till=st.sampled_from(TILLS),
    deeds=DEEDS,
    changes=st.lists(st.tuples(st.sampled_from(COUNTS), DEEDS), min_size=1, max_size=3),
)
def test_what_refers_to_a_payment_counts_once_whatever_becomes_of_the_partitions(before, till, deeds, changes):
    switch = begun(before)
    paid = Paid(switch, till)
    for deed in deeds:
        paid.do(*deed)
    for count, more in changes:
        if count != switch.count:
            changed(switch, count)
            assert [len(state.claims.open) for state in switch.workers[0].engine.partitions.states] == [0] * count
        paid.check()
        for deed in more:
            paid.do(*deed)
    paid.check()


@pytest.mark.parametrize(("till", "count"), [(TILL, 5), (OTHER_TILL, 3), (TILL, 1)])
@pytest.mark.parametrize("is_void", [False, True])
def test_a_refund_of_before_sets_its_amount_free_when_it_is_undone(till, count, is_void):
    """Sale, claim and refund are of one tick of the journals' time."""
    switch = begun(4)
    paid = Paid(switch, SALE)
    paid.do("refund", till, PAID)
    changed(switch, count)
    assert paid.refund(SALE, 1)[1]["39"] == "13"
    paid.do("void a refund" if is_void else "take a refund back", SALE, 0)
    paid.do("refund", SALE, PAID)
    assert paid.left == 0


def test_a_refund_of_the_payments_own_partition_claims_it_where_that_goes():
    switch = begun(1)
    paid = Paid(switch, SALE)
    paid.do("refund", TILL, 400)
    paid.do("refund", SALE, 100)
    assert changed(switch, 4).claimed == 1
    (claim,) = (one for one in switch.records(SALE) if one["type"] == "CLAIM")
    (request,) = (one for one in switch.records(TILL) if one["type"] == "INTENT")
    (state,) = (one for one in switch.records(SALE) if one["type"] == "CLAIM_STATE")
    assert (claim["terminal"], claim["amount_minor"], state["state"]) == (TILL, 400, "stands")
    assert request["claim"] == claim["position"]
    assert paid.refund(SALE, 501)[1]["39"] == "13"
    assert changed(switch, 1).claimed == 0
    paid.check()


def test_a_claim_comes_before_what_refers_to_it_whatever_the_journals_clocks_say():
    """The claimant's machine was started anew: nobody knows how much older its records are."""

    def record(elapsed_ns, position, behind=None):
        return elapsed_ns, (elapsed_ns, position, b"", {}, {}, behind)

    journals = {
        0: [record(0, 1), record(1, 2, (2, 2)), record(9, 3)],
        1: [record(0, 1, (0, 2)), record(2, 2)],
        2: [record(5, 1), record(8, 2), record(8, 3, (0, 3))],
    }
    ordered = in_order({partition: iter(records) for partition, records in journals.items()})
    places = [(partition, raw[1]) for partition, (_, raw) in ordered]
    assert places == [(0, 1), (2, 1), (2, 2), (0, 2), (1, 1), (1, 2), (0, 3), (2, 3)]


def test_journals_that_name_one_anothers_claims_are_read_to_their_ends():
    """As copies of different times may."""
    one, two = (0, (0, 1, b"", {}, {}, (1, 1))), (0, (0, 1, b"", {}, {}, (0, 1)))
    assert sorted(partition for partition, _ in in_order({0: iter([one]), 1: iter([two])})) == [0, 1]
