"""Build of the compiled hot path: every ``ext/NAME.pyx`` becomes ``switch.NAME``.

Two kinds of build:

- release (the default): optimised, no tracing, no assertions in Cython code;
- debug (``AUTHSWITCH_DEBUG=1``): line tracing, bounds checks and C assertions, for coverage and fault hunting.
  ``AUTHSWITCH_SANITIZE=address,undefined`` adds the compiler's sanitizers in the place of line tracing, which is slow.

``AUTHSWITCH_COMPILE=0`` compiles nothing, to install a package whose modules were built in place.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
SOURCES = ROOT / "ext"
COMPILES = os.environ.get("AUTHSWITCH_COMPILE") != "0"
DEBUG = os.environ.get("AUTHSWITCH_DEBUG") == "1"
SANITIZERS = os.environ.get("AUTHSWITCH_SANITIZE", "")
TRACED = DEBUG and not SANITIZERS
BUILD = Path("build") / os.environ.get("AUTHSWITCH_BUILD", "debug" if DEBUG else "release")

# Modules that call OpenSSL's libcrypto, and those that call its libssl as well.
CRYPTO_MODULES = {"commit", "des", "mac", "pin", "replay", "sealing", "segment", "tls"}
TLS_MODULES = {"tls"}

RELEASE_FLAGS = ["-O3", "-fno-semantic-interposition", "-fno-plt"]
DEBUG_FLAGS = ["-O1", "-g", "-Wno-maybe-uninitialized", "-UNDEBUG"]
TRACE_FLAGS = ["-DCYTHON_TRACE=1", "-DCYTHON_TRACE_NOGIL=1"]
# The flags are recorded in each object, so that a test can read what was really used.
COMMON_FLAGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-fstack-protector-strong", "-frecord-gcc-switches"]

DIRECTIVES = {
    "language_level": 3,
    "embedsignature": True,
    "binding": False,
    "initializedcheck": DEBUG,
    "linetrace": TRACED,
}


def stage_package() -> Path:
    """Give Cython a tree in which ``ext/`` is the package ``switch``, for cimports; returns its parent."""
    stage = BUILD / "stage"
    stage.mkdir(parents=True, exist_ok=True)
    link = stage / "switch"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(SOURCES, stage.resolve()), target_is_directory=True)
    return stage


def extension(source: Path) -> Extension:
    """Describe the extension module that one Cython source becomes."""
    flags = COMMON_FLAGS + (DEBUG_FLAGS if DEBUG else RELEASE_FLAGS)
    link_flags = []
    if TRACED:
        flags += TRACE_FLAGS
    if SANITIZERS:
        flags += [f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
        link_flags.append(f"-fsanitize={SANITIZERS}")
    return Extension(
        f"switch.{source.stem}",
        [str(source.relative_to(ROOT))],
        include_dirs=["ext"],
        libraries=["ssl"] * (source.stem in TLS_MODULES) + ["crypto"] * (source.stem in CRYPTO_MODULES),
        extra_compile_args=flags,
        extra_link_args=link_flags,
    )


class BuildExtensions(build_ext):
    """Also lays the type stubs beside the compiled modules, and takes away modules whose source is gone."""

    def run(self) -> None:
        """Compile, copy the stubs, and remove what Python would still import though it is no longer built."""
        super().run()
        package = (Path() if self.inplace else Path(self.build_lib)) / "switch"
        for stub in SOURCES.glob("*.pyi"):
            shutil.copy2(stub, package / stub.name)
        for built in [*package.glob("*.so"), *package.glob("*.pyi")]:
            if not (SOURCES / built.name.partition(".")[0]).with_suffix(".pyx").exists():
                built.unlink()


def extensions() -> list[Extension]:
    """All compiled modules; none where they were built in place before and only the package is to be installed."""
    if not COMPILES:
        return []
    modules: list[Extension] = cythonize(
        [extension(source) for source in sorted(SOURCES.glob("*.pyx"))],
        include_path=[str(stage_package())],
        build_dir=str(BUILD / "c"),
        compiler_directives=DIRECTIVES,
        nthreads=os.cpu_count() or 1,
    )
    return modules


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions})
