"""The command line's side of the admin HTTP: ask the running daemon, and show what it says."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from switch.config import Address, read_config
from switch.config.models import AdminSection, parse_endpoint

TIMEOUT_SECONDS = 5.0
ANSWER_BYTES_MAX = 16 << 20
ERROR_BYTES_MAX = 1024


class AdminError(Exception):
    """The daemon did not answer, or not with what was asked for."""


def admin_address(config: Path | None, admin: str | None) -> Address:
    """Where the daemon's admin side is: as said, else by its configuration, else the default.

    Raises:
        ValueError: the address or the configuration cannot be read.
    """
    if admin is not None:
        return parse_endpoint(admin)
    if config is None:
        return AdminSection().bind
    read, problems = read_config(config)
    if read is None:
        raise ValueError(f"{config} is not valid: {problems[0]}")
    return read.admin.bind


class RefusedError(AdminError):
    """The daemon answered that it will not do it."""


class AdminClient:
    """Asks one daemon."""

    def __init__(self, address: Address) -> None:
        self._address = address
        # No proxy of the environment may stand between us and loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def status(self) -> dict[str, Any]:
        """What the daemon is doing.

        Raises:
            AdminError: see there.
        """
        answer = self._ask("GET", "/status")
        if not isinstance(answer, dict):
            raise AdminError(f"{self._address}: answered something that is not a status")
        return answer

    def drain(self) -> None:
        """Begin the drain.

        Raises:
            AdminError: see there.
        """
        self._ask("POST", "/drain")

    def reversals(self, **filters: str) -> dict[str, Any]:
        """What is owed to issuers, oldest first.

        Raises:
            AdminError: see there.
        """
        query = f"?{urllib.parse.urlencode(filters)}" if filters else ""
        return self._document("GET", f"/reversals{query}")

    def retry(self, **which: str) -> int:
        """Have one reversal or advice, or all of a link, sent now; how many were paused.

        Raises:
            AdminError: see there.
        """
        return int(self._document("POST", "/reversals/retry", which).get("retried", 0))

    def close(self, **which: str) -> dict[str, Any]:
        """Have one given up; what it was.

        Raises:
            AdminError: see there.
        """
        return self._document("POST", "/reversals/close", which)

    def _document(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._ask(method, path, body)
        if not isinstance(answer, dict):
            raise AdminError(f"{self._address}: answered something that is no JSON object")
        return answer

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self._address}{path}",
            method=method,
            data=data if method == "POST" else None,
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return json.loads(response.read(ANSWER_BYTES_MAX))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(ERROR_BYTES_MAX).decode("utf-8", "replace").strip()
                answered = f"{error.code} {error.reason}{': ' if said else ''}{said}"
                raise RefusedError(f"{self._address}: {method} {path} was answered {answered}") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise AdminError(f"{self._address}: no answer from a daemon: {reason}") from error


def print_status(status: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a status: plain values as lines, lists of tables (links, listeners) as tables."""
    if as_json:
        print(json.dumps(status, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    plain = Table.grid(padding=(0, 2))
    for key, value in status.items():
        if not _is_rows(value):
            plain.add_row(Text(key.replace("_", " ")), Text(_shown(value)))
    console.print(plain)
    for key, value in status.items():
        if _is_rows(value):
            console.print(_table(key, value))


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(Text(column.replace("_", " ")), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(row.get(column))) for column in columns))
    return table


def _shown(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(entry)}" for key, entry in value.items())
    return str(value)
