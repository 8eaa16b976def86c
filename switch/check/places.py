"""Whether the daemon could write and listen where its configuration says: what it would find out when it starts."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from switch.access.token_file import TokenFileError, read_tokens
from switch.base.error_words import words_of
from switch.base.system_users import group_id
from switch.config.addresses import Address, UnixAddress
from switch.config.models import Config
from switch.files.problems import Problem
from switch.journal.numbers import NumbersError, numbers_file, read_numbers
from switch.journal.opening import open_partitions
from switch.journal.partitions import Layout, PartitionsError, partition_folder, read_layout, unfit
from switch.journal.replay import JournalDamaged

NO_TEMPORARY = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""With these a file system says that it has no files without a name."""


def place_problems(config: Config) -> list[Problem]:
    """Folders, files and addresses that the daemon could not use. Nothing is left behind."""
    faults = [*_journal_faults(config)]
    if config.switch.numbers_file is not None or not faults:  # by default it is beside the journal
        faults += _numbers_faults(config)
    faults += [*_socket_faults(config), *_host_faults(config), *_operator_faults(config)]
    return [Problem(str(config.file), key, reason) for key, reason in faults]


def _operator_faults(config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong with those who may change something on the admin side."""
    if config.admin.group is not None:
        try:
            group_id(config.admin.group)
        except OSError as error:
            yield "admin.group", str(error.strerror)
    if config.admin.tokens_file is not None:
        try:
            read_tokens(config.admin.tokens_file)
        except TokenFileError as error:
            yield "admin.tokens_file", str(error)
        except OSError as error:
            yield "admin.tokens_file", words_of(error)


def unreadable_journal(config: Config, keys: bytes) -> list[Problem]:
    """That the journal has a segment which the daemon could not read, because of its key or its head.

    Args:
        config: The configuration.
        keys: As ``switch.keys.journal_keys`` gives them.
    """
    directory = config.journal.directory
    if config.journal.mode == "off" or directory is None:
        return []
    try:
        for one in open_partitions(directory, keys):
            with one.telling():
                one.reader.require_keys()
    except JournalDamaged as error:
        return [Problem(str(config.file), "journal.directory", str(error))]
    except (OSError, PartitionsError):
        return []  # It has not begun, or ``place_problems`` says what is wrong.
    return []


def _journal_faults(config: Config) -> Iterator[tuple[str, str]]:
    directory = config.journal.directory
    if config.journal.mode == "off" or directory is None:
        return
    if reason := _fault_of_folder(directory, is_made=True):
        yield "journal.directory", reason
        return
    wanted = config.journal.partitions
    try:
        layout = read_layout(directory)
    except (OSError, PartitionsError) as error:
        yield "journal.directory", str(error)
        return
    expected = Layout.of_node(wanted or 1, config.node) if layout is None else layout
    if reason := unfit(expected, wanted, config.node):
        yield "journal.partitions", reason
    folders = [] if layout is None else [partition_folder(directory, number) for number in layout.here]
    yield from (("journal.directory", reason) for reason in map(_fault_of_folder, folders) if reason)


def _numbers_faults(config: Config) -> Iterator[tuple[str, str]]:
    file = numbers_file(config)
    if file is None:
        return
    key = "switch.numbers_file"
    try:
        read_numbers(file, config.switch.instance)
    except NumbersError as error:
        yield key, str(error)
        return
    # With a journal the daemon starts all the same, and tells of it.
    if config.journal.mode == "off" and (reason := _fault_of_folder(file.parent)):
        yield key, reason


def _socket_faults(config: Config) -> Iterator[tuple[str, str]]:
    bind = config.admin.bind
    if not isinstance(bind, UnixAddress):
        return
    if reason := _fault_of_folder(bind.path.parent):
        yield "admin.bind", reason
    elif os.path.lexists(bind.path) and not bind.path.is_socket():
        yield "admin.bind", f"{bind.path} is there, and is no socket"


def _fault_of_folder(folder: Path, *, is_made: bool = False) -> str:
    """Why no file can be made in a folder; empty when one can.

    Args:
        folder: The folder.
        is_made: The daemon makes it, and what is above it.
    """
    try:
        there = folder
        while is_made and not os.path.lexists(there) and there != there.parent:
            there = there.parent
        if not there.stat() or not there.is_dir():
            return f"{there} is no folder"
        _try_file(there)
    except OSError as error:
        return f"{there}: nothing can be written there: {error.strerror}"
    return ""


def _try_file(folder: Path) -> None:
    """Make a file that has no name; where a file system has no such files, one that goes at once.

    Raises:
        OSError: None can be made.
    """
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in NO_TEMPORARY:
            raise
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".authswitch-check-"):
            pass


def _host_faults(config: Config) -> Iterator[tuple[str, str]]:
    """Addresses to listen on that name no host, or none of this machine's."""
    for key, address in _bound(config):
        try:
            found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, kind, protocol, _, place in dict.fromkeys(found):
                _try_host(family, kind, protocol, place)
        except OSError as error:
            yield key, f"{address} cannot be listened on: {words_of(error)}"


def _try_host(family: int, kind: int, protocol: int, place: tuple[Any, ...]) -> None:
    """Bind to a host for a moment, on a port of the kernel's choice: a daemon that runs may have the one it is for.

    Raises:
        OSError: The host is not this machine's.
    """
    try:
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise


def _bound(config: Config) -> Iterator[tuple[str, Address]]:
    if isinstance(config.admin.bind, Address):
        yield "admin.bind", config.admin.bind
    if config.admin.scrape_bind is not None:
        yield "admin.scrape_bind", config.admin.scrape_bind
    for listener in config.listeners:
        yield f"listener[{listener.name}].bind", listener.bind
    for link in config.links:
        if link.bind is not None:
            yield f"link[{link.name}].bind", link.bind
    if config.nodes:
        own = config.nodes[config.node.number]
        yield f"node[{own.name}].address", own.address
