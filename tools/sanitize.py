"""Builds the compiled modules with AddressSanitizer and UBSan into ``build/sanitize`` and runs tests on them.

``python tools/sanitize.py [pytest's arguments]``; without arguments the tests of ``tests/ext`` and the slice of the
fuzz targets. Python itself is not instrumented, so the sanitizer's library is loaded before it; objects come from
malloc one by one, so that a byte beyond any of them is seen. Leaks are not asked about: CPython keeps much until its
end. ``tests/conftest.py`` counts our own objects after each test instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "sanitize"
SANITIZERS = "address,undefined"
TESTS = ["tests/ext", "tests/fuzz"]


def library(name: str) -> str:
    """The path of one of the compiler's own libraries."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def build() -> None:
    """Compile what has changed."""
    flags = {"AUTHSWITCH_DEBUG": "1", "AUTHSWITCH_BUILD": "sanitize", "AUTHSWITCH_SANITIZE": SANITIZERS}
    command = [sys.executable, "setup.py", "--quiet", "build", "--build-base", str(BUILD)]
    command += ["--build-lib", str(BUILD / "lib"), "--parallel", str(os.cpu_count() or 1)]
    subprocess.run(command, cwd=ROOT, env=os.environ | flags, check=True)


def run(arguments: list[str]) -> int:
    """Run pytest on the instrumented modules; its exit code."""
    environment = {
        # Exceptions of C++ extensions would stop in the interceptor if the C++ library came after the sanitizer's.
        "LD_PRELOAD": " ".join([library("libasan.so"), library("libstdc++.so")]),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join([str(BUILD / "lib"), str(ROOT)]),  # tests start processes of their own
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--hypothesis-profile=slow"]
    # What the sanitizers print must be seen though they end the process: no capturing of file descriptors.
    command += ["--capture=sys", "--timeout=600", *(arguments or TESTS)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


if __name__ == "__main__":
    build()
    sys.exit(run(sys.argv[1:]))
