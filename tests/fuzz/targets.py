"""The fuzz targets by name: functions that take one input and raise when a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

PLACES = {
    "framing": "tests.fuzz.framing:fuzz_framing",
    "proxy_header": "tests.fuzz.proxy_header:fuzz_proxy_header",
    "mesh": "tests.fuzz.mesh:fuzz_mesh",
    "scan": "tests.fuzz.parsers:fuzz_scan",
    "translation": "tests.fuzz.parsers:fuzz_translation",
    "mac": "tests.fuzz.parsers:fuzz_mac",
    "authentication": "tests.fuzz.machine:fuzz_authentication",
    "machine": "tests.fuzz.machine:fuzz_machine",
}
"""Module and function of each target."""


class Targets(Mapping[str, Callable[[memoryview], None]]):
    """The functions, imported when they are asked for: one can be fuzzed without the modules of the others."""

    def __getitem__(self, name: str) -> Callable[[memoryview], None]:
        module, _, function = PLACES[name].partition(":")
        target: Callable[[memoryview], None] = getattr(import_module(module), function)
        return target

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


TARGETS = Targets()
