"""The API as a process: on a Unix socket, on loopback, or elsewhere with TLS."""

from __future__ import annotations

import signal
import socket
import ssl

import uvicorn
from starlette.types import ASGIApp

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
from switch.config.sections import HttpSection
from switch.files.problems import ConfigError, Problem

BACKLOG = 128
KEEP_ALIVE_SECONDS = 20
STOP_SECONDS = 30

log = get_logger(__name__)


def serve(config: Config) -> None:
    """Serve the staff's API until SIGTERM or SIGINT; what is under way gets 30 s.

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
    imports, office = Imports(), Office(config, store)
    try:
        run(application(office, section, imports), section, ("backoffice", "back office serves"))
    finally:
        imports.close()
        office.close()
        store.close()


def run(app: ASGIApp, section: HttpSection, words: tuple[str, str]) -> None:
    """Serve an application until SIGTERM or SIGINT.

    Args:
        app: It.
        section: Where it listens.
        words: The section's name, and what the log says as soon as it listens.

    Raises:
        OSError: The address cannot be had, or the certificate cannot be used.
    """
    server = uvicorn.Server(_settings(app, section))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)  # else it ends by the signal, though it was well
    name, serves = words
    if isinstance(section.bind, UnixAddress):
        own = UnixSocket(section.bind.path, None if section.group is None else group_id(section.group))
        log.info(serves, address=str(section.bind))
        try:
            server.run([own.socket])
        finally:
            own.close()
        return
    with _listening(section.bind, name) as tcp:
        host, port = tcp.getsockname()[:2]
        log.info(serves, address=str(Address(host, port)))
        server.run([tcp])


def _settings(app: ASGIApp, section: HttpSection) -> uvicorn.Config:
    return uvicorn.Config(
        app,
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


def _listening(bind: Address, name: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
        return socket.create_server((bind.host, bind.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"{name}.bind: {bind} cannot be listened on: {words_of(error)}") from error
