"""The store, opened: SQLite in a file, or a PostgreSQL server. Only this room knows the one from the other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from switch.store.problems import StoreError

BUSY_SECONDS = 30
"""How long a writer waits for the one before it: for others of its process, and then for those of others."""

CONNECT_SECONDS_MIN = 2
CONNECT_SECONDS = 10
ANSWER_SECONDS = 60.0
"""How long a server may be silent within one statement, or about some rows that it was sent or asked for."""

KEEPALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
UNACKNOWLEDGED_MS = 20_000
"""A machine or network that is gone is noticed by the kernel, by libpq's settings."""

WRITERS_LOCK = 0x617574687377
"""Of PostgreSQL's advisory locks: whoever has it writes."""

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")
WITHOUT_PROOF = ("disable", "allow", "prefer", "require")
"""Of PostgreSQL's ``sslmode``: with these nobody looks who the server is."""


def parse_url(text: str, folder: Path = Path()) -> URL:
    """What `store.url` names: ``sqlite:PATH``, or ``postgresql://USER@HOST/DATABASE?sslmode=verify-full``.

    Raises:
        StoreError: It is neither, has a password in it, or trusts whatever server answers on another machine.
    """
    if text.startswith("sqlite:"):
        path = text.removeprefix("sqlite:")
        if not path or path.startswith("//") or "\0" in path:
            raise StoreError(f'needed the path of a file, such as "sqlite:store.db", got "{text}"')
        return URL.create("sqlite", database=str(Path(folder, path)))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = URL.create("none")
    if url.drivername != "postgresql" or not url.database:
        raise StoreError('needed "sqlite:PATH" or "postgresql://USER@HOST/DATABASE"')
    if url.password is not None:
        raise StoreError("no password may stand in the configuration; store.password_file names a file that has it")
    host = url.host or ""
    if host not in LOCAL_HOSTS and not host.startswith("/"):
        sslmode = url.query.get("sslmode", "prefer")
        if sslmode in WITHOUT_PROOF:
            raise StoreError(f"needed sslmode=verify-full (or verify-ca) for {host}, which is another machine")
    return url.set(drivername="postgresql+psycopg")


class Store:
    """The back office's database. Threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file = _identity(self.place) if self.is_sqlite else None
        self._writer = threading.Lock()

    @classmethod
    def open(
        cls,
        url: URL,
        password: str | None = None,
        *,
        makes_file: bool = False,
        answer_seconds: float | None = None,
        made_by: str = "authswitch store upgrade CONFIG",
    ) -> Self:
        """Open a database.

        Args:
            url: As ``parse_url`` gives it.
            password: Of the user of a server.
            makes_file: A file that is not there is made, for its owner alone.
            answer_seconds: How long a server may be silent before its connection is given up; by default a minute.
            made_by: The command that makes a file that is not there.

        Raises:
            StoreError: It cannot be reached or used, or is not there.
        """
        if url.get_backend_name() == "sqlite":
            engine = _sqlite(url, None if makes_file else made_by)
        else:
            if password is not None:
                url = url.set(password=password)
            engine = _postgresql(url, ANSWER_SECONDS if answer_seconds is None else answer_seconds)
        store = cls(engine)
        with store.reading():
            return store

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self._engine.dialect.name == "sqlite"

    def is_in_its_place(self) -> bool:
        """Whether the file that is open still has its name; always so for a server."""
        return self._file is None or self._file == _identity(self.place)

    @property
    def place(self) -> str:
        """Where it is, for people; without a password."""
        if self.is_sqlite:
            return str(self._engine.url.database)
        return self._engine.url.set(drivername="postgresql").render_as_string(hide_password=True)

    def close(self) -> None:
        """Give its connections back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the whole database, and changes nothing."""
        with self._telling(), self._engine.connect() as connection:
            isolated = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            connection.execution_options(**isolated)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one transaction that may write; others wait. What an error leaves it by has not happened."""
        with self._telling(), self._alone(), self._engine.connect() as connection, self._begun(connection):
            yield connection

    @contextmanager
    def changing_schema(self) -> Iterator[Connection]:
        """The same, in which tables may be made anew: SQLite changes no column of one, and others name it.

        Raises:
            StoreError: Rows name what is not there any more; nothing has happened.
        """
        with self._telling(), self._alone(), self._engine.connect() as connection:
            if self.is_sqlite:
                self._set_foreign_keys(connection, "OFF")
            try:
                with self._begun(connection):
                    yield connection
                    if self.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                        raise StoreError(f"{self.place}: rows name others that are not there")
            finally:
                if self.is_sqlite:
                    self._set_foreign_keys(connection, "ON")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The one writer of this process: those who wait for it take no connection, which readers need."""
        if not self._writer.acquire(timeout=BUSY_SECONDS):
            raise StoreError(f"{self.place}: somebody else has been writing for {BUSY_SECONDS} seconds")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _begun(self, connection: Connection) -> Iterator[None]:
        connection.execution_options(writes=True)
        with connection.begin():
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
            yield

    @staticmethod
    def _set_foreign_keys(connection: Connection, value: str) -> None:
        """Which SQLite does outside of a transaction only."""
        connection.connection.driver_connection.execute(f"PRAGMA foreign_keys = {value}")  # type: ignore[union-attr]

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say what the database said, without the values that it was told: they may be somebody's secrets."""
        try:
            yield
        except (SQLAlchemyError, psycopg.Error) as error:
            raise StoreError(f"{self.place}: {_words(error)}") from None


class _Connection(psycopg.Connection[Any]):
    """One that is given up when its server says nothing for so long: that may hang, and its kernel still answer."""

    answer_seconds = ANSWER_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(self._answered(gen), interval, timeout)

    def _answered(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The same steps, each of which must become possible in time."""
        heard_s = time.monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                now_s = time.monotonic()
                if ready:
                    heard_s = now_s
                elif now_s - heard_s > self.answer_seconds:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server has said nothing for {self.answer_seconds:g} seconds")
                wanted = steps.send(ready)
        except StopIteration as end:
            return end.value


def _postgresql(url: URL, answer_seconds: float) -> Engine:
    engine = create_engine(
        url,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": int(min(max(answer_seconds, CONNECT_SECONDS_MIN), CONNECT_SECONDS)),
            "application_name": "authswitch",
            "tcp_user_timeout": UNACKNOWLEDGED_MS,
            **KEEPALIVE,
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> _Connection:
        connection = _Connection.connect(*arguments, **named)
        # A plan of a prepared statement is that of the table as it was first, which an import finds empty.
        connection.prepare_threshold = None
        connection.answer_seconds = answer_seconds
        # A statement that nobody waits for any more ends on the server, too.
        connection.execute(f"SET statement_timeout = {int(answer_seconds * 1000)}")
        connection.commit()
        return connection

    return engine


def _words(error: Exception) -> str:
    """The database's own message; not its statement, parameters, nor the detail that quotes a row."""
    cause = getattr(error, "orig", error)
    diagnosis = getattr(cause, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(cause if cause is not None else error)
    return text.strip().splitlines()[0]


def _identity(path: str) -> tuple[int, int] | None:
    """Which file it is that has a name."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _sqlite(url: URL, made_by: str | None) -> Engine:
    path = str(url.database)
    # Whoever closes a descriptor of a file gives up all locks that his process has on it, SQLite's included: another
    # process would take itself for the last one, and take away the log in which this one writes. So a file that is
    # there is not opened here.
    try:
        if made_by is None:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o600))
        Path(path).stat()
    except FileNotFoundError:
        raise StoreError(f"{path}: there is no such file; `{made_by}` makes it") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the transactions are ours, from BEGIN on
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
