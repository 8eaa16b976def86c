"""``python -m tests.simulation.defects.build``: a copy of the package in which every defect can be switched on.

Only the sources that a defect sits in are compiled again, without optimisation, and only when they have changed; the
rest is taken from the build that is imported.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import switch

from .catalogue import load
from .weaving import with_question, woven

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "ext"
TREE = ROOT / "build" / "defects"
VARIABLE = "AUTHSWITCH_DEFECT"
"""Names the defect that is on when a process begins, by its number."""

CCACHE = Path("/usr/lib/ccache")

QUESTION = """# Which deliberate defect is on.

cdef int chosen


cdef inline bint defect_is_on(int number) noexcept nogil:
    return chosen == number
"""

CHOICE = f'''"""Which deliberate defect is on."""

import os

numbers = frozenset({{NUMBERS}})


def choose(int number):
    """Switch one on, by its number; 0: none.

    Raises:
        LookupError: It is not in this copy, which was made of another catalogue.
    """
    global chosen
    if number and number not in numbers:
        raise LookupError(f"no defect of this copy has the number {{number}}: it was made before the catalogue became "
                          "what it is, and has to be made again (make defects)")
    chosen = number


choose(int(os.environ.get("{VARIABLE}") or 0))
'''


def number_of(name: str) -> str:
    """The value of the environment's variable that switches a defect on."""
    return str(load()[name].number)


def changed_sources() -> dict[str, str]:
    """Sources by module name, with every defect in its place.

    Raises:
        CatalogueError: A defect does not fit the sources.
    """
    sources = {_module_of(path, SOURCES): path.read_text() for path in sorted(SOURCES.rglob("*.pyx"))}
    return {module: with_question(text) for module, text in woven(sources, load().values()).items()}


def build() -> Path:
    """Bring the copy up to date; the folder that Python must look in first."""
    numbers = ", ".join(str(number) for number in sorted(defect.number for defect in load().values()))
    texts = {**changed_sources(), "defect": CHOICE.replace("{NUMBERS}", f"[{numbers}]")}
    stage, lib = TREE / "stage" / "switch", TREE / "lib" / "switch"
    for path in SOURCES.rglob("*.pxd"):
        _write(stage / path.relative_to(SOURCES), path.read_text())
    _write(stage / "defect.pxd", QUESTION)
    declarations = sha256(b"".join(path.read_bytes() for path in sorted(stage.rglob("*.pxd")))).hexdigest()
    stamps = {module: sha256((declarations + text).encode()).hexdigest() for module, text in texts.items()}
    _copy(lib, set(texts))
    stale = {module for module, stamp in stamps.items() if _stamp_of(module) != stamp}
    if stale:
        for module in stale:
            _write(_place(stage, module, ".pyx"), texts[module])
        _compile(stale)
        for module in stale:
            (TREE / f"{module}.stamp").write_text(stamps[module])
    return TREE / "lib"


def is_compiled_in() -> bool:
    """Whether the package that is imported is the copy."""
    return TREE in Path(switch.__file__).parents


def switch_on(name: str) -> None:
    """Let one defect be on from now on in this process and its children; an empty name: none.

    Raises:
        LookupError: The copy that is imported does not have it as it stands in the catalogue.
    """
    from switch.defect import choose  # type: ignore[import-not-found]

    number = number_of(name) if name else "0"
    choose(int(number))
    os.environ[VARIABLE] = number


def run_where_compiled_in(module: str, arguments: list[str]) -> int:
    """Run a module of the tests with the copy in the place of the package; its exit status."""
    environment = {**os.environ, "PYTHONPATH": f"{build()}:{ROOT}", "PYTHONSAFEPATH": "1"}
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, check=False).returncode


def _module_of(path: Path, folder: Path) -> str:
    """``room.name`` of a source or of a compiled module."""
    *rooms, name = path.relative_to(folder).parts
    return ".".join([*rooms, name.partition(".")[0]])


def _place(folder: Path, module: str, suffix: str) -> Path:
    return folder.joinpath(*module.split(".")).with_suffix(suffix)


def _stamp_of(module: str) -> str:
    path = TREE / f"{module}.stamp"
    compiled = _place(TREE / "lib" / "switch", module, "")
    return path.read_text() if path.exists() and any(compiled.parent.glob(f"{compiled.name}.*.so")) else ""


def _write(path: Path, text: str) -> None:
    """Unless that is what stands there: what has not changed need not be compiled again."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _copy(lib: Path, own: set[str]) -> None:
    """Everything that is not compiled here, as it is now."""
    kept = {path: TREE / f"{name}.so" for path in lib.rglob("*.so") if (name := _module_of(path, lib)) in own}
    for path, aside in kept.items():
        path.replace(aside)
    shutil.rmtree(lib, ignore_errors=True)
    package = Path(switch.__file__).parent
    if is_compiled_in():
        raise RuntimeError("the copy is not made from itself")
    shutil.copytree(
        package,
        lib,
        copy_function=shutil.copy2,
        ignore=lambda folder, names: [
            name
            for name in names
            if name == "__pycache__" or (name.endswith(".so") and _module_of(Path(folder, name), package) in own)
        ],
    )
    for path, aside in kept.items():
        aside.replace(path)


def _compile(modules: set[str]) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    if CCACHE.is_dir() and str(CCACHE) not in os.environ["PATH"]:
        os.environ["PATH"] = f"{CCACHE}:{os.environ['PATH']}"
    stage = TREE / "stage"
    extensions = [
        Extension(
            f"switch.{module}",
            [str(_place(stage / "switch", module, ".pyx"))],
            include_dirs=[str(SOURCES)],
            libraries=["ssl", "crypto"],
            extra_compile_args=["-O0", "-g0", "-w"],
        )
        for module in sorted(modules)
    ]
    jobs = os.cpu_count() or 1
    gc.set_threshold(20_000, 10, 1_000)  # as in setup.py: it takes half of the time
    compiled = cythonize(
        extensions,
        include_path=[str(stage)],
        build_dir=str(TREE / "c"),
        compiler_directives={"language_level": 3, "binding": False, "initializedcheck": False},
        nthreads=jobs,
        quiet=True,
        force=True,
    )
    command = build_ext(Distribution({"ext_modules": compiled}))
    command.build_lib = str(TREE / "lib")
    command.build_temp = str(TREE / "temp")
    command.parallel = jobs
    command.force = True
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    print(build())
    sys.exit(0)
