"""New keys of a link by messages, while the daemon runs: the issuer sends them, or is asked for them.

A key that came is first taken for answers, by all workers; then it is kept in the key file; then the issuer is told,
and only then messages are sent under it. So a process that dies at any moment is on a key that the issuer takes: the
former one, or the one that it has sent. What is not answered is sent again, or asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from switch.admin.keys import NobodyAsked, NotExchanged
from switch.base.log import get_logger
from switch.dialect.key_exchange import USAGES, KeyMessages
from switch.dialect.reasons import Reason
from switch.keys.brought import note_had
from switch.keys.exchange import NotTakenError, next_name, offered_key
from switch.keys.names import former_name
from switch.keys.problems import KeyFileError
from switch.wire.scan import ScanError

if TYPE_CHECKING:
    from switch.base.stats import Stats
    from switch.config import Config, LinkSection
    from switch.dialect import Dialect
    from switch.keys import KeyFile
    from switch.keys.key import Key
    from switch.machine.link_connections import LinkChannel, LinkConnections
    from switch.path.engine import Engine
    from switch.server.node_keys import NodeKeys

AGAIN_SECONDS = 10
"""So long after it was asked for in vain a key is asked for again."""
COMMAND_SECONDS = 4.0
"""How long a command waits until the key is there; it comes all the same."""
UNKNOWN = "unknown"
"""What is counted where a message does not say which key it brings, or one that the link does not have."""
RESULTS = ("taken", "repeated", "refused", "unanswered")

T = TypeVar("T")

log = get_logger(__name__)


@dataclass(slots=True)
class _Offer:
    """A key that came, in a message that waits for its answer, or in an answer.

    Attributes:
        message: It.
        usage: What was asked for; None: the message says it.
        answer: Called with the reason to answer with, where an answer is due.
        may_repeat_only: It is under a MAC key that has ended: it may say the present key again, and bring no other.
        key: What it brings, once it was understood.
        former: What that replaces; None: it is in use already.
        fault: Why it cannot be taken.
    """

    message: bytes
    usage: str | None
    answer: Callable[[Reason], object] | None
    may_repeat_only: bool = False
    key: Key | None = None
    former: Key | None = None
    fault: str = ""

    @property
    def is_understood(self) -> bool:
        return self.key is not None or bool(self.fault)


class LinkDesk:
    """Exchanges the keys of one link; see ``switch.machine.link_connections.KeyDesk``.

    Args:
        section: The link.
        number: Its place in the configuration.
        messages: How its dialect writes them.
        engine: Where messages come from.
        keys: The key file, as the processes of this machine know it.
        stats: The counters.
        take_news: Called when keys that are in force may have changed; whether they had.
    """

    def __init__(
        self,
        section: LinkSection,
        number: int,
        *,
        messages: KeyMessages,
        engine: Engine,
        keys: NodeKeys,
        stats: Stats,
        take_news: Callable[[], bool],
    ) -> None:
        exchange = section.key_exchange
        if exchange is None:
            raise ValueError(f"link {section.name} exchanges no keys")
        self.name = section.name
        self._exchange = exchange
        self._number = number
        self._names = {
            usage: part.key for usage, part in zip(USAGES, (section.pin, section.mac), strict=True) if part is not None
        }
        self._messages = messages
        self._engine = engine
        self._connections: LinkConnections = engine.state.links[number].connections
        self._answer_seconds = section.echo_timeout_ms / 1000 + 1
        self._keys = keys
        self._stats = stats
        self._take_news = take_news
        self._counters = {
            (usage, result): stats.counter(
                "authswitch_key_exchanges_total",
                "Keys that came from issuers by messages, or did not.",
                {"link": section.name, "key": usage, "result": result},
            )
            for usage, results in (*((one, RESULTS) for one in self._names), (UNKNOWN, ("refused",)))
            for result in results
        }
        self._offers: list[_Offer] = []
        self._is_busy = False
        self._asked: tuple[str, asyncio.Future[str]] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- what the state machine tells -----------------------------------------------------------------------------

    def take_offer(self, channel: LinkChannel, headers: bytes, message: bytes, may_repeat_only: bool, /) -> None:
        """The issuer sends a key."""

        def answer(reason: Reason) -> object:
            return self._engine.answer_key_offer(channel, headers, message, reason.value)

        self._take(_Offer(message, None, answer, may_repeat_only))

    def take_answer(self, _channel: LinkChannel, message: bytes, reason: int) -> None:
        """The issuer answers what it was asked."""
        usage = "" if self._asked is None else self._asked[0]
        if reason != Reason.APPROVED.value:
            self._count(usage, "refused")
            self._end(usage, f"the issuer refuses: {Reason(reason).label}")
            return
        try:
            brings = bool(self._messages.read(message).key)
        except ScanError:
            brings = False
        if brings:
            self._take(_Offer(message, usage, None))

    def take_silence(self) -> None:
        """The issuer did not answer."""
        if self._asked is not None:
            self._count(self._asked[0], "unanswered")
            self._end(self._asked[0], "the issuer does not answer; it is asked again")

    def look_again(self) -> bool:
        """Whether keys have come that answers may be under: here a moment ago, or at another worker."""
        self._understand()
        return self._take_news()

    # --- asking -----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask for keys that are due; to be called often."""
        if not self._connections.channels or self._asked is not None:
            return
        for usage in self._names:
            if self._keys.is_exchange_due(self._number, usage, self._exchange.ask_seconds > 0, AGAIN_SECONDS):
                self._spawn(self._ask_quietly(usage))
                return

    async def ask(self, usages: Sequence[str]) -> Mapping[str, str]:
        """Ask the issuer for keys, and wait for a while until they are there; their check values.

        Raises:
            NotExchanged: It cannot be asked here, or none came; or the link has no such key.
        """
        wanted = usages or tuple(self._names)
        for usage in wanted:
            if usage not in self._names:
                raise NotExchanged(f"link {self.name} has no {usage}")
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                # Who waits no longer ends no asking: a key that comes late is taken all the same.
                return {usage: await asyncio.shield(self._asking(usage)) for usage in wanted}
        except TimeoutError:
            raise NotExchanged(f"link {self.name}: the issuer was asked, and has not answered yet") from None

    def _asking(self, usage: str) -> asyncio.Task[str]:
        task = self._spawn(self._ask(usage))
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # perhaps nobody waits any more
        return task

    async def _ask(self, usage: str) -> str:
        if self._asked is not None:
            raise NotExchanged(f"link {self.name}: the issuer is being asked already")
        if not self._engine.ask_for_key(self._connections, self._messages.choice(usage)):
            raise NobodyAsked(f"link {self.name}: no connection is free to ask the issuer")
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked = (usage, answered)
        self._keys.exchange_again(self._number, usage, AGAIN_SECONDS)
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await answered
        except TimeoutError:
            raise NotExchanged(f"link {self.name}: no {usage} came; the issuer is asked again") from None
        finally:
            self._asked = None

    async def _ask_quietly(self, usage: str) -> None:
        try:
            await self._ask(usage)
        except NotExchanged as error:
            log.warning("no new key", link=self.name, key=usage, reason=str(error))

    def _end(self, usage: str, fault: str, check: str = "") -> None:
        """Tell who has asked what became of it."""
        if self._asked is None or self._asked[0] != usage or self._asked[1].done():
            return
        if fault:
            self._asked[1].set_exception(NotExchanged(f"link {self.name}: {fault}"))
        else:
            self._asked[1].set_result(check)

    # --- taking -----------------------------------------------------------------------------------------------------

    def _take(self, offer: _Offer) -> None:
        self._offers.append(offer)
        self._spawn(self._work())

    def _spawn(self, work: asyncio._CoroutineLike[T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _work(self) -> None:
        """One key after the other."""
        if self._is_busy:
            return
        while self._offers:
            self._understand()
            offer = self._offers[0]
            self._is_busy = True
            try:
                await self._settle(offer)
            finally:
                self._is_busy = False
                self._offers.pop(0)

    def _understand(self) -> None:
        """Take answers under the key that came, from now on, at all workers."""
        if self._is_busy or not self._offers or self._offers[0].is_understood:
            return
        offer = self._offers[0]
        try:
            self._read(offer)
            if offer.key is not None and offer.former is not None:
                following = dataclasses.replace(offer.key, name=next_name(offer.key.name))
                self._keys.change_in_force(lambda keys: keys.put(following, replace=True))
                self._take_news()
        except (NotTakenError, KeyFileError, ScanError) as error:
            offer.key, offer.fault = None, str(error)

    def _read(self, offer: _Offer) -> None:
        said = self._messages.read(offer.message)
        offer.usage = said.usage or offer.usage
        if offer.usage not in self._names:
            raise NotTakenError("it does not say which key it brings, or one that the link does not have")
        with self._in_force() as had:
            name = self._names[offer.usage]
            others = [each for usage, each in self._names.items() if usage != offer.usage]
            key = offered_key(had, name, self._exchange.under, said.key, others)
            present = had.get(name)
            offer.former = None if key.value == present.value else present
            if offer.former is not None and offer.may_repeat_only:
                raise NotTakenError(
                    "its MAC is under a key that has ended, under which the present key alone may come again"
                )
            offer.key = key

    def _in_force(self) -> KeyFile:
        return self._keys.in_force()[1]

    async def _settle(self, offer: _Offer) -> None:
        """Keep it, tell the issuer, and send under it from then on."""
        key, former = offer.key, offer.former
        if key is not None and former is not None:
            try:
                await asyncio.to_thread(self._keys.save, partial(self._replace, key, former))
            except (KeyFileError, OSError) as error:
                offer.key, offer.fault = None, str(error)
        if offer.answer is not None:
            offer.answer(Reason.SECURITY_VIOLATION if offer.fault else Reason.APPROVED)
        usage = offer.usage or ""
        if key is not None and former is not None:
            await self._put_in_force(key, None if offer.fault else former)
        if offer.fault:
            self._count(usage, "refused")
            log.error("a key of the issuer was not taken", link=self.name, key=usage, reason=offer.fault)
            self._end(usage, offer.fault)
        elif key is not None:
            self._count(usage, "taken" if former is not None else "repeated")
            log.info("key exchanged", link=self.name, key=usage, kcv=key.check_value, is_new=former is not None)
            # Somebody may send what was recorded again and again: that puts no question off.
            if former is not None or offer.answer is None or (self._asked is not None and self._asked[0] == usage):
                self._keys.exchanged(self._number, usage, self._exchange.ask_seconds)
            self._end(usage, "", key.check_value)

    async def _put_in_force(self, key: Key, former: Key | None) -> None:
        """A key is not only for answers any more; without a former one it could not be kept, and is for nothing."""

        def change(keys: KeyFile) -> None:
            if next_name(key.name) in keys:
                keys.remove(next_name(key.name))
            if former is not None:
                self._replace(key, former, keys)

        while True:
            with contextlib.suppress(KeyFileError):
                await asyncio.to_thread(self._keys.change_in_force, change)
                self._take_news()
                return

    def _replace(self, key: Key, former: Key, keys: KeyFile) -> None:
        """Put a key in the place of another one, and remember both: no recorded message brings them back."""
        keys.put(key, replace=True)
        keys.put(dataclasses.replace(former, name=former_name(key.name)), replace=True)
        note_had(keys, former, self._exchange.under)
        note_had(keys, key, self._exchange.under)

    def _count(self, usage: str, result: str) -> None:
        self._stats.add(self._counters[usage if usage in self._names else UNKNOWN, result])


def link_desks(
    config: Config,
    dialects: Mapping[str, Dialect],
    engine: Engine,
    *,
    keys: NodeKeys | None,
    stats: Stats,
    take_news: Callable[[], bool],
) -> dict[str, LinkDesk]:
    """By link, who exchanges its keys, where it does; the links know them from now on."""
    desks = {}
    for number, section in enumerate(config.links):
        if section.key_exchange is not None and keys is not None:
            messages = KeyMessages(dialects[section.dialect])
            desk = LinkDesk(
                section, number, messages=messages, engine=engine, keys=keys, stats=stats, take_news=take_news
            )
            engine.state.links[number].connections.key_desk = desk
            desks[section.name] = desk
    return desks


class KeyDesks:
    """All links' desks, as the admin side asks them.

    Args:
        desks: By link.
        links: Names of all links.
    """

    def __init__(self, desks: Mapping[str, LinkDesk], links: Sequence[str]) -> None:
        self._desks = desks
        self._links = links

    def look(self) -> None:
        """Ask for keys that are due; to be called often."""
        for desk in self._desks.values():
            desk.look()

    async def exchange_keys(self, *, link: str, usages: Sequence[str]) -> Mapping[str, str]:
        """Have an issuer asked for keys; check values of those that came.

        Raises:
            NotExchanged: None came, or there is no such link, or none that exchanges keys.
        """
        if link not in self._links:
            raise NotExchanged(f"there is no link {link}")
        if link not in self._desks:
            raise NotExchanged(f"link {link} has no key_exchange in the configuration")
        return await self._desks[link].ask(usages)
