"""An issuer that tests tell what to do with each answer."""

from __future__ import annotations

import asyncio
import contextlib

from switch.simulators.issuer import Issuer


class UnrulyIssuer(Issuer):
    """Hands each answer to ``mangle(issuer, exchange, answer)`` when that is set, else behaves.

    ``refuse_network`` is a set of kinds (sign_on, echo_test) that are refused, ``ignore_network`` one of kinds that are
    not answered.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.mangle = None
        self.held = []
        self.refuse_network = set()
        self.ignore_network = set()
        self.port = None

    async def listen(self, *arguments, **keys):
        """As before, but remember the port."""
        self.port = await super().listen(*arguments, **keys)
        return self.port

    async def restart(self):
        """Listen again where it did before."""
        await super().listen(port=self.port)

    def _deliver(self, exchange, answer, later_s=0.0):
        if self.mangle is None:
            super()._deliver(exchange, answer, later_s)
        else:
            self.mangle(self, exchange, answer)

    def _receive_network(self, connection, headers, message):
        kind = self.profile.kind(message)
        if kind in self.ignore_network:
            self.counters.network[kind] += 1
        elif kind in self.refuse_network:
            self.counters.network[kind] += 1
            pieces = self.profile.echo(message, network=True)
            pieces[39] = self.profile.code_piece("do_not_honour", message.mti[1])
            self._reply(connection, headers, self._network_answer(message, pieces))
        else:
            super()._receive_network(connection, headers, message)

    def deliver(self, exchange, answer):
        """Send an answer as a well-behaved issuer would."""
        super()._deliver(exchange, answer)

    def frame(self, exchange, answer):
        """An answer in its frame."""
        return self.profile.framing.wrap(answer, exchange.headers)

    def under_stan_of(self, exchange, other):
        """The answer to one request under the STAN of another, with a right MAC."""
        return self._compose(exchange.message, exchange.decision, stan=self.profile.text(other.message, 11))


@contextlib.asynccontextmanager
async def one_bank(installation, proxy_trusted=None, **link):
    """An issuer, and an installation that goes to it; its terminals call directly, or through who is trusted."""
    bank = installation.issuer("bank-a", "iso87-ascii", UnrulyIssuer)
    await bank.listen()
    trusted = {} if proxy_trusted is None else {"proxy_trusted": proxy_trusted}
    installation.listener("pos", "iso87-ascii", **trusted)
    installation.link(port=bank.port, **link)
    try:
        yield bank
    finally:
        await bank.stop()


def hold(issuer, exchange, answer):
    """Keep answers back; ``issuer.held`` has them."""
    issuer.held.append((exchange, answer))


def in_reverse(count):
    """Keep so many answers back, then give them in reverse order."""

    def mangle(issuer, exchange, answer):
        hold(issuer, exchange, answer)
        if len(issuer.held) == count:
            for late_exchange, late_answer in reversed(issuer.held):
                issuer.deliver(late_exchange, late_answer)
            issuer.held.clear()

    return mangle


def after(delay_s):
    """Give each answer so much later."""

    def mangle(issuer, exchange, answer):
        asyncio.get_running_loop().call_later(delay_s, issuer.deliver, exchange, answer)

    return mangle
