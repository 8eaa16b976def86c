"""The API as a process: on a Unix socket, on loopback, or elsewhere with TLS."""

from __future__ import annotations

import signal
import socket
import ssl

import uvicorn

from switch.admin.sockets import UnixSocket
from switch.backoffice.application import application
from switch.backoffice.connections import Connection
from switch.backoffice.importing import Imports
from switch.backoffice.office import Office
from switch.base.error_words import words_of
from switch.base.log import configure_logging, get_logger
from switch.base.system_users import group_id
from switch.check.store import open_store
from switch.config.addresses import Address, UnixAddress
from switch.config.models import Config
from switch.config.sections import BackofficeSection
from switch.files.problems import ConfigError, Problem

BACKLOG = 128
KEEP_ALIVE_SECONDS = 20
STOP_SECONDS = 30

log = get_logger(__name__)


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; what is under way gets 30 s.

    Raises:
        ConfigError: The configuration cannot be used.
        StoreError: The database cannot be reached, or has another version.
        OSError: The address cannot be had, or the certificate cannot be used.
    """
    section = config.backoffice
    if section is None:
        raise ConfigError([Problem(str(config.file), "backoffice", "is required: it says where to listen")])
    configure_logging(config.log.format, config.log.level)
    store = open_store(config)
    imports = Imports()
    try:
        app = application(Office(config, store), section, imports)
        server = uvicorn.Server(_settings(app, section))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)  # else it ends by the signal, though it was well
        _run(server, section)
    finally:
        imports.close()
        store.close()


def _settings(app: object, section: BackofficeSection) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=Connection,
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=section.connections_max,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=section.certificate,
        ssl_keyfile=section.private_key,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )


def _run(server: uvicorn.Server, section: BackofficeSection) -> None:
    if isinstance(section.bind, UnixAddress):
        own = UnixSocket(section.bind.path, None if section.group is None else group_id(section.group))
        log.info("back office serves", address=str(section.bind))
        try:
            server.run([own.socket])
        finally:
            own.close()
        return
    with _listening(section.bind) as tcp:
        host, port = tcp.getsockname()[:2]
        log.info("back office serves", address=str(Address(host, port)))
        server.run([tcp])


def _listening(bind: Address) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
        return socket.create_server((bind.host, bind.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"backoffice.bind: {bind} cannot be listened on: {words_of(error)}") from error
