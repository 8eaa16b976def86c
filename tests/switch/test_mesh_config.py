"""What a configuration says of nodes: each thing that cannot be is named, and what is doubtful is a warning."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from switch.config import load_config
from switch.config.mesh_sections import Node
from switch.samples.certificates import Authority
from tests.switch.test_config import VALID, found

MESH = """
[journal]
mode = "files"
directory = "journal"
partitions = 5

[mesh]
node = "b"
certificate = "b.pem"
private_key = "b.key"
ca = "ca.pem"
"""
NODE_A = '\n[[node]]\nname = "a"\naddress = "127.0.0.1:5850"\nworkers = 2\n'
NODE_B = '\n[[node]]\nname = "b"\naddress = "127.0.0.1:5860"\n'
NODES = VALID + MESH + NODE_A + NODE_B


@pytest.fixture
def write(tmp_path):
    """Write a configuration beside certificates; gives its path."""
    authority = Authority(tmp_path, "ca")
    authority.issue("b", "b")
    authority.issue("switch.b", "switch.b")

    def _write(text):
        path = tmp_path / "switch.toml"
        path.write_text(text)
        return path

    return _write


def test_nodes_are_read_with_what_follows_from_their_order(write, tmp_path):
    config = load_config(write(NODES))
    assert config.node == Node(1, 2)
    assert (config.crews, config.worker_count) == ([2, 1], 1)
    assert [section.certified_name for section in config.nodes] == ["a", "b"]
    assert [str(config.nodes[0].address_of(number)) for number in range(2)] == ["127.0.0.1:5850", "127.0.0.1:5851"]
    assert (config.mesh.silence_ms, config.mesh.certificate) == (3_000, tmp_path / "b.pem")


ALSO = ("partitions = 1", 'name = "a"\ncertificate_name = "-"')


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        (MESH, MESH.partition("[mesh]")[0], "mesh", "is required with [[node]]"),
        (NODE_A, "", "node", "needed two or more, got one"),
        (NODE_A, NODE_A.replace('"a"', '"b"').replace("= 2", "= 1"), "node[b].name", "is used 2 times"),
        ('node = "b"', 'node = "c"', "mesh.node", "there is no [[node]] with the name c"),
        ("[switch]", "[switch]\nalone = true", "switch.alone", "they all take terminals"),
        ("[switch]", "[switch]\nworkers = 2", "node[b].workers", "1 (the default) is not switch.workers, which is 2"),
        (":5860", ":5851", "node[b].address", "127.0.0.1:5851 is already taken by node[a].address"),
        ("127.0.0.1:5850", "0.0.0.0:5850", "node[a].address", "0.0.0.0:5850: who calls that calls itself"),
        ("127.0.0.1:5860", "[::]:5860", "node[b].address", "[::]:5860: who calls that calls itself"),
        (":5850", ":65535", "node[a].address", "127.0.0.1:65535 leaves no ports for 2 workers"),
        (":5860", ":5830", "node[b].address", "127.0.0.1:5830 is already taken by listener[pos].bind"),
        ("partitions = 5\n", "", "journal.partitions", "is required with [[node]]"),
        ("partitions = 5", "partitions = 2", "node[a].workers", "2 is above the 1 partition(s) that it has of 2"),
        ("partitions = 5", "partitions = 1", "node[a].workers", "2 is above the 1 partition(s) that it has of 1"),
        ('node = "b"', 'node = "b"\nsilence_ms = 299', "mesh.silence_ms", "needed at least 300"),
        ('name = "a"', 'name = "a"\ncertificate_name = "-"', "node[a].certificate_name", "needed text of the form"),
        ('ca = "ca.pem"\n', "", "mesh.ca", "is required"),
    ],
)
def test_nodes_that_make_no_sense(write, old, new, key, reason):
    assert old in NODES
    problems = found(write(NODES.replace(old, new, 1)))
    assert key in problems, problems
    assert reason in problems[key]
    # With one partition node b has none either, and a node that cannot be read is none.
    assert len(problems) == (2 if new in ALSO else 1), problems


def test_the_node_says_how_many_workers_there_are(write):
    text = NODES.replace(NODE_B, NODE_B + "workers = 2\n")
    assert load_config(write(text)).worker_count == 2
    assert load_config(write(text.replace("[switch]", "[switch]\nworkers = 2"))).worker_count == 2
    assert found(write(text.replace("partitions = 5", "partitions = 3"))) == {
        "node[b].workers": "2 is above the 1 partition(s) that it has of 3: each worker needs one"
    }
    refused = found(write(text.replace("[switch]", "[switch]\nworkers = 1")))
    assert refused == {"node[b].workers": "2 is not switch.workers, which is 1; leave that out"}


def test_the_tables_of_the_page_are_valid(write, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    (tables,) = re.findall(r"```toml\n(.*?)```", page.partition("## Nodes")[2].partition("\n## ")[0], re.DOTALL)
    (tmp_path / "secrets").mkdir()
    Authority(tmp_path / "secrets", "mesh-ca").issue("node-a", "a")
    config = load_config(write(VALID + MESH.partition("[mesh]")[0] + tables))
    assert (config.node, config.worker_count) == (Node(0, 2), 2)


def test_a_mesh_needs_nodes(write):
    problems = found(write(VALID + MESH))
    assert "there is no [[node]] with the name b" in problems["mesh.node"]


def test_an_address_that_no_other_machine_can_call_is_doubtful(write):
    warnings = found(write(NODES.replace("127.0.0.1:5850", "10.0.0.1:5850")), "warning")
    assert "127.0.0.1:5860 is of this machine alone" in warnings["node[b].address"]
    assert not any(key.startswith("node[") for key in found(write(NODES), "warning"))


def test_the_other_nodes_addresses_are_not_this_machines(write):
    assert found(write(NODES.replace("127.0.0.1:5830", "127.0.0.1:5850"))) == {}


TRUSTED = 'proxy_trusted = ["10.1.2.3/32"]\n'


@pytest.mark.parametrize(
    ("text", "is_doubtful"),
    [
        (VALID, True),
        (VALID.replace("[switch]", "[switch]\nalone = true"), False),
        (NODES, False),
    ],
    ids=["nobody says so", "alone", "nodes"],
)
def test_a_balancer_before_a_switch_that_may_not_be_the_only_one_is_doubtful(write, text, is_doubtful):
    text = text.replace('bind = "127.0.0.1:5830"\n', f'bind = "127.0.0.1:5830"\n{TRUSTED}')
    warnings = found(write(text), "warning")
    assert ("their repeats are charged twice" in warnings.get("listener[pos].proxy_trusted", "")) == is_doubtful


@pytest.mark.parametrize(
    ("bears", "needed", "problem"),
    [
        ("b", "", None),
        ("switch.b", "", "does not bear the name b: other nodes would refuse it"),
        ("b", 'certificate_name = "switch.b"\n', "does not bear the name switch.b: other nodes would refuse it"),
        ("switch.b", 'certificate_name = "switch.b"\n', None),
    ],
)
def test_the_own_certificate_must_bear_the_name_of_the_node(write, bears, needed, problem):
    text = NODES.replace("b.pem", f"{bears}.pem").replace("b.key", f"{bears}.key")
    text = text.replace('name = "b"\n', f'name = "b"\n{needed}')
    assert found(write(text)).get("mesh.certificate") == problem


def test_the_own_certificate_must_be_of_the_authority(write, tmp_path):
    path = write(NODES)
    Authority(tmp_path, "other-ca")
    for of_both in ("other-ca.pem", "b.pem"):
        (reason,) = found(write(NODES.replace('ca = "ca.pem"', f'ca = "{of_both}"'))).values()
        assert "other nodes would refuse it: its certificate is not accepted: " in reason
    assert found(write(NODES)) == {}, path


@pytest.mark.parametrize("purpose", [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
def test_the_own_certificate_must_do_for_who_calls_and_for_who_is_called(write, tmp_path, purpose):
    path = write(NODES)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "b")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=100))
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .sign(key, SHA256())
    )
    for file in ("b.pem", "ca.pem"):
        (tmp_path / file).write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "b.key").write_bytes(secret)
    assert "other nodes would refuse it" in found(path)["mesh.certificate"]


def test_certificates_that_cannot_be_used_are_told_before_the_start(write, tmp_path):
    path = write(NODES)
    (tmp_path / "b.pem").unlink()
    (tmp_path / "ca.pem").write_text("nothing")
    problems = found(path)
    assert sorted(problems) == ["mesh.ca", "mesh.certificate"]
    assert "No such file" in problems["mesh.certificate"]
