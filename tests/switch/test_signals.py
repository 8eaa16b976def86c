"""What a daemon does at signals: the first drains, a later one ends, and none of the others ends it unheard."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
import structlog

from switch.base.start_signals import DRAINING, PASSED_OVER
from switch.server.signals import AGAIN_SECONDS, Signals

CAUGHT_NOWHERE = {signal.SIGKILL, signal.SIGSTOP}
OF_A_FAULT = {
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGSYS,
    signal.SIGTRAP,
}
HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG,
            signal.SIGWINCH}  # fmt: skip
IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}


class Heard:
    def __init__(self):
        self.now_s, self.called = 100.0, []
        self.signals = Signals(lambda: self.called.append("drain"), lambda: self.called.append("end"),
                               lambda: self.called.append("reload"), lambda: self.now_s)  # fmt: skip


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as found:
        yield found


def test_every_signal_that_would_end_the_process_has_a_meaning():
    named = {number for number in signal.Signals if number < signal.SIGRTMIN}
    rest = named - CAUGHT_NOWHERE - OF_A_FAULT - HARMLESS - IGNORED_BY_PYTHON
    assert rest == {*DRAINING, *PASSED_OVER}
    for number in IGNORED_BY_PYTHON:
        assert signal.getsignal(number) == signal.SIG_IGN


@pytest.mark.parametrize("number", DRAINING)
def test_the_first_drains_and_a_later_one_ends(heard, lines, number):
    heard.signals.heard(number)
    heard.signals.heard(signal.SIGTERM)
    assert heard.called == ["drain"], "to the process, and to its group: meant once"
    heard.now_s += AGAIN_SECONDS
    heard.signals.heard(signal.SIGTERM)
    assert heard.called == ["drain", "end"]
    assert [line["event"] for line in lines] == [
        "draining",
        "signal taken for the same as before",
        "ending at once",
    ]


@pytest.mark.parametrize("number", [one for one in PASSED_OVER if one != signal.SIGHUP])
async def test_others_are_told_and_change_nothing(heard, lines, number):
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in (*DRAINING, *PASSED_OVER)}
    heard.signals.listen(loop)
    try:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            while not lines:  # noqa: ASYNC110
                await asyncio.sleep(0)
    finally:
        for each, handler in before.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)
    assert heard.called == []
    assert [(line["event"], line["signal"]) for line in lines] == [("signal ignored", signal.Signals(number).name)]


async def test_hanging_up_takes_up_keys(heard):
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in (*DRAINING, *PASSED_OVER)}
    heard.signals.listen(loop)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while not heard.called:  # noqa: ASYNC110
                await asyncio.sleep(0)
    finally:
        for each, handler in before.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)
    assert heard.called == ["reload"]
