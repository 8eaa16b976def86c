"""The command line's side of the admin HTTP: ask the running daemon."""

from __future__ import annotations

import json
import socket
import urllib.parse
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from switch.admin.identity import Identity, Wanted, read_instance
from switch.base.error_words import words_of
from switch.config import Address, Config, load_config
from switch.config.addresses import UnixAddress, is_loopback, parse_admin
from switch.config.models import AdminSection

TIMEOUT_SECONDS = 5.0
ANSWER_BYTES_MAX = 16 << 20
ERROR_BYTES_MAX = 1024


class AdminError(Exception):
    """The daemon did not answer, or not with what was asked for."""


class RefusedError(AdminError):
    """The daemon answered that it will not do it; where it says why in one line (409), these are its words."""


class StrangerError(RefusedError):
    """Another daemon answers than the one that is meant. Nothing was done."""


def client_for(config: Path | None, admin: str | None, token: str | None = None) -> AdminClient:
    """A client of the daemon that a command means.

    Args:
        config: The configuration that it was started with: where it is, and who. None: whoever answers is meant.
        admin: Where it is, instead of what the configuration says.
        token: Shown with what changes anything, over TCP.

    Raises:
        ValueError: the address cannot be read.
        ConfigError: the configuration cannot be used.
    """
    address = None if admin is None else parse_admin(admin, None)
    if isinstance(address, Address) and address.port == 0:
        raise ValueError("needed a port to connect to, got port 0")
    if config is None:
        return AdminClient(AdminSection().bind if address is None else address, token=token)
    read = load_config(config)
    wanted = wanted_of(read, elsewhere=address is not None)
    return AdminClient(read.admin.bind if address is None else address, wanted, token)


def wanted_of(config: Config, *, elsewhere: bool) -> Wanted:
    """Whom a configuration means, as far as this machine can know.

    Args:
        config: The configuration.
        elsewhere: It may be at an address of another machine.

    Raises:
        ValueError: Nobody runs with its journal.
    """
    folder = config.journal.directory if config.journal.mode == "files" else None
    source = str(config.file)
    path = None if folder is not None or elsewhere else str(config.file.resolve())
    if folder is None or not folder.is_dir():
        return Wanted(config.switch.name, None, path, source)
    try:
        return Wanted(config.switch.name, read_instance(folder), None, source)
    except PermissionError:
        return Wanted(config.switch.name, None, None, source)
    except OSError:
        return Wanted(config.switch.name, "", None, f"{source}, of whose journal no daemon runs")


class AdminClient:
    """Asks one daemon.

    Args:
        address: Where it is.
        wanted: Who it must be; None: whoever answers.
        token: Shown with what changes anything, over TCP.
    """

    def __init__(self, address: Address | UnixAddress, wanted: Wanted | None = None, token: str | None = None) -> None:
        self._token = token
        self.address = address
        self._wanted = wanted
        self.answered: Identity | None = None
        """Who gave the last answer, where it says so."""

    def status(self) -> dict[str, Any]:
        """What the daemon is doing.

        Raises:
            AdminError: see there.
        """
        return self._document("GET", "/status")

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

    def exchange_keys(self, link: str, usages: Sequence[str]) -> dict[str, str]:
        """Have an issuer asked for keys; check values of those that came.

        Raises:
            AdminError: see there.
        """
        return self._document("POST", "/keys/exchange", {"link": link, "usages": list(usages)})

    def _document(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = self._ask(method, path, body)
        if not isinstance(answer, dict):
            raise AdminError(f"{self.address}: answered something that is no JSON object")
        return answer

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if method != "GET" and self._wanted is not None:
            # One that is too old to look whom a question names must not be asked to do anything.
            self._exchange("GET", "/livez", None)
        status, reason, said = self._exchange(method, path, body)
        if status >= 400:
            text = said[:ERROR_BYTES_MAX].decode("utf-8", "replace").strip()
            if status == HTTPStatus.CONFLICT and text and "\n" not in text:
                raise RefusedError(text)
            answered = f"{status} {reason}{': ' if text else ''}{text}"
            raise RefusedError(f"{self.address}: {method} {path} was answered {answered}")
        try:
            return json.loads(said)
        except ValueError as error:
            raise AdminError(f"{self.address}: no answer from a daemon: {error}") from error

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, str, bytes]:
        """Ask one thing of whom we mean: status, its words, and the body."""
        headers = {"Connection": "close", **({} if self._wanted is None else self._wanted.headers())}
        data = None
        if method != "GET":
            headers |= self._proof()
            data = b"" if body is None else json.dumps(body).encode()
            headers |= {} if body is None else {"Content-Type": "application/json"}
        connection = _connection(self.address)
        try:
            connection.request(method, path, body=data, headers=headers)
            with connection.getresponse() as response:
                self._look_who(response)
                return response.status, response.reason, response.read(ANSWER_BYTES_MAX)
        except (OSError, HTTPException, ValueError) as error:
            raise AdminError(f"{self.address}: no answer from a daemon: {words_of(error)}") from error
        finally:
            connection.close()

    def _proof(self) -> dict[str, str]:
        """What says who asks; a Unix socket says it by itself."""
        if self._token is None or isinstance(self.address, UnixAddress):
            return {}
        if not is_loopback(self.address.host):
            raise AdminError(
                f"{self.address}: a token would go there in clear; ask on that machine, or through a tunnel"
            )
        return {"Authorization": f"Bearer {self._token}"}

    def _look_who(self, response: HTTPResponse) -> None:
        self.answered = Identity.of_headers({name.title(): value for name, value in response.headers.items()})
        if self._wanted is None:
            return
        if self.answered is None:
            raise StrangerError(
                f"{self.address}: who answers does not say who it is, so it is not asked; needed {self._wanted}"
            )
        own = self.answered.headers()
        if any(own[header] != value for header, value in self._wanted.headers().items()):
            raise StrangerError(f"{self.address}: {self.answered} answers, not {self._wanted}; it was asked nothing")


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, address: UnixAddress) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._address = address

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._address.path))


def _connection(address: Address | UnixAddress) -> HTTPConnection:
    """No proxy of the environment stands between."""
    if isinstance(address, UnixAddress):
        return UnixConnection(address)
    return HTTPConnection(address.host, address.port, timeout=TIMEOUT_SECONDS)
