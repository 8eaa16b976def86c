"""Clients that know the switch from the outside only, against a sample configuration.

One is built on pyiso8583 alone. The other writes bytes: frames as they stand in public traces of the CUP dialect, and
checks the answers byte by byte with a reader of its own.
"""

import ast
import asyncio
import json
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from switch.keys import Key, KeyFile
from switch.keys.master import load_master_key
from switch.simulators.dialect_profile import MacSetting
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.rules import AmountRule, Rules

from . import independent_client
from .configs import on_free_ports
from .daemon import Daemon
from .independent_client import Client, network_message, purchase
from .installation import profile_of

VECTORS = Path(__file__).parents[1] / "vectors"


def vectors(name):
    return json.loads((VECTORS / name).read_text())


MAC_VECTOR = vectors("mac.json")["cup_ecb"][0]
SIGN_IN_KEYS = vectors("pin_and_keys.json")["cup_sign_in"]
SIGN_IN = next(m for m in vectors("messages_cup.json")["messages"] if m["name"] == "0800 sign-in")

# The trace does not tell its PIN key. This one was searched for: the trace's PIN block opens under it.
PIN_KEY_OF_TRACE = "072051851A0D61C458FB6123B662452A"
KEYS_OF_TRACES = {
    "terminal/16688014/tmk": MAC_VECTOR["terminal_master_key"],
    "terminal/16688014/tak": MAC_VECTOR["key"],
    "terminal/16688014/tpk": PIN_KEY_OF_TRACE,
    "terminal/99999906/tmk": SIGN_IN_KEYS["terminal_master_key"],
    "terminal/99999906/tak": SIGN_IN_KEYS["mac_key"],
    "terminal/99999906/tpk": SIGN_IN_KEYS["pin_key"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sample(sample_configs, tmp_path_factory):
    """The daemon with ``configs/loopback.toml``, the keys of the traces, and its issuer."""
    folder = tmp_path_factory.mktemp("loopback") / "configs"
    shutil.copytree(sample_configs, folder)
    master_key = load_master_key(folder / "secrets" / "master.key")
    with KeyFile.open(folder / "secrets" / "keys.sealed", master_key) as keys:
        for name, digits in KEYS_OF_TRACES.items():
            algorithm = "des" if len(digits) == 16 else "3des-2key"
            keys.put(Key(name, name[-3:], algorithm, bytes.fromhex(digits)), replace=True)
        keys.save()
        zak = keys.get("link/bank-a/zak").value
    rules = Rules(amounts=(AmountRule(ending="5151", refusal="insufficient_funds"),))
    settings = IssuerSettings(name="bank-a", rules=rules)
    issuer = Issuer(profile_of("iso87-ascii"), settings, MacSetting("x9.19", zak))
    ports = {"127.0.0.1:7001": await issuer.listen()}
    daemon = Daemon(on_free_ports(folder / "loopback.toml", ports), [*KEYS_OF_TRACES.values(), "6225000000000014"])
    try:
        await daemon.start()
        daemon.issuer = issuer
        yield daemon
    except BaseException:
        daemon.kill()
        raise
    await daemon.stop()
    await issuer.stop()


@pytest.fixture
def ask(sample):
    """Runs a function of a blocking client, with a client of its own, beside the event loop of the issuer."""

    async def _ask(conversation):
        def talk():
            with Client(sample.ports["ascii"]) as client:
                return conversation(client)

        return await asyncio.to_thread(talk)

    return _ask


def test_client_imports_nothing_of_ours():
    tree = ast.parse(Path(independent_client.__file__).read_text())
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in imports} <= {"iso8583", *sys.stdlib_module_names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


async def test_purchase_is_answered(sample, ask):
    before = sample.issuer.counters.requests
    request = purchase("000101")
    answer = await ask(lambda client: client.ask(request))
    assert answer["t"] == "0210"
    assert answer["39"] == "00"
    for field in ("3", "4", "11", "12", "13", "41", "42", "49"):
        assert answer[field] == request[field], field
    assert len(answer["37"]) == 12
    assert len(answer["38"]) == 6
    assert not {"35", "52", "55"} & set(answer)
    assert sample.issuer.counters.requests == before + 1


@pytest.mark.parametrize("code", ["001", "301"], ids=["sign-on", "echo test"])
async def test_network_management_is_answered(ask, code):
    request = network_message(code, "000110")
    answer = await ask(lambda client: client.ask(request))
    assert {field: answer[field] for field in ("t", "11", "39", "41", "70")} == {
        "t": "0810",
        "11": "000110",
        "39": "00",
        "41": "10000001",
        "70": code,
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"f4": "000000005151"}, "51"),
        ({"f2": "9999990000000004", "f35": None}, "15"),
        ({"f41": "77777777"}, "58"),
        ({"f42": "898000000000999"}, "03"),
        ({"f42": "898000000000009", "f41": "10000099"}, "03"),
        ({"f41": "10000098"}, "58"),
        ({"f3": "770000"}, "12"),
        ({"f4": "000000000000"}, "13"),
        ({"f64": "0123456789ABCDEF"}, "63"),
    ],
    ids=[
        "not sufficient funds",
        "unknown card",
        "unknown terminal",
        "unknown merchant",
        "closed merchant",
        "suspended terminal",
        "unknown kind",
        "no amount",
        "wrong MAC",
    ],
)
async def test_refusals_carry_their_code(ask, changes, code):
    stan = f"{200 + int(code)}" + f"{len(str(changes)):03d}"
    answer = await ask(lambda client: client.ask(purchase(stan, **changes)))
    assert (answer["t"], answer["11"], answer["39"]) == ("0210", stan, code)
    assert "38" not in answer


async def test_repeat_gets_the_same_bytes_and_is_not_forwarded(sample, ask):
    request = purchase("000120")

    def twice(client):
        client.send(request)
        first = client.receive()
        client.send(request)
        return first, client.receive()

    (document, first), (_, second) = await ask(twice)
    assert document["39"] == "00"
    assert first == second
    # The same natural key with another amount is no repeat, and no new request either.
    other = await ask(lambda client: client.ask({**request, "4": "000000009999"}))
    assert other["39"] == "94"


async def test_pipelined_requests_are_all_answered(ask):
    stans = [f"{number:06d}" for number in range(130, 190)]

    def pipeline(client):
        for stan in stans:
            client.send(purchase(stan))
        return [client.receive()[0] for _ in stans]

    answers = await ask(pipeline)
    assert sorted(answer["11"] for answer in answers) == stans
    assert {answer["39"] for answer in answers} == {"00"}


# --- raw frames of the CUP dialect ------------------------------------------------------------------------------------


async def exchange(port, frame):
    """Send bytes; the answer's bytes, length included. Nothing may follow them."""

    def talk():
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(frame)
            received = connection.recv(2)
            size = int.from_bytes(received, "big")
            while len(received) < 2 + size:
                received += connection.recv(2 + size - len(received))
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
            return received

    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, talk)


FIXED_DIGITS = {3: 6, 4: 12, 11: 6, 12: 6, 13: 4, 14: 4, 15: 4, 22: 4, 23: 4, 25: 2, 26: 2, 53: 16}
FIXED_TEXT = {37: 12, 38: 6, 39: 2, 41: 8, 42: 15, 49: 3}
FIXED_BYTES = {52: 8, 64: 8}
COUNTED_DIGITS = {2: 1, 32: 1, 35: 1, 60: 2, 61: 2}
COUNTED_BYTES = {44: 1, 54: 2, 55: 2, 62: 2, 63: 2}


def read_cup(message):
    """MTI and fields of a CUP message as hex digits or text: written for these tests from the traces alone."""
    bitmap = int.from_bytes(message[2:10], "big")
    fields = {"t": message[:2].hex()}
    at = 10
    for number in range(2, 65):
        if not bitmap >> (64 - number) & 1:
            continue
        if number in FIXED_DIGITS:
            size = FIXED_DIGITS[number] // 2
        elif number in FIXED_TEXT:
            size = FIXED_TEXT[number]
        elif number in FIXED_BYTES:
            size = FIXED_BYTES[number]
        else:
            header = COUNTED_DIGITS.get(number) or COUNTED_BYTES[number]
            size = int(message[at : at + header].hex())
            at += header
            if number in COUNTED_DIGITS:
                fields[number] = message[at : at + (size + 1) // 2].hex()[:size]
                at += (size + 1) // 2
                continue
        value = message[at : at + size]
        fields[number] = value.decode() if number in FIXED_TEXT else value.hex().upper()
        at += size
    assert at == len(message), "bytes are left over"
    return fields


def ecb_mac(key, data):
    """Field 64 of the CUP dialect, from the write-up of its vector."""
    des = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
    folded = 0
    for at in range(0, len(data), 8):
        folded ^= int.from_bytes(data[at : at + 8].ljust(8, b"\0"), "big")
    digits = f"{folded:016X}".encode()
    first = des.update(digits[:8])
    second = bytes(a ^ b for a, b in zip(first, digits[8:], strict=True))
    return des.update(second).hex().upper()[:8].encode()


def test_own_mac_is_that_of_the_vector():
    for row in vectors("mac.json")["cup_ecb"]:
        assert ecb_mac(bytes.fromhex(row["key"]), bytes.fromhex(row["mab"])) == row["field_64_ascii"].encode()


async def test_sign_in_frame_of_the_trace_is_answered_with_its_keys(sample):
    request = bytes.fromhex(SIGN_IN["hex"])
    answer = await exchange(sample.ports["pos"], request)
    assert int.from_bytes(answer[:2], "big") == len(answer) - 2
    # TPDU: its two addresses have changed places. The header comes back as it was.
    assert answer[2:7] == request[2:3] + request[5:7] + request[3:5]
    assert answer[7:13] == request[7:13]
    fields = read_cup(answer[13:])
    assert fields["t"] == "0810"
    assert fields[39] == "00"
    assert (fields[11], fields[41], fields[42]) == ("000001", "99999906", "001430170119999")
    assert (fields[60][:2], fields[60][8:11]) == ("00", "003")
    assert int(fields[60][2:8]) > 0  # it had none
    assert fields[62] == SIGN_IN_KEYS["field_62"]
    assert {"t", 11, 12, 13, 37, 39, 41, 42, 60, 62} <= set(fields) <= {"t", 11, 12, 13, 32, 37, 39, 41, 42, 60, 62, 63}


async def test_purchase_frame_of_the_trace_is_approved_under_its_mac(sample):
    message = bytes.fromhex(MAC_VECTOR["mab"]) + MAC_VECTOR["field_64_ascii"].encode()
    header = bytes.fromhex("6000120000" + "602200000000")
    frame = (len(header) + len(message)).to_bytes(2, "big") + header + message
    before = sample.issuer.counters.requests
    answer = await exchange(sample.ports["pos"], frame)
    assert sample.issuer.counters.requests == before + 1
    assert answer[2:13] == bytes.fromhex("6000000012" + "602200000000")
    fields = read_cup(answer[13:])
    assert fields["t"] == "0210"
    assert fields[39] == "00"
    assert (fields[3], fields[4], fields[11]) == ("000000", "000000000051", "001834")
    assert (fields[41], fields[42], fields[49]) == ("16688014", "000000000000001", "156")
    assert fields[60][:8] == "22000001"
    assert not {35, 52} & set(fields)
    assert answer[-8:] == ecb_mac(bytes.fromhex(MAC_VECTOR["key"]), answer[13:-8])
    # Byte for byte the same when it comes again, on another connection, and the issuer is not asked.
    assert await exchange(sample.ports["pos"], frame) == answer
    assert sample.issuer.counters.requests == before + 1


async def test_purchase_frame_of_the_trace_with_a_flipped_bit_is_refused(sample):
    message = bytearray(bytes.fromhex(MAC_VECTOR["mab"]) + MAC_VECTOR["field_64_ascii"].encode())
    message[18] ^= 0x10
    header = bytes.fromhex("6000120000" + "602200000000")
    answer = await exchange(sample.ports["pos"], (len(header) + len(message)).to_bytes(2, "big") + header + message)
    fields = read_cup(answer[13:])
    assert (fields["t"], fields[39]) == ("0210", "A0")
    assert await sample.metric("authswitch_mac_failures_total", listener="pos") == 1
