"""Each room uses only those below it, and no two modules use each other: over imports and cimports."""

from __future__ import annotations

import pytest

from .rooms import ROOMS, ROOT, arrows_upwards, circles, room, sources, table, uses

GRAPH = uses(sources())


def graph_of(tmp_path, texts):
    """The graph of a small tree."""
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return uses(sources(tmp_path))


def test_every_module_lies_in_a_room():
    assert {room(module) for module in GRAPH} - {""} == set(ROOMS)


def test_no_arrow_points_upwards():
    assert not arrows_upwards(GRAPH)


def test_there_is_no_circle():
    assert not circles(GRAPH)


def test_architecture_has_the_table_that_the_packages_make():
    assert table() in (ROOT / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "from switch.path.issuer_answer cimport finish\n",
        "from switch.path.issuer_answer cimport (\n    finish,\n)\n",
        "from switch.path cimport issuer_answer\n",
        "from switch.path.issuer_answer import Finished\n",
        "import switch.path.issuer_answer\n",
        "cimport switch.path.issuer_answer\n",
        "def late():\n    from switch.path.issuer_answer import Finished\n",
    ],
)
def test_an_arrow_upwards_is_found(tmp_path, text):
    graph = graph_of(tmp_path, {"ext/wire/scan.pyx": text, "ext/path/issuer_answer.pxd": ""})
    assert arrows_upwards(graph) == ["switch.wire.scan (wire) uses switch.path.issuer_answer (path), which lies above"]


def test_an_arrow_upwards_is_found_in_python(tmp_path):
    graph = graph_of(
        tmp_path,
        {
            "switch/keys/__init__.py": "",
            "switch/keys/file.py": "def late():\n    from switch.config import load\n",
            "switch/config/__init__.py": "def load(): ...\n",
        },
    )
    assert arrows_upwards(graph) == ["switch.keys.file (keys) uses switch.config (config), which lies above"]


def test_a_room_without_a_place_lies_above_all(tmp_path):
    graph = graph_of(tmp_path, {"switch/cli/main.py": "import switch.news.read\n", "switch/news/read.py": ""})
    assert arrows_upwards(graph) == ["switch.cli.main (cli) uses switch.news.read (news), which lies above"]


@pytest.mark.parametrize("declares", ["pyx", "pxd"])
def test_a_circle_of_cimports_is_found(tmp_path, declares):
    graph = graph_of(
        tmp_path,
        {
            f"ext/saf/store.{declares}": "from switch.saf.records cimport Part\n",
            "ext/saf/records.pyx": "from switch.saf.times cimport now\n",
            "ext/saf/times.pyx": "from switch.saf.store import CAUSES\n",
        },
    )
    assert circles(graph) == ["switch.saf.records -> switch.saf.times -> switch.saf.store -> switch.saf.records"]


def test_a_circle_in_python_is_found_though_only_types_close_it(tmp_path):
    graph = graph_of(
        tmp_path,
        {
            "switch/demo/fleet.py": "from switch.demo.terminals import Terminal\n",
            "switch/demo/terminals.py": "if TYPE_CHECKING:\n    from switch.demo.fleet import Fleet\n",
        },
    )
    assert circles(graph) == ["switch.demo.fleet -> switch.demo.terminals -> switch.demo.fleet"]
