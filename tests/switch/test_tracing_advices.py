"""``authswitch trace`` on what an issuer was not asked, but is told of: by stand-in, and by terminals' advices."""

from __future__ import annotations

import pytest

from switch.dialect.kinds import Kind
from switch.journal.replay import JournalReader, Listing
from switch.saf.owed_entries import close_entry
from switch.tracing.story import Story
from switch.tracing.verdict import verdict
from tests.ext.test_booking_horizon import HORIZON_S, PAUSE_MAX_S, let_pass
from tests.ext.test_engine_advice import advice
from tests.ext.test_engine_stand_in import RULE, two_links
from tests.ext.world import purchase, reversal
from tests.switch.test_tracing import Lived

LEFT = "2027-01-15 08:01:40.000+00:00"


@pytest.fixture
def standing_in(tmp_path):
    """A switch that stands in for its issuer, who is away."""
    one = Lived(tmp_path, **two_links(RULE | {"kinds": ["purchase", "preauthorization"]}))
    one.issuer.close()
    yield one
    one.end()


def words_of(one):
    """The steps in words, with their place."""
    return [f"{step['place']}: {step['words']}" for step in one["steps"]]


def refused_once(lived):
    """The issuer is there, and its system cannot take note."""
    issuer = lived.world.issuer()
    issuer.answer(issuer.read_one(), "96")
    return issuer


PAYMENTS = {
    "stand-in": (purchase, "approved by stand-in"),
    "advice": (advice, "approved by the terminal"),
}
CHARGED = "the cardholder was charged 10.00 (currency 156), and it is the merchant's at settlement"


class TestAdvices:
    """What the issuer was not asked, but is told: by stand-in and by terminals."""

    @pytest.fixture(params=PAYMENTS)
    def paid(self, request, standing_in):
        """The request, its answer, and who approved it in words."""
        makes, who = PAYMENTS[request.param]
        asked = makes(standing_in.world)
        answer = standing_in.terminal.ask(asked)
        assert answer["39"] == "00"
        standing_in.settle()
        return asked, answer, who

    def test_owed(self, standing_in, paid):
        _, answer, who = paid
        judged, one = standing_in.verdict(answer["37"])
        assert judged["code"] == "approved_and_delivered"
        assert judged["words"] == f"{who}, and delivered to the terminal at {LEFT}; advice not sent yet"
        assert judged["money"] == (
            "the issuer has not taken note yet; when it does it charges the cardholder 10.00 (currency 156), "
            "which is the merchant's at settlement"
        )
        told = words_of(one)
        assert told[0].startswith("listener iso: ")
        assert told[1] == "link bank-a: advice stored, to be sent when the link is there"
        assert told[2].startswith(f"listener iso: {who}, authorization code "), "no issuer was asked"
        assert told[3] == "listener iso: answer left to the terminal"
        refused_once(standing_in)
        judged, one = standing_in.verdict(answer["37"])
        assert judged["words"].endswith("; advice under way, attempt 1")
        assert judged["money"].startswith("the issuer has not taken note yet")
        assert words_of(one)[-1] == "link bank-a: advice sent to the issuer, attempt 1"

    @pytest.mark.parametrize("code", ["00", "94"])
    def test_acknowledged(self, standing_in, paid, code):
        _, answer, who = paid
        issuer = standing_in.world.issuer()
        issuer.answer(issuer.read_one(), code)
        judged, one = standing_in.verdict(answer["37"])
        assert judged["code"] == "approved_and_delivered"
        assert judged["words"].startswith(f"{who}, and delivered to the terminal at")
        assert "; advice acknowledged at 2027-01-15 08:01:40" in judged["words"]
        assert judged["money"] == CHARGED
        reason = {"00": "approved", "94": "duplicate"}[code]
        assert words_of(one)[-1] == f"link bank-a: advice acknowledged by the issuer: {reason}"

    def test_declined_by_its_issuer(self, standing_in, paid):
        _, answer, _ = paid
        issuer = standing_in.world.issuer()
        issuer.answer(issuer.read_one(), "51")
        judged, one = standing_in.verdict(answer["37"])
        assert judged["words"].endswith(" (insufficient_funds)")
        assert "; advice declined by the issuer at 2027-01-15 08:01:40" in judged["words"]
        assert judged["money"] == "the issuer declined the advice (insufficient_funds): the acquirer bears the amount"
        assert words_of(one)[-1] == "link bank-a: advice declined by the issuer: insufficient_funds"

    def test_given_up_by_an_operator(self, standing_in, paid):
        _, answer, _ = paid
        refused_once(standing_in)
        state = standing_in.world.engine.state
        close_entry(state, rrn=answer["37"], name="Mei Lin", reason="by phone, case 4711", what="advice")
        for _ in range(2):
            judged, one = standing_in.verdict(answer["37"])
            assert "; advice closed by Mei Lin at 2027-01-15 08:01:40" in judged["words"]
            assert judged["words"].endswith(" because by phone, case 4711")
            assert judged["money"] == "the issuer was never made to take note of it: the money must be cleared by hand"
            assert words_of(one)[-1].startswith("link bank-a: advice closed by Mei Lin because by phone, case 4711; ")
            standing_in.restart()
        assert standing_in.world.engine.owed == 0

    def test_taken_back_before_it_was_sent(self, standing_in, paid):
        asked, answer, who = paid
        assert standing_in.terminal.ask(reversal(standing_in.world, asked, f11="000990"))["39"] == "00"
        standing_in.settle()
        judged, one = standing_in.verdict(answer["37"])
        assert judged["code"] == "stand_in_cancelled"
        assert (
            judged["words"] == f"{who}, and taken back before its issuer heard of it, since the terminal took it back"
        )
        assert judged["money"] == "nothing was charged, because the advice of it was never sent"
        assert "link bank-a: advice cancelled before it was sent: the terminal took it back" in words_of(one)

    def test_taken_back_after_it_was_sent(self, standing_in, paid):
        asked, answer, who = paid
        issuer = standing_in.world.issuer()
        told = issuer.read_one()
        assert standing_in.terminal.ask(reversal(standing_in.world, asked, f11="000990"))["39"] == "00"
        standing_in.settle()
        judged, _ = standing_in.verdict(answer["37"])
        assert judged["code"] == "reversal_under_way"
        assert judged["words"].startswith(f"{who}, delivered at ")
        assert judged["words"].endswith(
            "; reversal under way since the terminal took it back: not sent yet, since its advice goes first"
        )
        issuer.answer(told)
        standing_in.world.tick()
        issuer.answer(issuer.read_one())
        judged, one = standing_in.verdict(answer["37"])
        assert judged["code"] == "reversed"
        assert judged["money"] == (
            "the issuer has taken the charge back: the cardholder is not charged, the merchant not credited"
        )
        assert [line for line in words_of(one) if " by the issuer" in line or " to the issuer" in line] == [
            "link bank-a: advice sent to the issuer, attempt 1",
            "link bank-a: advice acknowledged by the issuer: approved",
            "link bank-a: reversal sent to the issuer, attempt 1",
            "link bank-a: reversal acknowledged by the issuer: approved",
        ]

    @pytest.mark.parametrize("code", ["51", "00"])
    def test_taken_back_and_not_found(self, standing_in, paid, code):
        """An issuer that declined the advice is right not to know it; one that took note of it is not."""
        asked, answer, _ = paid
        issuer = standing_in.world.issuer()
        issuer.answer(issuer.read_one(), code)
        assert standing_in.terminal.ask(reversal(standing_in.world, asked, f11="000990"))["39"] == "00"
        standing_in.world.tick()
        issuer.answer(issuer.read_one(), "25")
        standing_in.settle()
        judged, _ = standing_in.verdict(answer["37"])
        assert judged["code"] == "reversal_under_way"
        assert judged["money"].startswith("not certain: ask the issuer") is (code == "00")
        let_pass(standing_in.world, issuer, HORIZON_S + 2 * PAUSE_MAX_S, "25")
        standing_in.settle()
        judged, _ = standing_in.verdict(answer["37"])
        if code == "51":
            assert judged["code"] == "reversed"
            assert judged["money"] == "nothing was charged, because the issuer knows of no such payment"
        else:
            assert judged["code"] == "reversal_under_way"
            assert judged["money"].startswith("not certain: ask the issuer whether the charge stands")

    def test_restarts_in_between(self, standing_in, paid):
        """The advice goes on behind it, and what is told of both is one story."""
        _, answer, who = paid
        for _ in range(2):
            standing_in.end()
            standing_in.begin()
        standing_in.issuer.answer(standing_in.issuer.read_one())
        judged, one = standing_in.verdict(answer["37"])
        assert judged["words"].startswith(f"{who}, and delivered to the terminal at {LEFT}; advice acknowledged at ")
        assert [line for line in words_of(one) if "advice stored" in line] == [
            "link bank-a: advice stored, to be sent when the link is there"
        ]

    def test_crash_behind_it(self, standing_in):
        asked = purchase(standing_in.world)
        answer = standing_in.terminal.ask(asked)
        standing_in.restart()
        judged, _ = standing_in.verdict(answer["37"])
        assert judged["code"] == "approved_perhaps_delivered"
        assert judged["words"].startswith("approved by stand-in; whether the terminal was told is not known; advice ")
        assert judged["money"].endswith(", unless the terminal takes it back; ask what its slip says")

    def test_terminal_was_gone(self, standing_in):
        """Its approval by stand-in could not be told, so the issuer never hears of it."""
        asked = purchase(standing_in.world)
        standing_in.terminal.send(asked)
        standing_in.terminal.close()
        standing_in.world.tick()
        judged, _ = standing_in.verdict(f"10000002/{asked['11']}")
        assert judged["code"] == "stand_in_cancelled"
        assert judged["words"] == (
            "approved by stand-in, and taken back before its issuer heard of it, "
            "since the terminal could not be told of the approval"
        )

    def test_stored_but_never_told(self, standing_in, paid):
        records = []
        JournalReader(standing_in.disk, standing_in.key).replay(Listing(records.append))
        judged = verdict(Story([record for record in records if record["type"] == "ADVICE"]), str, None)
        assert judged.code == "not_answered"
        assert judged.money == "nothing was charged, because an advice without an outcome is never sent"

    @pytest.mark.parametrize("makes", [purchase, advice])
    def test_hold_moves_no_money(self, standing_in, makes):
        told = []
        for end in ("00", "51", None):
            answer = standing_in.terminal.ask(makes(standing_in.world, t="0100" if makes is purchase else "0120"))
            assert answer["39"] == "00"
            standing_in.settle()
            judged, _ = standing_in.verdict(answer["37"])
            assert judged["money"] == "the issuer has not taken note yet; no money has moved"
            issuer = standing_in.world.issuer()
            issuer.answer(issuer.read_one(), end or "96")
            if end is None:
                close_entry(
                    standing_in.world.engine.state, rrn=answer["37"], name="Mei", reason="by phone", what="advice"
                )
            issuer.close()
            told.append(standing_in.verdict(answer["37"])[0]["money"])
        assert told == [
            "the issuer holds, or has let go of, the amount; no money has moved",
            "the issuer declined the advice (insufficient_funds): nothing is held, and no money has moved",
            "the issuer was never made to take note of it: nothing is held, and no money has moved",
        ]


def test_what_no_issuer_was_told_of_does_not_stand():
    """Its advice was cancelled before it was sent, as that of a refund that its terminal took back."""
    owed = {"type": "ADVICE", "kind": Kind.REFUND, "position": 1, "wall_us": 1, "link": "bank-a", "replaces": 0}
    told = {"type": "OUTCOME", "position": 2, "wall_us": 2, "intent": 1, "approved": True}
    ended = {"type": "CANCELLED", "position": 3, "wall_us": 3, "advice": 1, "cause": "terminal"}
    assert Story([owed, told]).stands
    assert not Story([owed, told, ended]).stands
