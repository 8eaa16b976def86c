"""What two workers must have in common, and what each believes of the other."""

from __future__ import annotations

from copy import deepcopy

import pytest

from switch.config import Config
from switch.config.mesh_sections import NodeSection
from switch.mesh.journals_heard import JournalsHeard
from switch.server.introduction import Introduction, agreement
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


def digest(config, partitions=PARTITIONS):
    return agreement(config, partitions)


@pytest.mark.parametrize(
    "config",
    [
        changed("switch", "instance", to=1),
        changed("switch", "instances", to=4),
        changed("switch", "acquirer_id", to="10000002"),
        changed("listener", 0, "name", to="other"),
        changed("listener", 0, "dialect", to="iso87-binary"),
        changed("listener", 0, "mac", to="none"),
        changed("listener", 0, "partial_approval", to="never"),
        changed("listener", 0, "requests_in_flight_max", to=7),
        changed("listener", 0, "tls", to=None),
        changed("listener", 0, "tls", "client_certificate", to="required"),
        changed("listener", 0, "tls", "client_identity", to="any"),
        changed("listener", to=SECTIONS["listener"][::-1]),
        changed("link", 0, "name", to="other"),
        changed("link", 0, "dialect", to="iso87-binary"),
        changed("link", 0, "match", "by", to="rrn"),
        config_of(nodes=NODES[::-1]),
        config_of(nodes=[*NODES, NODES[0].model_copy(update={"name": "c"})]),
        config_of(nodes=[NODES[0].model_copy(update={"workers": 3}), NODES[1]]),
    ],
)
def test_whatever_both_must_have_in_common_makes_another_digest(config):
    assert digest(config) != digest(config_of())


def test_so_does_the_number_of_partitions():
    assert digest(config_of(), PARTITIONS + 1) != digest(config_of())


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
    assert digest(config) == digest(config_of())


@pytest.mark.parametrize("who", ["listener", "link"])
def test_of_a_dialects_file_its_content_counts_and_not_its_place(tmp_path, who):
    def of(folder, content, name="own.toml"):
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        return digest(changed(who, 0, "dialect", to=str(file)))

    here = of("here", "one")
    assert of("there", "one", "other.toml") == here
    assert of("here", "two") != here, "another content in the same place"


# --- epochs -----------------------------------------------------------------------------------------------------------


def introduction(node, epoch=1):
    place = Place(0, NODES[node].workers, PARTITIONS, None, node=node, crews=(2, 1))
    journals = {number: own_journal(epoch) for number in place.owned}
    return Introduction(config_of(), place, PARTITIONS, journals, JournalsHeard(PARTITIONS))


def test_an_epoch_is_not_believed_because_it_is_in_a_greeting():
    """Only who is known, and has heard what was heard of his journals, says how far these are."""
    one = introduction(0)
    early, late = (introduction(1, epoch).hello() for epoch in (4, 5))
    one.require_newest(one.check(late))
    one.require_newest(one.check(early))
