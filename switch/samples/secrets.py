"""Keys and certificates for the sample configurations, all of them new: what no repository should hold.

They are for trying out on one machine. Real keys come from a key ceremony (``authswitch keys``), real certificates
from your own authority.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from pathlib import Path

from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.keys.master import create_master_key
from switch.keys.names import check_usage
from switch.samples.certificates import LOOPBACK_NAMES, Authority

NOT_OF_DES = {"aes-cmac": "aes-128", "cup-sm4": "sm4"}
KEY_ALGORITHMS = {**NOT_OF_DES, "x9.9": "des"}
"""Algorithm of the key by MAC algorithm; all others take two keys of DES."""

CERTIFICATES = {
    "switch": ("switch-1", "terminals-ca", LOOPBACK_NAMES),
    "bank-a": ("bank-a", "issuers-ca", ["bank-a.example"]),
    "bank-b": ("bank-b", "issuers-ca", ["bank-b.example"]),
    "scheme": ("scheme", "issuers-ca", ["scheme.example"]),
    "node-a": ("a", "mesh-ca", []),
    "node-b": ("b", "mesh-ca", []),
    "terminal": ("10000001", "terminals-ca", []),
}
"""File of each certificate, its common name, who signs it, and the other names that it bears."""


def write_secrets(folder: Path, samples: Path) -> None:
    """Make a folder with a sealed key file, its master key, and certificates with their private keys.

    Args:
        folder: Is made, for its owner alone.
        samples: Where ``production.toml`` and ``sample/terminals.csv`` say who needs a key.

    Raises:
        FileExistsError: There is such a folder already.
    """
    folder.mkdir(mode=0o700)
    _write_certificates(folder)
    with KeyFile.create(folder / "keys.sealed", create_master_key(folder / "master.key")) as keys:
        for key in _sample_keys(samples):
            keys.put(key)
        keys.save()


def _write_certificates(folder: Path) -> None:
    """Write the authorities' certificates, and the others with their private keys."""
    authorities = {name: Authority(folder, name) for name in ("terminals-ca", "issuers-ca", "mesh-ca")}
    for file, (common_name, signer, other_names) in CERTIFICATES.items():
        authorities[signer].issue(file, common_name, other_names)


def _new_key(name: str, mac_algorithm: str = "") -> Key:
    """A random key for the usage in which its name ends."""
    algorithm = KEY_ALGORITHMS.get(mac_algorithm, "3des-2key")
    return Key(name, check_usage(name.rpartition("/")[2]), algorithm, generate_value(algorithm))


def _sample_keys(samples: Path) -> Iterator[Key]:
    """A key for everything in the samples that needs one."""
    with (samples / "production.toml").open("rb") as stream:
        links = tomllib.load(stream)["link"]
    for link in links:
        yield _new_key(link["mac"]["key"], link["mac"]["algorithm"])
        yield _new_key(link["pin"]["key"])
    with (samples / "sample" / "terminals.csv").open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        for row in rows:
            name = f"terminal/{row['id']}"
            if row["mac_algorithm"] != "none":
                yield _new_key(f"{name}/tak", row["mac_algorithm"])
            if row["mac_algorithm"] not in ("none", *NOT_OF_DES):
                yield _new_key(f"{name}/tmk")  # the answer to a sign-in carries keys of DES alone
            if row["pin_format"] != "none":
                yield _new_key(f"{name}/tpk")
