"""Which module uses which: read from the sources, imports and cimports alike."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ROOMS = (
    "base",
    "files",
    "wire",
    "crypto",
    "keys",
    "store",
    "access",
    "proposals",
    "rulebooks",
    "links",
    "dialect",
    "tables",
    "merchants",
    "applications",
    "machine",
    "mesh",
    "saf",
    "path",
    "config",
    "journal",
    "io",
    "check",
    "books",
    "admin",
    "server",
    "backoffice",
    "applicants",
    "tracing",
    "messages",
    "samples",
    "simulators",
    "demo",
    "cli",
)
"""From the lowest to the highest: each uses only those before it, whether compiled or not."""

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from (switch[\w.]*) c?import\s+(\([^)]*\)|.*)|c?import (switch[\w.]+))", re.MULTILINE
)


def sources(root: Path = ROOT) -> dict[str, list[Path]]:
    """Files by module: a compiled one's ``.pyx`` and ``.pxd`` together, an ``__init__`` by its package's name."""
    found: dict[str, list[Path]] = {}
    for top, suffixes in (("ext", {".pyx", ".pxd"}), ("switch", {".py"})):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in suffixes:
                parts = ["switch", *path.relative_to(root / top).with_suffix("").parts]
                found.setdefault(".".join(parts).removesuffix(".__init__"), []).append(path)
    return found


def _imported(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each import of a file: the module, and the names that are taken from it."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield node.module, [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                yield from ((alias.name, []) for alias in node.names)
        return
    for module, names, whole in CYTHON_IMPORT.findall(text):
        yield module or whole, [name.strip() for name in names.strip("()").split(",") if name.strip()]


def uses(files: Mapping[str, list[Path]]) -> dict[str, set[str]]:
    """For each module the other modules of the package that it imports or cimports."""
    graph: dict[str, set[str]] = {}
    for module, paths in files.items():
        used = set()
        for path in paths:
            for name, members in _imported(path):
                inner = {f"{name}.{member}" for member in members} & files.keys()
                used |= inner
                if name in files and (not inner or set(members) - {one.rsplit(".", 1)[1] for one in inner}):
                    used.add(name)
        graph[module] = used - {module}
    return graph


def room(module: str) -> str:
    """The room in which a module lies; empty for ``switch`` itself and for ``python -m switch``."""
    name = module.partition(".")[2].partition(".")[0]
    return "" if name == "__main__" else name


def arrows_upwards(graph: Mapping[str, set[str]], rooms: tuple[str, ...] = ROOMS) -> list[str]:
    """What a module uses of a room above its own, in words; a room that is not in the list counts as above all."""
    height = {name: at for at, name in enumerate(rooms)}
    return [
        f"{module} ({room(module)}) uses {used} ({room(used)}), which lies above"
        for module, all_used in sorted(graph.items())
        for used in sorted(all_used)
        if room(module) and room(used) and height.get(room(used), len(rooms)) > height.get(room(module), -1)
    ]


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Circles among modules, one for each module at which one is closed."""
    found: list[str] = []
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            found.append(" -> ".join([*trail[trail.index(module) :], module]))
        elif module not in done:
            for used in sorted(graph.get(module, ())):
                visit(used, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())
    return found


def table(root: Path = ROOT) -> str:
    """The rooms, from the highest to the lowest, as Markdown: what is in each, by its package's first line."""
    rows = ["| room | compiled | what is in it |", "| --- | --- | --- |"]
    for name in reversed(ROOMS):
        tree = ast.parse((root / "switch" / name / "__init__.py").read_text())
        first = (ast.get_docstring(tree) or "").partition("\n")[0]
        modules = sorted(path.stem for path in (root / "ext" / name).glob("*.pxd"))
        rows.append(f"| `{name}` | {' '.join(f'`{module}`' for module in modules)} | {first} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
