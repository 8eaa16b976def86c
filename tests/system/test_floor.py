"""The programs that whole-switch measurements stand on: what they say must be true before a figure is."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from bench import whole
from bench.processes import Process, free_port, is_listening
from bench.workload import Ports, luhn_digit, prepare, purchase
from switch.check.configuration import check_config
from switch.crypto.mac import compute_mac
from switch.dialect import load_dialect
from switch.wire.codec import decode

ROOT = Path(__file__).parents[2]
OPTIONS = Namespace(seconds=1, warmup=0.1, rounds=1, only="floor")


@pytest.fixture(scope="module", autouse=True)
def programs():
    subprocess.run(["make", "--silent", "--directory", str(ROOT / "bench" / "floor")], check=True)


@pytest.mark.parametrize("rate", [0, 2000], ids=["closed loop", "open loop"])
def test_every_request_comes_back_to_its_terminal(rate):
    scenario = whole.Scenario("floor", terminals=20, mac="x9.19", rate=rate)
    result = whole.run_once("floor", scenario, OPTIONS)
    assert result["answered"] == result["sent"] > 100
    assert result["response_codes"] == {"00": result["sent"]}
    assert 0 < result["latency_ns"]["p50"] <= result["latency_ns"]["p99"] <= result["latency_ns"]["max"]


@pytest.mark.parametrize("mac", [None, "aes-cmac", "x9.19"])
def test_workload_is_one_that_the_switch_takes(tmp_path, mac):
    workload = prepare(tmp_path, Ports(free_port(), free_port(), free_port()), 10, mac, tls=False)
    assert check_config(workload.config).valid
    message = purchase(3, with_mac=mac is not None)
    fields, _ = decode(message, load_dialect("iso87-ascii").spec)
    assert fields["41"] == "10000003"
    assert fields["2"][-1] == luhn_digit(fields["2"][:-1])
    assert message[workload.stan_offset :].startswith(fields["11"].encode())


@pytest.mark.parametrize("mac", ["aes-cmac", "x9.19"])
def test_issuer_and_terminals_make_the_macs_of_the_switch(tmp_path, mac):
    """The issuer signs its answer, and so do terminals their requests, as ``switch.crypto.mac`` would."""
    ports = Ports(free_port(), free_port(), free_port())
    workload = prepare(tmp_path, ports, 4, mac, tls=False)
    key = bytes.fromhex(workload.link_key)
    assert workload.keys
    workload.keys.write_text(f"{workload.link_key}\n" * 4)
    scenario = whole.Scenario("macs", terminals=4, mac=mac)
    with Process(whole.issuer_command("switch", scenario, workload, ports), 0, tmp_path / "issuer.log") as issuer:
        issuer.wait_until(lambda: is_listening(ports.issuer))
        answer = exchange(ports.issuer, purchase(0, with_mac=True))
        assert bytes.fromhex(answer[-16:].decode()) == compute_mac(mac, key, answer[:-16])[:8]
        # The terminals ask the issuer itself, under one key, and verify one answer in 64.
        direct = Ports(ports.issuer, ports.issuer, ports.admin)
        command = whole.terminals_command("switch", scenario, workload, direct, OPTIONS)
        with Process(command, 0, tmp_path / "terminals.log") as terminals:
            result = json.loads(terminals.output())
    assert result["wrong_macs"] == 0
    assert result["answered"] == result["sent"] > 100


def exchange(port, message):
    """Send one message behind a 2-byte length; the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rwb") as stream:
        stream.write(len(message).to_bytes(2, "big") + message)
        stream.flush()
        return stream.read(int.from_bytes(stream.read(2), "big"))


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("changing", ("--rate", "200", "--seconds", "2", "--warmup", "0.5"), r"500 purchases at .*\n\d+ changes: seen"),
        ("importing", ("--count", "200", "--databases", "postgresql", "sqlite", "--keys"), r"sqlite: 200 terminals in"),
    ],
)
def test_measurements_of_the_store(module, options, said):
    command = [sys.executable, "-m", f"bench.{module}", *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.search(said, result.stdout), result.stdout
