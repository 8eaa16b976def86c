"""What the journal says of answers that have left, of late answers and of causes; and the formats before it."""

from __future__ import annotations

import itertools
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switch.journal.disk import ScriptedDisk
from switch.journal.replay import JournalDamaged, JournalReader
from tests.ext.journal_world import KEY, JournalWorld, records_of
from tests.ext.test_journal_files import BATCH, HEAD, checksum, unsealed
from tests.ext.world import LINKS_AT_ONCE, purchase, reversal

RECORD_HEAD_BYTES = 16
OUTCOME_BYTES = 36
OLD_REQUEST_BYTES = 62


def of_type(world, sort):
    world.journal.end_turn()
    world.sync()
    return [record for record in records_of(world.memory)[0] if record["type"] == sort]


def delivered(world):
    return list(itertools.chain.from_iterable(record["positions"] for record in of_type(world, "DELIVERED")))


def paid(world, terminal, issuer, **changes):
    terminal.send(purchase(world, **changes))
    asked = issuer.read_one()
    issuer.answer(asked)
    return asked


@pytest.fixture
def world():
    return JournalWorld()


def test_answers_that_left_are_named(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    paid(world, terminal, issuer)
    terminal.read_one()
    terminal.send(purchase(world, f2="5" * 16))  # no issuer has it: declined
    terminal.read_one()
    world.journal.end_turn()
    assert of_type(world, "DELIVERED") == [], "it may not be with the kernel yet"
    world.advance(0.25)
    assert delivered(world) == [record["position"] for record in of_type(world, "OUTCOME")]
    assert len(of_type(world, "DELIVERED")) == 1


def test_after_a_restart_the_repeat_of_a_reversed_approval_is_not_named_as_that_approval(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    world.sync()
    terminal.close()
    world.sync()
    after = world.killed()
    again = after.terminal("iso")
    again.send(request)
    assert again.read_one()["39"] == "68"
    after.journal.end_turn()
    after.advance(0.25)
    assert delivered(after) == [record["position"] for record in of_type(after, "REVERSAL")]


@pytest.mark.parametrize("was_told", [True, False])
@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_what_was_told_before_stands_though_its_repeat_is_lost(world, was_told, restarts):
    terminal, issuer = world.terminal("iso"), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    world.sync()
    if was_told:
        assert terminal.read_one()["39"] == "00"
    world.advance(0.25)
    world.journal.end_turn()
    world.advance(0.25)
    world.journal.end_turn()
    world.sync()
    for _ in range(restarts):
        world = world.killed()
    again = world.terminal("iso")
    again.send(request)
    again.close()
    if not restarts:
        terminal.close()
    world.sync()
    assert world.engine.owed == (0 if was_told else 1)
    again = world.terminal("iso")
    again.send(request)
    assert again.read_one()["39"] == ("00" if was_told else "68")


def test_an_answer_that_nobody_read_is_not_named(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    paid(world, terminal, issuer)
    world.sync()
    terminal.close()
    world.advance(0.25)
    assert delivered(world) == []
    (owed,) = of_type(world, "REVERSAL")
    assert owed["cause"] == "untold"


def test_it_goes_with_what_is_written_anyway(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    paid(world, terminal, issuer)
    terminal.read_one()
    world.journal.end_turn()
    terminal.send(purchase(world))
    world.journal.end_turn()
    world.sync()
    assert [record["type"] for record in records_of(world.memory)[0]] == ["INTENT", "OUTCOME", "INTENT", "DELIVERED"]


def test_what_left_last_is_written_at_the_end(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    paid(world, terminal, issuer)
    terminal.read_one()
    world.journal.stop()
    assert [record["type"] for record in records_of(world.memory)[0]][-1] == "DELIVERED"


def test_at_the_end_a_batch_that_was_written_is_made_durable_before_the_next_is_written(world):
    """Of two that a loss of power finds in the cache, the later one may be on the disk and the earlier one not."""
    terminal, issuer = world.terminal("iso"), world.issuer()
    paid(world, terminal, issuer)
    terminal.read_one()
    world.journal.end_turn()
    terminal.send(purchase(world))
    assert world.journal.write()
    terminal.send(purchase(world, f11="000777"))
    before = len(world.memory.calls)
    world.journal.stop()
    assert world.memory.calls[before : before + 3] == ["sync", "write", "sync"]


def test_many_answers_in_any_order(world):
    """More than one record holds, their order mixed by two connections."""
    terminals = [world.terminal("iso"), world.terminal("iso")]
    wanted = 5_000
    for number in range(wanted):
        terminals[number % 2].send(purchase(world, f2="5" * 16, f11=f"{number + 1:06d}"))
        if number % 500 == 499:
            world.journal.commit()
            for one in terminals:
                one.read()
    world.journal.end_turn()
    world.advance(0.25)
    found = delivered(world)
    outcomes = [record["position"] for record in of_type(world, "OUTCOME")]
    assert len(outcomes) == wanted
    assert sorted(found) == outcomes
    assert found != outcomes
    assert len(of_type(world, "DELIVERED")) > 1


def test_links_are_not_terminals(world):
    issuer = world.issuer()
    terminal = world.terminal("iso")
    terminal.send(purchase(world))
    issuer.read_one()
    world.advance(0.25)
    assert delivered(world) == []


@pytest.mark.parametrize(("code", "reason"), [("00", 0), ("51", 12)])
def test_late_answers_are_remembered(world, code, reason):
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    terminal.read_one()
    issuer.answer(asked, code)
    (late,) = of_type(world, "LATE")
    assert (late["intent"], late["reason"]) == (1, reason)
    assert late["authorization_code"] == ("A1B2C3" if code == "00" else "")


def test_causes():
    world = JournalWorld(links=LINKS_AT_ONCE)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    terminal.read_one()
    issuer.answer(issuer.read_one(), "25")
    issuer.answer(asked)
    assert [record["cause"] for record in of_type(world, "REVERSAL")] == ["timeout", "late_approval"]


def test_causes_of_a_terminal_and_of_a_crash(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    terminal.read_one()
    terminal.send(reversal(world, request))
    terminal.read_one()
    terminal.send(purchase(world))
    world.sync()
    after = world.killed()
    assert [record["cause"] for record in of_type(after, "REVERSAL")] == ["terminal", "restart"]


def as_version(content, version):
    """The segment as a program of another version would have headed it."""
    *_, nonce, wrapped, tag, _, _ = HEAD.unpack_from(content)
    key = AESGCM(KEY).decrypt(nonce, wrapped + tag, bytes(content[:56]))
    head = bytearray(content[: HEAD.size])
    head[8:12] = version.to_bytes(4, "little")
    head[68:116] = AESGCM(KEY).encrypt(nonce, key, bytes(head[:56]))
    head[124:128] = checksum(bytes(head[:124])).to_bytes(4, "little")
    return head + content[HEAD.size :]


def as_of(version, record):
    """A record of an older format, whose request does not say how the card was read.

    Up to 3 it says nothing of its original, up to 2 nothing of its moment either.
    """
    size, sort = struct.unpack_from("<IB", record)
    behind_outcome = RECORD_HEAD_BYTES + OUTCOME_BYTES
    request = {1: RECORD_HEAD_BYTES, 9: RECORD_HEAD_BYTES, 2: behind_outcome}.get(sort)
    if request is None or (sort == 2 and any(record[RECORD_HEAD_BYTES : RECORD_HEAD_BYTES + 8])):
        return record
    end = request + OLD_REQUEST_BYTES
    assert record[end - 1] == 17
    kept = {3: 8, 4: 16}.get(version, 0)
    shorter = struct.pack("<I", size - 17 + kept) + record[4 : end - 1] + bytes([kept])
    return shorter + record[end : end + kept] + record[end + 17 :]


def of_older_format(content, version):
    """The segment as a program of an older format would have written it."""
    return rewritten(content, version, lambda record: as_of(version, record))


def rewritten(content, version, change, appended=b""):
    """The segment with each record changed, and one record more at its end."""
    *_, nonce, wrapped, tag, _, _ = HEAD.unpack_from(content)
    data_key = AESGCM(AESGCM(KEY).decrypt(nonce, wrapped + tag, bytes(content[:56])))
    written = bytearray(as_version(content, version)[: HEAD.size])
    batches = unsealed(bytes(content))
    for first, count, kind, clear in batches:
        body, at = (b"", 0) if kind == 1 else (clear, len(clear))
        while at < len(clear):
            size = int.from_bytes(clear[at : at + 4], "little")
            body += change(clear[at : at + size])
            at += size
        if appended and first == batches[-1][0] and kind == 1:
            body += appended
        whole = -(-(BATCH.size + len(body)) // 8) * 8
        records = count + bool(appended and first == batches[-1][0] and kind == 1)
        head = BATCH.pack(0x48435442, whole, first, records, len(body), len(body), kind, 0, 0, bytes(16), 0)
        sealed = data_key.encrypt(struct.pack("<QI", len(written), 0), body, head[:40])
        batch = head[:40] + sealed[-16:] + bytes(8) + sealed[:-16]
        batch += bytes(whole - len(batch))
        written += batch[:60] + checksum(batch).to_bytes(4, "little") + batch[64:]
    return written + bytes(len(content) - len(written))


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_earlier_formats_are_read(world, version):
    terminal, issuer = world.terminal("iso"), world.issuer()
    request, declined = purchase(world), purchase(world, f2="5" * 16)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    answers = [terminal.read_one(), terminal.ask(declined)]
    terminal.send(purchase(world))
    world.sync()
    before = records_of(world.memory)[0]
    disk = world.memory.copy()
    (name,) = disk.files
    disk.files[name] = of_older_format(disk.files[name], version)
    lacking = {4: ["entry_mode"], 3: ["entry_mode", "refers_to"]}.get(version, ["entry_mode", "refers_to", "named_at"])
    moments = dict.fromkeys(lacking, 0)
    assert records_of(disk)[0] == [record | moments if "named_at" in record else record for record in before]
    after = JournalWorld(disk, now_s=200.0)
    assert (after.replayed.remembered, after.replayed.ended, after.replayed.reversed) == (2, 1, 1)
    terminal = after.terminal("iso")
    assert [terminal.ask(request), terminal.ask(declined)] == answers
    assert terminal.ask(reversal(after, request))["39"] == "00"


@pytest.mark.parametrize("version", [0, 6])
def test_other_formats_are_told_apart(world, version):
    disk = world.memory.copy()
    (name,) = disk.files
    disk.files[name] = as_version(disk.files[name], version)
    with pytest.raises(JournalDamaged, match=f"format {version}, this program reads 1 to 5; use the version of"):
        JournalReader(ScriptedDisk(disk), KEY)
