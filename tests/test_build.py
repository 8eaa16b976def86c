"""The compiled modules are what the release build promises: optimised, hardened, without tracing.

A flag is easily lost (by an environment variable, by another flag that comes later), and nothing but a measurement
would show it; so the flags are read back from the objects themselves.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import switch

PACKAGE = Path(switch.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.so"))
SOURCES = Path(__file__).parent.parent / "ext"

IS_DEBUG = PACKAGE.parent.parts[-3:] == ("build", "debug", "lib")

pytestmark = pytest.mark.skipif(IS_DEBUG, reason="these are the modules of the debug build")


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def recorded_flags(module: Path) -> list[list[str]]:
    """The compiler's flags for each unit of a module, as ``-frecord-gcc-switches`` left them."""
    section = run("readelf", "--string-dump=.GCC.command.line", str(module))
    return [line.split()[2:] for line in section.splitlines() if re.match(r" +\[ *[0-9a-f]+\]", line)]


def by_name(module: Path) -> str:
    return str(module.relative_to(PACKAGE)).partition(".")[0]


def test_every_source_is_built():
    sources = {str(source.relative_to(SOURCES).with_suffix("")) for source in SOURCES.rglob("*.pyx")}
    assert {by_name(module) for module in MODULES} == sources


@pytest.mark.parametrize("module", MODULES, ids=by_name)
class TestModule:
    def test_optimised(self, module):
        units = recorded_flags(module)
        assert units, "the compiler recorded no flags"
        for flags in units:
            levels = [flag for flag in flags if re.fullmatch(r"-O.*", flag)]
            assert levels[-1] == "-O3", f"the last optimisation level wins, and it is {levels[-1]}"
            assert "-fno-semantic-interposition" in flags

    def test_hardened(self, module):
        for flags in recorded_flags(module):
            assert "-fstack-protector-strong" in flags
            assert "-fno-stack-protector" not in flags
        header = run("readelf", "--wide", "--program-headers", str(module))
        stack = next(line for line in header.splitlines() if "GNU_STACK" in line)
        assert "RWE" not in stack, "the stack is executable"

    def test_no_sanitizer_and_no_profile(self, module):
        for flags in recorded_flags(module):
            assert not [flag for flag in flags if flag.startswith(("-fsanitize", "-fprofile", "--coverage", "-pg"))]

    def test_assertions_of_the_debug_build_are_out(self, module):
        symbols = run("nm", "--dynamic", "--undefined-only", str(module))
        assert "__assert_fail" not in symbols, "compiled without -DNDEBUG"

    def test_not_traced(self, module):
        strings = module.read_bytes()
        assert b"__Pyx_call_line_trace_func" not in strings
        assert b"__Pyx_TraceSetupAndCall" not in strings


def test_cython_directives():
    """``embedsignature`` and not ``binding``: functions are plain builtins that still say how they are called."""
    from switch.wire.spec import compile_spec

    assert type(compile_spec).__name__ == "builtin_function_or_method"
    assert (compile_spec.__doc__ or "").startswith("compile_spec(")
