"""How far devices have counted: no counter twice, whoever asks, in a table that holds what it says."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.crypto.device_counters import DeviceCounters

HEARD = st.booleans().flatmap(
    lambda is_aes: st.tuples(
        st.integers(0, 2 ** (64 if is_aes else 59) - 1),
        st.just(is_aes),
        st.integers(0, 2 ** (32 if is_aes else 21) - 1),
    )
)
"""A device, whether its keys are of AES, and its counter."""


def known(counters):
    """What is known of each device, as ``learn`` takes it."""
    found = []
    for line in counters.serial_numbers().decode("ascii").splitlines():
        serial, request, counted_s, terminal = line.split(" ", 3)
        assert len(terminal) == 8
        bits = {20: 21, 24: 32}[len(serial)]
        device, counter = divmod(int(serial, 16), 1 << bits)
        found.append((device, bits == 32, counter, terminal.rstrip(), int(request, 16), int(counted_s, 16)))
    return found


def last_of(counters):
    """The last counter of each device."""
    return {(device, is_aes): counter for device, is_aes, counter, *_ in known(counters)}


@given(st.lists(HEARD, max_size=200))
@settings(deadline=None)
def test_it_knows_the_highest_counter_of_each_device(heard):
    counters = DeviceCounters(1_000)
    highest = {}
    for device, is_aes, counter in heard:
        counters.learn(device, is_aes, counter)
        if counter:
            highest[device, is_aes] = max(counter, highest.get((device, is_aes), 0))
    assert last_of(counters) == highest
    assert counters.used == len(highest)
    assert counters.evicted == 0


@pytest.mark.parametrize("room", [1, 100, 5_000, 100_000])
def test_there_is_room_for_as_many_as_it_says(room):
    counters = DeviceCounters(room)
    for device in range(room):
        counters.learn(0xFFFF_9876_0000 + device, False, 1)
    assert counters.used == room
    assert counters.evicted == 0
    assert counters.size_bytes < 128 * room + 20_000


def test_those_heard_least_lately_make_room():
    counters = DeviceCounters(100)
    places = counters.size_bytes // 48
    kept = [(device, True, 7) for device in range(8)]
    for device in range(10 * places):
        counters.learn(1_000 + device, False, 1)
        for number, is_aes, counter in kept:
            counters.learn(number, is_aes, counter + device)
    assert counters.evicted > 0
    assert counters.used <= places
    last = 7 + 10 * places - 1
    assert {one[:3] for one in known(counters) if one[1]} == {(number, True, last) for number, _, _ in kept}


def test_processes_share_it():
    counters = DeviceCounters(100, is_shared=True)
    children = []
    for worker in range(4):
        child = os.fork()
        if child == 0:
            for counter in range(1, 2_001):
                counters.learn(counter % 50, False, counter)
                counters.learn(1_000 + worker, True, counter)
            os._exit(0)
        children.append(child)
    assert all(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children)
    assert last_of(counters) == {
        **{(device, False): 1_950 + device if device else 2_000 for device in range(50)},
        **{(1_000 + worker, True): 2_000 for worker in range(4)},
    }


def test_who_dies_in_it_keeps_nobody_out():
    counters = DeviceCounters(1_000, is_shared=True)
    for _ in range(20):
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(told, b"!")
            number = 0
            while True:
                number += 1
                counters.learn(number % 900, False, number)
        os.read(ready, 1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)
        found = known(counters)  # whoever looks next puts right what the dead one left
        assert counters.used == len(found)


def test_a_terminal_that_is_none():
    with pytest.raises(ValueError, match="'123456789' is no number of a terminal"):
        DeviceCounters(1).learn(1, False, 1, "123456789")


def test_no_room():
    with pytest.raises(ValueError, match="room for at least one"):
        DeviceCounters(0)
