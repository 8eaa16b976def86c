"""What two workers must have in common, and what each believes of the other."""

from __future__ import annotations

from copy import deepcopy

import pytest

from switch.config import Config
from switch.config.mesh_sections import NodeSection
from switch.mesh.journals_heard import JournalsHeard
from switch.server.introduction import OTHER_VERSION, DifferentError, Introduction, StrangerError, agreement
from switch.server.place import Place
from tests.switch.test_mates import own_journal

PARTITIONS = 4
SECTIONS = {
    "switch": {"name": "test", "acquirer_id": "10000001", "instances": 3},
    "registry": {"merchants": "merchants.csv", "terminals": "terminals.csv"},
    "routes": {"file": "routes.csv"},
    "listener": [
        {
            "name": "pos",
            "bind": "127.0.0.1:5830",
            "dialect": "iso87-ascii",
            "tls": {"certificate": "pos.pem", "private_key": "pos.key", "client_ca": "ca.pem"},
        },
        {"name": "cup", "bind": "127.0.0.1:5831", "dialect": "cup"},
    ],
    "link": [{"name": "bank-a", "dialect": "iso87-ascii", "endpoints": ["127.0.0.1:7001"], "match": {"by": "stan"}}],
}
NODES = [
    NodeSection(name=name, address=f"127.0.0.1:{port}", workers=workers)
    for name, port, workers in (("a", 6001, 2), ("b", 6011, 1))
]


def config_of(sections=SECTIONS, nodes=NODES):
    return Config.model_validate(sections).model_copy(update={"nodes": nodes})


def changed(*path, to):
    """A configuration with one value changed."""
    sections = deepcopy(SECTIONS)
    inner = sections
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return config_of(sections)


def differs(config, partitions=PARTITIONS):
    """What is told of a worker that has another configuration, or of one that has not; both tell the same."""
    introductions = (introduction(0), introduction(1, config=config, partitions=partitions))
    told = []
    for here, there in (introductions, introductions[::-1]):
        try:
            here.check(there.hello())
        except DifferentError as error:
            told.append(str(error))
        except StrangerError:  # the other's place, which follows
            pass
    return told


LISTENERS, LINKS, NODES_DIFFER = (f"it has other {part}" for part in ("listeners", "links", "nodes"))
SWITCH = "it has another acquirer_id or instance"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (changed("switch", "instance", to=1), SWITCH),
        (changed("switch", "instances", to=4), SWITCH),
        (changed("switch", "acquirer_id", to="10000002"), SWITCH),
        (changed("listener", 0, "name", to="other"), LISTENERS),
        (changed("listener", 0, "dialect", to="iso87-binary"), LISTENERS),
        (changed("listener", 0, "mac", to="none"), LISTENERS),
        (changed("listener", 0, "partial_approval", to="never"), LISTENERS),
        (changed("listener", 0, "requests_in_flight_max", to=7), LISTENERS),
        (changed("listener", 0, "tls", to=None), LISTENERS),
        (changed("listener", 0, "tls", "client_certificate", to="required"), LISTENERS),
        (changed("listener", 0, "tls", "client_identity", to="any"), LISTENERS),
        (changed("listener", to=SECTIONS["listener"][::-1]), LISTENERS),
        (changed("link", 0, "name", to="other"), LINKS),
        (changed("link", 0, "dialect", to="iso87-binary"), LINKS),
        (changed("link", 0, "match", "by", to="rrn"), LINKS),
        (config_of(nodes=NODES[::-1]), NODES_DIFFER),
        (config_of(nodes=[*NODES, NODES[0].model_copy(update={"name": "c"})]), NODES_DIFFER),
        (config_of(nodes=[NODES[0].model_copy(update={"workers": 3}), NODES[1]]), NODES_DIFFER),
    ],
)
def test_whatever_both_must_have_in_common_is_told_on_both_sides_where_it_differs(config, told):
    assert differs(config) == [told, told]


def test_so_is_the_number_of_partitions_beside_all_else():
    config = changed("link", 0, "name", to="other")
    assert differs(config, PARTITIONS + 1) == [f"{LINKS}, {one} partitions instead of {9 - one}" for one in (5, 4)]


def test_of_another_version_nothing_else_is_told(monkeypatch):
    monkeypatch.setattr("switch.server.introduction.__version__", "0.0.1")
    other = introduction(1, config=changed("link", 0, "name", to="other")).hello()
    monkeypatch.undo()
    with pytest.raises(DifferentError, match=f"^{OTHER_VERSION}$"):
        introduction(0).check(other)


def test_another_version_of_the_mesh_is_told_from_what_is_none():
    hello = introduction(1).hello()
    for version in (1, 99):
        with pytest.raises(DifferentError, match=f"{OTHER_VERSION}: .*needed version .*, got {version}$"):
            introduction(0).check(hello[:8] + version.to_bytes(4, "little") + hello[12:])
    with pytest.raises(StrangerError) as refusal:
        introduction(0).check(hello[:-1] + b"\xff")
    assert not isinstance(refusal.value, DifferentError)


@pytest.mark.parametrize(
    "config",
    [
        changed("switch", "name", to="elsewhere"),
        changed("listener", 0, "bind", to="192.0.2.1:1"),
        changed("link", 0, "endpoints", to=["192.0.2.1:7001"]),
    ],
    ids=["name", "bind", "endpoints"],
)
def test_what_each_may_have_of_its_own_makes_none(config):
    assert differs(config) == []


@pytest.mark.parametrize("who", ["listener", "link"])
def test_of_a_dialects_file_its_content_counts_and_not_its_place(tmp_path, who):
    def of(folder, content, name="own.toml"):
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        return agreement(changed(who, 0, "dialect", to=str(file)))

    here = of("here", "one")
    assert of("there", "one", "other.toml") == here
    assert of("here", "two") != here, "another content in the same place"


# --- epochs -----------------------------------------------------------------------------------------------------------


def introduction(node, epoch=1, config=None, partitions=PARTITIONS):
    place = Place(0, NODES[node].workers, partitions, None, node=node, crews=(2, 1))
    journals = {number: own_journal(epoch) for number in place.owned}
    return Introduction(config or config_of(), place, partitions, journals, JournalsHeard(partitions))


def test_an_epoch_is_not_believed_because_it_is_in_a_greeting():
    """Only who is known, and has heard what was heard of his journals, says how far these are."""
    one = introduction(0)
    early, late = (introduction(1, epoch).hello() for epoch in (4, 5))
    one.require_newest(one.check(late))
    one.require_newest(one.check(early))
