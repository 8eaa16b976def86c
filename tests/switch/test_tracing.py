"""``authswitch trace``: what is found by which key, the steps, and the verdict on every way that a payment may end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from switch.base.stats import Stats
from switch.cli.trace import app
from switch.journal import replay_into
from switch.journal.carry_forward import keep_up
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk
from switch.journal.replay import JournalReader, Listing
from switch.saf.owed_entries import close_entry
from switch.tracing import query as queries
from switch.tracing.steps import Step, shortened
from switch.tracing.story import Story
from switch.tracing.verdict import verdict
from switch.wire.faults import with_reason
from tests.ext.test_engine_advice import advice
from tests.ext.world import CARD, World, purchase, reversal
from tests.switch.journal_key import make_key_file
from tests.switch.test_journaling import CONFIG

SEGMENT_BYTES = 16 << 20
ISO_CONFIG = CONFIG.replace('name = "pos"', 'name = "iso"').replace('dialect = "cup"', 'dialect = "iso87-ascii"')


class Lived:
    """A switch with a journal on files, and what can be asked of that journal."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.options = options
        (folder / "switch.toml").write_text(ISO_CONFIG)
        (folder / "journal").mkdir()
        self.key = make_key_file(folder)
        self.now_s = 100.0
        self.begin()

    def begin(self):
        """A process starts."""
        self.journal = JournalFiles(1 << 20, Stats(65_536))
        self.world = World(journal=self.journal, **self.options)
        self.world.now_s = self.now_s
        self.world._set_clock()
        self.world.sync = self.journal.commit
        self.disk = FileDisk(str(self.folder / "journal"), exclusive=True)
        state = self.world.engine.state
        replay_into(state, self.journal, self.disk, self.key, segment_bytes=SEGMENT_BYTES, window_seconds=3600)
        self.terminal, self.issuer = self.world.terminal("iso"), self.world.issuer()

    def end(self, *, crash=False):
        """The process ends; in a crash nothing is written at its end."""
        if crash:
            self.journal.commit()
        else:
            self.journal.stop()
        self.now_s = self.world.now_s + 1
        self.disk.release()

    def restart(self):
        """The process is killed, and another one starts."""
        self.end(crash=True)
        self.begin()

    def settle(self):
        """Some time passes, in which the journal hears which answers have left."""
        self.journal.end_turn()
        self.world.advance(0.25)
        self.journal.end_turn()
        self.journal.commit()

    def pay(self, code="00", **changes):
        """A payment that the issuer answers; what the issuer was asked."""
        request = purchase(self.world, **changes)
        self.terminal.send(request)
        for wanted in self.world.engine.take_wanted():
            self.world.engine.settle(wanted, None)
        asked = self.issuer.read_one()
        self.issuer.answer(asked, code)
        self.terminal.read_one()
        self.settle()
        return request, asked

    def trace(self, key, *options):
        """The command's exit status and its document."""
        status, output = self.run(key, "--json", *options)
        return status, json.loads(output)

    def verdict(self, key, *options):
        """What became of the one transaction that a key finds."""
        status, document = self.trace(key, *options)
        assert status == 0
        (one,) = document["transactions"]
        assert CARD not in json.dumps(document)
        return one["verdict"], one

    def run(self, key, *options):
        self.journal.commit()
        arguments = [str(self.folder / "switch.toml"), key, *options]
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, result.output


@pytest.fixture
def lived(tmp_path):
    one = Lived(tmp_path)
    yield one
    one.end()


class TestVerdicts:
    def test_approved_and_delivered(self, lived):
        _, asked = lived.pay()
        judged, one = lived.verdict(asked["37"])
        assert judged["code"] == "approved_and_delivered"
        assert judged["words"].startswith("approved, and delivered to the terminal at 2027-01-15 08:01:40")
        assert (
            judged["money"] == "the cardholder was charged 10.00 (currency 156), and it is the merchant's at settlement"
        )
        assert (one["card"], one["response_code"], one["link"]) == ("622500******0014", "00", "bank-a")
        assert [step["record"] for step in one["steps"]] == ["INTENT", "INTENT", "OUTCOME", "DELIVERED"]
        assert one["steps"][0]["place"] == "listener iso"
        assert "accepted from terminal 10000002, STAN 000001" in one["steps"][0]["words"]

    def test_declined(self, lived):
        _, asked = lived.pay("51")
        judged, _ = lived.verdict(asked["37"])
        assert judged["code"] == "declined"
        assert (
            "(code 51, insufficient_funds: not enough money in the account); the terminal was told" in judged["words"]
        )
        assert judged["money"] == "nothing was charged, because the issuer declined"

    @pytest.mark.parametrize("code", ["06", "09", "91", "96"])
    def test_issuer_cannot_answer(self, lived, code):
        """It did not approve, so no reversal is owed, and none is missing."""
        _, asked = lived.pay(code)
        judged, _ = lived.verdict(asked["37"])
        assert judged["code"] == "not_answered"
        assert judged["money"].startswith("nothing was charged, because the request never left")

    def test_declined_refund(self, lived):
        _, asked = lived.pay("51", f3="200000")
        judged, one = lived.verdict(asked["37"])
        assert one["kind"] == "refund"
        assert judged["money"] == (
            "nothing was given back, and what was charged before stands, because the issuer declined"
        )

    def test_reversal_or_outcome_that_is_not_there(self, lived):
        lived.terminal.send(purchase(lived.world))
        lived.issuer.read_one()
        lived.world.advance(15.1)
        lived.journal.commit()
        records = []
        JournalReader(lived.disk, lived.key).replay(Listing(records.append))
        kept = [record for record in records if record["type"] in ("INTENT", "OUTCOME")]
        assert verdict(Story(kept), str, "68").code == "reversal_missing"
        without_outcome = [record for record in records if record["type"] != "OUTCOME"]
        judged = verdict(Story(without_outcome), str, None)
        assert judged.code == "reversal_under_way"
        assert judged.words.startswith("no outcome is written down, and nothing was told; reversal under way since")

    def test_advice_before_and_after_the_issuer_has_taken_note(self, lived):
        lived.issuer.close()
        answer = lived.terminal.ask(advice(lived.world))
        lived.settle()
        judged, _ = lived.verdict(answer["37"])
        assert judged["code"] == "approved_and_delivered"
        assert judged["words"].endswith("; advice not sent yet")
        assert judged["money"].startswith("the issuer has not taken note yet; when it does it charges the cardholder")
        issuer = lived.world.issuer()
        issuer.answer(issuer.read_one())
        assert lived.verdict(answer["37"])[0]["money"].startswith("the cardholder was charged 10.00")

    def test_terminal_took_an_advice_back_before_it_was_sent(self, lived):
        lived.issuer.close()
        request = advice(lived.world)
        answer = lived.terminal.ask(request)
        lived.terminal.ask(reversal(lived.world, request, f11="000990"))
        lived.settle()
        judged, one = lived.verdict(answer["37"])
        assert judged["code"] == "stand_in_cancelled"
        assert judged["words"].startswith("approved by the terminal, and taken back before its issuer heard of it")
        words = [step["words"] for step in one["steps"]]
        assert "the terminal asked to take it back: accepted" in words
        assert "answer to its reversal left to the terminal" in words

    def test_refused_by_the_switch(self, lived):
        lived.terminal.send(purchase(lived.world, f2="5" * 16))
        answer = lived.terminal.read_one()
        lived.settle()
        judged, _ = lived.verdict(answer["37"])
        assert judged["code"] == "refused"
        assert judged["money"] == "nothing was charged, because no issuer was asked"

    def test_under_way(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        assert lived.verdict(asked["37"])[0]["code"] == "under_way"

    def test_timed_out_reversed_and_acknowledged(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.world.advance(15.1)
        lived.terminal.read_one()
        judged, _ = lived.verdict(asked["37"])
        assert judged["code"] == "reversal_under_way"
        assert "reversal under way since the issuer did not answer in time: attempt 1 at" in judged["words"]
        assert "may stand at the issuer" in judged["money"]
        lived.issuer.answer(lived.issuer.read_one())
        judged, _ = lived.verdict(asked["37"])
        assert judged["code"] == "reversed"
        assert "acknowledged at 2027-01-15 08:01:55" in judged["words"]
        assert "the issuer has taken the charge back" in judged["money"]

    def test_issuer_knows_of_no_such_payment(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.world.advance(15.1)
        lived.issuer.answer(lived.issuer.read_one(), "25")
        judged, one = lived.verdict(asked["37"])
        assert judged["code"] == "reversal_under_way"
        assert "which the issuer did not find yet: it is asked again" in judged["words"]
        unfound = next(step for step in one["steps"] if step["record"] == "UNFOUND")
        assert unfound["words"] == (
            "the issuer does not know the original, which it may still book for 1,799 s: the reversal is sent again"
        )
        while lived.world.engine.owed:
            lived.world.advance(5, step=5)
            for attempt in lived.issuer.read():
                lived.issuer.answer(attempt, "25")
        judged, one = lived.verdict(asked["37"])
        assert judged["money"] == "nothing was charged, because the issuer knows of no such payment"
        assert one["steps"][-1]["words"] == "reversal acknowledged by the issuer: original_not_found"

    def test_late_approval(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.world.advance(15.1)
        first = lived.issuer.read_one()
        lived.issuer.answer(first, "25")
        lived.issuer.answer(asked)
        judged, one = lived.verdict(asked["37"])
        assert judged["code"] == "reversal_under_way"
        assert "; the issuer approved after that; reversal under way since" in judged["words"]
        late = next(step for step in one["steps"] if step["record"] == "LATE")
        assert late["words"].startswith("the issuer answered after the end: approved, authorization code A1B2C3")

    def test_terminal_took_it_back(self, lived):
        request, asked = lived.pay()
        lived.terminal.send(reversal(lived.world, request))
        lived.terminal.read_one()
        lived.settle()
        lived.issuer.answer(lived.issuer.read_one())
        judged, one = lived.verdict(asked["37"])
        assert judged["code"] == "reversed"
        assert judged["words"].startswith("approved, delivered at")
        assert "reversed since the terminal took it back" in judged["words"]
        words = [step["words"] for step in one["steps"]]
        assert "the terminal asked to take it back: accepted" in words
        assert "answer to its reversal left to the terminal" in words

    def test_terminal_was_gone(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.terminal.close()
        lived.issuer.answer(asked)
        judged, _ = lived.verdict(asked["37"])
        assert "approved; reversal under way since the terminal could not be told of the approval" in judged["words"]

    def test_crash_before_the_outcome(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.restart()
        judged, _ = lived.verdict(asked["37"])
        assert judged["code"] == "reversal_under_way"
        assert "since the switch stopped before it knew the outcome" in judged["words"]
        lived.issuer.answer(lived.issuer.read_one())
        assert lived.verdict(asked["37"])[0]["code"] == "reversed"

    def test_crash_behind_an_approval_then_a_repeat(self, lived):
        request = purchase(lived.world)
        lived.terminal.send(request)
        asked = lived.issuer.read_one()
        lived.issuer.answer(asked)
        lived.journal.commit()
        lived.restart()
        judged, _ = lived.verdict(asked["37"])
        assert judged["code"] == "approved_perhaps_delivered"
        assert judged["words"] == "approved; whether the terminal was told is not known"
        assert "unless the terminal takes it back" in judged["money"]
        lived.terminal.send(request)
        assert lived.terminal.read_one()["39"] == "00"
        lived.settle()
        assert lived.verdict(asked["37"])[0]["code"] == "approved_and_delivered"

    def test_closed_by_an_operator(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.world.advance(15.1)
        lived.issuer.read_one()
        lived.world.advance(15.1)
        close_entry(lived.world.engine.state, rrn=asked["37"], name="Mei Lin", reason="by phone, case 4711")
        judged, one = lived.verdict(asked["37"])
        assert judged["code"] == "reversal_closed"
        assert "closed by Mei Lin at 2027-01-15 08:02:10" in judged["words"]
        assert "because by phone, case 4711; the issuer never acknowledged" in judged["words"]
        assert "the money must be cleared by hand" in judged["money"]
        assert one["steps"][-1]["record"] == "CLOSED"
        lived.restart()
        assert lived.world.engine.owed == 0

    def test_reversal_request_alone(self, lived):
        request = purchase(lived.world)
        lived.terminal.send(reversal(lived.world, request))
        answer = lived.terminal.read_one()
        lived.settle()
        assert answer["39"] == "00"
        status, document = lived.trace("10000002/" + answer["11"])
        assert status == 0
        assert [one["verdict"]["code"] for one in document["transactions"]] == ["reversal_under_way"]


class TestKeys:
    def test_terminal_and_stan(self, lived):
        request, asked = lived.pay()
        lived.pay()
        _, one = lived.verdict(f"10000002/{request['11']}")
        assert one["rrn"] == asked["37"]
        assert lived.verdict(f"10000002/{int(request['11'])}", "--date", "2027-01-15")[1]["rrn"] == asked["37"]
        assert lived.trace(f"10000002/{request['11']}", "--date", "2027-01-14")[0] == 1
        assert lived.trace("10000003/" + request["11"])[0] == 1

    def test_card_time_and_amount(self, lived):
        lived.pay()
        lived.end()
        lived.now_s += 3600
        lived.begin()
        _, asked = lived.pay(f4="000000002050")
        assert len(lived.trace("*0014")[1]["transactions"]) == 2
        assert lived.verdict("*0014", "--amount", "20.50")[1]["rrn"] == asked["37"]
        assert lived.verdict("622500*0014", "--from", "2027-01-15T09:00")[1]["rrn"] == asked["37"]
        assert lived.verdict("*0014", "--to", "2027-01-15T08:30+00:00")[1]["amount_minor"] == 1000
        assert lived.trace("622501*0014")[0] == 1

    def test_several_are_listed(self, lived):
        lived.pay()
        lived.pay("51")
        status, output = lived.run("*0014")
        assert status == 0
        assert "approved_and_delivered" in output
        assert "declined" in output
        assert "2 transactions: give the RRN of one" in output
        status, output = lived.run("*0014", "--all")
        assert output.count("verdict:") == 2

    def test_none_is_found(self, lived):
        lived.pay()
        status, output = lived.run("*4321")
        assert status == 1
        assert "no transaction with card *4321; searched were 1 requests, in what was written from 2027-01-15" in output
        status, output = lived.run("701508999999")
        assert status == 1
        assert "RRN 701508999999, from 2027-01-14" in output

    @pytest.mark.parametrize(
        ("key", "options", "said"),
        [
            ("4711", (), "is no key; needed a retrieval"),
            ("10000001-249129", (), "written with a slash between them: 10000002/000123"),
            (CARD, (), "a whole card number does not belong"),
            ("6225 0000 0000 0014", (), "a whole card number does not belong"),
            ("622500000*0000014", (), "a whole card number does not belong"),
            ("*0014", ("--date", "yesterday"), "is no day"),
            ("*0014", ("--from", "noon"), "is no time"),
            ("*0014", ("--amount", "ten"), "is no amount"),
            ("*0014", ("--amount", "12.5"), "is no amount"),
            ("*0014", ("--from", "0001-01-01T00:00"), "is no time"),
            ("*0014", ("--to", "9999-12-31T23:59"), "is no time"),
            ("*0014", ("--date", "0001-01-01"), "is no day"),
            ("*0014", ("--date", "9999-12-31"), "is no day"),
            ("*0014", ("--from", "2027-01-15T09:00", "--to", "2027-01-15T08:00"), "must be after"),
        ],
    )
    def test_asked_wrongly(self, lived, key, options, said):
        status, output = lived.run(key, *options)
        assert status == 2
        assert said in " ".join(output.replace("│", " ").split())

    def test_a_part_of_the_journal_is_missing(self, lived):
        """What is told without it would be wrong: here that nothing takes the payment back."""
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.restart()
        lived.issuer.answer(lived.issuer.read_one())
        lived.restart()
        assert lived.verdict(asked["37"])[0]["code"] == "reversed"
        _, second, last = sorted((lived.folder / "journal").glob("*.journal"))
        second.rename(lived.folder / "away")
        status, output = lived.run(asked["37"])
        assert status == 1
        assert f"{last.name}: byte 16" in output
        assert "records between are missing" in output
        (lived.folder / "away").rename(second)

    def test_a_copy(self, lived, tmp_path):
        _, asked = lived.pay()
        lived.journal.commit()
        (tmp_path / "journal").rename(tmp_path / "copy")
        assert lived.run(asked["37"])[0] == 1
        assert lived.verdict(asked["37"], "--directory", str(tmp_path / "copy"))[0]["code"] == "approved_and_delivered"
        (tmp_path / "copy").rename(tmp_path / "journal")


def test_attempts_are_shortened_for_people():
    first = Step(1, 1, "REVERSAL", "link bank-a", "reversal stored")
    attempts = [Step(n, n, "ATTEMPT", "link bank-a", f"attempt {n}") for n in range(2, 14)]
    last = Step(20, 20, "REVERSED", "link bank-a", "acknowledged")
    words = [step.words for step in shortened([first, *attempts, last])]
    assert words == [
        "reversal stored", "attempt 2", "attempt 3", "... 8 more attempts", "attempt 12", "attempt 13", "acknowledged",
    ]  # fmt: skip
    assert shortened([first, *attempts[:5], last]) == [first, *attempts[:5], last]


@pytest.mark.parametrize(
    ("now", "rrn", "begins"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), "632704000123", datetime(2026, 11, 22, 23, 50, tzinfo=UTC)),
        (datetime(2026, 1, 1, 1, tzinfo=UTC), "5365V3Z00123", datetime(2025, 12, 30, 23, 50, tzinfo=UTC)),
        (datetime(2026, 11, 23, tzinfo=UTC), "700108000001", datetime(2016, 12, 31, 23, 50, tzinfo=UTC)),
    ],
)
def test_day_of_a_reference_number(now, rrn, begins):
    found = queries.day_of_rrn(rrn, now)
    assert found is not None
    assert found[0] == begins
    assert found[1] - begins == timedelta(days=1, minutes=20)


@pytest.mark.parametrize("rrn", ["600008000001", "636708000001", "632808000001"])
def test_reference_numbers_without_a_day(rrn):
    """Day 0, day 367, and tomorrow."""
    assert queries.day_of_rrn(rrn, datetime(2026, 11, 23, tzinfo=UTC)) is None


def test_days_follow_the_clock_of_the_zone():
    begins, ends = queries.parse_date("2026-10-25", ZoneInfo("Europe/Berlin"))
    assert (ends.astimezone(UTC) - begins.astimezone(UTC)).total_seconds() == 25 * 3600


def test_unknown_code_of_an_issuer_is_told(lived):
    _, asked = lived.pay("Z9")
    judged, one = lived.verdict(asked["37"])
    assert judged["code"] == "declined"
    assert "the issuer's code is Z9, which its dialect does not list" in judged["words"]
    assert any("the issuer's code is Z9" in step["words"] for step in one["steps"])
    _, asked = lived.pay("51")
    judged, _ = lived.verdict(asked["37"])
    assert "the issuer's code" not in judged["words"], "it is what the terminal was told"
    lived.end()


def test_reversal_that_is_written_down_once_more_was_stored_once(lived):
    """The journal carries what is owed along; nothing has happened by that."""
    lived.terminal.send(purchase(lived.world))
    asked = lived.issuer.read_one()
    lived.issuer.close()
    lived.world.advance(15.1)
    keep_up(lived.world.engine.state, lived.journal, 0)
    lived.settle()
    _, one = lived.verdict(asked["37"])
    assert [step["record"] for step in one["steps"]].count("REVERSAL") == 1
    records = []
    JournalReader(lived.disk, lived.key).replay(Listing(records.append))
    assert [bool(record["replaces"]) for record in records if record["type"] == "REVERSAL"] == [False, True]


def test_what_was_wrong_with_a_request_is_told_as_in_the_log(lived):
    request = purchase(lived.world, f2=None, f35=None)
    answer = lived.terminal.ask(request)
    lived.settle()
    judged, _ = lived.verdict(answer["37"])
    line = with_reason(lived.world.told("format_error")[0])
    assert f"listener iso, iso87-ascii: {line['reason']}" in judged["words"]
    assert "field 2: is needed, and is not there, at byte " in line["reason"]
    lived.end()
