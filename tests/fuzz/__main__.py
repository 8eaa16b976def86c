"""Builds and runs a fuzz target: ``python -m tests.fuzz scan --seconds 3600``.

The compiled modules are built by clang with branch counters, AddressSanitizer and UndefinedBehaviorSanitizer into
``build/fuzz``; so is ``driver.c``, which joins libFuzzer to Python. New inputs that take new branches are kept in
``build/fuzz/corpus/TARGET`` and are where the next run begins; an input that breaks something is left in
``build/fuzz/findings``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "fuzz"
CORPUS = Path(__file__).parent / "corpus"
TARGETS = sorted(folder.name for folder in CORPUS.iterdir())
SANITIZERS = "address,undefined"
MEMORY_MB_MAX = 4096
INPUT_SECONDS_MAX = 20
INPUT_BYTES_MAX = {"machine": 1024, "authentication": 1024}


def build() -> None:
    """Compile what has changed."""
    if shutil.which("clang") is None:
        sys.exit("clang is needed: tools/setup fuzz installs it")
    flags = {"AUTHSWITCH_DEBUG": "1", "AUTHSWITCH_BUILD": "fuzz", "AUTHSWITCH_SANITIZE": f"fuzzer-no-link,{SANITIZERS}"}
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(BUILD), "--build-lib", str(BUILD / "lib")]
    subprocess.run([*command, "--parallel", "2"], cwd=ROOT, env=os.environ | flags | {"CC": "clang"}, check=True)
    library = sysconfig.get_config_var("LIBDIR")
    subprocess.run(
        [
            *("clang", "-g", "-O1", f"-fsanitize=fuzzer,{SANITIZERS}", str(Path(__file__).with_name("driver.c"))),
            *("-o", str(BUILD / "driver"), f"-I{sysconfig.get_path('include')}"),
            *(f"-L{library}", f"-Wl,-rpath,{library}", "-rdynamic"),
            f"-lpython{sysconfig.get_config_var('LDVERSION')}",
        ],
        check=True,
    )


def run(target: str, seconds: int, *options: str) -> int:
    """Run one target for a time; libFuzzer's exit code, 0 when nothing was found."""
    found = BUILD / "corpus" / target
    findings = BUILD / "findings"
    found.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    environment = {
        "AUTHSWITCH_FUZZ_PYTHON": sys.executable,
        "AUTHSWITCH_FUZZ_TARGET": target,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join([str(BUILD / "lib"), str(ROOT)]),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command = [
        *(str(BUILD / "driver"), str(found), str(CORPUS / target)),
        *(f"-max_total_time={seconds}", f"-artifact_prefix={findings}/{target}-", f"-rss_limit_mb={MEMORY_MB_MAX}"),
        *(f"-timeout={INPUT_SECONDS_MAX}", f"-max_len={INPUT_BYTES_MAX.get(target, 4096)}", "-print_final_stats=1"),
        # Where an input takes long there are too few of them for their length to grow by and by.
        *(["-len_control=0"] if target in INPUT_BYTES_MAX else []),
        *options,
    ]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"], help="what is fuzzed")
    parser.add_argument("--seconds", type=int, default=60, help="for how long, each target (60)")
    parser.add_argument("--no-build", action="store_true", help="take what was built last")
    arguments, options = parser.parse_known_args()
    if not arguments.no_build:
        build()
    targets = TARGETS if arguments.target == "all" else [arguments.target]
    return max([1 if run(target, arguments.seconds, *options) else 0 for target in targets])


if __name__ == "__main__":
    sys.exit(main())
