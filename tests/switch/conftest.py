"""What commands change of the process that runs the tests is changed back."""

import functools
import signal

import pytest
import typer

from switch.base.start_signals import DRAINING, PASSED_OVER


@pytest.fixture(autouse=True)
def signals_as_before():
    """A daemon that is started in the process of the tests takes the signals for itself."""
    before = {number: signal.getsignal(number) for number in (*DRAINING, *PASSED_OVER)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="module", autouse=True)
def built_once():
    """Commands are made from their functions' signatures once, which takes longer than most of them do."""
    build = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", build)
        patch.setattr("typer.testing._get_command", build)
        yield
