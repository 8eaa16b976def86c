"""What is said of a value that does not stand in the file: that it is the default, beside the value."""

from __future__ import annotations

import resource
from pathlib import Path

from switch.config.models import LimitsSection
from switch.config.partial_config import PartialConfig
from tests.switch.test_config import VALID, found, with_link, write

__all__ = ["write"]


def test_a_default_that_does_not_fit_says_that_it_is_one(write):
    reasons = found(write(VALID.replace("[limits]", "[limits]\ntransactions_in_flight_max = 900_000")))
    assert reasons["limits.reversals_max"].startswith("100,000 (the default) is too much: ")
    reasons = found(write(VALID.replace("[limits]", "[limits]\nreversals_max = 900_000")))
    assert reasons["limits.reversals_max"].startswith("900,000 is too much: ")
    reasons = found(write(with_link('\nendpoints = ["127.0.0.1:1"]\nin_flight_max = 5\n')))
    assert reasons["link[more].reversal.window"] == "16 (the default) is above in_flight_max"


def test_a_default_is_named_beside_its_value(write, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 300))
    warnings = found(write(VALID.replace("connections_max = 100\n", "")), "warning")
    assert warnings["journal.mode"].startswith("off (the default): what is in flight")
    assert warnings["limits.connections_max"].startswith(f"{LimitsSection().connections_max:,} (the default) needs ")
    every = [*warnings.values(), *found(write(VALID + "\n[journal]\nbuffer_bytes = 67_108_864\n")).values()]
    assert [reason for reason in every if "the default" in reason[20:]] == []
    late = found(write(with_link('\nendpoints = ["127.0.0.1:1"]\ntimeout_ms = 600_000\n')))
    assert [reason for reason in late.values() if "(the default) s" in reason] == []
    draft = PartialConfig(Path("switch.toml"))
    draft.keep("limits", LimitsSection())
    draft.warning("limits.drain_seconds", "has no effect")
    draft.warning("limits.drain_seconds", "30 s is shorter than that")
    assert [one.reason for one in draft.problems] == [
        "30 (the default): has no effect",
        "30 s (the default) is shorter than that",
    ]
