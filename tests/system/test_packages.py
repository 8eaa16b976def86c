"""Wheel and source package, as ``make package`` builds them, in an environment in which nothing else is."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .working_copy import LIBRARY, ROOT, VENV, copy_tree, lay_compiled, listed_files, run

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        "build" in Path(sys.modules["switch"].__file__ or "").parts, reason="packages are made of the release build"
    ),
]

MADE_BY_SETUPTOOLS = re.compile(r"(authswitch\.egg-info/.*|PKG-INFO|setup\.cfg)$")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The folder with both packages."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    lay_compiled(tree, LIBRARY, Path("switch"))
    (tree / "build" / "release" / "built").touch()
    run("make", "package", f"VENV={VENV}", folder=tree, timeout_seconds=280)
    return tree / "dist"


@pytest.fixture(scope="module")
def source(packages, tmp_path_factory):
    """The source package, unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    shutil.unpack_archive(next(packages.glob("*.tar.gz")), folder)  # tarfile's own filters came with Python 3.11.4
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def installed(packages, tmp_path_factory):
    """Python of an environment in which the wheel is, and what it says it needs, copied from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "-q", "--no-deps", "--no-index", next(packages.glob("*.whl")), folder=folder)
    site = next(folder.glob("lib/*/site-packages"))
    (own,) = site.glob("authswitch-*.dist-info")
    for needed in needed_by(Distribution.at(own)).values():
        copy_distribution(needed, site)
    run(*pip, "check", folder=folder)
    return python


def needed_by(own):
    """What a distribution needs, and what that needs, by name."""
    found = {}
    waiting = [(own, "")]
    while waiting:
        one, extra = waiting.pop()
        for needed in map(Requirement, one.requires or ()):
            if needed.name not in found and (needed.marker is None or needed.marker.evaluate({"extra": extra})):
                found[needed.name] = distribution(needed.name)
                waiting += [(found[needed.name], wanted) for wanted in needed.extras or ("",)]
    return found


def copy_distribution(one, site):
    """Its modules and its metadata, but no commands."""
    for file in one.files:
        target = site / file
        if ".." not in file.parts and file.locate().is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.locate(), target)


def names_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_source_package_holds_the_tree(source):
    there = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {name for name in there if not MADE_BY_SETUPTOOLS.match(name)} == set(listed_files())


def test_a_wheel_built_from_the_source_package_is_the_same(source, packages, tmp_path):
    lay_compiled(source)
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    stored = "--config-settings=--build-option=--compression=stored"  # what is only listed
    run(sys.executable, *build, stored, source, folder=tmp_path, timeout_seconds=280)
    assert names_in(next(tmp_path.glob("*.whl"))) == names_in(next(packages.glob("*.whl")))


def test_the_wheel_holds_modules_stubs_dialects_and_samples(packages):
    names = names_in(next(packages.glob("*.whl")))
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for source in (ROOT / "ext").rglob("*.pyx"):
        module = source.relative_to(ROOT / "ext").with_suffix("")
        assert f"switch/{module}{suffix}" in names
        assert f"switch/{module}.pyi" in names
    for sample in (name for name in listed_files() if name.startswith("configs/")):
        assert f"switch/samples/{sample}" in names
    for data in (name for name in listed_files() if name.startswith("switch/")):
        assert data in names


def test_what_is_installed_makes_its_own_configuration(installed, tmp_path):
    command = installed.with_name("authswitch")
    said = run(command, "init", "trial", folder=tmp_path)
    assert "authswitch check trial/switch.toml" in said
    assert "configuration is valid" in run(command, "check", "trial/switch.toml", folder=tmp_path)
    again = run(command, "init", "trial", folder=tmp_path, check=False)
    assert "trial: is not empty; nothing was written" in again
    run(command, "init", "real", "--sample", "production", folder=tmp_path)
    assert "0 errors" in run(command, "check", "real/switch.toml", folder=tmp_path)


def test_what_is_installed_carries_payments(installed, tmp_path):
    said = run(installed, "-m", "switch", "demo", "--seconds", "2", "--rate", "50", "--terminals", "5", folder=tmp_path)
    assert "Traceback" not in said


def test_compiles_on_all_cores():
    """``pip wheel`` asks for no number of compilers at a time."""
    ask = (
        "from setuptools.dist import Distribution; from distutils.core import run_setup;"
        "command = run_setup('setup.py', stop_after='init').get_command_obj('build_ext');"
        "command.ensure_finalized(); print(command.parallel)"
    )
    assert run(sys.executable, "-W", "ignore", "-c", ask, folder=ROOT).strip() == str(os.cpu_count())
