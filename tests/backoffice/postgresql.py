"""A PostgreSQL server of one's own: made in a folder, on a Unix socket there; for tests without durability."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

USER = "authswitch"
NOT_DURABLE = "fsync=off", "synchronous_commit=off", "full_page_writes=off"
UNPRIVILEGED = "postgres"
"""Who runs it where the tests run as root, which a server refuses to be."""


def programs() -> Path:
    """The folder of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    return Path(shutil.which("postgres") or "/usr/bin/postgres").parent


class Server:
    """A running server; each test gets a database of its own."""

    def __init__(self, folder: Path, settings: Sequence[str] = NOT_DURABLE) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._count = 0
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._run(
            "initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8", "-D", self.data
        )
        apart = "listen_addresses=", "max_connections=40", f"unix_socket_directories={folder}"
        options = " ".join(f"-c {one}" for one in (*settings, *apart))
        self._run("pg_ctl", "start", "--wait", "-D", self.data, "-l", folder / "log", "-o", options)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(programs() / program), *map(str, arguments)]
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        subprocess.run(command, check=True, capture_output=True, user=user, cwd=self.folder, timeout=60)

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._count += 1
        name = f"db{self._count}"
        self._run("createdb", "--host", self.folder, f"--username={USER}", name)
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Its processes do nothing meanwhile, as on a machine whose disk does not answer: connections stay up."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], check=False, capture_output=True, text=True)
        processes = [first, *map(int, listed.stdout.split())]
        try:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def stop(self) -> None:
        """End it at once."""
        with suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "stop", "--mode=immediate", "-D", self.data)
