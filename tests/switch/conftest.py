"""What commands change of the process that runs the tests is changed back."""

import signal

import pytest

from switch.starting import DRAINING, PASSED_OVER


@pytest.fixture(autouse=True)
def signals_as_before():
    """A daemon that is started in the process of the tests takes the signals for itself."""
    before = {number: signal.getsignal(number) for number in (*DRAINING, *PASSED_OVER)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
