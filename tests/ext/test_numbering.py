"""STANs and retrieval reference numbers: none comes twice, whatever clock, crash or wrap does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.journal.recovery import RecoveryFailed
from switch.machine.numbering import BLOCK_NUMBERS, INSTANCES_MAX, Numbering
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.world import START_S, link, purchase

NOW_S = 1_795_400_000  # 23 November 2026, day 327
DAY_S = 86_400
YEAR_S = 365 * DAY_S
UNKNOWN_CARD = "5" * 16
LONG_SPAN, SHORT_SPAN = 36**7, 36**6
CLOCKS = st.one_of(
    st.integers(-3, 3).map(lambda days: days * DAY_S),
    st.integers(-5_000, 5_000),
    st.sampled_from([-20 * YEAR_S, -YEAR_S, YEAR_S, 10 * YEAR_S + 2 * DAY_S, 30 * YEAR_S]),
)


def counted(rrn):
    """An independent reading of a reference number: the day, the instance, and what it counts."""
    value = int(rrn[4:], 36)
    if value < 32 * LONG_SPAN:
        return rrn[:4], value // LONG_SPAN, value % LONG_SPAN
    value -= 32 * LONG_SPAN
    return rrn[:4], 32 + value // SHORT_SPAN, value % SHORT_SPAN


def numbering_at(number, instance=0, instances=1):
    """One that gives this number next."""
    numbering = Numbering(instance, instances)
    numbering.begin_behind(number)
    numbering.reserve(NOW_S)
    return numbering


def test_bears_day_instance_and_count():
    numbering = numbering_at(41)
    given_ones = [numbering.rrn() for _ in range(3)]
    assert given_ones == ["632700000015", "632700000016", "632700000017"]
    assert counted(given_ones[0]) == ("6327", 0, 41)
    assert numbering_at(7, 31, 32).rrn() == "6327V0000007"
    assert numbering_at(7, 32, 33).rrn() == "6327W0000007"
    assert numbering_at(7, 175, 176).rrn() == "6327ZZ000007"


def test_instances_share_nothing():
    stans, counts = [], []
    for instance in range(INSTANCES_MAX):
        numbering = numbering_at(1, instance, INSTANCES_MAX)
        first = range(numbering.stan_first, numbering.stan_first + numbering.stan_count)
        assert 1 <= first[0] <= first[-1] <= 999_999
        stans += [first[0], first[-1]]
        value = int(numbering.rrn()[4:], 36)
        counts += [value - 1, value - 1 + numbering.span - 1]
    assert stans == sorted(set(stans))
    assert counts == sorted(set(counts))
    assert counts[-1] == 36**8 - 1


@pytest.mark.parametrize(("instance", "instances"), [(1, 1), (0, 0), (176, 177), (0, 177)])
def test_instances_within_bounds(instance, instances):
    with pytest.raises(ValueError, match="needed 0 to 175, below their number"):
        Numbering(instance, instances)


def test_stans_go_round_within_their_part():
    numbering = numbering_at(1, 2, 5)
    assert (numbering.stan_first, numbering.stan_count) == (399_999, 199_999)
    seen = []
    for _ in range(2 * numbering.stan_count):
        seen.append(numbering.next_stan)
        numbering.rrn()
        numbering.reserve(NOW_S)
    assert set(seen) == set(range(399_999, 599_998))
    assert seen[: numbering.stan_count] == seen[numbering.stan_count :]


def test_nothing_is_given_that_is_not_reserved():
    numbering = numbering_at(1)
    for _ in range(BLOCK_NUMBERS):
        numbering.rrn()
    with pytest.raises(OverflowError, match="no number is reserved"):
        numbering.rrn()
    assert numbering.reserve(NOW_S)
    numbering.ceiling = numbering.limit
    for _ in range(BLOCK_NUMBERS):
        numbering.rrn()
    assert not numbering.reserve(NOW_S)
    with pytest.raises(OverflowError, match="no number is reserved"):
        numbering.rrn()


@settings(max_examples=20, deadline=None)
@given(
    instance=st.sampled_from([0, 5, 31, 32, 175]),
    left=st.integers(0, 3 * BLOCK_NUMBERS),
    moves=st.lists(st.tuples(CLOCKS, st.integers(0, 40), st.booleans()), min_size=1, max_size=12),
)
def test_none_twice_by_any_clock_and_across_the_end_of_all_numbers(instance, left, moves):
    """A restart begins behind what was reserved; numbers of the round before are on earlier days."""
    numbering = numbering_at(Numbering(instance, INSTANCES_MAX).span - 1 - left, instance, INSTANCES_MAX)
    now_s = NOW_S
    seen = []
    for jump_s, count, skips in moves:
        now_s = max(now_s + jump_s, 0)
        numbering.reserve(now_s)
        if skips:
            for _ in range(BLOCK_NUMBERS - 50):
                if numbering.next >= numbering.limit:
                    break
                numbering.rrn()
        for _ in range(count):
            numbering.reserve(now_s)
            seen.append(numbering.rrn())
    assert len(set(seen)) == len(seen)
    assert all(counted(rrn)[1] == instance for rrn in seen)


def test_a_new_round_bears_a_later_day_than_any_before():
    numbering = numbering_at(LONG_SPAN - 2 * BLOCK_NUMBERS)
    numbering.reserve(NOW_S + 3 * DAY_S)  # the clock was ahead, and is set back
    numbering.reserve(NOW_S)
    before = numbering.rrn()
    while numbering.next < LONG_SPAN:
        numbering.rrn()
        numbering.reserve(NOW_S)
    assert before[:4] == "6327"
    assert numbering.rrn()[:4] == "6331"
    numbering.reserve(NOW_S + 9 * DAY_S)
    assert numbering.rrn()[:4] == "6336"


class Life:
    """A switch over restarts, its clock in anybody's hands, and every number that anybody was told."""

    def __init__(self):
        self.world = JournalWorld()
        self.offset_s = 0
        self.told = []
        self.asked = []
        self.stans = 0
        self.connect()

    def connect(self):
        self.terminal, self.issuer = self.world.terminal(), self.world.issuer()

    def set_clock(self):
        wall_s = max(START_S + int(self.world.now_s) + self.offset_s, 0)
        self.world.calendar.set(round(self.world.now_s * 1e9), wall_s)
        self.world.engine.tick()

    def request(self, card):
        self.stans += 1
        self.world.syncs = False
        self.terminal.send(purchase(self.world, f2=card, f11=f"{self.stans:06d}"))
        self.told += [one["37"] for one in self.terminal.read() if "37" in one]
        self.asked += [one["37"] for one in self.issuer.read() if one["t"] == "0200"]

    def crash(self, kept):
        """What was being written is there up to a byte."""
        memory = self.world.memory
        disk = memory.after_power_loss()
        for name, content in memory.files.items():
            for offset, data in memory.unsafe.get(id(content), []):
                cut = int(len(data) * kept)
                if offset + cut <= len(disk.files.get(name, b"")):
                    disk.files[name][offset : offset + cut] = data[:cut]
        disk.safe = dict(disk.files)
        disk.safe_content = {id(content): bytearray(content) for content in disk.files.values()}
        self.world = JournalWorld(disk, now_s=self.world.now_s + 1)
        self.set_clock()
        self.connect()


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("refused"), st.none()),
        st.tuples(st.just("sent"), st.none()),
        st.tuples(st.just("clock"), CLOCKS),
        st.tuples(st.just("write"), st.none()),
        st.tuples(st.just("commit"), st.none()),
        st.tuples(st.just("crash"), st.floats(0, 1)),
    ),
    min_size=4,
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(acts=ACTS)
def test_none_twice_by_any_clock_and_crash(acts):
    """Refusals are told at once and stand in no journal, payments wait for theirs."""
    life = Life()
    for act, detail in acts:
        match act:
            case "refused":
                life.request(UNKNOWN_CARD)
            case "sent":
                life.request("6225000000000014")
            case "clock":
                life.offset_s = max(life.offset_s + detail, -START_S)
                life.set_clock()
            case "write":
                life.world.journal.write()
            case "commit":
                life.world.sync()
            case "crash":
                life.crash(detail)
    numbers = life.told + [rrn for rrn in life.asked if rrn not in life.told]
    assert len(set(life.told)) == len(life.told)
    assert len(set(numbers)) == len(numbers)


def test_refused_requests_take_numbers_that_no_restart_gives_again():
    """They stand in no journal: the number on such a slip must not lead to somebody else's charge."""
    world = JournalWorld()
    refused = [world.terminal().ask(purchase(world, f2=UNKNOWN_CARD, f41="99999999"))["37"] for _ in range(3)]
    after = world.killed()
    terminal, issuer = after.terminal(), after.issuer()
    terminal.send(purchase(after))
    assert issuer.read_one()["37"] not in refused


def test_stans_go_on_where_they_were():
    """So that a late answer of the life before meets nothing of this one."""
    world = JournalWorld()
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    last = int(issuer.read_one()["11"])
    after = world.killed()
    assert after.engine.state.numbering.next_stan in (last + 1, last + 2), "the reversal of it may have taken one"


def test_reserves_more_in_time():
    world = JournalWorld()
    world.terminal()
    numbering = world.engine.state.numbering
    for _ in range(BLOCK_NUMBERS // 2):
        numbering.rrn()
    before = numbering.limit
    world.engine.tick()
    assert numbering.limit == before, "it is not durable yet"
    world.sync()
    world.engine.tick()
    assert numbering.limit == before + BLOCK_NUMBERS // 2
    assert [one["reserved_to"] for one in records_of(world.memory)[0] if one["type"] == "NUMBERS"] == [numbering.limit]
    assert world.killed().engine.state.numbering.next >= numbering.limit


def test_without_numbers_nothing_new_begins():
    """A refusal is told without a reference number, and counted."""
    world = JournalWorld()
    terminal = world.terminal()
    issuer = world.issuer()
    numbering = world.engine.state.numbering
    while numbering.next < numbering.limit:
        numbering.rrn()
    answer = terminal.ask(purchase(world))
    assert answer["39"] == "91"
    assert "37" not in answer or not answer["37"].strip("0 ")
    assert issuer.read() == []
    assert world.count("refused_at_limit_total", limit="numbers") == 2
    world.sync()
    world.engine.tick()
    world.sync()
    world.engine.tick()
    terminal.send(purchase(world))
    assert issuer.read_one()["t"] == "0200"


def test_another_instance_does_not_take_the_journal():
    world = JournalWorld()
    with pytest.raises(RecoveryFailed, match=r"those of instance 0, and switch\.instance is 1"):
        JournalWorld(world.memory.copy(), switch={"instance": 1, "instances": 2})


def test_two_instances_in_one_second():
    """The same second, institution and terminals: no number of one is a number of the other."""
    numbers = []
    for instance in range(2):
        world = JournalWorld(switch={"instance": instance, "instances": 2})
        terminal, issuer = world.terminal(), world.issuer()
        for _ in range(50):
            terminal.send(purchase(world))
        asked = issuer.read()
        numbers.append({one[field] for one in asked for field in ("11", "37")})
        assert len(numbers[-1]) == 100
    assert not numbers[0] & numbers[1]


def test_answers_of_a_link_by_reference_number_must_bear_all_of_it():
    """Others lead to the same place."""
    world = JournalWorld(links=[link("bank-a", "iso87-ascii", match={"by": "rrn"}), link("bank-b", "iso87-binary")])
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    day = "0" if asked["37"][3] != "0" else "1"
    issuer.answer(asked, f37=asked["37"][:3] + day + asked["37"][4:])
    assert terminal.read() == []
    assert world.count("link_mismatched_answers_total") == 1
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
