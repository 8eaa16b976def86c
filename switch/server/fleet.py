"""Several workers: what they share is made first, then they are forked and kept running, and the desk beside them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from functools import partial

import uvloop

from switch import __version__
from switch.admin.identity import Identity
from switch.base.error_words import words_of
from switch.base.log import configure_direct_logging, get_logger
from switch.base.stats import Stats
from switch.check.parts import Parts, load_parts
from switch.config import Address, Config
from switch.journal.partitions import Hold, Layout
from switch.journal.problems import JournalError
from switch.mesh.counts import CountsHeard
from switch.server.acceptor import takes_both
from switch.server.assembly import stand_ins_of
from switch.server.desk import Desk, seats_of
from switch.server.fronts import AdminFront, Desks, own_status
from switch.server.handover import Handover, NewsReader
from switch.server.heartbeat import keep_beating
from switch.server.meeting_folder import MeetingFolder
from switch.server.node_keys import node_keys
from switch.server.pin_counters import open_counters, write_counters
from switch.server.place import Place
from switch.server.process import begin_collections, process_log, protect_memory
from switch.server.risk_histories import expect_histories
from switch.server.signals import Signals
from switch.server.supervisor import Child, Patience, Supervisor, pinned_cpu
from switch.tables.count_log import CountLog

DESK = "desk"
DRAIN_SPARE_SECONDS = 10.0
"""How much longer than its drain a worker may take to end."""

RunWorker = Callable[[Config, Parts, Place, Handover], int]
log = get_logger(__name__)


def serve_with_workers(config: Config, run_worker: RunWorker) -> bool:
    """Run a daemon of several workers until it has drained; False when one of them did not end well.

    This process makes what they share, and looks after them: it has no event loop and no thread.

    Args:
        config: The configuration.
        run_worker: What a worker does in its process; gives its exit status.

    Raises:
        ConfigError: Something that the configuration names cannot be used.
        JournalError: The journal's directory cannot be used.
        OSError: It cannot be read.
    """
    workers = config.worker_count
    configure_direct_logging(config.log.format, config.log.level)
    protect_memory()
    parts = load_parts(config, keeps_copy=True)
    with contextlib.ExitStack() as shared:
        config, claimed = claim_addresses(config)
        for one in claimed:
            shared.callback(one.close)
        hold = _hold(config, workers)
        if hold is not None:
            shared.callback(hold.release)
        partitions = config.journal.partitions or workers if hold is None else hold.partitions
        here = Layout.of_node(partitions, config.node).here
        if len(here) < workers:
            raise JournalError(
                f"switch.workers is {workers}, and the journals are of {len(here)} partition(s): each worker needs "
                f"one; set switch.workers to {len(here)}, or drain the daemon and run `authswitch partitions change "
                f"CONFIG {workers}`"
            )
        if hold is not None:
            expect_histories(parts.risk, here)
        stats = Stats(config.limits.statistics_bytes, workers + 2)
        stats.use_worker(workers + 1)
        stand_ins = stand_ins_of(config, stats, workers)
        counts_heard = CountsHeard(config.far_workers, is_shared=True)
        keys = node_keys(config, parts.key_file, stats)
        devices = open_counters(config, is_shared=True)
        shared.callback(write_counters, config, devices)
        handover = Handover(DESK)
        folder = MeetingFolder()
        shared.callback(folder.close)
        children = [
            Child(
                str(number),
                partial(
                    run_worker,
                    config,
                    parts,
                    Place(
                        number,
                        workers,
                        partitions,
                        stats,
                        stand_ins,
                        folder.path,
                        node=config.node.number,
                        crews=config.crews,
                        count_log=CountLog(is_shared=True) if config.nodes else None,
                        counts_heard=counts_heard,
                        keys=keys,
                        devices=devices,
                    ),
                    handover,
                ),
                number,
                cpu=pinned_cpu(number) if config.switch.pin else None,
            )
            for number in range(workers)
        ]
        desk = Child(DESK, partial(_run_desk, config, stats, handover, partitions), workers, ends_last=True)
        patience = Patience(
            drain_s=config.limits.drain_seconds + DRAIN_SPARE_SECONDS, silence_s=config.limits.worker_silence_seconds
        )
        tell_doubts(config)
        begin_collections()
        return Supervisor([desk, *children], stats, patience, handover.hooks()).run()


def tell_doubts(config: Config) -> None:
    """Log what is doubtful in a configuration: once for each start of a daemon."""
    if config.journal.mode == "off":
        log.warning("journal is off: nothing survives a crash, and reversals not yet delivered are lost with it")
    for warning in config.warnings:
        log.warning("doubtful configuration", file=warning.file, key=warning.key, reason=warning.reason)


def claim_addresses(config: Config) -> tuple[Config, list[socket.socket]]:
    """Take the addresses on which workers will listen, before any other work: none of another user's can then.

    A port that was left to the kernel is one and the same for all of them.

    Returns:
        The configuration with the addresses as they are, and what holds them.

    Raises:
        OSError: One cannot be had.
    """
    claimed: list[socket.socket] = []
    listeners = [
        section.model_copy(update={"bind": _claim(f"listener[{section.name}].bind", section.bind, claimed)})
        for section in config.listeners
    ]
    links = [
        section
        if section.bind is None
        else section.model_copy(update={"bind": _claim(f"link[{section.name}].bind", section.bind, claimed)})
        for section in config.links
    ]
    if config.nodes:
        own = config.nodes[config.node.number]
        for number in range(own.workers):
            _claim(f"node[{own.name}].address", own.address_of(number), claimed)
    return config.model_copy(update={"listeners": listeners, "links": links}), claimed


def _claim(key: str, address: Address, claimed: list[socket.socket]) -> Address:
    port = address.port
    try:
        found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in dict.fromkeys(found):
            held = socket.socket(family, kind, protocol)
            claimed.append(held)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not takes_both(place))
            held.bind((place[0], port, *place[2:]))
            # Not before: workers of another daemon, which share the port among themselves, must be in the way.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = held.getsockname()[1]
    except OSError as error:
        for one in claimed:
            one.close()
        raise OSError(error.errno, f"{key}: {address} cannot be listened on: {words_of(error)}") from error
    return Address(address.host, port)


def _hold(config: Config, workers: int) -> Hold | None:
    """The journals' directory, laid out with a partition for each worker where it is new; None without a journal."""
    if config.journal.mode == "off" or config.journal.directory is None:
        return None
    return Hold(config.journal.directory, config.journal.partitions, at_first=workers, node=config.node)


def _run_desk(config: Config, stats: Stats, handover: Handover, partitions: int) -> int:
    """Be the process that operators ask; its exit status."""
    supervisor = os.getppid()

    async def run() -> None:
        ended = asyncio.Event()
        Signals(ended.set, ended.set, lambda: None).listen(asyncio.get_running_loop())
        identity = Identity.new(config.switch.name, config.file)
        desk = Desk(
            seats_of(config.worker_count, partitions, config.node),
            own_status(config, identity, __version__),
            lambda: os.kill(supervisor, signal.SIGTERM),
        )
        news = NewsReader(handover.inherited(), desk.hear)
        front = AdminFront(config, stats, desk, Desks(desk, desk), identity)
        try:
            await front.start()
            news.start()
            beating = asyncio.create_task(keep_beating(stats, DESK))
            log.info("serving", **front.details(), workers=config.worker_count, version=__version__)
            await ended.wait()
            beating.cancel()
        finally:
            await front.stop()

    with process_log(config):
        try:
            uvloop.run(run())
        except OSError as error:
            log.error("cannot serve", worker=DESK, reason=str(error))  # noqa: TRY400 - no trace
            return 1
    return 0
