"""What several workers share is made before them: addresses, partitions, connections of links."""

from __future__ import annotations

import contextlib
import socket
from types import SimpleNamespace

import pytest

from switch.base.stats import Stats
from switch.config import load_config
from switch.config.mesh_sections import NodeSection
from switch.journal.partitions import Hold
from switch.journal.problems import JournalError
from switch.server.fleet import claim_addresses, serve_with_workers
from switch.server.issuers import endpoints_of
from switch.server.place import Place
from tests.switch.partitioned import partition_count
from tests.switch.test_config import VALID

WORKERS = 4


@pytest.fixture
def config(tmp_path):
    """A configuration of several workers, on ports that the kernel chooses."""

    def of(more="", workers=WORKERS, port=0):
        text = VALID.replace("[switch]", f"[switch]\nworkers = {workers}").replace(
            "127.0.0.1:5830", f"127.0.0.1:{port}"
        )
        (tmp_path / "switch.toml").write_text(text.replace("[keys]", f"{more}\n[keys]"))
        return load_config(tmp_path / "switch.toml")

    return of


@pytest.fixture
def claimed(config):
    """Claims addresses; they are given back at the end."""
    with contextlib.ExitStack() as stack:

        def of(configuration):
            result, sockets = claim_addresses(configuration)
            for one in sockets:
                stack.callback(one.close)
            return result

        yield of


def listening(port):
    """A socket of a worker, as it listens."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", port))
    one.listen()
    return one


def test_a_port_of_the_kernels_choice_is_one_for_all(config, claimed):
    address = claimed(config()).listeners[0].bind
    assert address.port != 0
    with listening(address.port), listening(address.port), socket.create_connection(("127.0.0.1", address.port)):
        pass


@pytest.mark.parametrize("is_shared", [False, True], ids=["somebody", "workers of another daemon"])
def test_an_address_in_use_is_told_in_words(config, is_shared):
    with listening(0) if is_shared else socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=r"listener\[pos\]\.bind: 127\.0\.0\.1:\d+ cannot be listened on: "):
            claim_addresses(config(port=port))


JOURNAL = '[journal]\nmode = "files"\ndirectory = "journal"\n'


def test_a_new_journal_has_a_partition_for_each_worker(config):
    section = config(JOURNAL).journal
    hold = Hold(section.directory, section.partitions, at_first=WORKERS)
    hold.release()
    assert partition_count(section.directory) == WORKERS
    again = Hold(section.directory, section.partitions, at_first=WORKERS + 1)
    again.release()
    assert again.partitions == WORKERS, "what is there stays"


@pytest.fixture
def untouched(monkeypatch):
    """This process stays as it is, and nothing is loaded."""
    for untouched in ("load_parts", "configure_direct_logging"):
        monkeypatch.setattr(f"switch.server.fleet.{untouched}", lambda *_, **_options: None)
    monkeypatch.setattr("switch.server.fleet.protect_memory", lambda: None)


@pytest.mark.usefixtures("untouched")
def test_fewer_partitions_than_workers_are_refused_with_what_to_do(config):
    configuration = config(JOURNAL)
    Hold(configuration.journal.directory, 2).release()
    with pytest.raises(JournalError) as refusal:
        serve_with_workers(configuration, lambda *_: 0)
    assert str(refusal.value) == (
        "switch.workers is 4, and the journals are of 2 partition(s): each worker needs one; set switch.workers to 2, "
        "or drain the daemon and run `authswitch partitions change CONFIG 4`"
    )


@pytest.mark.usefixtures("untouched")
def test_so_are_fewer_than_workers_on_one_of_several_nodes(config, monkeypatch):
    """Of all partitions there are enough."""
    nodes = [
        NodeSection(name=name, address=f"192.0.2.1:{port}", workers=workers)
        for name, port, workers in (("a", 6001, 1), ("b", 6011, WORKERS))
    ]
    configuration = config(JOURNAL).model_copy(update={"nodes": nodes, "mesh": SimpleNamespace(node="b")})
    Hold(configuration.journal.directory, WORKERS + 1, node=configuration.node).release()
    monkeypatch.setattr("switch.server.fleet.claim_addresses", lambda found: (found, []))
    with pytest.raises(JournalError, match=r"the journals are of 2 partition\(s\).* set switch.workers to 2, "):
        serve_with_workers(configuration, lambda *_: 0)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("total", [1, 2, 3, 5, 8])
def test_connections_in_all_are_dealt_out_to_endpoints_and_workers(workers, total):
    endpoints = ["a", "b", "c"]
    section = SimpleNamespace(connections_total=total, connections=1, endpoints=endpoints)
    stats = Stats(65_536)
    dealt = [endpoints_of(section, Place(number, workers, workers, stats)) for number in range(workers)]
    assert sum(map(len, dealt)) == total
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    each = [sum(one.count(endpoint) for one in dealt) for endpoint in endpoints]
    assert max(each) - min(each) <= 1


def test_otherwise_each_worker_has_all_of_them():
    section = SimpleNamespace(connections_total=None, connections=2, endpoints=["a", "b"])
    place = Place(3, 4, 4, Stats(65_536))
    assert endpoints_of(section, place) == ["a", "a", "b", "b"]
