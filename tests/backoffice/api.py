"""A back office that runs as a process, with people who have tokens."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time

from bench.processes import free_port
from switch.access.actor import Actor
from switch.access.people import add_first, add_or_change
from switch.access.tokens import issue
from switch.store.changing import changing
from switch.store.opening import Store, parse_url

from .acquiring import LEAKS
from .registry import Office

START_SECONDS = 60
PEOPLE = {"jo": "registrar", "al": "approver|viewer", "kim": "auditor", "vi": "viewer"}


def operations_of(document):
    """Method, path and description of all that an OpenAPI document has."""
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


class Api:
    """One process that serves; each person's token is in ``tokens``."""

    def __init__(self, folder, store_url, more="", bind=None):
        self.office = Office(folder, store_url)
        self.office.takes_over()
        self.port = free_port()
        self.bind = bind or f"127.0.0.1:{self.port}"
        text = self.office.config.read_text()
        self.office.config.write_text(f'{text}\n[backoffice]\nbind = "{self.bind}"\n{more}\n')
        self.store = Store.open(parse_url(store_url))
        with changing(self.store, "chen", "begins") as change:
            add_first(change, "mei", "Mei Lin", "mei")
            for person, roles in PEOPLE.items():
                add_or_change(change, person, {"name": person.title(), "roles": roles})
            self.tokens = {one: issue(change, Actor(one), one, "test", 7) for one in ("mei", *PEOPLE)}
        self.log = folder / "backoffice.log"
        with self.log.open("w") as log:
            words = [sys.executable, "-m", "switch", "backoffice", "serve", str(self.office.config)]
            self.process = subprocess.Popen(words, stderr=log, stdout=log)
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while "back office serves" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def connection(self):
        if self.bind.startswith("unix:"):
            return Unix(self.office.folder / self.bind.removeprefix("unix:"))
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def asks(self, person, method, path, body=None, **headers):
        """Status, document and headers of an answer; ``body`` is JSON unless it is bytes."""
        connection = self.connection()
        proof = {} if person is None else {"Authorization": f"Bearer {self.tokens.get(person, person)}"}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "text/csv" if isinstance(body, bytes) else "application/json"}
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, data, {**proof, **kind, **said})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert LEAKS.in_bytes(text.encode()) == set(), (method, path)
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(text) if is_json else text, answer.headers

    def does(self, person, method, path, body=None, **headers):
        """The document of an answer that must be well."""
        status, document, _ = self.asks(person, method, path, body, **headers)
        assert status < 300, (status, document, self.log.read_text()[-2_000:])
        return document

    def refuses(self, person, method, path, body=None, **headers):
        """Status and words of a problem document."""
        status, document, answer = self.asks(person, method, path, body, **headers)
        assert answer["Content-Type"] == "application/problem+json", (status, document)
        assert document["status"] == status >= 400
        assert answer["Request-Id"]
        return status, document["detail"]

    def ends(self):
        self.process.terminate()
        status = self.process.wait(30)
        assert LEAKS.in_bytes(self.log.read_bytes()) == set()
        self.store.close()
        return status
