"""Coverage.py plugin: lines of ``ext/ROOM/*.pyx``, as the debug build traces them.

Cython's own plugin looks for the generated C beside the source; ours is generated under ``build/debug``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Cython.Coverage import Plugin

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "ext"
GENERATED = ROOT / "build" / "debug" / "c" / "ext"


class DebugBuildPlugin(Plugin):
    """Cython's plugin with knowledge of where the debug build keeps its C files."""

    def _find_source_files(self, filename: str) -> tuple[str | None, str | None]:
        """The C file that holds the code of a source; another module's for a ``.pxd`` with inline functions."""
        source = Path(filename)
        if SOURCES not in source.parents:
            return None, None
        generated = GENERATED / source.relative_to(SOURCES).with_suffix(".c")
        if generated.exists() and source.suffix == ".pyx":
            return str(generated), None
        for candidate in sorted(GENERATED.rglob("*.c")):
            self._read_source_lines(str(candidate), filename)
            if filename in self._c_files_map:
                return self._c_files_map[filename][0], None
        return None, None


def coverage_init(registry: Any, _options: dict[str, str]) -> None:
    """Called by coverage.py."""
    registry.add_file_tracer(DebugBuildPlugin())
