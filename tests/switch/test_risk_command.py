"""``authswitch risk hash``: what stands in the table of blocked cards, from card numbers on standard input."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from switch.check.configuration import check_config
from switch.cli.main import app
from switch.keys import Key, KeyFile, load_master_key
from switch.samples.copying import write_sample
from switch.tables.card_hashes import card_hash

SECRET = bytes(range(16))
CARDS = ("6225000000000014", "4111111111111111")
RISK = '[cards]\ntable = "blocked.csv"\n'


@pytest.fixture
def folder(tmp_path):
    where = tmp_path / "switch"
    write_sample(where, "minimal")
    with (where / "switch.toml").open("a") as stream:
        stream.write('\n[risk]\nfile = "own-risk.toml"\n')
    (where / "own-risk.toml").write_text(RISK)
    (where / "blocked.csv").write_text("card,reason\n")
    master_key = load_master_key(where / "secrets/master.key")
    with KeyFile.open(where / "secrets/keys.sealed", master_key) as keys:
        keys.put(Key("risk/cards", "zak", "aes-128", SECRET))
        keys.save()
    return where


def run(folder, stdin):
    result = CliRunner().invoke(app, ["risk", "hash", str(folder / "switch.toml")], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, result.output


def test_one_hash_a_line(folder):
    status, output = run(folder, f"{CARDS[0]}\n\n4111 1111-1111 1111\n")
    assert status == 0
    assert output.splitlines() == [card_hash(SECRET, card) for card in CARDS]
    (folder / "blocked.csv").write_text(
        "card,reason\n" + "".join(f"{line},restricted-card\n" for line in output.split())
    )
    assert check_config(folder / "switch.toml").valid


@pytest.mark.parametrize("wrong", ["62250000000000x4", "12345678901", "1" * 20, "1" * 300])
def test_what_is_no_card_number_is_not_repeated(folder, wrong):
    status, output = run(folder, f"{CARDS[0]}\n{wrong}\n")
    assert status == 1
    assert "line 2: needed a card number of 12 to 19 digits" in output
    assert wrong not in output


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("own-risk.toml", "", "needed a table [cards]"),
        ("own-risk.toml", RISK + 'key = "risk/other"\n', "no key risk/other in the key file"),
        ("own-risk.toml", RISK + 'key = "link/bank-b/nothing"\n', "no key link/bank-b/nothing"),
        ("own-risk.toml", "[cards]\n", "cards.table"),
    ],
)
def test_without_a_key_it_says_what_is_needed(folder, file, text, words):
    (folder / file).write_text(text)
    status, output = run(folder, CARDS[0])
    assert status == 2
    assert words in output
    assert CARDS[0] not in output
