"""Each deliberate defect fits the sources, compiles, and is found; ``make defects`` hunts all, here a quick few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from .build import ROOT, VARIABLE, build, changed_sources
from .catalogue import CatalogueError, Defect, Hunk, load, parse
from .hunt import fails
from .weaving import CONDITION, woven

QUICK_SEEDS = 100
QUICK = (
    "forget-timed-out-charge",
    "tell-late-approvals",
    "tell-the-code-of-the-answer-before",
    "forget-what-was-told",
    "forget-partial-output",
    "forward-duplicates",
    "lose-the-sent-request",
    "take-part-of-a-write-for-all",
    "lose-the-last-digit-of-odd-cards",
    "remember-another-card",
    "resume-without-the-card",
    "forward-joined",
    "send-the-number-of-the-request-before",
    "reversal-without-its-original",
    "write-no-acknowledgement-down",
    "forget-terminal-reversal",
)
"""Of each area some that at least six of the first 60 seeds find: whatever moves what seeds do, they are found."""

ENOUGH = 100
LINES_MAX = 600

SOURCE = """cdef int look(int size) nogil:
    cdef int found = 0
    if size > 3 and size < 9:
        found = 1
        found += size
    return found
"""


def planted(*hunks: str) -> str:
    defects = [
        Defect(f"number-{number}", "here", "wrong", (Hunk("", tuple(hunk.splitlines())),), tests=("a",))
        for number, hunk in enumerate(hunks, 1)
    ]
    text = woven({"look": SOURCE}, defects)["look"]
    for place, defect in enumerate(defects, 1):
        text = text.replace(f"defect_is_on({defect.number})", f"defect_is_on({place})")
    return text


def test_a_condition_for_another():
    text = planted("-if size > 3 and size < 9:\n+if size > 3:")
    assert (
        "    if (<bint>(size > 3) if defect_is_on(1) else <bint>(size > 3 and size < 9)):\n        found = 1\n" in text
    )


def test_lines_that_are_left_out_added_or_others():
    text = planted("-    found += size", "     found = 1\n+    size = 4", "-return found\n+return 7")
    assert "        found = 1\n        if defect_is_on(2):\n            size = 4\n" in text
    assert "        if not defect_is_on(1):\n            found += size\n" in text
    assert "    if defect_is_on(3):\n        return 7\n    else:\n        return found\n" in text


def test_several_in_one_place():
    line = "-if size > 3 and size < 9:\n"
    inner = "(<bint>(size < 9) if defect_is_on(2) else <bint>(size > 3 and size < 9))"
    outer = f"    if (<bint>(size > 3) if defect_is_on(1) else <bint>({inner})):\n"
    assert outer in planted(f"{line}+if size > 3:", f"{line}+if size < 9:")
    text = planted("-found = 1\n-found += size\n+found = 3", "-found += size")
    assert "        if defect_is_on(1):\n            found = 3\n        else:\n            found = 1\n" in text
    assert "            if not defect_is_on(2):\n                found += size\n" in text


def test_the_question_within_a_line():
    text = planted("-return found\n+return 0 if {on} else found")
    assert "    return 0 if defect_is_on(1) else found\n" in text


@pytest.mark.parametrize(
    ("hunks", "problem"),
    [
        (("-return lost",), "nowhere"),
        (("-found = 1\n-found += size\n+found = 3", "-found += size\n-return found\n+return 1"), "overlap"),
        (("-if size > 3 and size < 9:\n-found = 1",), "middle of a block"),
        (("-found += size\n-return found\n+found = 3",), "leave the block"),
        (("-return found\n+return {on}", "-return found\n+return 1"), "as well"),
    ],
)
def test_what_does_not_fit_is_told(hunks, problem):
    with pytest.raises(CatalogueError, match=problem):
        planted(*hunks)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("words\n", "begins with"),
        ("=== Name\nwrong\ntest: a\n@@\n+x\n", "other characters"),
        ("=== name\ntest: a\n@@\n+x\n", "does not say what is wrong"),
        ("=== name\nwrong\ntest: a\n@@\n x\n", "changes nothing"),
        ("=== name\nwrong\ntest: a\n", "changes nothing"),
        ("=== name\nwrong\nseeds: many\nbreaks: I1\n@@\n+x\n", "seeds are"),
        ("=== name\nwrong\nseeds: 10\n@@\n+x\n", "belong together"),
        ("=== name\nwrong\n@@\n+x\n", "who finds it"),
        ("=== name\nwrong\ntest: a\n@@\nx\n", "begins with a blank"),
    ],
)
def test_a_file_of_another_form_is_told(text, problem):
    with pytest.raises(CatalogueError, match=problem):
        parse(text, "here")


@pytest.mark.timeout(600)
def test_every_defect_has_its_place_in_the_sources_and_compiles():
    sources = changed_sources()
    assert sources
    for text in sources.values():
        assert CONDITION not in text
    assert build().is_dir()


def test_a_defect_has_its_number_whatever_stands_beside_it():
    hunk = Hunk("", ("-found = 1",))
    one = Defect("one", "here", "wrong", (hunk,), tests=("a",))
    assert one.number == replace(one, area="there", what="words", tests=("b",)).number
    others = (replace(one, name="another"), replace(one, hunks=(Hunk("look", hunk.lines),)), replace(one, hunks=()))
    assert one.number not in {0, *(other.number for other in others)}


@pytest.mark.timeout(600)
def test_a_copy_that_is_older_than_the_catalogue_is_not_hunted_in():
    """Nothing would be on, or another one: and nobody would be found, or somebody who noticed something else."""
    known, unknown = next(iter(load().values())).number, Defect("new", "here", "wrong", ()).number
    for number, status in ((0, 0), (known, 0), (unknown, 1)):
        run = subprocess.run(
            [sys.executable, "-c", "import switch.defect"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(build()), "PYTHONSAFEPATH": "1", VARIABLE: str(number)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == status, run.stderr
    assert f"no defect of this copy has the number {unknown}: it was made before the catalogue" in run.stderr


def test_there_are_enough_and_no_file_is_long():
    assert len(load()) >= ENOUGH
    for path in (ROOT / "tests" / "simulation" / "defects" / "catalogue").iterdir():
        assert len(path.read_text().splitlines()) < LINES_MAX, path.name


def test_named_tests_are_there():
    for defect in load().values():
        for test in defect.tests:
            path, _, name = test.partition("::")
            assert f"def {name.rpartition('::')[2].partition('[')[0]}(" in (ROOT / path).read_text(), test


def test_a_named_test_passes_where_its_defect_is_not():
    """Else whoever asks whether it fails would believe that it finds everything."""
    defect = load()["lose-the-code-of-a-late-approval"]
    assert not fails(defect, defect.tests[0])


def test_the_docs_list_each():
    lines = (ROOT / "docs" / "fault-simulation.md").read_text().splitlines()
    missing = [defect.row for defect in load().values() if defect.row not in lines]
    assert not missing, "\n".join(missing)


@pytest.mark.timeout(600)
def test_quick_ones_are_found_in_time():
    hunt = subprocess.run(
        [sys.executable, "-m", "tests.simulation.defects", "--json", "--no-tests", f"--seeds={QUICK_SEEDS}", *QUICK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert hunt.returncode == 0, hunt.stdout + hunt.stderr
    assert {catch["name"] for catch in json.loads(hunt.stdout) if catch["is_expected"]} == set(QUICK)
