"""Endpoints and limits of links as a version says them, over the configuration."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from switch.config import load_config
from switch.config.endpoints import load_endpoints
from switch.config.file_descriptors import descriptors_of_worker
from switch.config.models import LimitsSection, LinkTls
from switch.files.problems import ConfigError
from switch.rulebooks.rulebooks import Rulebook
from switch.samples.copying import write_sample

MORE = '\n[store]\nurl = "sqlite:store.db"\n\n[endpoints]\nstore_copy = "in-force"\nnetworks = ["10.1.0.0/16"]\n'


@pytest.fixture
def read(tmp_path):
    """What a text makes of the links of a configuration."""
    path = write_sample(tmp_path / "switch", "minimal")
    text = path.read_text()

    def load(said):
        path.write_text(text + MORE)
        return load_endpoints(Rulebook("text", said), load_config(path))

    return load


def one(**values):
    lines = [f"{name} = {value}" for name, value in values.items()]
    return "\n".join(["[[link]]", 'name = "bank-a"', *lines]) + "\n"


def refused(read, said):
    with pytest.raises(ConfigError) as caught:
        read(said)
    return str(caught.value)


def test_what_is_not_said_is_as_it_was(read):
    (before,) = read("")
    (after,) = read(one(connections=3))
    assert after.connections == 3
    assert after.endpoints == before.endpoints
    assert after.model_copy(update={"connections": before.connections}) == before


def test_all_that_may_be_said(read):
    (link,) = read(one(endpoints='["10.1.2.3:7001", "10.1.2.4:7001"]', connections_total=4, in_flight_max=100))
    assert [str(endpoint) for endpoint in link.endpoints] == ["10.1.2.3:7001", "10.1.2.4:7001"]
    assert (link.connections_total, link.in_flight_max) == (4, 100)
    (link,) = read(one(connections=2))
    assert (link.connections, link.connections_total) == (2, None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("= 1", "is not TOML"),
        ('[[link]]\nname = "bank-x"\n', "link[bank-x]: there is no such link; configured are bank-a"),
        (one() + one(), "stands here twice"),
        (one(timeout_ms=100), "link[bank-a].timeout_ms: stays in the configuration: another one needs a drain"),
        (one(tls='{ca = "x"}'), "link[bank-a].tls: stays in the configuration"),
        (one(colour=1), "colour"),
        (one(endpoints='["10.1.2.3"]'), 'needed "host:port"'),
        (one(endpoints='["10.1.2.3:1", "10.1.2.3:1"]'), "names an address twice"),
        (one(endpoints='["10.2.2.3:7001"]'), "10.2.2.3:7001 is neither one of the configuration nor in"),
        (one(endpoints='["bank.example:7001"]'), "bank.example:7001 is neither one of the configuration nor in"),
        (one(connections=17), "are 17 of a worker, and at most 16 may be"),
        (one(connections=1, connections_total=1), "needed either connections or connections_total"),
        (one(in_flight_max=900_000), "is above that of the configuration"),
        (one(in_flight_max=1), "is below reversal.window"),
        ("[link]\nname = 1\n", "link"),
    ],
)
def test_what_cannot_be_used_is_refused_as_a_whole(read, said, reason):
    assert reason in refused(read, said)


def test_who_is_known_by_a_certificate_may_be_anywhere(read):
    said = one(endpoints='["bank.example:7001"]')
    assert "is neither" in refused(read, said)
    (link,) = read("")
    tls = LinkTls.model_construct(server_name="bank-a.example")
    config = SimpleNamespace(links=(link.model_copy(update={"tls": tls}),), endpoints=None)
    (link,) = load_endpoints(Rulebook("text", said), config)
    assert str(link.endpoints[0]) == "bank.example:7001"


def test_an_issuer_that_calls_is_reached_by_what_the_configuration_says(read):
    (link,) = read("")
    config = SimpleNamespace(links=(link.model_copy(update={"mode": "accept"}),), endpoints=None)
    with pytest.raises(ConfigError, match="its issuer calls us"):
        load_endpoints(Rulebook("text", one(connections=2)), config)
    (link,) = load_endpoints(Rulebook("text", one(in_flight_max=100)), config)
    assert link.in_flight_max == 100


def test_descriptors_are_kept_for_those_that_come_and_those_that_go(read):
    links = read("")
    fixed = descriptors_of_worker(LimitsSection(), links, 1, 0)
    moving = descriptors_of_worker(LimitsSection(), links, 1, 0, moves=True)
    assert moving.reserved - fixed.reserved == 2 * 16 - 1
