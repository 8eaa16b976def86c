"""Makes what the sample configurations need and no repository should hold: keys and certificates, all of them new.

    .venv/bin/python tools/sample_secrets.py [FOLDER]

FOLDER is ``configs/secrets`` by default; ``production.toml`` and ``sample/terminals.csv`` are read in the folder above.
Afterwards ``authswitch check configs/production.toml`` is content. This is for trying out on one machine: real keys
come from a key ceremony (``authswitch keys``), real certificates from your own authority.
"""

from __future__ import annotations

import csv
import datetime as dt
import ipaddress
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.keys.master import create_master_key
from switch.keys.names import check_usage

VALID = dt.timedelta(days=365)
KEY_ALGORITHMS = {"aes-cmac": "aes-128", "cup-sm4": "sm4", "x9.9": "des"}
"""Algorithm of the key by MAC algorithm; all others take two keys of DES."""

CERTIFICATES = {
    "switch": ("switch-1", "terminals-ca", ["localhost", "127.0.0.1", "::1"]),
    "bank-a": ("bank-a", "issuers-ca", ["bank-a.example"]),
    "bank-b": ("bank-b", "issuers-ca", ["bank-b.example"]),
    "scheme": ("scheme", "issuers-ca", ["scheme.example"]),
    "terminal": ("10000001", "terminals-ca", []),
}
"""File of each certificate, its common name, who signs it, and the other names that it bears."""


class Authority:
    """A certification authority of this machine."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(self._name, self._key.public_key()).add_extension(usage, critical=True)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())

    def issue(self, common_name: str, other_names: list[str]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Sign a new certificate; gives it and its private key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._builder(subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if other_names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(map(_general_name, other_names)), critical=False
            )
        return builder.sign(self._key, hashes.SHA256()), key

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(identifier, critical=False)
        )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_certificates(folder: Path) -> None:
    """Write the authorities' certificates, and the others with their private keys."""
    authorities = {name: Authority(name) for name in ("terminals-ca", "issuers-ca")}
    for name, authority in authorities.items():
        (folder / f"{name}.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    for file, (common_name, signer, other_names) in CERTIFICATES.items():
        certificate, key = authorities[signer].issue(common_name, other_names)
        (folder / f"{file}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        write_private(folder / f"{file}.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)


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
