"""House rules that a linter cannot say."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import ClassVar

import pytest

from .conftest import LONGEST

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "ext").rglob("*.pyx"))
MODULE_LINES_MAX = 600

# Files that are neither ours to word nor text.
UNCHECKED = {"LICENSE", "constraints.txt"}
UNCHECKED_SUFFIXES = {".pcap", ".pcapng", ".png", ".svg", ".gz", ".der", ".bin"}


def tracked_files() -> list[Path]:
    """Files of the project; what git ignores is none of them."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = (ROOT / line for line in listing.splitlines())
    return [path for path in paths if path.is_file()]


FILES = tracked_files()
TEXTS = [path for path in FILES if path.name not in UNCHECKED and path.suffix not in UNCHECKED_SUFFIXES]
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]
CODE = [
    path
    for path in FILES
    if path.suffix in {".py", ".pyx", ".pxd", ".pyi", ".c", ".h"}
    and path.relative_to(ROOT).parts[0] in {"ext", "switch", "bench", "tests", "tools", "setup.py"}
]


def compiled_name(source: Path) -> str:
    return ".".join(["switch", *source.relative_to(ROOT / "ext").with_suffix("").parts])


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=named)
def test_modules_are_short(path):
    count = len(path.read_text().splitlines())
    assert count <= MODULE_LINES_MAX, f"{count} lines: a module holds one concept"


def test_test_folders_are_packages():
    """Without that, ``tests/switch`` could stand for the package ``switch`` itself."""
    folders = {path.parent for path in FILES if path.suffix == ".py" and "tests" in path.relative_to(ROOT).parts[:1]}
    assert not [named(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_those_that_begin_first_are_there():
    assert not [name for name in LONGEST if not (ROOT / "tests" / name).exists()]


class TestCythonSources:
    @pytest.mark.parametrize("source", SOURCES, ids=named)
    def test_has_interface_and_stub(self, source):
        assert source.with_suffix(".pxd").exists()
        assert source.with_suffix(".pyi").exists()

    @pytest.mark.parametrize("source", SOURCES, ids=named)
    def test_unsafe_directives_stand_on_functions_only(self, source):
        unsafe = re.compile(r"\b(boundscheck|wraparound|initializedcheck|nonecheck)\b\s*[=(]")
        lines = source.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if not unsafe.search(line):
                continue
            place = f"{source.name}:{number}"
            assert line.lstrip().startswith("@cython."), f"{place}: a directive for more than one function"
            decorated = next(text.lstrip() for text in lines[number:] if not text.lstrip().startswith("@"))
            assert re.match(r"(cdef|cpdef|def)\b(?! class)", decorated), f"{place}: a directive on a whole class"

    def test_build_sets_no_unsafe_directive(self):
        assert not re.search(r"boundscheck|wraparound|nonecheck", (ROOT / "setup.py").read_text())


def stub_names(body: list[ast.stmt]) -> set[str]:
    """Public names that a stub, or a class in it, declares."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def exists_for_type_checkers_only(node: ast.stmt) -> bool:
    """Whether a stub's statement is about types: an alias, a TypedDict, a Protocol."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation) == "TypeAlias"
    return isinstance(node, ast.ClassDef) and bool(
        {"TypedDict", "Protocol"} & {ast.unparse(base) for base in node.bases}
    )


@pytest.mark.parametrize("source", SOURCES, ids=named)
class TestStubs:
    def test_module_names(self, source):
        module = importlib.import_module(compiled_name(source))
        tree = ast.parse(source.with_suffix(".pyi").read_text())
        real = [node for node in tree.body if not exists_for_type_checkers_only(node)]
        declared = stub_names(real)
        assert declared <= set(vars(module))
        own = {
            name
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__ and name[0] != "_"
        }
        assert own <= declared

    def test_class_names(self, source):
        module = importlib.import_module(compiled_name(source))
        for node in ast.parse(source.with_suffix(".pyi").read_text()).body:
            if not isinstance(node, ast.ClassDef) or not hasattr(module, node.name):
                continue
            cls = getattr(module, node.name)
            declared = stub_names(node.body)
            inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
            real = {name for name in vars(cls) if not name.startswith("_")} - inherited
            if not cls.__dictoffset__:  # a class in Python's own sense sets attributes as it goes
                missing = declared - set(dir(cls))
                assert not missing, f"{node.name} has no {sorted(missing)}"
            assert real <= declared, f"the stub of {node.name} lacks {sorted(real - declared)}"


class TestWords:
    # Written so that this file does not match itself.
    FORBIDDEN: ClassVar = {
        "a path of one machine": r"(?<![\w.])/(?:work|home|root|Users)/",
        "the number of an issue": r"\b[Ii]ssue[ ]#?\d|(?<![\w&/])#\d{1,4}\b(?![\w;])",
        "a package registry's host": r"pypi[.]org|pythonhosted[.]org|npmjs[.]",
        "work left over": r"\b(?:TO[D]O|FIX[M]E|X{3}|HA[C]K)\b",
    }

    @pytest.mark.parametrize("what", FORBIDDEN)
    def test_not_in_any_file(self, what):
        pattern = re.compile(self.FORBIDDEN[what])
        found = []
        for path in TEXTS:
            if path == Path(__file__):
                continue
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if pattern.search(line):
                    found.append(f"{named(path)}:{number}: {line.strip()[:100]}")
        assert not found, "\n".join([what, *found])


def heading_anchors(document: Path) -> set[str]:
    """Anchors as code-hosting sites make them from headings."""
    headings = re.findall(r"^#+ +(.*?) *$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_resolve(document):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in heading_anchors(linked)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_places_in_the_tree_are_there(document):
    """Files, folders and modules (without their ending) that a page names."""
    named = re.findall(r"`((?:ext|switch|bench|tests|tools|configs|docs)/[\w./-]+)`", document.read_text())
    places = {place for place in named if not re.search(r"\b(ROOM|NAME|TARGET)\b", place)}
    suffixes = ("", ".pyx", ".pxd", ".py")
    assert not [place for place in places if not any((ROOT / f"{place}{suffix}").exists() for suffix in suffixes)]


def test_every_page_is_listed():
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [path.name for path in DOCUMENTS if path.parent == ROOT / "docs" and path.name != "index.md"]
    assert not [page for page in pages if f"({page})" not in index]


class TestMakefile:
    TEXT = (ROOT / "Makefile").read_text()

    def test_every_target_has_help(self):
        phony = re.search(r"^\.PHONY: (.*)$", self.TEXT, re.MULTILINE)
        assert phony
        helped = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", self.TEXT, re.MULTILINE))
        assert set(phony[1].split()) == set(helped)

    def test_help_is_the_default(self):
        shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert "make test" in shown.stdout

    def test_build_installs_the_command_again_when_its_definition_has_changed(self, tmp_path):
        """As when a clone is updated in which the entry point has moved; also where the stamp or command is gone."""
        for name in ("Makefile", "pyproject.toml", "setup.py"):
            shutil.copy(ROOT / name, tmp_path)
        calls = tmp_path / "calls"
        for program in ("tools/setup", ".venv/bin/python", ".venv/bin/authswitch"):
            path = tmp_path / program
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n')
            path.chmod(0o755)
        (tmp_path / "ext").mkdir()

        def installs(venv=".venv"):
            calls.write_text("")
            make = ["make", "--no-print-directory", "build", f"VENV={venv}"]
            subprocess.run(make, cwd=tmp_path, capture_output=True, check=True)
            return calls.read_text().count("pip install")

        assert [installs(), installs()] == [1, 0]
        stamp = tmp_path / ".venv" / ".authswitch-installed"
        for source in ("pyproject.toml", "setup.py"):
            for path in ("pyproject.toml", "setup.py"):
                os.utime(tmp_path / path, (1000, 1000))
            os.utime(tmp_path / source, (3000, 3000))
            os.utime(stamp, (2000, 2000))
            assert [installs(), installs()] == [1, 0], source
        (tmp_path / ".venv" / "bin" / "authswitch").unlink()
        assert installs() == 1
        shutil.copytree(tmp_path / ".venv", tmp_path / "other", ignore=shutil.ignore_patterns(".authswitch*"))
        assert installs("other") == 0, "the package that is there may be another one"
        source = tmp_path / "other/lib/python3.11/site-packages/authswitch-0.1.0.dist-info/direct_url.json"
        source.parent.mkdir(parents=True)
        for how, folder, count in (
            ({}, tmp_path, 0),
            ({"editable": True}, "/else", 0),
            ({"editable": True}, tmp_path, 1),
        ):
            source.write_text(json.dumps({"dir_info": how, "url": f"file://{folder}"}))
            assert installs("other") == count, (how, folder)

    def test_integration_runs_the_test_command(self):
        assert re.search(r"^exec make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
        assert "make test" in (ROOT / "README.md").read_text()


class TestRequirements:
    PROJECT: ClassVar = tomllib.loads((ROOT / "pyproject.toml").read_text())
    PINS: ClassVar = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]

    @staticmethod
    def normal(requirement):
        name, _, version = requirement.partition("==")
        return re.sub(r"[-_.]+", "-", name).lower(), version

    def test_every_requirement_is_pinned(self):
        assert not [pin for pin in self.PINS if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)]
        pins = dict(map(self.normal, self.PINS))
        project = self.PROJECT["project"]
        wanted = self.PROJECT["build-system"]["requires"] + project["dependencies"]
        wanted += project["optional-dependencies"]["dev"]
        assert not [requirement for requirement in wanted if self.normal(requirement) not in pins.items()]

    def test_pins_are_sorted_and_single(self):
        names = [self.normal(pin)[0] for pin in self.PINS]
        assert len(names) == len(set(names))


def test_every_subcommand_is_documented():
    cli = pytest.importorskip("switch.cli.main")
    from typer.main import get_command

    documents = "\n".join(path.read_text() for path in DOCUMENTS)
    commands = get_command(cli.app).commands
    assert not [name for name in commands if f"authswitch {name}" not in documents]
