"""Reading what a command or a configuration names: regular files of a size that can be read, by paths that are some."""

from __future__ import annotations

import re

import pytest

from switch.check.configuration import check_config
from switch.files.datafile import TOML_BYTES_MAX, open_regular, read_regular, read_toml
from tests.switch.test_cli import call
from tests.switch.test_config import VALID

PATHS = {
    "switch.numbers_file": '[switch]\nname = "a"\nacquirer_id = "1"\nnumbers_file = {}\n',
    "journal.directory": '[journal]\nmode = "files"\ndirectory = {}\n',
    "keys.file": "[keys]\nfile = {}\nmaster_key_file = 'm'\n",
    "keys.master_key_file": "[keys]\nfile = 'k'\nmaster_key_file = {}\n",
    "registry.merchants": "[registry]\nmerchants = {}\nterminals = 't'\n",
    "registry.terminals": "[registry]\nmerchants = 'm'\nterminals = {}\n",
    "routes.file": "[routes]\nfile = {}\n",
    "risk.file": "[risk]\nfile = {}\n",
    "listener[x].dialect": "[[listener]]\nname = 'x'\nbind = '127.0.0.1:1'\ndialect = {}\n",
    "listener[x].tls.certificate": "[[listener]]\nname = 'x'\ntls = {{ certificate = {}, private_key = 'k' }}\n",
    "listener[x].tls.private_key": "[[listener]]\nname = 'x'\ntls = {{ certificate = 'c', private_key = {} }}\n",
    "listener[x].tls.client_ca": "[[listener]]\nname = 'x'\ntls = {{ client_ca = {} }}\n",
    "link[x].dialect": "[[link]]\nname = 'x'\ndialect = {}\n",
    "link[x].tls.ca": "[[link]]\nname = 'x'\ntls = {{ ca = {} }}\n",
    "link[x].tls.certificate": "[[link]]\nname = 'x'\ntls = {{ certificate = {} }}\n",
    "link[x].tls.private_key": "[[link]]\nname = 'x'\ntls = {{ private_key = {} }}\n",
    "admin.bind": "[admin]\nbind = {}\n",
}


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_no_path_holds_a_nul_character(tmp_path, key, command):
    path = tmp_path / "switch.toml"
    value = '"unix:a\\u0000b"' if key == "admin.bind" else '"a\\u0000b"'
    path.write_text(PATHS[key].format(value))
    reasons = {problem.key: problem.reason for problem in check_config(path).problems}
    assert re.search("NUL character|path of a socket", reasons[key])
    status, output = call(command, path)
    assert status == 2
    assert key in re.sub(r"\s+", "", output)


def test_no_path_within_a_dialect_or_risk_rules_either(tmp_path):
    (tmp_path / "own.toml").write_text('extends = "a\\u0000b.toml"\n')
    path = tmp_path / "switch.toml"
    path.write_text(VALID.replace('"iso87-ascii"', '"./own.toml"'))
    assert any("NUL character" in problem.reason for problem in check_config(path).problems)
    with pytest.raises(OSError, match="NUL character"):
        open_regular(tmp_path / "a\0b")


def test_a_file_is_read_up_to_a_size(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, and at most 4 are read"):
        read_regular(path, 4)


def test_a_configuration_that_is_too_large_says_so(tmp_path):
    path = tmp_path / "switch.toml"
    with path.open("wb") as stream:
        stream.truncate(TOML_BYTES_MAX + 1)
    (problem,) = check_config(path).problems
    assert problem.reason == "cannot be read: it has 16,777,217 bytes, and at most 16,777,216 are read"


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert read_toml(path) == {"a": 1, "b": 2}


def test_true_is_no_number(tmp_path):
    path = tmp_path / "switch.toml"
    path.write_text("[[link]]\nname = 'x'\nmac = { algorithm = 'x9.9', key = 'k', padding = true }\n")
    reasons = {problem.key: problem.reason for problem in check_config(path).problems}
    assert reasons["link[x].mac.padding"] == "needed a number, got true"
