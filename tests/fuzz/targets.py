"""The fuzz targets by name: functions that take one input and raise when a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.fuzz.machine import fuzz_authentication, fuzz_machine
from tests.fuzz.parsers import fuzz_framing, fuzz_mac, fuzz_scan, fuzz_translation

TARGETS: Mapping[str, Callable[[memoryview], None]] = {
    "framing": fuzz_framing,
    "scan": fuzz_scan,
    "translation": fuzz_translation,
    "mac": fuzz_mac,
    "authentication": fuzz_authentication,
    "machine": fuzz_machine,
}
