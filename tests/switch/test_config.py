"""The configuration file: what is accepted, and that everything that is wrong is named at once."""

import datetime as dt
import resource

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from switch.config import Address, ConfigError, load_config, read_config
from switch.config.addresses import parse_address, parse_endpoint
from switch.files.model_errors import unknown_key

VALID = """
[switch]
name = "switch-1"
acquirer_id = "10000001"
timezone = "Asia/Shanghai"

[limits]
connections_max = 100

[keys]
file = "keys.sealed"
master_key_file = "master.key"

[registry]
merchants = "merchants.csv"
terminals = "/data/terminals.csv"

[routes]
file = "routes.csv"

[risk]
file = "risk.toml"

[[listener]]
name = "pos"
bind = "127.0.0.1:5830"
dialect = "cup"
connections_max = 100

[[link]]
name = "bank-a"
dialect = "iso87-ascii"
endpoints = ["127.0.0.1:7001", "127.0.0.1:7002"]
mac = { algorithm = "x9.19", key = "link/bank-a/zak" }
"""

PROPER = {
    "listener": 'name = "more"\nbind = "127.0.0.1:5831"\ndialect = "cup"\nconnections_max = 100\n',
    "link": 'name = "more"\ndialect = "cup"\nmac = { algorithm = "x9.19", key = "k" }\n',
}


ACCEPTING = 'mode = "accept"\nbind = "127.0.0.1:9"\n'


@pytest.fixture
def write(tmp_path):
    """Write a configuration; gives its path."""

    def _write(text):
        path = tmp_path / "switch.toml"
        path.write_text(text)
        return path

    return _write


def found(path, severity="error"):
    """What is wrong, as a mapping of keys to reasons."""
    return {p.key: p.reason for p in read_config(path)[1] if p.severity == severity}


def with_link(extra):
    return VALID + "\n[[link]]\n" + PROPER["link"] + extra


def with_listener(extra):
    return VALID + "\n[[listener]]\n" + PROPER["listener"] + extra


def test_valid_file_is_read_with_defaults_and_resolved_paths(write, tmp_path):
    config = load_config(write(VALID))
    assert config.file == tmp_path / "switch.toml"
    assert config.registry.merchants == tmp_path / "merchants.csv"
    assert str(config.registry.terminals) == "/data/terminals.csv"
    assert config.admin.bind == Address("127.0.0.1", 9583)
    (listener,) = config.listeners
    (link,) = config.links
    assert (listener.mac, listener.bind.port, listener.dialect) == ("required", 5830, "cup")
    assert [str(endpoint) for endpoint in link.endpoints] == ["127.0.0.1:7001", "127.0.0.1:7002"]
    assert (link.match.by, link.match.verify) == ("stan", None)
    assert {warning.key for warning in config.warnings} == {"journal.mode"}


def test_dialect_file_is_resolved_and_a_name_is_not(write, tmp_path):
    config = load_config(write(VALID.replace('"iso87-ascii"', '"dialects/bank.toml"')))
    assert config.links[0].dialect == str(tmp_path / "dialects/bank.toml")


def test_configuration_never_changes(write):
    config = load_config(write(VALID))
    with pytest.raises(ValueError, match="frozen"):
        config.limits.connections_max = 5


def test_every_problem_is_listed_at_once(write):
    text = VALID.replace('name = "switch-1"', "name = 5\nnam = true")
    text = text.replace("connections_max = 100\n\n[keys]", "conections_max = 100\n\n[keys]\nfile = 1")
    text = text.replace('file = "keys.sealed"\n', "").replace('[risk]\nfile = "risk.toml"', "[rsk]")
    text = text.replace('dialect = "cup"', 'dialect = "cup"\nmac = "maybe"\nidle_timeout_ms = "1"')
    text = text.replace('mac = { algorithm = "x9.19", key', 'mac = { algoritm = "x9.19", key')
    assert found(write(text)) == {
        "switch.name": "needed a string, got 5",
        "switch.nam": "unknown key; did you mean name?",
        "limits.conections_max": "unknown key; did you mean connections_max?",
        "keys.file": "needed the path of a file, got 1",
        "rsk": "unknown key; did you mean risk?",
        "listener[pos].mac": "needed 'required', 'optional' or 'none', got \"maybe\"",
        "listener[pos].idle_timeout_ms": 'needed an integer, got "1"',
        "link[bank-a].mac.algorithm": "is required",
        "link[bank-a].mac.algoritm": "unknown key; did you mean algorithm?",
    }


def test_error_shows_every_problem_with_its_file(write):
    path = write(VALID.replace('"10000001"', '"bank"').replace('"Asia/Shanghai"', '"Asia/Nowhere"'))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value).splitlines() == [
        f'{path}: switch.acquirer_id: needed text of the form ^[0-9]{{1,11}}$, got "bank"',
        f'{path}: switch.timezone: needed a time zone of the IANA database, got "Asia/Nowhere"',
    ]


def test_value_of_an_unknown_key_is_not_shown(write):
    path = write(VALID.replace("[keys]", '[keys]\nmaster_key = "00112233445566778899"'))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert "00112233" not in str(error.value)
    assert "keys.master_key: unknown key" in str(error.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"[switch\n", "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 8)"),
        (b"a = 1\na = 2\n", "is not TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b"# \xff\n", "is not UTF-8 at byte 2"),
    ],
)
def test_file_that_is_no_toml(tmp_path, content, reason):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    config, problems = read_config(path)
    assert config is None
    assert [(p.file, p.key, p.reason) for p in problems] == [(str(path), "", reason)]


def test_empty_file_lacks_what_is_required(write):
    assert found(write("")) == {
        "switch": "is required",
        "registry": "is required",
        "routes": "is required",
        "listener": "needed 1 to 32 of them, got 0",
        "link": "needed 1 to 1024 of them, got 0",
    }


def test_wrong_shapes_of_tables(write):
    text = VALID.replace("[limits]\nconnections_max = 100\n", "")
    assert found(write("limits = 3\n" + text)) == {"limits": "needed a table, got 3"}
    text = text[: text.index("[[listener]]")]
    assert found(write("listener = 5\nlink = [1]\n" + text)) == {
        "listener": "needed an array of tables, written [[listener]]",
        "link[0]": "needed a table, got 1",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        ("localhost:0", "localhost:0"),
        ("bank-a.example:65535", "bank-a.example:65535"),
    ],
)
def test_addresses(value, shown):
    assert str(parse_address(value)) == shown


@pytest.mark.parametrize("value", ["127.0.0.1", ":80", "::1:80", "[::1]", "a:b", "a:65536", "a b:1", 80, None, ""])
def test_addresses_that_are_none(value):
    with pytest.raises(ValueError, match=r'needed "host:port"'):
        parse_address(value)


def test_nobody_connects_to_port_0():
    with pytest.raises(ValueError, match="needed a port"):
        parse_endpoint("127.0.0.1:0")


@pytest.mark.parametrize(
    ("extra", "key", "reason"),
    [
        ("", "endpoints", "is required"),
        ('endpoints = ["a:1", "a:1"]', "endpoints", "names an address twice"),
        ('endpoints = ["a:1"]\nbind = "127.0.0.1:9"', "bind", 'belongs to mode = "accept"'),
        ('endpoints = ["a:1"]\npeers = ["10.0.0.0/8"]', "peers", 'belongs to mode = "accept"'),
        ('endpoints = ["a:1"]\ntls = {}', "tls.ca", "is required"),
        ('mode = "accept"\npeers = ["10.0.0.1"]', "bind", "is required"),
        ('mode = "accept"\nbind = "127.0.0.1:9"', "peers", "is required"),
        (
            'mode = "accept"\nbind = "127.0.0.1:9"\npeers = ["10.0.0.1/8"]',
            "peers[0]",
            "needed an IP address or network",
        ),
        ('mode = "accept"\nbind = "127.0.0.1:9"\npeers = ["::1"]\nendpoints = ["a:1"]', "endpoints", "belongs to"),
        ('mode = "accept"\nbind = "127.0.0.1:9"\npeers = ["::1"]\ntls = {}', "tls.certificate", "is required"),
        ('endpoints = ["a:1"]\ntls = { ca = "own.pem", peer_name = "x" }', "tls.peer_name", "belongs to mode"),
        (
            ACCEPTING + 'tls = { ca = "own.pem", certificate = "own.pem", private_key = "own.key" }',
            "tls.peer_name",
            "is required with ca",
        ),
        (
            ACCEPTING + 'peers = ["::1"]\ntls = { certificate = "own.pem", private_key = "own.key", peer_name = "x" }',
            "tls.ca",
            "is required with peer_name",
        ),
        ('endpoints = ["a:1"]\nreconnect_min_ms = 9\nreconnect_max_ms = 8', "reconnect_min_ms", "above"),
        ('endpoints = ["a:1"]\nidle_timeout_ms = 70000', "idle_timeout_ms", "leaves no time for an echo test"),
        ('endpoints = ["a:1"]\nin_flight_max = 8', "reversal.window", "above in_flight_max"),
        ('endpoints = ["a:1"]\nin_flight_max = 200000', "in_flight_max", "above limits.transactions_in_flight_max"),
        ('endpoints = ["a:1"]\nreversal = { interval_ms = 700000 }', "reversal.interval_ms", "above backoff_max_ms"),
        ('endpoints = ["a:1"]\nmatch = { verify = [1] }', "match.verify[0]", "needed at least 2, got 1"),
        ('endpoints = ["a:1"]\nmatch = { verify = [2, 3, 4, 7, 11, 41, 49] }', "match.verify", "at most 6"),
        ('endpoints = ["a:1"]\nmac = 5', "", "is not TOML"),
        ('endpoints = ["a:1"]\ntls = { server_name = "x y" }', "tls.server_name", "needed text of the form"),
        ('endpoints = ["a:1"]\npin = { format = "iso-2", key = "k" }', "pin.format", "needed 'iso-0'"),
    ],
)
def test_links_that_make_no_sense(write, tmp_path, extra, key, reason):
    make_certificate(tmp_path, "own")
    problems = found(write(with_link(extra)))
    place = f"link[more].{key}" if key else ""
    assert reason in problems[place]
    assert len(problems) == 1


def test_link_on_which_any_address_may_call_with_the_right_certificate(write, tmp_path):
    make_certificate(tmp_path, "own")
    tls = 'tls = { ca = "own.pem", peer_name = "bank.example", certificate = "own.pem", private_key = "own.key" }'
    assert found(write(with_link(ACCEPTING + tls))) == {}


@pytest.mark.parametrize(
    ("extra", "key", "reason"),
    [
        ("backlog = 0", "listener[more].backlog", "needed at least 1, got 0"),
        ('tls = { certificate = "c" }', "listener[more].tls.private_key", "is required"),
        ('proxy_trusted = ["10.0.0.1/8"]', "listener[more].proxy_trusted[0]", "needed an IP address or network"),
        ("proxy_trusted = []", "listener[more].proxy_trusted", "needed at least 1"),
    ],
)
def test_listeners_that_make_no_sense(write, extra, key, reason):
    problems = found(write(with_listener(extra)))
    assert list(problems) == [key]
    assert reason in problems[key]


@pytest.mark.parametrize(
    "networks", [["0.0.0.0/0"], ["::1", "::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["::/1", "10.0.0.0/8"]]
)
def test_balancers_anywhere_are_doubtful(write, networks):
    warnings = found(write(with_listener(f"proxy_trusted = {networks}")), "warning")
    assert ("covers all addresses" in warnings.get("listener[more].proxy_trusted", "")) == (networks[0] != "::/1")


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ('name = "bank-a"', 'name = "BANK A"', "link[BANK A].name", "needed text of the form"),
        ("[registry]", '[admin]\nbind = "10.0.0.1:9583"\n[registry]', "admin.bind", "is not loopback"),
        ("[registry]", '[admin]\nbind = "127.0.0.1:5830"\n[registry]', "listener[pos].bind", "already taken by admin"),
        ("[registry]", '[admin]\nbind = "[::1]:5830"\n[registry]', None, ""),
        ('bind = "127.0.0.1:5830"', 'bind = "0.0.0.0:9583"', "listener[pos].bind", "already taken by admin.bind"),
        ('master_key_file = "master.key"', "", "keys", "exactly one of"),
        ('"master.key"', '"master.key"\nmaster_key_env = "KEY"', "keys", "exactly one of"),
        ('[keys]\nfile = "keys.sealed"\nmaster_key_file = "master.key"', "", "keys", "listener[pos].mac needs keys"),
        ("[limits]", "[limits]\nduplicate_window_seconds = 14", "limits.duplicate_window_seconds", "is shorter than"),
        ('dialect = "cup"\nconnections', 'dialect = ""\nconnections', "listener[pos].dialect", "needed the name"),
        (
            "connections_max = 100\n\n[[link",
            "connections_max = 101\n\n[[link",
            "listener[pos].connections_max",
            "above",
        ),
    ],
)
def test_parts_that_do_not_fit_together(write, old, new, key, reason):
    assert old in VALID
    problems = found(write(VALID.replace(old, new, 1)))
    assert list(problems) == ([key] if key else [])
    assert reason in problems.get(key, "")


def test_remote_admin_side_when_it_is_meant(write):
    config = load_config(write(VALID + '\n[admin]\nbind = "10.0.0.1:9583"\nallow_remote = true\n'))
    assert config.admin.bind.host == "10.0.0.1"


def test_names_are_used_once(write):
    text = VALID + "\n[[listener]]\n" + PROPER["listener"].replace("more", "pos")
    assert found(write(text)) == {"listener[pos].name": "is used 2 times; each listener needs a name of its own"}


def test_what_is_doubtful_is_a_warning(write):
    text = VALID.replace('[risk]\nfile = "risk.toml"', "[log]").replace("127.0.0.1:5830", "10.0.0.1:5830")
    text = text.replace("connections_max = 100\n\n[[link", 'connections_max = 100\nmac = "none"\n\n[[link')
    text = text.replace("[limits]", "[limits]\ndrain_seconds = 10")
    text = text.replace('mac = { algorithm = "x9.19", key = "link/bank-a/zak" }', "echo_interval_ms = 0")
    text = text.replace('"127.0.0.1:7001", ', '"10.0.0.2:7001", ') + "idle_timeout_ms = 0\n"
    path = write(text)
    assert found(path) == {}
    assert set(found(path, "warning")) == {
        "journal.mode",
        "risk",
        "limits.drain_seconds",
        "listener[pos].mac",
        "listener[pos].tls",
        "link[bank-a].mac",
        "link[bank-a].tls",
        "link[bank-a].idle_timeout_ms",
    }


@pytest.mark.parametrize(
    ("instances", "in_flight", "reversals", "fits"),
    [(1, 999, 499_500, True), (1, 1_000, 499_500, False), (5, 99, 99_950, True), (5, 100, 99_950, False)],
)
def test_everything_that_holds_a_stan_must_find_one(write, instances, in_flight, reversals, fits):
    """Each transaction one, each reversal its own and its original's."""
    text = (
        VALID.replace("[switch]", f"[switch]\ninstances = {instances}")
        + "in_flight_max = 1\nreversal = { window = 1 }\n"
    )
    limits = f"[limits]\ntransactions_in_flight_max = {in_flight}\nreversals_max = {reversals}"
    errors = found(write(text.replace("[limits]", limits)))
    assert errors.keys() == (set() if fits else {"limits.reversals_max"})
    if not fits:
        assert f"above the {999_999 // instances:,} of each" in errors["limits.reversals_max"]


def test_several_instances_are_doubtful(write):
    assert "switch.instances" not in found(write(VALID), "warning")
    path = write(VALID.replace("[switch]", "[switch]\ninstances = 2"))
    assert found(path) == {}
    assert "charged twice" in found(path, "warning")["switch.instances"]


def test_window_that_cannot_hold_the_requests_is_doubtful(write):
    key = "limits.duplicate_window_count_max"
    text = VALID.replace("[limits]", "[limits]\nrequests_per_second = 2_000")
    assert found(write(text), "warning")[key].startswith(
        "1,000,000 (the default) are reached after 500 s of 2,000 requests a second"
    )
    assert key not in found(write(text.replace("2_000", "1_600")), "warning")


def test_more_connections_than_descriptors_is_doubtful(write, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 300))
    warning = found(write(VALID), "warning")["limits.connections_max"]
    assert warning.startswith("100 needs 358 file descriptors, 300 are")
    assert warning.endswith("at most 42 terminals will be served")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 200))
    assert found(write(VALID), "warning")["limits.connections_max"].endswith("at most 0 terminals will be served")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 358))
    assert "limits.connections_max" not in found(write(VALID), "warning")


def make_certificate(folder, name, *, days=365, begins_in=-1):
    """A self-signed certificate and its key; the paths of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=min(begins_in, days - 1)))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    key_path.chmod(0o600)
    return certificate_path, key_path


class TestTls:
    """Certificates and their keys."""

    def check(self, write, *, certificate="good.pem", key="good.key", more=""):
        tls = f'tls = {{ certificate = "{certificate}", private_key = "{key}"{more} }}'
        path = write(with_listener(tls))
        return {k.removeprefix("listener[more].tls."): v for k, v in found(path).items()}, found(path, "warning")

    def test_good(self, write, tmp_path):
        make_certificate(tmp_path, "good")
        errors, warnings = self.check(write, more=', client_ca = "good.pem", client_certificate = "required"')
        assert errors == {}
        assert set(warnings) == {"journal.mode"}

    def test_unreadable(self, write, tmp_path):
        errors, _ = self.check(write, more=', client_ca = "none.pem", client_certificate = "required"')
        assert {k: v.removeprefix(f"{tmp_path}/") for k, v in errors.items()} == {
            "certificate": "good.pem: cannot be read: No such file or directory",
            "private_key": "good.key: cannot be read: No such file or directory",
            "client_ca": "none.pem: cannot be read: No such file or directory",
        }

    def test_not_pem(self, write, tmp_path):
        (tmp_path / "good.pem").write_text("certificate")
        (tmp_path / "good.key").write_text("key")
        (tmp_path / "good.key").chmod(0o600)
        errors, _ = self.check(write)
        assert "holds no PEM certificate" in errors["certificate"]
        assert "holds no PEM private key" in errors["private_key"]

    def test_encrypted_key(self, write, tmp_path):
        make_certificate(tmp_path, "good")
        key = serialization.load_pem_private_key((tmp_path / "good.key").read_bytes(), None)
        (tmp_path / "good.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"word"),
            )
        )
        errors, _ = self.check(write)
        assert "is encrypted" in errors["private_key"]

    def test_too_large(self, write, tmp_path):
        make_certificate(tmp_path, "good")
        with (tmp_path / "good.pem").open("r+b") as stream:
            stream.truncate((16 << 20) + 1)
        errors, _ = self.check(write)
        assert "is larger than" in errors["certificate"]

    def test_expired(self, write, tmp_path):
        make_certificate(tmp_path, "good", days=-1)
        errors, _ = self.check(write)
        assert "CN=good expired on " in errors["certificate"]

    def test_not_yet_valid(self, write, tmp_path):
        make_certificate(tmp_path, "good", begins_in=5)
        errors, _ = self.check(write)
        assert "CN=good is valid only from " in errors["certificate"]

    def test_expires_soon(self, write, tmp_path):
        make_certificate(tmp_path, "good", days=29)
        errors, warnings = self.check(write)
        assert errors == {}
        assert "CN=good expires on " in warnings["listener[more].tls.certificate"]

    def test_key_of_another(self, write, tmp_path):
        make_certificate(tmp_path, "good")
        make_certificate(tmp_path, "other")
        errors, _ = self.check(write, key="other.key")
        assert "does not belong to the certificate" in errors["private_key"]

    @pytest.mark.parametrize(("mode", "accepted"), [(0o600, True), (0o640, True), (0o644, False), (0o660, False)])
    def test_permissions_of_the_key(self, write, tmp_path, mode, accepted):
        make_certificate(tmp_path, "good")
        (tmp_path / "good.key").chmod(mode)
        errors, _ = self.check(write)
        assert (errors == {}) is accepted
        assert accepted or f"its mode is {mode:04o}" in errors["private_key"]

    def test_client_authorities(self, write, tmp_path):
        make_certificate(tmp_path, "good")
        errors, _ = self.check(write, more=', client_certificate = "required"')
        assert "is required" in errors["client_ca"]
        _, warnings = self.check(write, more=', client_ca = "good.pem"')
        assert "has no effect" in warnings["listener[more].tls.client_ca"]

    def test_both_sides_of_a_link(self, write, tmp_path):
        make_certificate(tmp_path, "good")
        assert found(write(with_link('endpoints = ["a:1"]\ntls = { ca = "good.pem" }'))) == {}
        both = 'ca = "good.pem", certificate = "good.pem", private_key = "good.key"'
        assert found(write(with_link(f'endpoints = ["a:1"]\ntls = {{ {both} }}'))) == {}
        accept = f'mode = "accept"\nbind = "10.0.0.1:9"\ntls = {{ {both}, peer_name = "a" }}'
        assert found(write(with_link(accept))) == {}
        one = 'endpoints = ["a:1"]\ntls = { ca = "good.pem", certificate = "good.pem" }'
        assert found(write(with_link(one))) == {"link[more].tls": "needed both certificate and private_key, or neither"}
        named = accept.replace("ca =", 'server_name = "a", ca =')
        assert found(write(with_link(named))) == {"link[more].tls.server_name": 'belongs to mode = "connect"'}


def test_unknown_key_far_from_all_is_answered_with_all():
    assert unknown_key("zzz", ["bind", "name"]) == "unknown key; known are bind, name"


# --- stand-in ---------------------------------------------------------------------------------------------------------

JOURNAL = '[journal]\nmode = "files"\ndirectory = "journal"\n\n[switch]'
LIMIT = {"currency": '"156"', "amount_max": 100, "outstanding_max": 1000, "card_count_max": 3}


def with_stand_in(rule="", journal=True, **changes):
    limit = {key: value for key, value in {**LIMIT, **changes}.items() if value is not None}
    table = ", ".join(f"{key} = {value}" for key, value in limit.items())
    text = with_link(f'endpoints = ["a:1"]\n\n[link.stand_in]\n{rule}\nlimits = [{{ {table} }}]\n')
    return text.replace("[switch]", JOURNAL, 1) if journal else text


def test_stand_in_is_off_unless_configured(write):
    config = load_config(write(VALID))
    assert config.links[0].stand_in is None


def test_stand_in_as_it_is_meant(write):
    path = write(with_stand_in('bins = ["6225", "622848-622850"]\nkinds = ["preauthorization"]'))
    assert found(path) == {}
    assert not any("stand_in" in key for key in found(path, "warning"))
    rule = load_config(path).links[1].stand_in
    assert (rule.kinds, rule.bins, rule.pin) == (("preauthorization",), ("6225", "622848-622850"), False)


@pytest.mark.parametrize(
    ("rule", "changes", "key", "reason"),
    [
        ('kinds = ["refund"]', {}, "kinds[0]", "needed 'purchase'"),
        ("kinds = []", {}, "kinds", "at least 1"),
        ('bins = ["62284a"]', {}, "bins[0]", "of the form"),
        ('bins = ["622850-622848"]', {}, "bins[0]", "not below it"),
        ('bins = ["62285-622899"]', {}, "bins[0]", "as many digits"),
        ("", {"currency": '"CNY"'}, "limits[0].currency", "of the form"),
        ("", {"amount_max": None}, "limits[0].amount_max", "required"),
        ("", {"outstanding_max": None}, "limits[0].outstanding_max", "required"),
        ("", {"outstanding_max": 99}, "limits[156].amount_max", "above outstanding_max"),
        ("", {"amount_max": 0}, "limits[0].amount_max", "at least 1"),
    ],
)
def test_stand_in_that_makes_no_sense(write, rule, changes, key, reason):
    problems = found(write(with_stand_in(rule, **changes)))
    assert reason in problems[f"link[more].stand_in.{key}"]
    assert len(problems) == 1


def test_stand_in_needs_a_journal(write):
    assert "journal.mode" in found(write(with_stand_in(journal=False)))["link[more].stand_in"]


def test_one_table_a_currency(write):
    text = with_stand_in().replace(
        "limits = [", 'limits = [{ currency = "156", amount_max = 1, outstanding_max = 1 }, '
    )
    assert "has 2 tables" in found(write(text))["link[more].stand_in.limits"]


@pytest.mark.parametrize(
    ("rule", "changes", "key", "reason"),
    [
        ("pin = true", {}, "pin", "nobody has verified"),
        ("", {"card_count_max": None}, "limits[156]", "one stolen card"),
        ("", {"card_amount_max": 50}, "limits[156].amount_max", "met first"),
    ],
)
def test_stand_in_that_is_doubtful(write, rule, changes, key, reason):
    path = write(with_stand_in(rule, **changes))
    assert found(path) == {}
    assert reason in found(path, "warning")[f"link[more].stand_in.{key}"]


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('retention_bytes = "100GB"', "journal.retention_bytes", "an integer of bytes, without a unit behind it"),
        ('retention_days = "30d"', "journal.retention_days", "an integer of days, without a unit behind it"),
    ],
)
def test_a_unit_belongs_to_the_key(write, text, key, reason):
    assert found(write(VALID + f"\n[journal]\n{text}\n"))[key].startswith(f"needed {reason}, got ")
