"""What keeps the daemon from starting beside the configuration itself: ``check`` says it as ``serve`` does."""

from __future__ import annotations

import re
import shutil
import socket

import pytest

from switch.check.configuration import check_config
from switch.config import load_config
from switch.server.fleet import claim_addresses
from tests.switch.test_cli import call

HEAD = """
[admin]
bind = "127.0.0.1:0"
"""


@pytest.fixture
def folder(tmp_path, sample_configs):
    where = tmp_path / "configs"
    shutil.copytree(sample_configs, where)
    where.joinpath("file").write_text("")
    return where


def written(folder, text):
    path = folder / "minimal.toml"
    own = re.sub(r"\[admin\]\nbind = .*\n", "", path.read_text()) if "[admin]" in text else path.read_text()
    path.write_text(own + text)
    return path


CASES = {
    "journal.directory": [
        ('[journal]\nmode = "files"\ndirectory = "file"\n' + HEAD, "file is no folder"),
        ('[journal]\nmode = "files"\ndirectory = "file/journal"\n' + HEAD, "file"),
        ('[journal]\nmode = "files"\ndirectory = "/proc/journal"\n' + HEAD, "/proc: nothing can be written there"),
    ],
    "switch.numbers_file": [
        ('[journal]\nmode = "files"\ndirectory = "own"\n' + HEAD, "own.numbers: cannot be read: Is a directory"),
    ],
    "admin.bind": [
        ('[admin]\nbind = "unix:missing/admin.sock"\n', "missing: nothing can be written there: No such file"),
        ('[admin]\nbind = "unix:file"\n', "file is there, and is no socket"),
        ('[admin]\nbind = "256.1.1.1:27931"\nallow_remote = true\n', "256.1.1.1:27931 cannot be listened on"),
    ],
    "admin.scrape_bind": [
        (HEAD + 'scrape_bind = "256.1.1.1:27931"\nallow_remote = true\n', "256.1.1.1:27931 cannot be listened on"),
        (HEAD + 'scrape_bind = "192.0.2.1:27931"\nallow_remote = true\n', "192.0.2.1:27931 cannot be listened on"),
    ],
}


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        (
            b"authswitch partitions 1\npartitions 2\n",
            "journal.partitions",
            "of 2 partitions, and journal.partitions is 4",
        ),
        (b"partitions 4\n", "journal.directory", "does not say of how many partitions the journals are"),
    ],
)
def test_check_tells_of_another_number_of_partitions(folder, content, key, reason):
    (folder / "journal").mkdir()
    for number in range(2):
        (folder / "journal" / f"partition-{number}").mkdir()
    (folder / "journal" / "partitions").write_bytes(content)
    path = written(folder, '[journal]\nmode = "files"\ndirectory = "journal"\npartitions = 4\n' + HEAD)
    (problem,) = [one for one in check_config(path).problems if one.severity == "error"]
    assert problem.key == key
    assert reason in problem.reason


@pytest.mark.parametrize(("key", "text", "reason"), [(key, *case) for key, cases in CASES.items() for case in cases])
def test_check_looks_where_serve_would_fail(folder, key, text, reason):
    (folder / "own.numbers").mkdir()
    path = written(folder, text)
    (problem,) = [one for one in check_config(path).problems if one.severity == "error"]
    assert problem.key == key
    assert reason in problem.reason
    status, output = call("serve", path)
    assert status == 1
    assert reason.partition(":")[0].split()[0] in output.replace("\n", "")


@pytest.mark.parametrize("host", ["256.1.1.1", "192.0.2.1"], ids=["no host", "of another machine"])
def test_a_listener_whose_host_is_not_here(folder, host):
    path = folder / "minimal.toml"
    path.write_text(path.read_text().replace("127.0.0.1:5830", f"{host}:5830"))
    (problem,) = [one for one in check_config(path).problems if one.severity == "error"]
    assert problem.key == "listener[pos].bind"
    assert problem.reason.startswith(f"{host}:5830 cannot be listened on: ")
    status, output = call("serve", path)
    assert status == 1
    assert f"listener[pos].bind: {host}:5830 cannot be listened on: " in output
    assert "link" not in output, "nothing else was begun"


def test_an_address_of_a_node_that_is_not_this_machines(folder):
    path = folder / "nodes" / "a.toml"
    text = path.read_text().replace('"127.0.0.1:5850"', '"192.0.2.1:5850"')
    path.write_text(text.replace('bind = "127.0.0.1:9583"', 'bind = "127.0.0.1:0"'))
    (problem,) = [one for one in check_config(path).problems if one.severity == "error"]
    assert problem.key == "node[a].address"
    assert problem.reason == "192.0.2.1:5850 cannot be listened on: Cannot assign requested address"
    status, output = call("serve", path)
    assert status == 1
    assert "node[a].address: 192.0.2.1:5850 cannot be listened on: Cannot assign requested address" in output
    assert not (folder / "journal-a").exists(), "nothing was begun"
    path.write_text(path.read_text().replace('5850"', '5850"\nworkers = 2'))
    with pytest.raises(OSError, match=r"^\[Errno 99\] node\[a\]\.address: 192\.0\.2\.1:5850 cannot be listened on: "):
        claim_addresses(load_config(path))


def test_a_port_that_is_taken_is_no_fault_of_the_configuration(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = folder / "minimal.toml"
        path.write_text(path.read_text().replace(":5830", f":{taken.getsockname()[1]}"))
        assert check_config(path).valid


def test_what_is_not_there_yet_is_made(folder):
    before = sorted(folder.iterdir())
    path = written(folder, '[journal]\nmode = "files"\ndirectory = "data/of/journal"\n' + HEAD)
    assert check_config(path).valid
    assert sorted(folder.iterdir()) == before, "nothing is left behind"


def test_numbers_of_another_instance(folder):
    (folder / "own").write_bytes(b"authswitch numbers 1\ninstance 3\nreserved_to 5\n")
    path = folder / "minimal.toml"
    path.write_text(path.read_text().replace("[switch]", '[switch]\nnumbers_file = "own"'))
    (problem,) = [one for one in check_config(path).problems if one.severity == "error"]
    assert problem.key == "switch.numbers_file"
    assert "has the numbers of instance 3" in problem.reason


def test_an_address_that_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = call("serve", written(folder, f'[admin]\nbind = "127.0.0.1:{port}"\n'))
    assert status == 1
    assert f"admin.bind: 127.0.0.1:{port} cannot be listened on: Address already in use" in output
