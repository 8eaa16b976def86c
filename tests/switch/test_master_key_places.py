"""Where the master key may be: a file, the environment, a credential of systemd, and a token, which is SoftHSM here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.check.configuration import check_config
from switch.cli.keys import app
from switch.config import load_config
from switch.config.key_file import master_key_place, open_key_file, read_journal_keys
from switch.keys import Key, KeyFile, KeyFileError
from switch.keys.master import GivenPlace, WrongMasterKeyError, read_credential
from switch.keys.problems import RefusedPinError
from switch.keys.token import TokenPlace
from tests.switch.test_journaling import CONFIG

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "48151623"
PLACES = {
    "file": 'master_key_file = "master.key"',
    "environment": 'master_key_env = "AUTHSWITCH_TEST_MASTER"',
    "credential": 'master_key_credential = "master.key"',
    "token": f'master_key_token = {{ module = "{MODULE}", token = "switch", key = "master", pin_file = "pin" }}',
}
TABLES = {
    "merchants": "id,name,state,category,kinds",
    "terminals": "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate",
    "routes": "low,high,kinds,currencies,amount_min,amount_max,links",
}


class Setup:
    """A folder with a configuration for each place, all of one key file."""

    def __init__(self, folder):
        self.folder = folder
        for name, columns in TABLES.items():
            (folder / f"{name}.csv").write_text(columns + "\n")
        for place, words in PLACES.items():
            self.configure(place, words)

    def configure(self, place, words):
        (self.folder / f"{place}.toml").write_text(CONFIG.replace('master_key_file = "master.key"', words))

    def keys(self, place, *arguments, status=0):
        command = ["--config", str(self.folder / f"{place}.toml"), *map(str, arguments)]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == status, result.output
        return " ".join(result.output.split())

    def section(self, place):
        return load_config(self.folder / f"{place}.toml").keys

    def problems(self, place):
        found = check_config(self.folder / f"{place}.toml").problems
        return [str(one) for one in found if one.severity == "error"]


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """What systemd, the environment and a token give, is there."""
    monkeypatch.setenv("AUTHSWITCH_TEST_MASTER", "5a" * 32)
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    for name, content in (("master.key", "3c" * 32 + "\n"), ("pin", PIN)):
        (credentials / name).write_text(content)
        (credentials / name).chmod(0o400)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    command = ["softhsm2-util", "--init-token", "--free", "--label", "switch", "--so-pin", "11111111", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "pin").write_text(PIN + "\n")
    (tmp_path / "pin").chmod(0o600)
    return Setup(tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_key_file_under_a_master_key_from_each_place(setup, place):
    said = setup.keys(place, "init")
    assert ("new master key" in said) == (place in ("file", "token"))
    assert "new key file" in said
    setup.keys(place, "generate", "link/bank-a/zak")
    assert "link/bank-a/zak" in setup.keys(place, "list")
    assert setup.problems(place) == []
    for other in PLACES:
        if other == "file" and place != "file":
            continue  # There is none.
        if other != place and not (other == "token" and place != "token"):
            assert "this master key does not open it" in setup.keys(other, "list", status=1)


@pytest.mark.parametrize("old", PLACES)
@pytest.mark.parametrize("new", PLACES)
def test_another_place(setup, old, new):
    """What the journal is sealed under stays, and another key is for what comes."""
    setup.keys(old, "init")
    before = read_journal_keys(setup.section(old))
    arguments = ("change-master-key", "--new-config", setup.folder / f"{new}.toml")
    said = setup.keys(old, *arguments)
    if old == new:
        assert "already" in said
        assert read_journal_keys(setup.section(old)) == before
        return
    after = read_journal_keys(setup.section(new))
    assert after[32:] == before
    assert "this master key does not open it" in setup.keys(old, "list", status=1)
    assert "already" in setup.keys(old, *arguments)


def test_options_of_a_change(setup):
    setup.keys("file", "init")
    assert "exactly one of" in setup.keys("file", "change-master-key", status=2)
    other = setup.folder / "other.toml"
    other.write_text((setup.folder / "token.toml").read_text().replace("keys.sealed", "other.sealed"))
    said = setup.keys("file", "change-master-key", "--new-config", other, status=2)
    assert "names another key file" in said.replace("│ ", "")


# --- in the configuration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "key", "reason"),
    [
        ("", "keys", "needed exactly one of master_key_file, master_key_env, master_key_credential and"),
        (PLACES["file"] + "\n" + PLACES["credential"], "keys", "needed exactly one of"),
        (PLACES["token"].replace(', pin_file = "pin"', ""), "keys.master_key_token", "needed exactly one of pin_file"),
        (PLACES["token"].replace('"pin"', '"pin", pin_credential = "pin"'), "keys.master_key_token", "exactly one"),
        ('master_key_credential = "../master.key"', "keys.master_key_credential", ""),
    ],
)
def test_what_the_configuration_must_say(setup, words, key, reason):
    setup.configure("file", words)
    assert any(key in one and reason in one for one in setup.problems("file")), setup.problems("file")


# --- a credential -----------------------------------------------------------------------------------------------------


def test_a_credential_that_is_not_there(setup, monkeypatch):
    assert read_credential("pin") == PIN
    with pytest.raises(KeyFileError, match="credential other: cannot be read: No such file"):
        GivenPlace(credential="other").load()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(KeyFileError, match=r"\$CREDENTIALS_DIRECTORY is not set"):
        GivenPlace(credential="master.key").load()


def test_a_credential_that_everybody_can_use(setup):
    (setup.folder / "credentials" / "master.key").chmod(0o444)
    with pytest.raises(KeyFileError, match="everybody can use it"):
        GivenPlace(credential="master.key").load()
    (setup.folder / "credentials" / "master.key").chmod(0o440)  # an access list of systemd shows so
    assert GivenPlace(credential="master.key").load() == bytes.fromhex("3c" * 32)


def test_nothing_is_put_where_others_put_it():
    with pytest.raises(KeyFileError, match="cannot be put there"):
        GivenPlace("AUTHSWITCH_TEST_MASTER").create()


# --- a token ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def token(setup):
    """A token with the key."""
    place = master_key_place(setup.section("token"))
    place.create()
    return place


def test_nobody_can_read_the_key_out_of_the_token(token):
    import pkcs11

    with token._key() as (_, key):
        assert key[pkcs11.Attribute.SENSITIVE]
        assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert not key[pkcs11.Attribute.WRAP]
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            _ = key[pkcs11.Attribute.VALUE]


def test_what_the_token_sealed_is_opened_by_its_key_alone(token):
    nonce, data_key = bytes(12), bytes(range(32))
    sealed = token.seal(nonce, data_key, b"bound")
    assert len(sealed) == 48
    assert token.unseal(nonce, sealed, b"bound") == data_key
    for wrong in (
        (bytes(11) + b"\1", sealed, b"bound"),
        (nonce, bytes([sealed[0] ^ 1]) + sealed[1:], b"bound"),
        (nonce, sealed, b"other"),
    ):
        with pytest.raises(WrongMasterKeyError):
            token.unseal(*wrong)


def test_a_key_is_never_made_twice(token):
    with pytest.raises(KeyFileError, match="key master of token switch: exists already"):
        token.create()


def test_pin_from_a_credential(setup, token):
    setup.configure("token", PLACES["token"].replace('pin_file = "pin"', 'pin_credential = "pin"'))
    setup.keys("token", "init")
    assert setup.problems("token") == []


def changed(place, **parts):
    return TokenPlace(**{name: parts.get(name, getattr(place, name)) for name in TokenPlace.__slots__})


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"module": Path("/nowhere/module.so")}, "there is no module /nowhere/module.so"),
        ({"module": Path("/etc/passwd")}, "the module /etc/passwd cannot be used: .*invalid ELF header"),
        ({"token": "other"}, "key master of token other: no token with that label is there.*NoSuchToken"),
        ({"key": "other"}, "the token has no such key; `authswitch keys init` makes one"),
        ({"pin_file": Path("/nowhere/pin")}, "/nowhere/pin: cannot be read"),
    ],
)
def test_a_token_that_cannot_be_used(token, parts, reason):
    with pytest.raises(KeyFileError, match=reason):
        changed(token, **parts).load()


def test_a_wrong_pin_is_told_and_not_shown(token):
    token.pin_file.write_text("00000000")
    with pytest.raises(RefusedPinError, match=f"the token refuses the PIN of {token.pin_file}.*PinIncorrect") as told:
        token.load()
    assert "00000000" not in str(told.value)
    token.pin_file.chmod(0o640)
    with pytest.raises(KeyFileError, match="its mode is 0640"):
        token.load()


def test_a_key_that_is_gone_again_seals_nothing(setup, token):
    with pytest.raises(KeyFileError, match=r"the token is there, and has no AES key with that label.*NoSuchKey"):
        changed(token, key="other").seal(bytes(12), bytes(32), b"")


def test_trouble_with_the_token_is_not_told_for_another_master_key(token, monkeypatch):
    import pkcs11

    class Gone:
        def decrypt(self, *_, **__):
            raise pkcs11.exceptions.DeviceRemoved

    get_key = pkcs11.Session.get_key
    monkeypatch.setattr(pkcs11.Session, "get_key", lambda *_, **__: Gone())
    with pytest.raises(KeyFileError, match="the token was taken out, or is not reached any more"):
        token.unseal(bytes(12), bytes(48), b"bound")
    monkeypatch.setattr(pkcs11.Session, "get_key", get_key)
    token.load()


def test_threads_are_in_the_module_one_after_the_other(setup):
    setup.keys("token", "init")
    section = setup.section("token")

    def opens(_):
        with open_key_file(section) as file:
            return len(file)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opens, range(64))) == [1] * 64


def test_a_fork_waits_for_whoever_is_in_the_module(setup, token):
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with token._key():
            inside.set()
            leave.wait(10)

    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(stay)
        assert inside.wait(10)
        threading.Timer(0.2, leave.set).start()
        child = os.fork()
        if child == 0:
            os._exit(0 if leave.is_set() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        staying.result()


def test_without_the_package_the_place_says_what_is_missing(token, monkeypatch):
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyFileError, match="python-pkcs11 is not installed"):
        token.load()


def test_a_token_that_does_not_open_what_it_sealed_seals_no_key_file(setup, token, monkeypatch):
    class Liar:
        def encrypt(self, data, **_):
            return data + bytes(16)

        def decrypt(self, *_, **__):
            return bytes(32)

    import contextlib

    import pkcs11

    monkeypatch.setattr(TokenPlace, "_key", lambda _: contextlib.nullcontext((pkcs11, Liar())))
    with pytest.raises(KeyFileError, match="does not open what it has sealed"):
        KeyFile.create(setup.folder / "keys.sealed", token)
    assert not (setup.folder / "keys.sealed").exists()


def test_a_key_file_of_a_token_must_have_a_key_of_the_journal(setup, token):
    KeyFile.create(setup.folder / "keys.sealed", token, [Key("link/a/zak", "zak", "3des-2key", bytes(range(16)))])
    with pytest.raises(KeyFileError, match="journal/1/jwk: there is no such key"):
        read_journal_keys(setup.section("token"))


def test_a_process_that_forks_has_nothing_of_the_module(setup):
    setup.keys("token", "init")
    open_key_file(setup.section("token")).close()
    child = os.fork()
    if child == 0:
        opened = False
        try:
            open_key_file(setup.section("token")).close()
            opened = True
        finally:
            os._exit(0 if opened else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    open_key_file(setup.section("token")).close()
