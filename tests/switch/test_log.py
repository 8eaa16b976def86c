"""Logs: form, level, times, and that no secret is in them."""

import io
import json
import logging
import re

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from switch.base.log import SECRET_KEYS, configure_logging, get_logger, withhold_secrets
from switch.base.log_writer import LogWriter

PAN = "4111111111111111"
MASKED = "411111******1111"


class Written(io.StringIO):
    """What was logged; reading it ends the log."""

    writer: LogWriter

    def getvalue(self):
        assert self.writer.finish(10)
        return super().getvalue()


@pytest.fixture
def logging_to():
    """Configure logging to a buffer, and put everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def configure(form="json", level="info"):
        stream = Written()
        stream.writer = configure_logging(form, level, stream)
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_line_has_time_in_utc_level_and_logger(logging_to):
    stream = logging_to()
    get_logger("switch.machine.link").info("link up", link="bank-a", connections=2)
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time"))
    assert line == {
        "event": "link up",
        "level": "info",
        "logger": "switch.machine.link",
        "link": "bank-a",
        "connections": 2,
    }


def test_loggers_of_the_standard_library_go_the_same_way(logging_to):
    stream = logging_to()
    logging.getLogger("aiohttp.server").error("odd request for card %s", PAN)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == (
        f"odd request for card {MASKED}",
        "error",
        "aiohttp.server",
    )


def test_level_is_kept(logging_to):
    stream = logging_to(level="warning")
    get_logger("a").info("hidden")
    logging.getLogger("a").info("hidden")
    get_logger("a").warning("shown")
    assert [line["event"] for line in lines(stream)] == ["shown"]


def test_console_is_text_for_people(logging_to):
    stream = logging_to("console")
    get_logger("switch").warning("link down", link="bank-a", pan=PAN)
    text = stream.getvalue()
    assert "link down" in text
    assert "bank-a" in text
    assert MASKED in text
    assert "\x1b" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_exception_is_shown_without_card_numbers_and_variables(logging_to, form):
    stream = logging_to(form)
    clear_pin = "97531"
    try:
        raise ValueError(f"no route for {PAN}")  # noqa: TRY301
    except ValueError:
        get_logger("switch").exception("refused")
    text = stream.getvalue()
    assert f"no route for {MASKED}" in text
    assert "Traceback" in text
    assert PAN not in text
    assert clear_pin not in text


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_values_of_secret_names_are_withheld(key):
    assert withhold_secrets(None, "info", {key: "0123456789ABCDEF"}) == {key: "[withheld]"}
    assert withhold_secrets(None, "info", {"fields": {key.upper(): b"\x01"}}) == {"fields": {key.upper(): "[withheld]"}}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (PAN, MASKED),
        (int(PAN), MASKED),
        ([PAN], [MASKED]),
        ((PAN, 1), [MASKED, 1]),
        ({"a": {"b": PAN}}, {"a": {"b": MASKED}}),
        (b"\x41\x11", "[2 bytes]"),
        (ValueError(PAN), MASKED),
        (12, 12),
        (True, True),
        (None, None),
        (1.5, 1.5),
    ],
)
def test_card_numbers_are_masked_wherever_they_stand(value, shown):
    assert withhold_secrets(None, "info", {"value": value}) == {"value": shown}


def test_pan_is_masked_even_when_its_check_digit_is_wrong():
    event = {"pan": "4111111111111112", "other": {"PAN": "411111******1112"}}
    assert withhold_secrets(None, "info", event) == {"pan": "411111******1112", "other": {"PAN": "411111******1112"}}


def test_deep_nesting_is_cut_off():
    value = PAN
    for _ in range(100):
        value = {"a": [value]}
    text = json.dumps(withhold_secrets(None, "info", {"value": value}))
    assert "[nested too deep]" in text
    assert PAN not in text


values = st.recursive(
    st.just(PAN) | st.text() | st.integers() | st.binary() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values))
def test_whatever_is_logged_is_json_without_the_card_number(event):
    text = json.dumps(withhold_secrets(None, "info", dict(event)))
    assert text.count(PAN) == sum(key.count(PAN) for key in event)
