"""The sample configurations work as they are: each is accepted, and the production-like one is started and used."""

import contextlib
import itertools
import shutil
import ssl
from pathlib import Path

import pytest

from switch.check.configuration import check_config
from switch.keys import KeyFile
from switch.keys.master import load_master_key
from switch.simulators.dialect_profile import MacSetting, moment
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.rules import Rules
from switch.simulators.scenario import PaymentCard
from tests.ext.proxy_headers import proxy_header

from .configs import on_free_ports
from .daemon import Daemon, until
from .installation import profile_of
from .terminal import Terminal

CONFIGS = Path(__file__).parents[2] / "configs"
BANKS = {
    "bank-a": ("iso87-ascii", "x9.19", ["127.0.0.1:7001", "127.0.0.1:7002"]),
    "bank-b": ("iso87-binary", "aes-cmac", ["127.0.0.1:7003"]),
}
FROM_AFAR = proxy_header("203.0.113.7")
"""The sample's listeners are behind a load balancer."""

CARDS = {"bank-a": "4000000000000002", "bank-b": "6225000000000014", "scheme": "3530111333300000"}


SAMPLES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.toml") if "sample" not in path.parts)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_accepted(sample_configs, name):
    report = check_config(sample_configs / name)
    assert report.valid, report


class SampleTerminals:
    """The terminals of the sample registry, as far as ``Terminal`` asks."""

    def __init__(self, keys):
        self._keys = keys
        self._stans = itertools.count(1)

    def mac_of(self, terminal):
        return MacSetting("aes-cmac", self._keys.get(f"terminal/{terminal}/tak").value)

    def request(self, dialect, *, terminal, card):
        profile = profile_of(dialect)
        pieces = profile.request(
            "purchase",
            terminal=terminal,
            merchant="898000000000001",
            batch="000001",
            stan=f"{next(self._stans):06d}",
            card=PaymentCard(pan=card),
            amount_minor=12_34,
            currency="156",
            at=moment(),
        )
        return profile.signed(profile.request_mti("purchase"), pieces, self.mac_of(terminal))


def context(purpose, authority, certificate):
    """A TLS context with the sample's certificates."""
    made = ssl.create_default_context(purpose, cafile=str(authority))
    made.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
    return made


async def test_production_sample_is_started_and_serves(sample_configs, tmp_path):
    folder = tmp_path / "configs"
    shutil.copytree(sample_configs, folder)
    secrets = folder / "secrets"
    keys = KeyFile.open(secrets / "keys.sealed", load_master_key(secrets / "master.key"))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(keys.close)
        banks = []

        def bank(link, dialect, algorithm):
            mac = MacSetting(algorithm, keys.get(f"link/{link}/zak").value)
            issuer = Issuer(profile_of(dialect), IssuerSettings(rules=Rules(amounts=())), mac)
            stack.push_async_callback(issuer.stop)
            banks.append((link, issuer))
            return issuer

        ports = {}
        for link, (dialect, algorithm, endpoints) in BANKS.items():
            tls = context(ssl.Purpose.CLIENT_AUTH, secrets / "terminals-ca.pem", secrets / link)
            for endpoint in endpoints:
                ports[endpoint] = await bank(link, dialect, algorithm).listen(tls=tls)
        config = on_free_ports(folder / "production.toml", ports)
        values = [keys.get(name).value.hex() for name in keys.names()]
        daemon = Daemon(config, [*CARDS.values(), *values])
        stack.callback(daemon.kill)
        await daemon.start()
        tls = context(ssl.Purpose.SERVER_AUTH, secrets / "terminals-ca.pem", secrets / "scheme")
        bank("scheme", "iso93-binary", "aes-cmac").call("127.0.0.1", daemon.links["scheme"], tls, "localhost")
        for link, issuer in banks:
            await daemon.event("link up", link=link)
            connections = 1 if link == "scheme" else 2
            await until(lambda issuer=issuer, count=connections: issuer.counters.network["sign_on"] == count)
        tls = context(ssl.Purpose.SERVER_AUTH, secrets / "terminals-ca.pem", secrets / "terminal")
        terminals = SampleTerminals(keys)
        for listener, dialect in (("pos", "cup"), ("concentrator", "iso87-ascii")):
            port = daemon.ports[listener]
            async with await Terminal.connect(terminals, port, dialect, tls, header=FROM_AFAR) as terminal:
                for card in CARDS.values():
                    answer = await terminal.ask(terminals.request(dialect, terminal="10000001", card=card))
                    assert answer.text(39) == "00"
        for link in CARDS:
            assert sum(issuer.counters.requests for name, issuer in banks if name == link) == 2
        assert not any(issuer.counters.mac_failures for _, issuer in banks)
        await daemon.stop()
        for link, issuer in banks:
            assert issuer.counters.network["sign_off"] == issuer.counters.network["sign_on"] > 0, link
