"""``authswitch simulate``: its files, its scenarios and latencies, and both commands in processes of their own."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.cli.simulate import app
from switch.keys import Key, KeyFile
from switch.keys.master import create_master_key
from switch.simulators.dialect_profile import MacSetting
from switch.simulators.faults import Fault
from switch.simulators.latency import Latency, parse_latency
from switch.simulators.rules import Rules
from switch.simulators.scenario import Flaw, Scenario, Share
from switch.simulators.setup import Keys, SetupError, read_model, registered_terminals, terminal_tls
from tests.switch.simulated import CARDS


def test_scenarios_name_what_they_lack() -> None:
    with pytest.raises(ValueError, match="unknown_cards"):
        Scenario(cards=CARDS, shares=(Share(kind="purchase", flaw=Flaw.UNKNOWN_CARD),))
    with pytest.raises(ValueError, match="needed one of"):
        Share(kind="echo_test")
    with pytest.raises(ValueError, match="no reason"):
        Share(kind="purchase", expect=("fine",))
    with pytest.raises(ValueError, match="amount_min_minor"):
        Scenario(cards=CARDS, amount_min_minor=10, amount_max_minor=9)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("5", Latency(shape="fixed", ms=5)),
        ("fixed:0", Latency(shape="fixed", ms=0)),
        ("uniform:1.5", Latency(shape="uniform", ms=1.5)),
        ("lognormal:5,0.25", Latency(shape="lognormal", ms=5, sigma=0.25)),
    ],
)
def test_latencies_of_the_command_line(text: str, latency: Latency) -> None:
    assert parse_latency(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "normal:5", "fixed:", "5,6,7", "-1", "1.2.3"])
def test_latencies_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"latency|ms"):
        parse_latency(text)


def test_latencies_are_drawn_as_they_say() -> None:
    generator = random.Random(1)
    assert Latency(shape="fixed", ms=5).draw_s(generator) == 0.005
    uniform = [Latency(shape="uniform", ms=5).draw_s(generator) for _ in range(2000)]
    assert 0 <= min(uniform) < 0.001 < 0.009 < max(uniform) <= 0.01
    lognormal = sorted(Latency(shape="lognormal", ms=5, sigma=0.5).draw_s(generator) for _ in range(2001))
    assert 0.0045 < lognormal[1000] < 0.0055
    assert Latency(shape="lognormal", ms=0).draw_s(generator) == 0


def test_files_of_the_documentation_are_read(tmp_path) -> None:
    """The rules and the scenario that the page shows are valid."""
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for model, text in zip((Rules, Scenario), examples, strict=True):
        path = tmp_path / "example.toml"
        path.write_text(text)
        assert read_model(path, model)
    names = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert {fault.value for fault in Fault} <= names


def test_a_wrong_file_is_told_key_by_key(tmp_path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('unknwon = 1\n[[cards]]\npan = "12x"\n')
    with pytest.raises(SetupError) as caught:
        read_model(path, Rules)
    assert "unknwon" in str(caught.value)
    assert "cards[0].pan: needed text of the form ^[0-9]{8,19}$" in str(caught.value)
    assert "12x" not in str(caught.value), "it may be a card number"
    assert "unknwon: unknown key; did you mean unknown_card?" in str(caught.value)
    assert "12x" not in str(caught.value)
    with pytest.raises(SetupError, match=r"absent\.toml: cannot be read: No such file"):
        read_model(tmp_path / "absent.toml", Rules)


def test_terminals_of_a_registry_bring_their_keys(tmp_path) -> None:
    master_key = create_master_key(tmp_path / "master.key")
    with KeyFile.create(tmp_path / "keys.sealed", master_key) as file:
        file.put(Key("terminal/10000001/tak", "tak", "3des-2key", bytes(range(16))))
        file.put(Key("terminal/10000001/tmk", "tmk", "3des-2key", bytes(range(16, 32))))
        file.save()
    registry = tmp_path / "terminals.csv"
    registry.write_text(
        "# a comment\n"
        "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n"
        "10000001,898000000000001,active,pos|other,,x9.19,none,\n"
        "10000002,898000000000001,closed,,,x9.19,none,\n"
        "10000003,898000000000001,active,other,,x9.19,none,\n"
        "10000004,898000000000001,active,,,none,none,\n"
    )
    keys = Keys(tmp_path / "keys.sealed", tmp_path / "master.key", None)
    found = registered_terminals(registry, keys, "pos", 10, terminal_tls(None, None))
    assert [identity.terminal for identity in found] == ["10000001", "10000004"]
    assert found[0].mac == MacSetting("x9.19", bytes(range(16)))
    assert found[0].master_key == bytes(range(16, 32))
    assert (found[1].mac, found[1].master_key, found[1].tls) == (None, None, None)
    assert "mac=None" not in repr(found[0])
    assert str(bytes(range(16))) not in repr(found[0])
    with pytest.raises(SetupError, match="no key terminal/10000003/tak"):
        registered_terminals(registry, keys, "other", 10, terminal_tls(None, None))
    with pytest.raises(SetupError, match=r"x9\.9"):
        keys.mac("terminal/10000001/tak", "x9.9")
    registry.write_text("id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n")
    with pytest.raises(SetupError, match="no active terminal"):
        registered_terminals(registry, keys, None, 10, terminal_tls(None, None))


@pytest.mark.parametrize(
    "arguments",
    [
        ["issuer"],
        ["issuer", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1"],
        ["issuer", "--listen", "nowhere"],
        ["issuer", "--listen", "127.0.0.1:0", "--latency", "fast"],
        ["issuer", "--listen", "127.0.0.1:0", "--fault", "nonsense=1x"],
        ["issuer", "--listen", "127.0.0.1:0", "--dialect", "nonsense"],
        ["issuer", "--listen", "127.0.0.1:0", "--mac-key", "link/bank-a/zak"],
        ["terminals", "127.0.0.1:1"],
        ["terminals", "127.0.0.1:1", "--requests", "1", "--scenario", "absent.toml"],
    ],
)
def test_what_is_asked_wrongly_ends_with_status_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_terminals_that_find_nobody_end_with_status_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = CliRunner().invoke(app, ["terminals", f"127.0.0.1:{taken.getsockname()[1]}", "--requests", "1"])
    assert result.exit_code == 1


def test_both_commands_speak_with_each_other(tmp_path) -> None:
    """Two processes; the issuer ends at SIGTERM and leaves its ledger."""
    command = [sys.executable, "-m", "switch", "simulate"]
    root = Path(__file__).parents[2]
    ledger = tmp_path / "ledger.json"
    issuer = subprocess.Popen(
        [*command, "issuer", "--listen", "127.0.0.1:0", "--fault", "duplicate-answer=1x", "--ledger", str(ledger)],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert issuer.stdout is not None
        address = issuer.stdout.readline().partition("listening on ")[2].partition(",")[0]
        receipts = tmp_path / "receipts.json"
        result = subprocess.run(
            [*command, "terminals", address, "--requests", "30", "--receipts", str(receipts), "--json"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        issuer.send_signal(signal.SIGTERM)
        said, _ = issuer.communicate(timeout=30)
    finally:
        issuer.kill()
        issuer.wait()
    counted = json.loads(result.stdout)
    assert (counted["answered"], counted["duplicate"], counted["wrong"]) == (30, 1, 1)
    assert result.returncode == 1
    assert issuer.returncode == 0
    assert "30 requests, 31 answers" in said
    assert len(json.loads(ledger.read_text())["entries"]) == len(json.loads(receipts.read_text())["receipts"]) == 30
