"""Merchants and terminals files."""

from pathlib import Path

import pytest

from switch.files.problems import ConfigError
from switch.keys import Key, KeyFile
from tests.registry_files import load_registry

SAMPLE = Path(__file__).parents[2] / "configs" / "sample"
MASTER = bytes(range(32))


class AnyKey:
    def get(self, name: str) -> bytes | None:
        return None if name.endswith("/tmk") else bytes(16)


def test_the_sample() -> None:
    registry = load_registry(SAMPLE / "merchants.csv", SAMPLE / "terminals.csv", AnyKey(), ["pos"])
    for number in range(10_000_001, 10_000_021):
        terminal = registry.describe_terminal(str(number))
        assert terminal is not None
        assert terminal["state"] == "active"
        merchant = registry.describe_merchant(terminal["merchant"])
        assert merchant is not None
        assert merchant["state"] == "active"
    for terminal_id, merchant_id in (
        ("99999906", "001430170119999"),
        ("16688014", "000000000000001"),
        ("84520013", "024403806211002"),
    ):
        terminal = registry.describe_terminal(terminal_id)
        assert terminal is not None
        assert (terminal["merchant"], terminal["mac_algorithm"]) == (merchant_id, "cup-ecb")


def test_keys_come_from_a_key_file(tmp_path: Path) -> None:
    merchants, terminals = tmp_path / "merchants.csv", tmp_path / "terminals.csv"
    merchants.write_text("id,name,state,category,kinds\nM1,Shop,active,5411,\n")
    terminals.write_text(
        "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n10000001,M1,active,,,aes-cmac,none,\n"
    )
    path = tmp_path / "keys.sealed"
    with KeyFile.create(path, MASTER) as file:
        with pytest.raises(ConfigError, match="no key terminal/10000001/tak, which aes-cmac needs"):
            load_registry(merchants, terminals, file.source(), ["pos"])
        file.put(Key("terminal/10000001/tak", "tak", "aes-128", bytes(range(16))))
        file.save()
    with KeyFile.open(path, MASTER) as file:
        assert load_registry(merchants, terminals, file.source(), ["pos"]).terminal_count == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"merchants\.csv: cannot be read: No such file"):
        load_registry(tmp_path / "merchants.csv", tmp_path / "terminals.csv", AnyKey(), ["pos"])


class NoKey:
    def get(self, _name: str) -> bytes | None:
        return None


def test_every_cell_of_a_row_that_is_wrong_is_told(tmp_path: Path) -> None:
    """And a merchant whose other cells are wrong is known all the same: its terminals are not wrong for that."""
    merchants, terminals = tmp_path / "merchants.csv", tmp_path / "terminals.csv"
    merchants.write_text("id,name,state,category,kinds\n898000000000001,,open,12,barter\n898000000000002,B,odd,5411,\n")
    terminals.write_text(
        "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n"
        "10000001,898000000000001,open,nowhere,barter,rot13,iso-9,\n"
        "10000002,898000000000009,active,pos,,x9.19,iso-0,\n"
        "10000003,898000000000002,active,pos,,none,none,\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_registry(merchants, terminals, NoKey(), ["pos"])
    problems = caught.value.problems
    found = [(Path(one.file).stem, one.key.partition(",")[0], one.reason.partition(":")[0]) for one in problems]
    assert found == [
        *(("merchants", "line 2", column) for column in ("name", "state", "category", "kinds")),
        ("merchants", "line 3", "state"),
        *(("terminals", "line 2", column) for column in ("state", "listeners", "kinds", "mac_algorithm", "pin_format")),
        *(("terminals", "line 3", column) for column in ("merchant", "mac_algorithm", "pin_format")),
    ]
