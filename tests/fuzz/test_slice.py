"""A short run of every fuzz target on the default build: its corpus, then inputs bred from it by a fixed seed.

``make fuzz`` is the real thing: it lets the coverage of compiled code choose what to breed from.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.fuzz.seeds import CORPUS
from tests.fuzz.targets import TARGETS
from tests.simulation.speed import forget_composers

ROUNDS = {
    "framing": 30_000,
    "proxy_header": 30_000,
    "mesh": 30_000,
    "scan": 30_000,
    "translation": 30_000,
    "mac": 20_000,
    "authentication": 150,
    "machine": 300,
}


@pytest.fixture(scope="module", autouse=True)
def kept_between_inputs():
    """Make what the targets keep before the tests, which must leave nothing behind; it is gone after them."""
    for run in TARGETS.values():
        run(memoryview(bytes(8)))
    yield
    forget_composers()


def corpus(target: str) -> list[bytes]:
    """The inputs that are kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*.bin"))]


def check(run: Callable[[memoryview], None], data: bytes) -> None:
    """Run one input, and show it when it breaks something."""
    try:
        run(memoryview(data))
    except Exception as error:
        error.add_note(f"input: {data.hex()}")
        raise


def bred(inputs: list[bytes], dice: random.Random) -> bytes:
    """One input from one or two others: bytes changed, taken out, put in, or both joined."""
    data = bytearray(dice.choice(inputs))
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(data):
                data[at] = dice.choice((0, 1, 0x30, 0x39, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            case 2:
                del data[at : at + dice.choice((1, 2, 8, 40))]
            case 3:
                data[at:at] = dice.randbytes(dice.choice((1, 2, 8)))
            case 4:
                data[at:at] = data[dice.randrange(len(data) + 1) :][: dice.choice((1, 4, 30))]
            case _:
                data[at:] = dice.choice(inputs)[at:]
    return bytes(data[:4096])


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target):
    inputs = corpus(target)
    assert inputs, "python -m tests.fuzz.seeds writes the first ones"
    for data in inputs:
        check(TARGETS[target], data)


@pytest.mark.parametrize("target", TARGETS)
def test_bred_inputs(target):
    inputs = corpus(target)
    dice = random.Random(target)
    for _ in range(ROUNDS[target]):
        check(TARGETS[target], bred(inputs, dice))


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_too_short(target):
    for size in range(6):
        check(TARGETS[target], bytes(size))
