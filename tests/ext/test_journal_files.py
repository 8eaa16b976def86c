"""The journal's files: records as they were written, batches and segments, damage of every kind, disks that fail."""

from __future__ import annotations

import errno
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switch.base.checksum import checksum
from switch.base.stats import Stats
from switch.dialect.kinds import Kind
from switch.journal.carry_forward import keep_up
from switch.journal.commit import JournalFiles
from switch.journal.disk import ScriptedDisk
from switch.journal.replay import JournalDamaged, JournalReader, Listing, Visitor
from switch.journal.segment import SegmentWriter
from tests.ext.journal_world import BUFFER_BYTES, KEY, JournalWorld, records_of
from tests.ext.memory_disk import MemoryDisk
from tests.ext.world import CARD, purchase, reversal

HEAD = struct.Struct("<8sIIqqq16s12s32s16s8sI")
BATCH = struct.Struct("<IIqIIIBB2xq16s4xI")


def test_checksum():
    assert checksum(b"123456789") == 0xE3069283  # of RFC 3720's polynomial
    assert checksum(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert checksum(b"\xff" * 32) == 0x62A8AB43
    assert checksum(bytes(range(32))) == 0x46DD794E
    for size in range(40):
        data = bytes(range(size))
        assert checksum(data) == checksum(data, hardware=False)


def lived_world(**changes) -> JournalWorld:
    """A world that has seen a record of every type: an approval that was reversed and acknowledged, and a refusal."""
    world = JournalWorld(**changes)
    terminal, issuer = world.terminal("iso"), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    terminal.read_one()
    terminal.send(reversal(world, request))
    terminal.read_one()
    world.advance(0.25)
    issuer.answer(issuer.read_one())
    world.sync()
    terminal.send(purchase(world, f2="5" * 16))
    terminal.read_one()
    return world


def test_every_record_says_what_happened():
    world = lived_world()
    records, tail = records_of(world.memory)
    assert [r["type"] for r in records] == [
        "INTENT", "OUTCOME", "REVERSAL", "OUTCOME", "ATTEMPT", "REVERSED", "OUTCOME",
    ]  # fmt: skip
    assert [r["position"] for r in records] == list(range(1, 8))
    assert (tail.records, tail.next_position, tail.torn_bytes) == (7, 8, 0)
    intent, outcome, taken_back, told, attempt, reversed_, refused = records
    assert (intent["pan"], intent["amount_minor"], intent["currency"], intent["kind"]) == (
        CARD,
        1000,
        156,
        Kind.PURCHASE,
    )
    assert (intent["terminal"], intent["merchant"]) == ("10000002", "898000000000001")
    assert (intent["link"], intent["listener"], intent["stan"]) == ("bank-a", "iso", 1)
    assert 1 + int(intent["rrn"][4:], 36) % 999_999 == intent["link_stan"]
    assert len(intent["transmission_time"]) == 10
    assert intent["wall_us"] == world.calendar.wall_us == 1_800_000_100_000_000
    assert intent["message"][:4] == b"0200"
    assert (outcome["intent"], outcome["approved"], outcome["reversed"], outcome["reason"]) == (1, True, False, 0)
    assert (outcome["authorization_code"], outcome["rrn"]) == ("A1B2C3", intent["rrn"])
    assert outcome["message"][:4] == b"0210"
    assert (taken_back["original"], taken_back["replaces"], taken_back["attempts"]) == (1, 0, 0)
    assert (taken_back["pan"], taken_back["link"], taken_back["rrn"]) == (CARD, "bank-a", intent["rrn"])
    assert taken_back["message"] == intent["message"]
    assert (told["intent"], told["message_class"], told["terminal"]) == (0, 4, "10000002")
    assert (attempt["reversal"], attempt["attempts"]) == (3, 1)
    assert (reversed_["reversal"], reversed_["original"], reversed_["reason"]) == (3, 1, 0)
    assert (refused["intent"], refused["approved"], refused["pan"]) == (0, False, "5" * 16)


def lz4_length(block: bytes, at: int, length: int) -> tuple[int, int]:
    while True:
        length += block[at]
        at += 1
        if block[at - 1] != 255:
            return length, at


def lz4_block(block: bytes) -> bytes:
    """What a block in LZ4's format holds, read by the format's public description."""
    out, at = bytearray(), 0
    while at < len(block):
        token = block[at]
        at += 1
        literals = token >> 4
        if literals == 15:
            literals, at = lz4_length(block, at, literals)
        out += block[at : at + literals]
        at += literals
        if at == len(block):
            break
        distance = int.from_bytes(block[at : at + 2], "little")
        at += 2
        length = token & 15
        if length == 15:
            length, at = lz4_length(block, at, length)
        for _ in range(length + 4):
            out.append(out[-distance])
    return bytes(out)


def unsealed(content: bytes) -> list[tuple[int, int, int, bytes]]:
    """An independent reading of a segment by ``docs/journal.md``: position, count, kind and clear bytes of batches."""
    magic, version, size, first, _low, _created, _, nonce, wrapped, tag, key_id, crc = HEAD.unpack_from(content)
    assert (magic, version, size, HEAD.size) == (b"ASWJRNL1", 5, 128, 128)
    assert crc == checksum(content[:124])
    assert key_id == hashlib.blake2b(KEY, digest_size=8, person=b"journal key").digest()
    data_key = AESGCM(KEY).decrypt(nonce, wrapped + tag, content[:56])
    batches, at = [], size
    while at < len(content) and any(content[at : at + 8]):
        magic, whole, first, count, sealed, clear, kind, packing, _wall, tag, crc = BATCH.unpack_from(content, at)
        batch = content[at : at + whole]
        assert (magic, whole % 8) == (0x48435442, 0)
        assert crc == checksum(batch[:60] + bytes(4) + batch[64:])
        body = batch[64 : 64 + sealed]
        clear_bytes = AESGCM(data_key).decrypt(struct.pack("<QI", at, 0), body + tag, batch[:40])
        clear_bytes = lz4_block(clear_bytes) if packing else clear_bytes
        assert len(clear_bytes) == clear
        batches.append((first, count, kind, clear_bytes))
        at += whole
    return batches


def test_format_is_what_the_document_says():
    world = lived_world()
    (name, content), *_ = world.memory.files.items()
    assert name == f"{1:020d}.journal"
    batches = unsealed(bytes(content))
    assert [(first, kind) for first, _, kind, _ in batches][:2] == [(1, 2), (1, 1)]
    records, _ = records_of(world.memory)
    assert sum(count for _, count, kind, _ in batches if kind == 1) == len(records)
    size, sort, wall = struct.unpack_from("<IB3xq", batches[1][3])
    assert (size, sort, wall) == (len(batches[1][3]), 1, records[0]["wall_us"])


def test_keys_and_nonces_are_never_used_twice():
    world = lived_world()
    after = world.killed()
    heads = [HEAD.unpack_from(content) for content in after.memory.files.values()]
    assert len(heads) == 2
    assert len({head[7] for head in heads}) == len({head[8] for head in heads}) == 2


def last_segment(disk: MemoryDisk) -> bytearray:
    return disk.files[max(disk.files)]


def content_end(content: bytearray) -> int:
    return len(bytes(content).rstrip(b"\0"))


def batch_starts(content: bytes) -> list[int]:
    found = [HEAD.size]
    while any(content[(at := found[-1] + BATCH.unpack_from(content, found[-1])[1]) : at + 8]):
        found.append(at)
    return found


def last_batch_start(content: bytes) -> int:
    return batch_starts(content)[-1]


def test_torn_tail_at_every_byte():
    world = lived_world()
    content = bytes(last_segment(world.memory))
    start, end = last_batch_start(content), content_end(content)
    for kept in range(start + 1, end):
        disk = world.memory.copy()
        last_segment(disk)[kept:end] = bytes(end - kept)
        _, tail = records_of(disk)
        assert (tail.next_position, tail.end) == (7, start)
        assert 0 < tail.torn_bytes <= kept - start
    disk = world.memory.copy()
    last_segment(disk)[start + 40 : end] = bytes(end - start - 40)
    after = JournalWorld(disk, now_s=200.0)
    assert (after.replayed.records, after.journal.next_position) == (6, 7)
    records, tail = records_of(after.memory)
    assert (len(records), tail.torn_bytes) == (6, 0)


def test_any_sectors_of_the_last_batch_may_be_lost():
    world = lived_world()
    content = bytes(last_segment(world.memory))
    start, end = last_batch_start(content), content_end(content)
    for lost in range(start, end, 8):
        disk = world.memory.copy()
        last_segment(disk)[lost : min(lost + 8, end)] = bytes(min(8, end - lost))
        if bytes(last_segment(disk)) == content:
            continue
        assert records_of(disk)[1].next_position == 7


def test_bit_flips_are_detected_everywhere():
    world = lived_world()
    content = bytes(last_segment(world.memory))
    start, end = last_batch_start(content), content_end(content)
    for place in range(end):
        disk = world.memory.copy()
        last_segment(disk)[place] ^= 1 << place % 8
        if place < start:
            with pytest.raises(JournalDamaged) as caught:
                records_of(disk)
            assert caught.value.file == f"{1:020d}.journal"
            assert caught.value.offset <= place
            assert "journal verify" in str(caught.value) or "version" in str(caught.value)
        else:
            assert records_of(disk)[1].torn_bytes > 0
    disk = world.memory.copy()
    last_segment(disk)[-1] = 1
    assert records_of(disk)[1].torn_bytes > 0


def test_damage_in_an_earlier_segment():
    world = lived_world().killed()
    disk = world.memory.copy()
    disk.files[min(disk.files)][300] ^= 1
    with pytest.raises(JournalDamaged, match="batch here is damaged"):
        JournalWorld(disk)


@pytest.mark.parametrize("unused", [8, 56, 63, 64, 4096])
def test_room_of_an_earlier_segment_that_was_not_given_back(unused):
    """What cut it is not durable when the next one is begun: after a loss of power it may be as long as before."""
    world = lived_world().killed()
    known = records_of(world.memory)[0]
    disk = world.memory.copy()
    first = disk.files[min(disk.files)]
    del first[content_end(bytes(first)) :]
    first.extend(bytes(unused))
    assert records_of(disk)[0] == known


class ReadInBetween(MemoryDisk):
    """A disk on which the last segment is read while its writer is at work: ``holes`` are not written yet."""

    def __init__(self, content, holes):
        super().__init__()
        self.files = {name: bytearray(one) for name, one in content.items()}
        self.holes = list(holes)

    def read(self, file, size, offset):
        content = bytearray(super().read(file, size, offset))
        if self.holes and size > 128 and self.handles[file] is self.files[max(self.files)]:
            start, end = self.holes.pop(0)
            content[start:end] = bytes(end - start)
        return bytes(content)


def test_a_batch_that_is_written_while_it_is_read_is_no_damage():
    world = JournalWorld()
    terminal, issuer = world.terminal("iso"), world.issuer()
    for _ in range(4):
        terminal.send(purchase(world))
        issuer.answer(issuer.read_one())
        terminal.read_one()
        world.sync()
    known, _ = records_of(world.memory)
    batches = batch_starts(bytes(last_segment(world.memory)))
    holes = [(batches[2] + 8, batches[3]), (batches[4], batches[5])]
    assert records_of(ReadInBetween(world.memory.files, holes))[0] == known
    lasting = ReadInBetween(world.memory.files, [])
    last_segment(lasting)[batches[2] + 8 : batches[3]] = bytes(batches[3] - batches[2] - 8)
    with pytest.raises(JournalDamaged, match="batch here is damaged"):
        records_of(lasting)


@pytest.mark.parametrize("size", [0, 56, 127])
def test_a_segment_that_is_cut_while_it_is_looked_at(size):
    world = lived_world()
    reader = JournalReader(ScriptedDisk(world.memory), KEY)
    del last_segment(world.memory)[size:]
    with pytest.raises(JournalDamaged, match="head is cut short"):
        reader.replay(Listing(lambda _: None))


def test_missing_segments_and_strange_ones():
    world = lived_world().killed()
    terminal, _ = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world, f11="000090"))
    world.sync()
    world = world.killed()
    names = sorted(world.memory.files)
    assert len(names) == 3
    disk = world.memory.copy()
    del disk.files[names[1]]
    with pytest.raises(JournalDamaged, match="records between are missing"):
        records_of(disk)
    disk = world.memory.copy()
    disk.files[f"{99:020d}.journal"] = disk.files.pop(names[1])
    with pytest.raises(JournalDamaged, match="its first position is 8"):
        records_of(disk)
    disk = world.memory.copy()
    disk.files[names[1]] = bytearray(50)
    with pytest.raises(JournalDamaged, match="cut short"):
        records_of(disk)


def test_another_key():
    world = lived_world()
    with pytest.raises(JournalDamaged, match=r"it is sealed under the journal key [0-9a-f]{16}, and neither"):
        JournalReader(ScriptedDisk(world.memory), bytes(32)).replay(Visitor())


def test_batches_cannot_change_places():
    """A batch is sealed for its place: one that is whole, but somewhere else, is noticed."""
    world = JournalWorld()
    terminal, _ = world.terminal("iso"), world.issuer()
    for _ in range(2):
        terminal.send(purchase(world))
        world.sync()
    content = last_segment(world.memory)
    at = HEAD.size
    places = []
    while any(content[at : at + 8]):
        places.append((at, BATCH.unpack_from(content, at)[1]))
        at += places[-1][1]
    _, (first, size), (second, _) = places
    content[second : second + size] = content[first : first + size]
    with pytest.raises(JournalDamaged, match="seal does not fit"):
        records_of(world.memory)


# --- growing ----------------------------------------------------------------------------------------------------------


def fill(world: JournalWorld, count: int) -> None:
    """So many refused purchases of one terminal, each in a batch of its own: alone it is packed least."""
    terminal = world.terminal("iso")
    for _ in range(count):
        terminal.send(purchase(world, f2="5" * 16))
        world.sync()
    terminal.read()


def test_segments_follow_one_another():
    world = JournalWorld(limits={"duplicate_window_count_max": 100_000}, begins=False)
    world.begin(1_300_000)
    fill(world, 10_000)
    records, tail = records_of(world.memory)
    assert len(records) == tail.records == 10_000
    names = sorted(name for name in world.memory.files if name.endswith(".journal"))
    assert len(names) > 1
    assert all(len(world.memory.files[name]) <= 1_300_000 for name in names)


def test_old_entries_are_carried_and_the_scan_is_bounded():
    world = JournalWorld(limits={"duplicate_window_seconds": 1, "duplicate_window_count_max": 100_000}, begins=False)
    world.begin(1_300_000)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    question = issuer.read_one()
    issuer.close()
    world.advance(80)  # no answer can come any more
    world.sync()
    for _ in range(12):
        fill(world, 1_000)
        keep_up(world.engine.state, world.journal, carry_records=2_000)
        world.sync()
    after = world.killed(later_s=50_000)
    assert after.replayed.resumed == 1
    assert after.replayed.records < 9_000
    sent = after.issuer().read_one()
    assert (sent["t"], sent["37"]) == ("0420", question["37"])
    assert after.killed(later_s=100_000).replayed.resumed == 1


# --- disks that fail --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["write", "sync"])
def test_failed_batch(call):
    world = JournalWorld()
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    world.memory.fail_at = len(world.memory.calls) + (call == "sync")
    assert issuer.read() == []
    assert (world.journal.failed, world.journal.broken, world.journal.durable) == (True, True, 0)
    assert world.journal.reason.endswith("Input/output error")
    calls = len(world.memory.calls)
    world.memory.fail_at = None
    request = purchase(world)
    terminal.send(request)
    assert terminal.read_one()["39"] == "96"
    assert issuer.read() == []
    assert not world.journal.commit()
    assert len(world.memory.calls) == calls, "a failed disk was asked again"


def test_failed_sync_of_an_outcome_is_not_told():
    world = JournalWorld()
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    question = issuer.read_one()
    world.memory.fail_at = len(world.memory.calls) + 1
    issuer.answer(question)
    assert terminal.read() == []
    assert world.journal.failed


def test_full_disk_is_met_before_it_can_hurt_an_outcome():
    world = JournalWorld(limits={"duplicate_window_count_max": 100_000})
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    question = issuer.read_one()
    world.memory.room = 1000
    filled = 0
    while not world.journal.failed:
        fill(world, 100)
        filled += 100
        assert filled < 20_000
    assert "cannot be allocated" in world.journal.reason
    assert not world.journal.broken
    assert world.journal.writer.error != errno.EIO
    issuer.answer(question)
    assert terminal.read_one()["39"] == "00"
    terminal.send(purchase(world, f11="999999"))
    assert terminal.read_one()["39"] == "96"
    assert records_of(world.memory)[0][-1]["approved"]


def test_crash_at_every_call_of_the_disk():
    """What a terminal was told survives, whatever call was the last, and however much of it was done."""
    calls = len(lived_world().memory.calls)
    for fail_at in range(calls):
        for torn in (0, 30, 200):
            disk = MemoryDisk()
            disk.fail_at, disk.torn = fail_at, torn
            told = 0
            try:
                world = JournalWorld(disk)
            except OSError:
                world = None
            if world is not None:
                terminal, issuer = world.terminal("iso"), world.issuer()
                terminal.send(purchase(world))
                for question in issuer.read():
                    issuer.answer(question)
                told = len(terminal.read())
            after = JournalWorld(disk.copy() if torn else disk.after_power_loss(), now_s=200.0)
            assert after.replayed.remembered >= told
            assert after.replayed.remembered + after.engine.owed <= 1


def test_full_buffer_refuses_new_work():
    world = JournalWorld(limits={"duplicate_window_count_max": 100_000})
    world.syncs = False
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    world.sync()
    question = issuer.read_one()
    last = {}
    for _ in range(BUFFER_BYTES // 100):
        if world.journal.waiting_bytes > BUFFER_BYTES // 2:
            break
        last = purchase(world, f2="5" * 16)
        terminal.send(last)
    assert world.journal.waiting_bytes > BUFFER_BYTES // 2
    assert not world.journal.failed
    world.sync()
    terminal.read()
    for _ in range(BUFFER_BYTES // 100):
        if world.journal.waiting_bytes > BUFFER_BYTES // 2:
            break
        terminal.send(purchase(world, f2="5" * 16))
    terminal.send(purchase(world, f11="999999"))
    issuer.answer(question)
    world.sync()
    assert [answer["39"] for answer in terminal.read()][-2:] == ["96", "00"]


def test_arguments_are_checked():
    disk = ScriptedDisk(MemoryDisk())
    with pytest.raises(ValueError, match="32 bytes"):
        SegmentWriter(disk, b"", bytes(16), segment_bytes=1 << 24, batch_room=1 << 20)
    with pytest.raises(ValueError, match="no room for two batches"):
        SegmentWriter(disk, KEY, bytes(16), segment_bytes=1 << 20, batch_room=1 << 20)
    with pytest.raises(ValueError, match="too small for two records"):
        JournalFiles(1000, Stats(65_536))
