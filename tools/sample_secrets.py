"""Makes what the sample configurations need and no repository should hold: keys and certificates, all of them new.

    .venv/bin/python tools/sample_secrets.py [FOLDER]

FOLDER is ``configs/secrets`` by default; ``production.toml`` and ``sample/terminals.csv`` are read in the folder above.
Afterwards ``authswitch check configs/production.toml`` is content. This is for trying out on one machine: real keys
come from a key ceremony (``authswitch keys``), real certificates from your own authority.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from switch.demo.certificates import LOOPBACK_NAMES, Authority
from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.keys.master import create_master_key
from switch.keys.names import check_usage

KEY_ALGORITHMS = {"aes-cmac": "aes-128", "cup-sm4": "sm4", "x9.9": "des"}
"""Algorithm of the key by MAC algorithm; all others take two keys of DES."""

CERTIFICATES = {
    "switch": ("switch-1", "terminals-ca", LOOPBACK_NAMES),
    "bank-a": ("bank-a", "issuers-ca", ["bank-a.example"]),
    "bank-b": ("bank-b", "issuers-ca", ["bank-b.example"]),
    "scheme": ("scheme", "issuers-ca", ["scheme.example"]),
    "terminal": ("10000001", "terminals-ca", []),
}
"""File of each certificate, its common name, who signs it, and the other names that it bears."""


def write_certificates(folder: Path) -> None:
    """Write the authorities' certificates, and the others with their private keys."""
    authorities = {name: Authority(folder, name) for name in ("terminals-ca", "issuers-ca")}
    for file, (common_name, signer, other_names) in CERTIFICATES.items():
        authorities[signer].issue(file, common_name, other_names)


def new_key(name: str, mac_algorithm: str = "") -> Key:
    """A random key for the usage in which its name ends."""
    algorithm = KEY_ALGORITHMS.get(mac_algorithm, "3des-2key")
    return Key(name, check_usage(name.rpartition("/")[2]), algorithm, generate_value(algorithm))


def sample_keys(configs: Path) -> Iterator[Key]:
    """A key for everything in the sample that needs one."""
    with (configs / "production.toml").open("rb") as stream:
        links = tomllib.load(stream)["link"]
    for link in links:
        yield new_key(link["mac"]["key"], link["mac"]["algorithm"])
        yield new_key(link["pin"]["key"])
    with (configs / "sample" / "terminals.csv").open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        for row in rows:
            name = f"terminal/{row['id']}"
            if row["mac_algorithm"] != "none":
                yield new_key(f"{name}/tak", row["mac_algorithm"])
                yield new_key(f"{name}/tmk")
            if row["pin_format"] != "none":
                yield new_key(f"{name}/tpk")


def main() -> None:
    """Fill the folder."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "configs" / "secrets"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        sys.exit(f"{folder} exists already; nothing was written")
    write_certificates(folder)
    with KeyFile.create(folder / "keys.sealed", create_master_key(folder / "master.key")) as keys:
        for key in sample_keys(folder.parent):
            keys.put(key)
        keys.save()
    print(f"{folder}: new keys and certificates for the sample configurations")


if __name__ == "__main__":
    main()
