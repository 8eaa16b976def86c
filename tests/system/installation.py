"""A folder with all that a daemon is started with: configuration, keys, registry, routes; and who is in it."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field

from switch.dialect import load_dialect
from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.keys.master import create_master_key
from switch.keys.names import usage_of_name
from switch.simulators.dialect_profile import MacSetting, Profile, moment
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.rules import Rules
from switch.simulators.scenario import PaymentCard
from switch.tables.binding import BINDING_KEY
from tests.operators import write_operator, write_token

from .certificates import Authority

IN_STORE = {"store_copy": "in-force"}
RULEBOOKS = {"risk": IN_STORE, "holds": IN_STORE, "endpoints": {**IN_STORE, "networks": ["127.0.0.0/8"]}}
REGISTRY_FILES = {"merchants": "merchants.csv", "terminals": "terminals.csv"}
MERCHANT = "898000000000001"
TERMINALS = [f"100000{number:02d}" for number in range(1, 41)]
NODES = ("a", "b")
LINKS = ("bank-a", "bank-b", "scheme")
CARD = PaymentCard(pan="6225000000000014")
OTHER_CARD = PaymentCard(pan="4000000000000002")
CARDS = {"bank-a": CARD, "bank-b": OTHER_CARD}
ROUTES = {"622500": "bank-a:1"}
MAC = "x9.19"

_profiles = {}


def profile_of(dialect):
    """How the simulators read and write a dialect; made once."""
    if dialect not in _profiles:
        _profiles[dialect] = Profile(load_dialect(dialect))
    return _profiles[dialect]


def to_toml(table):
    """A configuration as TOML: tables, arrays of tables and what JSON writes alike."""
    lines = []
    for name, section in table.items():
        for one in section if isinstance(section, list) else [section]:
            lines.append(f"[[{name}]]" if isinstance(section, list) else f"[{name}]")
            lines += [f"{key} = {_value(value)}" for key, value in one.items()]
    return "\n".join(lines) + "\n"


def _value(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value if isinstance(value, bool | int) else str(value))


@dataclass
class Secrets:
    """Keys and certificates, made once for a whole test run."""

    folder: object
    keys: dict = field(default_factory=dict)
    terminals: list = field(default_factory=lambda: TERMINALS)

    def __post_init__(self):
        names = [f"terminal/{terminal}/{usage}" for terminal in self.terminals for usage in ("tak", "tpk", "tmk")]
        names += [f"link/{link}/{usage}" for link in LINKS for usage in ("zak", "zpk")]
        self.keys = {name: generate_value("3des-2key") for name in names}
        with KeyFile.create(self.key_file, create_master_key(self.master_key_file)) as file:
            for name, value in self.keys.items():
                file.put(Key(name, usage_of_name(name), "3des-2key", value))
            file.put(Key(BINDING_KEY, "rbk", "aes-256", generate_value("aes-256")))
            file.save()
        self.authority = Authority(self.folder, "authority")
        self.stranger = Authority(self.folder, "stranger")
        self.switch = self.authority.issue("switch", "switch-1", ["localhost", "127.0.0.1"])
        self.issuer = self.authority.issue("issuer", "issuer", ["bank.example"])
        self.nodes = {name: self.authority.issue(f"node-{name}", name) for name in NODES}

    @property
    def key_file(self):
        return self.folder / "keys.sealed"

    @property
    def master_key_file(self):
        return self.folder / "master.key"


class Installation:
    """One configuration folder. Listeners and links are added, then ``write`` gives the configuration's path."""

    def __init__(self, folder, secrets):
        self.folder = folder
        self.secrets = secrets
        self.listeners = []
        self.links = []
        self.limits = {}
        self.former = {}
        self.journal = {}
        self.books = {}
        self.originals = {}
        self.store_url = ""
        self.registry = {}
        self.applications = {}
        self.has_rulebooks_in_store = False
        self.workers = 1
        self.risk = ""
        self.log_level = "debug"
        self.mesh = {}
        self.nodes = []
        self.routes = dict(ROUTES)
        self.certificates = {}
        self._stans = itertools.count(1)

    def listener(self, name="pos", dialect="cup", **keys):
        """Add a listener, on a port that the kernel chooses."""
        self.listeners.append({"name": name, "bind": "127.0.0.1:0", "dialect": dialect, **keys})

    def link(self, name="bank-a", dialect="iso87-ascii", port=None, **keys):
        """Add a link that signs with the key of its name and goes to ``port``, unless ``keys`` say otherwise."""
        own = {
            "name": name,
            "dialect": dialect,
            "mac": {"algorithm": MAC, "key": f"link/{name}/zak"},
            "pin": {"key": f"link/{name}/zpk"},
            "reconnect_min_ms": 50,
            "reconnect_max_ms": 200,
        }
        if port is not None:
            own["endpoints"] = [f"127.0.0.1:{port}"]
        self.links.append({**own, **keys})

    def issuer(self, name="bank-a", dialect="iso87-ascii", kind=Issuer, **settings):
        """An issuer with the key of a link, that approves every amount."""
        settings.setdefault("rules", Rules(amounts=()))
        mac = MacSetting(MAC, self.secrets.keys[f"link/{name}/zak"])
        return kind(profile_of(dialect), IssuerSettings(name=name, **settings), mac)

    @property
    def has_registry_in_store(self):
        """Whether merchants and terminals are of the store, too, where there is one."""
        return bool(self.store_url) and not self.has_rulebooks_in_store

    def write(self):
        """Write all files; gives the path of the configuration."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "merchants.csv").write_text(
            f"id,name,state,category,kinds\n{MERCHANT},Harbour Bookshop,active,5942,\n"
        )
        rows = [
            f"{terminal},{MERCHANT},active,,,{MAC},iso-0,{self.certificates.get(terminal, '')}"
            for terminal in self.secrets.terminals
        ]
        heading = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"
        (self.folder / "terminals.csv").write_text("\n".join([heading, *rows]) + "\n")
        ways = [f"{low},,,,,,{links}" for low, links in self.routes.items()]
        heading = "low,high,kinds,currencies,amount_min,amount_max,links"
        (self.folder / "routes.csv").write_text("\n".join([heading, *ways]) + "\n")
        (self.folder / "risk.toml").write_text(self.risk)
        configuration = {
            "switch": {"name": "switch-1", "acquirer_id": "10000001", "workers": self.workers},
            "admin": {"bind": "127.0.0.1:0", "tokens_file": "tokens.csv"},
            "log": {"level": self.log_level},
            "limits": {
                "transactions_in_flight_max": 10_000,
                "duplicate_window_count_max": 200_000,
                "reversals_max": 1_000,
                "connections_max": 15_000,
                "drain_seconds": 15,
                **self.limits,
            },
            "keys": {
                "file": self.secrets.key_file,
                "master_key_file": self.secrets.master_key_file,
                **self.former,
            },
            **({"journal": self.journal} if self.journal else {}),
            **({"originals": self.originals} if self.originals else {}),
            **({"store": {"url": self.store_url}} if self.store_url else {}),
            **({"books": self.books} if self.books else {}),
            **({"applications": self.applications} if self.applications else {}),
            "registry": {"store_copy": "registry", **self.registry} if self.has_registry_in_store else REGISTRY_FILES,
            "routes": IN_STORE if self.has_rulebooks_in_store else {"file": "routes.csv"},
            **(RULEBOOKS if self.has_rulebooks_in_store else {}),
            **({"risk": {"file": "risk.toml"}} if self.risk else {}),
            **({"mesh": self.mesh, "node": self.nodes} if self.nodes else {}),
            "listener": self.listeners,
            "link": self.links,
        }
        if not (self.folder / "operator.token").exists():
            write_token(self.folder / "operator.token", write_operator(self.folder / "tokens.csv"))
        path = self.folder / "switch.toml"
        path.write_text(to_toml(configuration))
        return path

    def mac_of(self, terminal):
        """With what a terminal signs."""
        return MacSetting(MAC, self.secrets.keys[f"terminal/{terminal}/tak"])

    def stan(self):
        """A STAN that no request of this installation had."""
        return f"{next(self._stans):06d}"

    def request(
        self,
        dialect="cup",
        kind="purchase",
        terminal=TERMINALS[0],
        amount_minor=12_34,
        card=CARD,
        stan=None,
        signed=True,
        original=None,
        change=None,
        at=None,
    ):
        """A terminal's request, without its frame. ``change`` gets the pieces before they are signed."""
        profile = profile_of(dialect)
        pieces = profile.request(
            kind,
            terminal=terminal,
            merchant=MERCHANT,
            batch="000001",
            stan=self.stan() if stan is None else stan,
            card=card,
            amount_minor=amount_minor,
            currency="156",
            at=at or moment(),
            original=original,
        )
        if change is not None:
            change(pieces)
        mti = profile.request_mti(kind)
        return profile.signed(mti, pieces, self.mac_of(terminal)) if signed else profile.writer.message(mti, pieces)
