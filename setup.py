"""Build of the compiled hot path: every ``ext/ROOM/NAME.pyx`` becomes ``switch.ROOM.NAME``. The samples go in, too.

Two kinds of build:

- release (the default): optimised, no tracing, no assertions in Cython code;
- debug (``AUTHSWITCH_DEBUG=1``): line tracing, bounds checks and C assertions, for coverage and fault hunting.
  ``AUTHSWITCH_SANITIZE=address,undefined`` adds the compiler's sanitizers in the place of line tracing, which is slow.

``AUTHSWITCH_COMPILE=0`` compiles nothing, to install a package whose modules were built in place;
``AUTHSWITCH_MODULES="base.live_counts wire.framing"`` only these, for a quick look at what needs no others.
``AUTHSWITCH_FLAGS=-O0`` is passed on to the compiler behind all other flags.
"""

from __future__ import annotations

import copy
import gc
import os
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SOURCES = ROOT / "ext"
SAMPLES = ROOT / "configs"
COMPILES = os.environ.get("AUTHSWITCH_COMPILE") != "0"
DEBUG = os.environ.get("AUTHSWITCH_DEBUG") == "1"
SANITIZERS = os.environ.get("AUTHSWITCH_SANITIZE", "")
TRACED = DEBUG and not SANITIZERS
BUILD = Path("build") / os.environ.get("AUTHSWITCH_BUILD", "debug" if DEBUG else "release")

# Of OpenSSL, by what a module cimports.
LIBRARIES = {"switch.crypto.libcrypto": ["crypto"], "switch.io.libssl": ["ssl", "crypto"]}

RELEASE_FLAGS = ["-O3", "-fno-semantic-interposition", "-fno-plt"]
DEBUG_FLAGS = ["-O1", "-g", "-Wno-maybe-uninitialized", "-UNDEBUG"]
MORE_FLAGS = os.environ.get("AUTHSWITCH_FLAGS", "").split()
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


def module_of(source: Path) -> str:
    """``room.name`` of a file below ``ext/``."""
    return ".".join(source.relative_to(SOURCES).with_suffix("").parts)


MODULES = os.environ.get("AUTHSWITCH_MODULES", "").split() or sorted(map(module_of, SOURCES.rglob("*.pyx")))


def libraries_of(source: Path) -> list[str]:
    """What a module is linked with."""
    text = source.read_text()
    return [name for module, names in LIBRARIES.items() if f"from {module} cimport" in text for name in names]


def stage_package() -> Path:
    """Give Cython a tree in which ``ext/`` is the package ``switch``, for cimports; returns its parent."""
    stage = BUILD / "stage"
    stage.mkdir(parents=True, exist_ok=True)
    link = stage / "switch"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(SOURCES, stage.resolve()), target_is_directory=True)
    return stage


def extension(module: str) -> Extension:
    """Describe the extension module that one Cython source becomes."""
    source = SOURCES.joinpath(*module.split(".")).with_suffix(".pyx")
    flags = COMMON_FLAGS + (DEBUG_FLAGS if DEBUG else RELEASE_FLAGS)
    link_flags = []
    if TRACED:
        flags += TRACE_FLAGS
    if SANITIZERS:
        flags += [f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
        link_flags.append(f"-fsanitize={SANITIZERS}")
    flags += MORE_FLAGS
    return Extension(
        f"switch.{module}",
        [str(source.relative_to(ROOT))],
        include_dirs=["ext"],
        libraries=libraries_of(source),
        extra_compile_args=flags,
        extra_link_args=link_flags,
    )


class BuildExtensions(build_ext):
    """Uses all cores, lays the type stubs beside the compiled modules, and takes away modules whose source is gone."""

    parallel: int | None

    def finalize_options(self) -> None:
        """Compile as many modules at a time as there are cores, where nothing else was asked for (as by pip)."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        """Compile, copy the stubs, and remove what Python would still import though it is no longer built."""
        self.translate()
        super().run()
        package = (Path() if self.inplace else Path(self.build_lib)) / "switch"
        for stub in SOURCES.rglob("*.pyi"):
            shutil.copy2(stub, package / stub.relative_to(SOURCES))
        for built in [*package.rglob("*.so"), *package.rglob("*.pyi")]:
            source = SOURCES / built.relative_to(package).with_name(built.name.partition(".")[0] + ".pyx")
            if not source.exists():
                built.unlink()

    def translate(self) -> None:
        """Let Cython write each module's C file. Not before: a source package and metadata want none."""
        gc.set_threshold(20_000, 10, 1_000)  # half of Cython's time is looking for garbage where there is next to none
        translated = cythonize(
            copy.deepcopy(self.extensions),
            include_path=[str(stage_package())],
            build_dir=str(BUILD / "c"),
            compiler_directives=DIRECTIVES,
            nthreads=os.cpu_count() or 1,
        )
        sources = {extension.name: extension.sources for extension in translated}
        for extension in self.extensions:
            extension.sources = sources[extension.name]


class BuildPackage(build_py):
    """Also lays the sample configurations into the package, from which ``authswitch init`` takes them."""

    def run(self) -> None:
        """Copy the Python files, then the samples without what a machine made for itself."""
        super().run()
        if not self.editable_mode:
            self.remove_what_is_gone()
            ignored = shutil.ignore_patterns("secrets", "journal")
            target = Path(self.build_lib) / "switch" / "samples" / "configs"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(SAMPLES, target, ignore=ignored)

    def remove_what_is_gone(self) -> None:
        """Take away what an earlier build left in the build folder; compiled modules are looked at above."""
        laid = {Path(path).resolve() for path in self.get_outputs(include_bytecode=False)}
        for path in Path(self.build_lib).rglob("*"):
            if path.is_file() and path.suffix not in {".so", ".pyi"} and path.resolve() not in laid:
                path.unlink()


# Nothing to compile where the modules were built in place before and only the package is to be installed.
setup(
    ext_modules=[extension(module) for module in MODULES] if COMPILES else [],
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildPackage},
)
