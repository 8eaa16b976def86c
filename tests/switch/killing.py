"""A process that is killed at a step: for what must be repeatable after a crash."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import count

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate")
"""What the interpreter tells of that may change a disk; what lies between two of them is not looked at."""

CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Flags with which a file is opened that is going to be changed."""

KILLED, DONE = 9, 0


def killed_at_each_step(prepare: Callable[[], object], work: Callable[[], object], look: Callable[[], object]) -> int:
    """Let a process do some work and die before its first step, another before its second one, until one is done.

    Args:
        prepare: Called before each.
        work: What is done.
        look: Called after each, when it is dead.

    Returns:
        How many were killed.
    """
    for step in count():
        prepare()
        child = os.fork()
        if child == 0:
            _die_at(step, work)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (KILLED, DONE), f"the work failed when nothing was to be killed before step {step}"
        look()
        if code == DONE:
            return step
    raise AssertionError("it has no end")


def _die_at(step: int, work: Callable[[], object]) -> None:
    seen = count()

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        reads = event == "open" and not (isinstance(arguments[2], int) and arguments[2] & CHANGES)
        if event in STEPS and not reads and next(seen) == step:
            os._exit(KILLED)

    try:
        sys.addaudithook(hear)
        work()
        os._exit(DONE)
    finally:
        os._exit(1)
