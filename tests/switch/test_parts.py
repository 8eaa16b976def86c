"""What a configuration names: loaded together, with everything that is wrong listed at once."""

import shutil
from dataclasses import replace

import pytest

from switch.check import parts
from switch.check.configuration import check_config
from switch.check.parts import load_parts
from switch.config import ConfigError, load_config
from switch.dialect import load_dialect
from switch.keys import Key, KeyFile, load_master_key
from switch.keys.key import generate_value


@pytest.fixture
def configs(sample_configs, tmp_path):
    """A copy of the sample that a test may change."""
    return shutil.copytree(sample_configs, tmp_path / "configs")


@pytest.fixture
def change(configs):
    """Change a file of the sample; gives the path of production.toml."""

    def _change(old, new, file="production.toml", count=-1):
        path = configs / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, count))
        return configs / "production.toml"

    return _change


def found(path, severity="error"):
    """What is wrong: file without its folder, key and reason."""
    folder = f"{path.parent}/"
    return [
        (p.file.removeprefix(folder), p.key, p.reason.replace(folder, ""))
        for p in check_config(path).problems
        if p.severity == severity
    ]


def replace_key(configs, name, algorithm, usage=None):
    """Put another key of that name into the sealed file."""
    master_key = load_master_key(configs / "secrets/master.key")
    with KeyFile.open(configs / "secrets/keys.sealed", master_key) as keys:
        if algorithm is None:
            keys.remove(name)
        else:
            keys.put(Key(name, usage or name.rpartition("/")[2], algorithm, generate_value(algorithm)), replace=True)
        keys.save()


@pytest.mark.parametrize("name", ["production.toml", "minimal.toml"])
def test_samples_are_valid(sample_configs, name):
    report = check_config(sample_configs / name)
    assert report.valid
    expected = {"journal.mode", "risk", "limits.connections_max"}
    assert all(p.key in expected or "refuses what would go to this link" in p.reason for p in report.problems)
    assert report.summary["terminals"] == 25
    assert report.summary["keys"] > 60


def refusals_of(path, severity):
    """Of what check says, what it says of kinds that a link has no message for."""
    return [(key, reason) for _, key, reason in found(path, severity) if "refuses what would go to" in reason]


def test_kinds_that_a_link_cannot_say_are_named_in_one_line_a_pair(change):
    path = change('dialect = "iso87-binary"', 'dialect = "cup"')
    listeners = [one.name for one in load_config(path).listeners if one.dialect != "cup"]
    assert listeners
    reason = "dialect cup has no refund_void, preauthorization_advice: listener {} refuses what would go to this link"
    assert refusals_of(path, "warning") == [
        ("link[bank-b].dialect", f"{reason.format(name)} as such") for name in listeners
    ]
    assert refusals_of(path, "error") == []


def test_link_that_can_be_asked_for_nothing_is_an_error(sample_configs, monkeypatch):
    def load(name):
        spoken = load_dialect(name)
        if name != "iso87-binary":
            return spoken
        kinds = {"echo_test": spoken.kinds["echo_test"], "reversal": spoken.kinds["reversal"]}
        return replace(spoken, file=spoken.file.model_copy(update={"kinds": kinds}))

    monkeypatch.setattr(parts, "load_dialect", load)
    path = sample_configs / "production.toml"
    errors = refusals_of(path, "error")
    assert [key for key, _ in errors] == ["link[bank-b].dialect"] * len(load_config(path).listeners)
    assert "purchase" in errors[0][1]
    assert refusals_of(path, "warning") == []


def test_parts_are_what_the_daemon_needs(sample_configs):
    config = load_config(sample_configs / "production.toml")
    loaded = load_parts(config)
    assert set(loaded.dialects) == {"cup", "iso87-ascii", "iso87-binary", "iso93-binary"}
    assert loaded.registry.terminal_index("10000001") is not None
    route = loaded.routes.find_route("6225001234567890", 1)
    assert [config.links[link].name for link, _, _ in loaded.routes.targets(route)] == ["bank-b"]
    assert len(loaded.keys.get("link/bank-a/zak")) == 16
    assert loaded.keys.get("link/nobody/zak") is None
    assert loaded.risk is not None
    loaded.key_file.close()


def test_configuration_without_keys(configs, change):
    lines = (configs / "sample/terminals.csv").read_text().splitlines()
    header = next(line for line in lines if line.startswith("id,"))
    unsigned = [line for line in lines if line.endswith(",none,none,")]
    (configs / "sample/terminals.csv").write_text("\n".join([header, *unsigned]) + "\n")
    change('[keys]\nfile = "secrets/keys.sealed"\nmaster_key_file = "secrets/master.key"\n', "", "minimal.toml")
    change('dialect = "cup"', 'dialect = "cup"\nmac = "none"', "minimal.toml")
    change('mac = { algorithm = "x9.19", key = "link/bank-a/zak" }', "", "minimal.toml")
    loaded = load_parts(load_config(configs / "minimal.toml"))
    assert loaded.key_file is None
    assert loaded.keys.get("link/bank-a/zak") is None
    assert check_config(configs / "minimal.toml").valid


def test_problems_of_all_files_are_listed_at_once(configs, change):
    change('dialect = "iso93-binary"', 'dialect = "iso98"')
    change("verify = [4] }", "verify = [4, 192] }")
    change("222100,272099", "222100,27209x", "sample/routes.csv")
    change("10000001,898000000000001,active", "10000001,898000000000001,awake", "sample/terminals.csv")
    path = change("state,category", "status,category", "sample/merchants.csv")
    files = [file for file, _, _ in found(path)]
    assert {"sample/routes.csv", "sample/merchants.csv", "production.toml"} <= set(files)
    reasons = {key: reason for _, key, reason in found(path)}
    assert "has no field 192" in reasons["link[bank-b].match.verify[1]"]
    with pytest.raises(ConfigError) as error:
        load_parts(load_config(path))
    assert len(error.value.problems) >= len(files)


def test_answers_are_matched_by_a_field_that_is_sent(change):
    """A reversal that carries no RRN could never be told acknowledged by it."""
    path = change('dialect = "iso93-binary"', 'dialect = "cup"\nmatch = { by = "rrn" }')
    places = {key: reason for _, key, reason in found(path)}
    (place,) = (key for key in places if key.endswith("match.by"))
    assert "policy.reversal of cup" in places[place]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (64, "field 64 is the MAC"),
        (39, "field 39 is the response code, which no request has"),
        (38, "field 38 is the authorization code"),
        (54, "field 54 is amounts such as a balance"),
        (44, "policy.request of iso87-binary does not send field 44"),
    ],
)
def test_what_no_answer_repeats_is_not_verified(change, number, reason):
    """Else no answer would ever match."""
    path = change("verify = [4] }", f"verify = [4, {number}] }}")
    reasons = {key: reason for _, key, reason in found(path)}
    assert reason in reasons["link[bank-b].match.verify[1]"]


def test_tables_in_which_nobody_stands_are_doubtful(configs):
    for name in ("sample/routes-minimal.csv", "sample/terminals.csv"):
        lines = (configs / name).read_text().splitlines()
        heading = next(line for line in lines if not line.startswith("#"))
        (configs / name).write_text(heading + "\n")
    warnings = found(configs / "minimal.toml", "warning")
    assert ("sample/routes-minimal.csv", "", "has no BIN range: every payment is refused (15)") in warnings
    assert ("sample/terminals.csv", "", "has no terminal: every request is refused") in warnings


def test_rules_that_look_back_further_than_the_journal_are_doubtful(change):
    path = change("retention_days = 90", "retention_days = 30")
    doubt = "is below the 31 days that rules of risk look back: after a start they count too little"
    assert ("production.toml", "journal.retention_days", doubt) in found(path, "warning")
    path = change("retention_days = 30", "retention_days = 31")
    assert "journal.retention_days" not in {key for _, key, _ in found(path, "warning")}


def test_files_with_a_byte_order_mark(configs):
    files = [path for path in (configs / "sample").rglob("*") if path.is_file()]
    for path in (configs / "production.toml", *files):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert found(configs / "production.toml") == []
    assert check_config(configs / "production.toml").summary["terminals"] == 25


def test_unknown_dialect(change):
    path = change('dialect = "iso93-binary"', 'dialect = "iso98"')
    ((_, _, reason),) = found(path)
    assert "iso98" in reason


@pytest.mark.parametrize("file", ["sample/routes.csv", "sample/terminals.csv", "sample/risk.toml"])
def test_missing_data_file(configs, file):
    (configs / file).unlink()
    assert found(configs / "production.toml") == [(file, "", "cannot be read: No such file or directory")]


def test_missing_dialect_file(change):
    path = change('dialect = "iso93-binary"', 'dialect = "own.toml"')
    ((file, _, reason),) = found(path)
    assert "own.toml" in file + reason


def test_link_without_a_route_is_doubtful(change):
    path = change("scheme:1|", "", "sample/routes.csv")
    assert ("production.toml", "link[scheme]", "no route in sample/routes.csv leads to it") in found(path, "warning")


def test_route_to_an_unknown_link(change):
    path = change("scheme:1", "schema:1", "sample/routes.csv")
    ((file, _, reason),) = found(path)
    assert file == "sample/routes.csv"
    assert "schema" in reason


@pytest.mark.parametrize(
    ("name", "algorithm", "usage", "key", "reason"),
    [
        ("link/bank-a/zak", None, None, "link[bank-a].mac.key", "the key file has no key link/bank-a/zak"),
        ("link/bank-a/zpk", None, None, "link[bank-a].pin.key", "the key file has no key link/bank-a/zpk"),
        ("link/bank-a/zak", "3des-2key", "zpk", "link[bank-a].mac.key", "needed a zak, but link/bank-a/zak is a zpk"),
        ("link/bank-a/zpk", "3des-2key", "zak", "link[bank-a].pin.key", "needed a zpk, but link/bank-a/zpk is a zak"),
        ("link/bank-a/zak", "aes-128", None, "link[bank-a].mac.key", "key for aes-128, which x9.19 cannot use"),
        ("link/bank-b/zak", "3des-2key", None, "link[bank-b].mac.key", "key for 3des-2key, which aes-cmac cannot use"),
        ("link/bank-a/zpk", "aes-256", None, "link[bank-a].pin.key", "aes-256, which PIN blocks of iso-0 cannot use"),
    ],
)
def test_keys_of_links(configs, name, algorithm, usage, key, reason):
    replace_key(configs, name, algorithm, usage)
    ((file, place, words),) = found(configs / "production.toml")
    assert (file, place) == ("production.toml", key)
    assert reason in words


def test_key_of_a_terminal_that_is_missing(configs):
    replace_key(configs, "terminal/10000001/tak", None)
    ((file, _, reason),) = found(configs / "production.toml")
    assert file == "sample/terminals.csv"
    assert "terminal/10000001/tak" in reason


def test_master_key_that_others_can_read(configs):
    (configs / "secrets/master.key").chmod(0o644)
    ((file, _, reason),) = found(configs / "production.toml")
    assert file == "secrets/master.key"
    assert "its mode is 0644" in reason


def test_master_key_of_another_file(configs):
    path = configs / "secrets/master.key"
    text = path.read_text()
    path.write_text(("0" if text[0] != "0" else "1") + text[1:])
    ((file, _, reason),) = found(configs / "production.toml")
    assert file == "secrets/keys.sealed"
    assert "this master key does not open it" in reason


def test_master_key_in_the_environment(configs, change, monkeypatch):
    path = change('master_key_file = "secrets/master.key"', 'master_key_env = "MASTER"')
    assert [reason for _, _, reason in found(path)] == ["the environment has no such variable"]
    monkeypatch.setenv("MASTER", (configs / "secrets/master.key").read_text())
    assert found(path) == []


@pytest.mark.parametrize(
    ("field", "key", "reason"),
    [("64", "link[bank-a].mac", "has no MAC field"), ("52", "link[bank-a].pin", "has no field 52")],
)
def test_dialect_without_the_field_that_a_link_needs(sample_configs, field, key, reason, monkeypatch):
    def without(name):
        dialect = load_dialect(name)
        if name == "iso87-ascii":
            gone = {"52"} if field == "52" else {"64", "128"}
            dialect = replace(dialect, layout={k: v for k, v in dialect.layout.items() if k not in gone})
        return dialect

    load_dialect = parts.load_dialect
    monkeypatch.setattr(parts, "load_dialect", without)
    found_there = {p.key: p.reason for p in check_config(sample_configs / "production.toml").problems}
    assert reason in found_there[key]
    assert ("listener[concentrator].mac" in found_there) is (field == "64")


PIN = 'pin = {{ format = "{}", key = "link/bank-a/zpk" }}'


def test_format_4_needs_a_field_of_16_bytes_and_a_key_of_aes(configs, change):
    path = change(PIN.format("iso-0"), PIN.format("iso-4"))
    assert [(key, reason) for _, key, reason in found(path)] == [
        ("link[bank-a].pin", "field 52 of dialect iso87-ascii is for 8 bytes; a block of iso-4 has 16"),
        ("link[bank-a].pin.key", "link/bank-a/zpk is a key for 3des-2key, which PIN blocks of iso-4 cannot use"),
    ]
    replace_key(configs, "link/bank-a/zpk", "aes-256")
    (configs / "wide.toml").write_text('extends = "iso87-ascii"\nfields.52 = { format = "b128" }\n')
    text = path.read_text()
    at = text.index('dialect = "iso87-ascii"', text.index('name = "bank-a"'))
    path.write_text(text[:at] + text[at:].replace('dialect = "iso87-ascii"', 'dialect = "wide.toml"', 1))
    assert found(path) == []


def test_terminals_whose_format_no_listener_reads_and_pins_that_cannot_pass(configs, change):
    path = change(PIN.format("iso-0"), PIN.format("iso-1"))
    ((file, key, reason),) = found(path, "warning")
    assert (file, key) == ("production.toml", "link[bank-a].pin.format")
    assert reason == "PINs of terminals with iso-0 are refused there: none may become iso-1 (ISO 9564-1)"
    table = configs / "sample" / "terminals.csv"
    table.write_text(table.read_text().replace("iso-0", "iso-4", 1))
    reasons = [reason for _, _, reason in found(path, "warning")]
    assert any(reason.startswith("pin_format iso-4: field 52 of dialect ") for reason in reasons)
    assert any("which PIN blocks of iso-4 cannot use" in reason for _, _, reason in found(path))


BASE_KEY = '\n[[base_key]]\nserial_numbers = "FFFF987654"\nkey = "dukpt/acme/bdk"\ncipher = "{}"\n'


@pytest.mark.parametrize(
    ("cipher", "algorithm", "usage", "reason"),
    [
        ("des", None, None, "the key file has no key dukpt/acme/bdk"),
        ("des", "3des-2key", "zmk", "needed a bdk, but dukpt/acme/bdk is a zmk"),
        ("des", "3des-3key", "bdk", "dukpt/acme/bdk is a key for 3des-3key, of which no keys of des come"),
        ("aes", "3des-2key", "bdk", "dukpt/acme/bdk is a key for 3des-2key, of which no keys of aes come"),
        ("des", "3des-2key", "bdk", ""),
        ("aes", "aes-256", "bdk", ""),
    ],
)
def test_base_keys(configs, cipher, algorithm, usage, reason):
    path = configs / "production.toml"
    path.write_text(path.read_text() + BASE_KEY.format(cipher))
    if algorithm:
        replace_key(configs, "dukpt/acme/bdk", algorithm, usage)
    assert found(path) == ([("production.toml", "base_key[0].key", reason)] if reason else [])


def test_base_keys_of_the_same_serial_numbers(configs):
    path = configs / "production.toml"
    path.write_text(path.read_text() + BASE_KEY.format("des") + BASE_KEY.format("aes") + BASE_KEY.format("des"))
    assert [problem for problem in found(path) if problem[1].startswith("base_key[2]")] == [
        ("production.toml", "base_key[2].serial_numbers", "FFFF987654 is another one's already")
    ]


def test_terminals_with_dukpt_need_a_base_key_and_a_field(configs):
    path, table = configs / "production.toml", configs / "sample" / "terminals.csv"
    table.write_text(table.read_text().replace(",iso-0,", ",iso-0+dukpt,", 1))
    ((file, _, reason),) = found(path)
    assert (file, reason) == (
        "sample/terminals.csv",
        "pin_format iso-0+dukpt: needed is a [[base_key]] with cipher des",
    )
    path.write_text(path.read_text() + BASE_KEY.format("des"))
    replace_key(configs, "dukpt/acme/bdk", "3des-2key")
    assert found(path) == []
    ((_, _, reason),) = found(path, "warning")
    assert "no listener's dialect has a field key_serial_number" in reason
    (configs / "ksn.toml").write_text(
        'extends = "iso87-ascii"\nfields.53 = { format = "b80", key = "key_serial_number", desc = "KSN" }\n'
    )
    path.write_text(path.read_text().replace('dialect = "iso87-ascii"', 'dialect = "ksn.toml"', 1))
    assert found(path, "warning") == []


def test_stand_in_for_a_kind_that_the_dialect_cannot_tell(change):
    path = change('kinds = ["purchase"]                     #', 'kinds = ["preauthorization"]  #')
    assert found(path) == []
    path = change('dialect = "iso87-ascii"\nmode = "connect"', 'dialect = "cup"\nmode = "connect"')
    ((file, key, reason),) = [problem for problem in found(path) if "stand_in" in problem[1]]
    assert (file, key) == ("production.toml", "link[bank-a].stand_in.kinds")
    assert "no preauthorization_advice" in reason


@pytest.mark.parametrize(
    ("broken", "field", "what"),
    [
        ('policy.reversal.37 = "compute:original_data"', "policy.reversal.37", "reversal"),
        ('fields.90 = { format = "n30" }', "policy.reversal.90", "reversal"),
        ('policy.advice.38 = "compute:pan"', "policy.advice.38", "advice"),
        ('fields.38 = { format = "n4" }', "policy.reversal.38", "reversal"),
    ],
)
def test_reversals_and_advices_are_composed_for_every_listener_and_link(configs, change, broken, field, what):
    (configs / "broken.toml").write_text(f'extends = "iso87-binary"\n{broken}\n')
    path = change('dialect = "iso87-binary"', 'dialect = "./broken.toml"')
    problems = [(file, key, reason) for file, key, reason in found(path) if field in reason]
    assert problems, found(path)
    assert all(file == path.name and key.endswith(".dialect") for file, key, _ in problems)
    assert any(f"({what})" in reason for *_, reason in problems)


def test_messages_of_keys_need_a_field_for_their_mac(change, monkeypatch):
    def without_128(name):
        dialect = load_dialect(name)
        return replace(dialect, layout={number: entry for number, entry in dialect.layout.items() if number != "128"})

    path = change("# key_exchange = {", "key_exchange = {")
    replace_key(path.parent, "link/bank-a/zmk", "3des-2key")
    assert found(path) == []
    monkeypatch.setattr(parts, "load_dialect", without_128)
    ((_, key, reason),) = found(path)
    assert key == "link[bank-a].key_exchange"
    assert "has no field for the MAC behind those of its messages of keys" in reason
