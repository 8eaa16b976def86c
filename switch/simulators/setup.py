"""What the simulators' commands read: files of rules and scenarios, keys, terminals, addresses."""

from __future__ import annotations

import csv
import gc
import io
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from switch.base.error_words import unreadable
from switch.files.datafile import open_regular, read_toml
from switch.files.model_errors import problems_of
from switch.files.problems import Problem
from switch.keys import KeyFile, KeyFileError, load_master_key
from switch.simulators.dialect_profile import MacSetting
from switch.simulators.key_exchange import IssuerKeys
from switch.simulators.terminals import TerminalIdentity
from switch.simulators.tls import client_tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from switch.simulators.dialect_profile import Profile

COLUMNS = ("id", "merchant", "state", "listeners", "mac_algorithm")
"""Of ``terminals.csv``, as far as a simulated terminal needs them."""

Model = TypeVar("Model", bound=BaseModel)


class SetupError(ValueError):
    """Something that was named cannot be used; the text says what and why."""


def spare_collections() -> None:
    """Look for cyclic garbage seldom: receipts and ledgers make none, and to walk through them all takes long."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def read_model(path: Path, model: type[Model]) -> Model:
    """A TOML file as a model.

    Raises:
        SetupError: It cannot be read, or a key is wrong; every wrong key is named.
    """
    try:
        return model.model_validate(read_toml(path))
    except ValidationError as error:
        raise SetupError("\n".join(map(_told, problems_of(error, model, path, "")))) from error
    except (OSError, ValueError) as error:
        raise SetupError(unreadable(error, path)) from error


def _told(problem: Problem) -> str:
    """A problem in words, without what may be a card number."""
    text = str(problem)
    return text.partition(", got ")[0] if problem.key.endswith("pan") else text


class Keys:
    """The sealed key file, as far as it is needed."""

    def __init__(self, file: Path | None, master_key_file: Path | None, master_key_env: str | None) -> None:
        self._file: KeyFile | None = None
        self._path = file
        if file is None:
            return
        try:
            self._file = KeyFile.open(file, load_master_key(master_key_file, master_key_env))
        except KeyFileError as error:
            raise SetupError(str(error)) from error

    def find(self, name: str) -> bytes | None:
        """A key's value, or None when there is none of that name."""
        if self._file is None or name not in self._file:
            return None
        return self._file.get(name).value

    def mac(self, name: str | None, algorithm: str) -> MacSetting | None:
        """With what to sign: the key of that name; None when no name is given.

        Raises:
            SetupError: There is no such key, or it does not suit the algorithm.
        """
        if name is None:
            return None
        value = self.find(name)
        if value is None:
            raise SetupError(f"{self._path or 'no key file was given'}: there is no key {name}")
        setting = MacSetting(algorithm, value)
        try:
            # Built once now, so that a wrong size is told at the start.
            _ = setting.mac
        except ValueError as error:
            raise SetupError(f"{self._path}: {name}: {error}") from error
        return setting


def issuer_keys(
    profile: Profile, keys: Keys, zmk: str | None, pin_key: str | None, mac: MacSetting | None
) -> IssuerKeys | None:
    """The keys that an issuer exchanges; None where no ZMK is named.

    Raises:
        SetupError: There is no such key.
        ValueError: The dialect does not say how keys are exchanged, or the ZMK is not of DES.
    """
    if zmk is None:
        return None
    found = {name: keys.find(name) for name in (zmk, pin_key) if name is not None}
    for name, value in found.items():
        if value is None:
            raise SetupError(f"there is no key {name}")
    return IssuerKeys(profile, found[zmk] or b"", None if pin_key is None else found[pin_key], mac)


def registered_terminals(
    path: Path,
    keys: Keys,
    listener: str | None,
    most: int,
    tls_of: Callable[[str], ssl.SSLContext | None],
) -> list[TerminalIdentity]:
    """Terminals of a registry file, active ones that may call a listener, with their keys.

    Args:
        path: ``terminals.csv``.
        keys: Where ``terminal/ID/tak`` and ``terminal/ID/tmk`` are.
        listener: Only those that may call it; None: all.
        most: At most so many.
        tls_of: Gives the TLS of a terminal.

    Raises:
        SetupError: The file cannot be read, or a key is missing.
    """
    try:
        rows = list(_rows(path))
    except SetupError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise SetupError(unreadable(error, path)) from error
    identities = []
    for row in rows:
        allowed = row["listeners"].split("|") if row["listeners"] else None
        if row["state"] != "active" or (listener and allowed and listener not in allowed):
            continue
        terminal = row["id"]
        algorithm = row["mac_algorithm"]
        name = None if algorithm == "none" else f"terminal/{terminal}/tak"
        mac = keys.mac(name, algorithm)
        master_key = keys.find(f"terminal/{terminal}/tmk")
        identities.append(TerminalIdentity(terminal, row["merchant"], mac, master_key, tls_of(terminal)))
        if len(identities) == most:
            break
    if not identities:
        raise SetupError(f"{path}: no active terminal" + (f" that may call {listener}" if listener else ""))
    return identities


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise SetupError(f"{path}: needed in the first line are the columns {', '.join(COLUMNS)}")
        for number, row in enumerate(rows, 2):
            if None in row.values():
                raise SetupError(f"{path}: row {number} is short of cells")
            yield row


def terminal_tls(
    ca: Path | None, certificates: Path | None, server_name: str | None = None
) -> Callable[[str], ssl.SSLContext | None]:
    """TLS by terminal.

    Args:
        ca: PEM file of the switch's authorities; None: no TLS.
        certificates: Folder with ``ID.pem`` and ``ID.key`` of each terminal; None: all share one context without.
        server_name: Name in the switch's certificate, where it was given.

    Raises:
        SetupError: What belongs to TLS was given without the authorities.
    """
    if ca is None and (certificates is not None or server_name is not None):
        raise SetupError("--certificates and --server-name belong to TLS: needed --ca besides")
    if ca is None:
        return lambda _terminal: None
    if certificates is None:
        shared = client_tls(ca)
        return lambda _terminal: shared
    return lambda terminal: client_tls(ca, certificates / f"{terminal}.pem", certificates / f"{terminal}.key")
