"""The way out of log lines: nobody waits for it, nothing is missing without a word."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import threading
import time
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.base.log import configure_logging, get_logger
from switch.base.log_writer import LINE_BYTES_MAX, DescriptorOut, DirectWriter, LogWriter, StreamOut, out_of

SECONDS_MAX = 10.0
DROPPED = "log lines were dropped"


class Reader:
    """Whoever reads the log: takes lines, takes none for a while, or is gone."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.opened = threading.Event()
        self.opened.set()
        self.entered = threading.Event()
        self.error: OSError | None = None

    def write(self, data: bytes) -> None:
        self.entered.set()
        assert self.opened.wait(SECONDS_MAX)
        if self.error is not None:
            raise self.error
        self.lines += data.decode().splitlines()

    def read_no_more(self, writer: LogWriter) -> None:
        """The line that is written next waits."""
        until(lambda: not writer.waiting and writer.stuck_seconds == 0)
        self.opened.clear()
        self.entered.clear()


def until(is_so: Any) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Numbered(logging.Formatter):
    """A line is its number; one that is to fail raises, and one that says how many are missing is that number."""

    def format(self, record: logging.LogRecord) -> str:
        if record.msg == DROPPED:
            return f"-{record.dropped}"  # type: ignore[attr-defined]
        if record.msg == "unspeakable":
            raise ValueError("no words")
        return str(record.msg)


def new_writer(reader: Reader, lines_max: int = 100) -> LogWriter:
    writer = LogWriter(reader, lines_max)
    writer.setFormatter(Numbered())
    return writer


def say(writer: LogWriter, what: object) -> None:
    writer.handle(logging.LogRecord("switch", logging.INFO, "", 0, str(what), (), None))


def test_nobody_waits_for_who_does_not_read():
    reader = Reader()
    writer = new_writer(reader, lines_max=20)
    reader.read_no_more(writer)
    say(writer, 0)
    assert reader.entered.wait(SECONDS_MAX)
    for number in range(1, 51):
        say(writer, number)
    assert (writer.waiting, writer.dropped) == (20, 30)
    assert writer.stuck_seconds > 0
    reader.opened.set()
    until(lambda: len(reader.lines) == 22)
    assert reader.lines == [str(number) for number in range(21)] + ["-30"]
    say(writer, 51)
    assert writer.finish(SECONDS_MAX)
    assert reader.lines[-2:] == ["-30", "51"]
    assert (writer.waiting, writer.stuck_seconds) == (0, 0.0)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF])
def test_what_cannot_be_written_is_counted_and_told_of(number):
    reader = Reader()
    writer = new_writer(reader)
    reader.error = OSError(number, os.strerror(number))
    for line in range(7):
        say(writer, line)
        until(lambda: not writer.waiting and writer.stuck_seconds == 0)
    assert writer.dropped == 7
    reader.error = None
    say(writer, 7)
    assert writer.finish(SECONDS_MAX)
    assert reader.lines == ["-7", "7"]
    assert writer.dropped == 7


def test_end_waits_for_nobody_for_long():
    reader = Reader()
    writer = new_writer(reader)
    reader.read_no_more(writer)
    say(writer, 1)
    began = time.monotonic()
    assert not writer.finish(0.05)
    assert time.monotonic() - began < SECONDS_MAX / 2
    say(writer, 2)
    assert writer.dropped == 1
    reader.opened.set()


def test_end_with_a_stream_that_fails():
    reader = Reader()
    reader.error = BrokenPipeError(errno.EPIPE, "nobody reads")
    writer = new_writer(reader)
    say(writer, 1)
    assert writer.finish(SECONDS_MAX)
    assert writer.dropped == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["say", "say much", "unspeakable", "too long", "stop reading", "read", "break", "mend"])),
    st.integers(1, 6),
)
def test_what_is_missing_is_told_where_it_is_missing(acts: list[str], lines_max: int):
    reader = Reader()
    writer = new_writer(reader, lines_max)
    said = 0
    for act in acts:
        if act in ("say", "say much"):
            for _ in range(1 if act == "say" else 5):
                say(writer, said)
                said += 1
        elif act in ("unspeakable", "too long"):
            say(writer, act if act == "unspeakable" else "x" * LINE_BYTES_MAX)
            said += 1
        elif act == "stop reading":
            reader.opened.clear()
        elif act == "read":
            reader.opened.set()
        else:
            until(lambda: not reader.opened.is_set() or (not writer.waiting and writer.stuck_seconds == 0))
            reader.error = OSError(errno.ENOSPC, "disk full") if act == "break" else None
    reader.error = None
    reader.opened.set()
    until(lambda: not writer.waiting and writer.stuck_seconds == 0)
    say(writer, said)
    assert writer.finish(SECONDS_MAX)
    expected = missing = 0
    for line in reader.lines:
        if line.startswith("-"):
            expected -= int(line)
            missing -= int(line)
        else:
            assert int(line) == expected
            expected += 1
    # Of the very last ones nobody was told when the stream had broken before them.
    assert expected == said + 1
    assert missing == writer.dropped


def test_full_disk():
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(DescriptorOut(descriptor))
    say(writer, "into the void")
    assert writer.finish(SECONDS_MAX)
    assert writer.dropped == 1
    os.close(descriptor)


def test_half_a_line_is_ended_before_the_next():
    reading, writing = os.pipe()
    out = DescriptorOut(writing)
    os.set_blocking(writing, False)
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        out.write(b"gone\n")
    reading, again = os.pipe()
    os.dup2(again, writing)
    out._is_torn = True
    out.write(b"whole\n")
    assert os.read(reading, 100) == b"\nwhole\n"
    out.write(b"next\n")
    assert os.read(reading, 100) == b"next\n"
    for descriptor in (reading, again, writing):
        os.close(descriptor)


def test_pipe_that_somebody_made_non_blocking():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    payload = b"x" * 200_000
    received = bytearray()

    def read() -> None:
        while len(received) < len(payload):
            received.extend(os.read(reading, 65_536))

    thread = threading.Thread(target=read)
    thread.start()
    DescriptorOut(writing).write(payload)
    thread.join(SECONDS_MAX)
    assert bytes(received) == payload
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_streams_with_and_without_a_descriptor(tmp_path):
    assert isinstance(out_of(io.StringIO()), StreamOut)
    with (tmp_path / "log").open("w") as file:
        assert isinstance(out_of(file), DescriptorOut)


class Talkative:
    """Says something while it is put into words."""

    def __str__(self) -> str:
        get_logger("switch").info("said in between")
        return "talkative"


class Unspeakable:
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.fixture
def log():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    writer = configure_logging("json", "info", stream)

    def lines() -> list[dict[str, Any]]:
        assert writer.finish(SECONDS_MAX)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_logger_never_raises(log):
    logger = get_logger("switch")
    logger.info("bad value", value=Unspeakable())
    logging.getLogger().handlers[:] = logging.getLogger().handlers[:1]  # a handler of the test runner's raises
    logging.getLogger("aiohttp").info("bad argument %d", "x")
    logger.info("good", value=Talkative())
    lines = log()
    assert [(line["event"], line.get("dropped")) for line in lines] == [
        (DROPPED, 2),
        ("said in between", None),
        ("good", None),
    ]
    assert lines[0]["level"] == "warning"
    assert lines[0]["logger"] == "switch.base.log"


def test_a_direct_writer_does_not_wait_for_whoever_reads():
    """As that of a process that must not be held up: a line that finds no room is dropped and counted."""
    reading, writing = os.pipe()
    writer = DirectWriter(writing)
    line = logging.LogRecord("switch", logging.INFO, "", 0, "x" * 1000, (), None)
    for _ in range(100):
        writer.emit(line)
    assert writer.dropped > 0
    written = os.read(reading, 1 << 20)
    assert written == b"x" * 1000 + b"\n" + written[1001:]
    assert len(written) == 1001 * (100 - writer.dropped)
    dropped = writer.dropped
    writer.emit(line)
    assert (os.read(reading, 1 << 20), writer.dropped) == (b"x" * 1000 + b"\n", dropped)
    writer.emit(logging.LogRecord("switch", logging.INFO, "", 0, "x" * 5000, (), None))
    assert writer.dropped == dropped + 1, "a longer one might have to wait"
    for descriptor in (reading, writing):
        os.close(descriptor)
