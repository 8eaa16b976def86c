"""The daemon as a child process: started, watched through its log and its admin side, drained, and judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

START_SECONDS_MAX = 60
WAIT_SECONDS_MAX = 10
POLL_SECONDS = 0.02
LINE_BYTES_MAX = 1 << 20
PAN = re.compile(r"(?<![0-9A-Za-z.])[0-9]{13,19}(?![0-9A-Za-z.])")


async def until(is_so, seconds=WAIT_SECONDS_MAX):
    """Wait until a condition, which may be a coroutine function, holds; gives what it gave."""
    async with asyncio.timeout(seconds):
        while True:
            found = is_so()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(POLL_SECONDS)


class Daemon:
    """``authswitch serve CONFIG``. ``start`` it; ``stop`` drains it and says what it may never have said."""

    def __init__(self, config, secrets=(), environment=None, under=()):
        self.config = Path(config)
        self._under = under
        self.lines = []
        self.ports = {}
        self.links = {}
        self.admin = ""
        self.admin_port = None  # of what answers /metrics, /livez and /readyz
        self.child = None
        self.end_status = 0  # what it shall end with
        self.start_seconds = START_SECONDS_MAX
        self._secrets = secrets
        self._environment = environment
        self._text = []
        self._news = asyncio.Condition()
        self._reader = None

    async def start(self, *, ready=True, first="serving"):
        """Start it and wait until it listens and, unless told otherwise, is ready.

        ``first`` is another event to wait for than that it serves; then nothing of it can be asked yet.
        """
        self.child = await asyncio.create_subprocess_exec(
            *self._under,
            sys.executable,
            "-m",
            "switch",
            "serve",
            str(self.config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            env=self._environment,
        )
        self._reader = asyncio.create_task(self._read())
        try:
            serving = await self.event(first, seconds=self.start_seconds)
            if first != "serving":
                return self
            self.admin = serving["admin"]
            self.admin_port = _port(serving.get("scraped", self.admin))
            if ready:
                await until(self.is_ready)
            self.note_ports()
        except BaseException:
            self.kill()
            raise
        return self

    def note_ports(self):
        """See where it listens; several workers may do that after it serves."""
        self.ports = {line["listener"]: _port(line["address"]) for line in self.said("listening")}
        self.links = {line["link"]: _port(line["address"]) for line in self.said("waiting for the issuer")}

    def kill(self):
        """End it without further ado."""
        self.signal(signal.SIGKILL)

    async def _read(self):
        async for raw in self.child.stderr:
            text = raw.decode()
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": "", "text": text}
            async with self._news:
                self._text.append(text)
                self.lines.append(line)
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    @property
    def log(self):
        """All that it said."""
        return "".join(self._text)

    @property
    def tail(self):
        """The last of what it said."""
        return "".join(self._text[-20:])

    def said(self, event, **details):
        """Log lines of one event with these details."""
        return [
            line
            for line in self.lines
            if line["event"] == event and all(line.get(key) == value for key, value in details.items())
        ]

    async def event(self, event, *, times=1, seconds=WAIT_SECONDS_MAX, **details):
        """Wait until it has said something so many times; gives the last of these lines."""

        def is_told():
            return len(self.said(event, **details)) >= times or self._reader.done()

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(is_told), seconds)
            except TimeoutError:
                raise AssertionError(f"never said {event!r} {details}:\n{self.tail}") from None
        found = self.said(event, **details)
        assert len(found) >= times, f"ended before it said {event!r}:\n{self.tail}"
        return found[times - 1]

    # --- the admin side -------------------------------------------------------------------------------------------

    async def get(self, path, method="GET"):
        """Status and body of an answer of the admin side."""
        if self.admin.startswith("unix:"):
            reader, writer = await asyncio.open_unix_connection(self.admin.removeprefix("unix:"))
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.admin_port)
        try:
            token = self.config.parent / "operator.token"
            proof = f"Authorization: Bearer {token.read_text()}\r\n" if method == "POST" and token.exists() else ""
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{proof}Connection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return int(head.split()[1]), body.decode()

    async def is_ready(self):
        """Whether it would be sent terminals."""
        if self.child.returncode is not None:
            raise AssertionError(f"ended with status {self.child.returncode}:\n{self.tail}")
        return (await self.get("/readyz"))[0] == 200

    async def is_whole(self):
        """Whether no worker is missing either, if only for a moment."""
        return await self.is_ready() and (await self.get("/readyz"))[1] == "ready\n"

    async def status(self):
        """What /status says."""
        return json.loads((await self.get("/status"))[1])

    async def link_state(self, name):
        """``up``, ``down`` or ``suspended``."""
        return next(link["state"] for link in (await self.status())["links"] if link["name"] == name)

    async def metric(self, name, **labels):
        """The sum of a metric's samples with these labels."""
        _, text = await self.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def counted(self, name, value, **labels):
        """Wait until a metric is at least so much."""

        async def is_counted():
            return await self.metric(name, **labels) >= value

        try:
            await until(is_counted)
        except TimeoutError:
            found = await self.metric(name, **labels)
            raise AssertionError(f"{name}{labels} is {found}, not {value}:\n{self.tail}") from None

    @property
    def resident_bytes(self):
        """Memory that it has."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * 4096

    @property
    def descriptors(self):
        """File descriptors that it has open; the admin side's connections come and go."""
        held = (path.readlink() for path in Path(f"/proc/{self.child.pid}/fd").iterdir())
        return sum(1 for target in held if target.name.startswith("socket:"))

    # --- the end --------------------------------------------------------------------------------------------------

    def signal(self, number=signal.SIGTERM):
        """Send it a signal, unless it has ended. (asyncio's own way reaps it on the quiet, and its status is lost.)"""
        if self.child is not None and self.child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, number)

    async def ended(self, seconds=WAIT_SECONDS_MAX):
        """Wait for its end; gives its exit status."""
        status = await asyncio.wait_for(self.child.wait(), seconds)
        await self._reader
        return status

    async def stop(self):
        """Drain it, unless it has ended, and check what it leaves behind."""
        if self.child is None:
            return
        try:
            self.signal()
            status = await self.ended()
        except TimeoutError:
            self.kill()
            await self.child.wait()
            raise AssertionError(f"did not end when told:\n{self.tail}") from None
        assert status == self.end_status, f"ended with status {status}:\n{self.tail}"
        self.check_log()

    def check_log(self):
        """Nothing secret, and no sign of a mistake of ours, may stand in its log."""
        log = self.log
        assert "Traceback" not in log, log[log.index("Traceback") :]
        assert "Exception" not in log, log[log.index("Exception") - 200 :]
        assert not [line for line in self.lines if line["event"] == ""], self.tail
        for line in self.lines:
            # A merchant's number has the digits of a card's, and its field's name.
            said = {key: value for key, value in line.items() if key not in ("time", "merchant")}
            assert PAN.search(json.dumps(said)) is None, line
        lower = log.lower()
        for secret in self._secrets:
            assert secret.lower() not in lower, "a secret stands in the log"


def _port(address):
    return int(address.rpartition(":")[2])
