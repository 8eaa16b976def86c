"""``authswitch keys`` as an operator uses it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from psec import tr31
from typer.testing import CliRunner

from switch.cli.keys import app
from switch.config.mesh_sections import ALONE
from switch.config.sections import KeysSection
from switch.keys import Key, KeyFile, load_master_key
from switch.keys.key import check_value
from switch.keys.key_block import wrap_key_block
from switch.keys.wrapping import wrap_key

# The oracle psec uses 3DES of `cryptography` in ways that the latter wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

COMPONENTS = ("E09B073B4007541FAB76B04370451031", "4CBF5D51EA8525EF045EFED6E386D9D9")
COMBINED = bytes(a ^ b for a, b in zip(*map(bytes.fromhex, COMPONENTS), strict=True))


class Ceremony:
    """A key file in a folder, and the command on it."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "keys.sealed"
        self.master = folder / "master.key"
        self.where = ["--file", str(self.file), "--master-key-file", str(self.master)]

    def run(self, *arguments, stdin="", status=0):
        result = CliRunner().invoke(app, [*self.where, *arguments], input=stdin)
        assert result.exit_code == status, result.output
        return " ".join(result.output.split())

    def key(self, name):
        with KeyFile.open(self.file, load_master_key(self.master)) as file:
            return file.get(name)

    def put(self, name, usage, algorithm, value):
        with KeyFile.open(self.file, load_master_key(self.master)) as file:
            file.put(Key(name, usage, algorithm, value))
            file.save()
            return file.get(name)


@pytest.fixture
def ceremony(tmp_path):
    ceremony = Ceremony(tmp_path)
    ceremony.run("init")
    return ceremony


def test_init_makes_both_files_once(tmp_path):
    ceremony = Ceremony(tmp_path)
    output = ceremony.run("init")
    assert f"new master key: {ceremony.master}" in output
    assert f"new key file: {ceremony.file}" in output
    assert ceremony.master.read_text().strip() not in output
    assert ceremony.master.stat().st_mode & 0o777 == 0o600
    assert "exists already; a key file is never overwritten" in ceremony.run("init", status=1)
    assert ceremony.run("list") == "name usage algorithm kcv"


def test_init_with_a_master_key_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTHSWITCH_TEST_MASTER", "5a" * 32)
    result = CliRunner().invoke(
        app, ["--file", str(tmp_path / "keys"), "--master-key-env", "AUTHSWITCH_TEST_MASTER", "init"]
    )
    assert result.exit_code == 0
    assert "new master key" not in result.output
    KeyFile.open(tmp_path / "keys", bytes.fromhex("5a" * 32)).close()


def test_generated_key_is_listed_by_its_check_value(ceremony):
    output = ceremony.run("generate", "terminal/10000001/tak")
    key = ceremony.key("terminal/10000001/tak")
    assert output == f"terminal/10000001/tak: tak, 3des-2key, kcv {key.check_value}"
    ceremony.run("generate", "link/bank-a/zak", "--usage", "zak", "--algorithm", "aes-256")
    listed = json.loads(ceremony.run("list", "--json"))
    assert [entry["name"] for entry in listed] == ["link/bank-a/zak", "terminal/10000001/tak"]
    assert listed[1] == {
        "name": "terminal/10000001/tak",
        "usage": "tak",
        "algorithm": "3des-2key",
        "kcv": key.check_value,
    }
    assert key.value.hex() not in ceremony.run("list", "terminal/").lower()
    assert "link/bank-a/zak" not in ceremony.run("list", "terminal/")


def test_existing_key_is_kept_unless_replaced(ceremony):
    ceremony.run("generate", "link/a/zak")
    before = ceremony.key("link/a/zak")
    assert "link/a/zak: exists already" in ceremony.run("generate", "link/a/zak", status=1)
    assert ceremony.key("link/a/zak") == before
    ceremony.run("generate", "link/a/zak", "--replace")
    assert ceremony.key("link/a/zak") != before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("link/a/zak", "--usage", "tak"), "the name link/a/zak ends in another usage than tak"),
        (("link/a/key",), "needed is --usage"),
        (("link/a/zak", "--algorithm", "rc4"), "unknown key algorithm 'rc4'"),
        (("link/a/key", "--usage", "kek"), "unknown key usage 'kek'"),
        (("link a/zak",), "is no key name"),
    ],
)
def test_wrong_question_exits_2(ceremony, arguments, reason):
    output = ceremony.run("generate", *arguments, status=2)
    assert reason in output.replace("│ ", "").replace(" │", "")
    assert ceremony.run("list") == "name usage algorithm kcv"


def test_components_make_a_key(ceremony):
    output = ceremony.run("import", "link/bank-a/zmk", "--kcv", "40D522", stdin="\n".join(COMPONENTS) + "\n")
    assert ceremony.key("link/bank-a/zmk") == Key("link/bank-a/zmk", "zmk", "3des-2key", COMBINED)
    for number, component in enumerate(COMPONENTS, 1):
        assert f"component {number}: 16 bytes, kcv {check_value('3des-2key', bytes.fromhex(component))}" in output
        assert component not in output
    assert output.endswith("link/bank-a/zmk: zmk, 3des-2key, kcv 40D522")
    assert COMBINED.hex() not in output.lower()


def test_person_is_asked_and_says_whether_the_check_value_is_right(ceremony, monkeypatch):
    monkeypatch.setattr("switch.cli.key_ceremony.on_terminal", lambda: True)
    typed = "\n".join(COMPONENTS) + "\n"
    output = ceremony.run("import", "link/a/zmk", stdin=typed + "n\n", status=1)
    assert "check value 40D522: is it the right one?" in output
    assert "nothing was changed" in output
    assert COMPONENTS[0] not in output
    ceremony.run("import", "link/a/zmk", stdin=typed + "y\n")
    assert ceremony.key("link/a/zmk").value == COMBINED


KCV = ("--kcv", "40D522")
THREE = ("--components", "3", "--kcv", check_value("3des-2key", bytes.fromhex(COMPONENTS[0])))


@pytest.mark.parametrize(("options", "stdin"), [((), "\n".join(COMPONENTS)), (("--under", "a/zmk"), COMPONENTS[0])])
def test_without_a_terminal_nobody_confirms(ceremony, options, stdin):
    ceremony.put("a/zmk", "zmk", "3des-2key", COMBINED)
    before = ceremony.run("list")
    output = ceremony.run("import", "link/bank-a/zmk", *options, stdin=stdin, status=2)
    assert "--kcv is required: without a terminal nobody can confirm" in " ".join(output.replace("│", " ").split())
    assert COMPONENTS[0] not in output
    assert ceremony.run("list") == before


@pytest.mark.parametrize(
    ("stdin", "options", "reason"),
    [
        (COMPONENTS[0], KCV, "needed 2 lines of standard input (component 1, component 2), not 1"),
        ("\n".join((COMPONENTS[0], COMPONENTS[1][:-2])), KCV, "component 2 has 15 bytes; a key of algorithm 3des-2key"),
        ("\n".join((COMPONENTS[0], "hello")), KCV, "component 2 is not written in pairs of hex digits"),
        ("\n".join((COMPONENTS[0], COMPONENTS[0])), KCV, "the components make a weak key"),
        ("\n".join((COMPONENTS[1], COMPONENTS[1], COMPONENTS[0])), THREE, "some components cancel each other out"),
        ("\n".join((COMPONENTS[0], "0" * 32)), KCV, "some components cancel each other out"),
        ("\n".join(COMPONENTS), ("--kcv", "40D523"), "the check value is 40D522, not 40D523; nothing was changed"),
    ],
)
def test_wrong_components_change_nothing(ceremony, stdin, options, reason):
    output = ceremony.run("import", "link/bank-a/zmk", *options, stdin=stdin, status=1)
    assert reason in output
    assert COMPONENTS[0] not in output
    assert ceremony.run("list") == "name usage algorithm kcv"


def test_check_value_must_be_one(ceremony):
    ceremony.run("import", "link/a/zmk", "--kcv", "40D", stdin="\n".join(COMPONENTS), status=2)


def test_key_encrypted_under_another_comes_in_and_goes_out(ceremony):
    under = ceremony.put("link/bank-a/zmk", "zmk", "3des-2key", COMBINED)
    value = bytes(range(16))
    wrapped = wrap_key(under, "3des-2key", value).hex()
    check = check_value("3des-2key", value)
    ceremony.run("import", "link/bank-a/zak", "--under", "link/bank-a/zmk", "--kcv", check, stdin=wrapped)
    assert ceremony.key("link/bank-a/zak").value == value
    assert ceremony.run("export", "link/bank-a/zak", "--under", "link/bank-a/zmk") == f"{wrapped.upper()} kcv {check}"
    exported = json.loads(ceremony.run("export", "link/bank-a/zak", "--under", "link/bank-a/zmk", "--json"))
    assert (exported["key"], exported["under"], exported["kcv"]) == (wrapped.upper(), "link/bank-a/zmk", check)


def said(output):
    return " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize(("under", "algorithm"), [("3des-2key", "3des-3key"), ("aes-128", "aes-256")])
def test_key_block_goes_out_and_comes_in(ceremony, under, algorithm):
    ceremony.put("link/a/zmk", "zmk", under, COMBINED)
    ceremony.run("generate", "link/a/zpk", "--algorithm", algorithm)
    key = ceremony.key("link/a/zpk")
    block, _, check = ceremony.run("export", "link/a/zpk", "--under", "link/a/zmk", "--format", "tr31").split()
    assert (block[:1], block[5:7], check) == ("B" if under == "3des-2key" else "D", "P0", key.check_value)
    exported = json.loads(
        ceremony.run("export", "link/a/zpk", "--under", "link/a/zmk", "--format", "tr31", "--json").replace("\n", "")
    )
    assert exported["key"][5:16] == block[5:16]
    ceremony.run("remove", "link/a/zpk")
    # Neither its algorithm nor a check value has to be told.
    output = ceremony.run("import", "link/a/zpk", "--under", "link/a/zmk", stdin=f"{block}\n")
    assert output == f"link/a/zpk: zpk, {algorithm}, kcv {check}"
    assert ceremony.key("link/a/zpk") == key
    into = ("import", "link/b/zpk", "--under", "link/a/zmk")
    output = ceremony.run(*into, "--algorithm", "3des-2key", stdin=block, status=2)
    assert f"the key block holds a key of {algorithm}, not 3des-2key" in said(output)
    assert "the check value is" in ceremony.run(*into, "--kcv", "000000", stdin=block, status=1)
    ceremony.run(*into, "--kcv", check, "--algorithm", algorithm, stdin=block)
    output = ceremony.run("import", "link/a/zak", "--under", "link/a/zmk", stdin=block, status=2)
    assert "its key is for P0, and no zak" in said(output)
    output = ceremony.run(*into, "--replace", stdin=block[:-1] + "G", status=2)
    assert "is not written in upper-case hex digits" in said(output)
    output = ceremony.run(*into, "--replace", stdin=f"{block[:-1]}{int(block[-1], 16) ^ 1:X}", status=2)
    assert "was not made under this key, or was damaged" in said(output)
    assert key.value.hex().upper() not in output.upper()


def test_key_that_must_not_be_exported_stays(ceremony):
    under = ceremony.put("link/a/zmk", "zmk", "3des-2key", COMBINED)
    header = tr31.Header("B", "P0", "T", "E", "00", "N")
    block = tr31.KeyBlock(under.value, header).wrap(bytes(range(16)))
    ceremony.run("import", "link/a/zpk", "--under", "link/a/zmk", stdin=block)
    for form in ("hex", "tr31"):
        output = ceremony.run("export", "link/a/zpk", "--under", "link/a/zmk", "--format", form, status=2)
        assert "key link/a/zpk must not be exported" in said(output)
    ceremony.run("generate", "link/a/zak")
    assert not ceremony.key("link/a/zpk").exportable
    assert ceremony.key("link/a/zak").exportable
    ceremony.run("export", "link/a/zak", "--under", "link/a/zmk", "--format", "tr31")


def test_export_needs_keys_that_are_there_and_may_wrap(ceremony):
    ceremony.run("generate", "link/a/zak")
    ceremony.run("generate", "link/a/zpk")
    assert "link/b/zak: there is no such key" in ceremony.run("export", "link/b/zak", "--under", "link/a/zpk", status=1)
    assert "only tmk and zmk wrap other keys" in ceremony.run("export", "link/a/zak", "--under", "link/a/zpk", status=2)


def table_of(folder, *rows, heading="terminal,usage,algorithm,under,key,kcv"):
    path = folder / "terminal-keys.csv"
    path.write_text("\n".join((heading, *rows)) + "\n")
    return path


def wrapped_row(terminal, usage, algorithm, under, value):
    wrapped = wrap_key(under, algorithm, value).hex()
    return f"{terminal},{usage},{algorithm},{under.name},{wrapped},{check_value(algorithm, value)}"


def test_terminals_come_in_from_a_table(ceremony):
    zmk = ceremony.put("link/injector/zmk", "zmk", "3des-2key", COMBINED)
    tmk = Key("terminal/10000001/tmk", "tmk", "3des-2key", bytes(range(16)))
    rows = [
        wrapped_row("10000001", "tmk", "3des-2key", zmk, tmk.value),
        wrapped_row("10000001", "tak", "des", tmk, bytes(range(8))),
        "",
        wrapped_row("10000001", "tpk", "3des-2key", tmk, bytes(range(16, 32))),
    ]
    assert ceremony.run("import-terminals", str(table_of(ceremony.folder, *rows))) == "3 keys taken in"
    assert ceremony.key("terminal/10000001/tmk") == tmk
    assert ceremony.key("terminal/10000001/tak").value == bytes(range(8))
    assert ceremony.key("terminal/10000001/tpk").value == bytes(range(16, 32))
    output = ceremony.run("import-terminals", str(table_of(ceremony.folder, *rows)), status=1)
    assert "terminal/10000001/tmk: exists already" in output
    ceremony.run("import-terminals", str(table_of(ceremony.folder, *rows)), "--replace")


def test_terminals_come_in_as_key_blocks(ceremony):
    zmk = ceremony.put("link/injector/zmk", "zmk", "3des-2key", COMBINED)
    tpk = Key("terminal/10000001/tpk", "tpk", "3des-2key", bytes(range(16)))
    block = wrap_key_block(zmk, tpk)
    rows = {
        2: f"10000001,tak,3des-2key,{zmk.name},{block},",
        3: f"10000001,tpk,3des-3key,{zmk.name},{block},",
        4: f"10000001,tpk,3des-2key,{zmk.name},{block[:-2]}{'01' if block.endswith('00') else '00'},",
        5: f"10000001,tpk,3des-2key,{zmk.name},{block},000000",
        6: f"10000001,tpk,rc4,{zmk.name},{block},",
        7: f"10000001,tpk,3des-2key,{zmk.name},{block[5:]},",
    }
    output = ceremony.run("import-terminals", str(table_of(ceremony.folder, *rows.values())), status=1)
    for line, reason in {
        2: "its key is for P0, and no tak",
        3: "algorithm: the key block holds a key of 3des-2key, not 3des-3key",
        4: "key block: was not made under this key, or was damaged",
        5: "kcv: the key's is",
        6: "unknown key algorithm 'rc4'",
        7: "key: is not written in pairs of hex digits, and no key block",
    }.items():
        assert f"line {line} " in output
        assert reason in output
    assert block[16:] not in output
    rows = [f"1000000{n},tpk,3des-2key,{zmk.name},{block},{check}" for n, check in ((1, ""), (2, tpk.check_value))]
    assert ceremony.run("import-terminals", str(table_of(ceremony.folder, *rows))) == "2 keys taken in"
    assert ceremony.key("terminal/10000001/tpk") == tpk
    assert ceremony.key("terminal/10000002/tpk").value == tpk.value


def test_every_wrong_line_of_a_table_is_told_and_nothing_changed(ceremony):
    zmk = ceremony.put("link/injector/zmk", "zmk", "3des-2key", COMBINED)
    good = wrapped_row("10000001", "tak", "des", zmk, bytes(range(8)))
    _, usage, algorithm, under, wrapped, kcv = good.split(",")
    rows = {
        2: good,
        3: "10000002,tak,des",
        4: f"10000002,{usage},{algorithm},{under},{wrapped}xx,{kcv}",
        5: f"10000002,{usage},{algorithm},{under},{wrapped},12",
        6: f"10000002,{usage},{algorithm},{under},{wrapped},000000",
        7: f"10000002,{usage},{algorithm},link/nobody/zmk,{wrapped},{kcv}",
        8: f"10000002,{usage},rc4,{under},{wrapped},{kcv}",
        9: f"10000002,kek,{algorithm},{under},{wrapped},{kcv}",
        10: f"1 2,{usage},{algorithm},{under},{wrapped},{kcv}",
        11: f"10000002,{usage},3des-2key,{under},{wrapped},{kcv}",
    }
    output = ceremony.run("import-terminals", str(table_of(ceremony.folder, *rows.values())), status=1)
    for line, reason in {
        3: "has 3 cells; needed are 6",
        4: "key: is not written in pairs of hex digits",
        5: "kcv: needed are 6, 8, 10, 16 hex digits, not 2",
        6: "kcv: the key's is",
        7: "link/nobody/zmk: there is no such key",
        8: "unknown key algorithm 'rc4'",
        9: "unknown key usage 'kek'",
        10: "is no key name",
        11: "an encrypted key of algorithm 3des-2key has 16 bytes, not 8",
    }.items():
        assert f"line {line} " in output
        assert reason in output
    assert "line 2 " not in output
    assert "nothing was changed" in output
    assert wrapped not in output
    assert [entry["name"] for entry in json.loads(ceremony.run("list", "--json"))] == ["link/injector/zmk"]


def test_table_with_other_columns_or_none_is_refused(ceremony):
    output = ceremony.run("import-terminals", str(table_of(ceremony.folder, heading="terminal,key")), status=1)
    assert "needed are the columns terminal,usage,algorithm,under,key,kcv" in output
    output = ceremony.run("import-terminals", str(table_of(ceremony.folder, '1,"open')), status=1)
    assert "line 2" in output
    output = ceremony.run("import-terminals", str(ceremony.folder / "nothing.csv"), status=2)
    assert "cannot be read: No such file or directory" in output


@pytest.mark.parametrize("name", ["file", "master"])
def test_a_file_that_is_not_there_is_asked_for_wrongly(ceremony, name):
    """As with every other command; what is there and does not fit is another thing."""
    absent = getattr(ceremony, name)
    absent.rename(absent.with_name("elsewhere"))
    for command in (
        ("list",),
        ("generate", "link/a/zak"),
        ("remove", "link/a/zak"),
        ("export", "a/zak", "--under", "b"),
    ):
        assert f"{absent.name}: cannot be read: No such file" in ceremony.run(*command, status=2).replace("\n", "")
    absent.write_text("something else")
    absent.chmod(0o600)
    ceremony.run("list", status=1)


def test_removed_key_is_gone(ceremony):
    ceremony.run("generate", "link/a/zak")
    assert ceremony.run("remove", "link/a/zak") == "link/a/zak: removed"
    assert "there is no such key" in ceremony.run("remove", "link/a/zak", status=1)


def test_new_master_key_opens_the_file_and_the_old_one_does_not(ceremony):
    ceremony.run("generate", "link/a/zak")
    before = ceremony.key("link/a/zak")
    new = ceremony.folder / "master-2.key"
    said = ceremony.run("change-master-key", "--new-master-key-file", str(new))
    assert str(new) in said
    assert "this master key does not open it" in ceremony.run("list", status=1)
    ceremony.master = new
    assert ceremony.key("link/a/zak") == before
    ceremony.where = ["--file", str(ceremony.file), "--master-key-file", str(new)]
    assert "already" in ceremony.run("change-master-key", "--new-master-key-file", str(new))


def test_master_key_that_others_can_read_is_refused(ceremony):
    ceremony.master.chmod(0o644)
    assert "its mode is 0644, so others can use it" in ceremony.run("list", status=1)


def test_place_is_taken_from_a_configuration(ceremony, monkeypatch):
    ceremony.run("generate", "link/a/zak")
    keys = KeysSection(file=ceremony.file, master_key_file=ceremony.master)
    loaded = SimpleNamespace(keys=keys, journal=SimpleNamespace(directory=None), node=ALONE)
    monkeypatch.setattr("switch.cli.keys.load_config", lambda path: loaded)
    assert "link/a/zak" in CliRunner().invoke(app, ["--config", "switch.toml", "list"]).output
    monkeypatch.setattr("switch.cli.keys.load_config", lambda path: SimpleNamespace(keys=None))
    assert CliRunner().invoke(app, ["--config", "switch.toml", "list"]).exit_code == 2


def test_place_is_needed_once(ceremony, tmp_path):
    for where in ([], ["--file", "x"], ["--master-key-file", "x"], [*ceremony.where, "--master-key-env", "X"]):
        assert CliRunner().invoke(app, [*where, "list"]).exit_code == 2
    config = tmp_path / "broken.toml"
    config.write_text("[switch]\n")
    assert CliRunner().invoke(app, ["--config", str(config), "list"]).exit_code == 2
    assert CliRunner().invoke(app, ["--config", str(config), *ceremony.where, "list"]).exit_code == 2


@pytest.mark.parametrize(
    "command", [*sorted(command.name or command.callback.__name__ for command in app.registered_commands)]
)
def test_help_has_an_example(command):
    command = command.replace("_", "-")
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example: authswitch keys" in result.output


def test_each_component_is_told_when_it_is_typed(ceremony, monkeypatch):
    monkeypatch.setattr("switch.cli.key_ceremony.on_terminal", lambda: True)
    wrong = (COMPONENTS[0][:-2], "hello")
    typed = "\n".join((*wrong, *COMPONENTS)) + "\n"
    output = ceremony.run("import", "link/a/zmk", "--kcv", "40D522", stdin=typed)
    places = [
        output.index(told)
        for told in (
            "component 1 has 15 bytes; a key of algorithm 3des-2key has 16: once more",
            "component 1 is not written in pairs of hex digits: once more",
            f"component 1: 16 bytes, kcv {check_value('3des-2key', bytes.fromhex(COMPONENTS[0]))}",
            f"component 2: 16 bytes, kcv {check_value('3des-2key', bytes.fromhex(COMPONENTS[1]))}",
            "link/a/zmk: zmk, 3des-2key, kcv 40D522",
        )
    ]
    assert places == sorted(places)
    assert output.index("kcv", places[2]) < output.index("component 2", places[2]), "told before the next is asked for"
    assert "right one" not in output, "a right check value asks nothing more"
    assert ceremony.key("link/a/zmk").value == COMBINED


def test_who_never_types_a_component_changes_nothing(ceremony, monkeypatch):
    monkeypatch.setattr("switch.cli.key_ceremony.on_terminal", lambda: True)
    output = ceremony.run("import", "link/a/zmk", stdin="hello\n" * 9, status=1)
    assert "component 1 was not taken 5 times; nothing was changed" in output
    assert ceremony.run("list") == "name usage algorithm kcv"


def test_a_replaced_key_is_kept_where_it_is_asked_for(ceremony):
    ceremony.run("generate", "link/a/zak")
    first = ceremony.key("link/a/zak")
    ceremony.run("generate", "link/a/zak", "--replace", "--keep-old")
    assert ceremony.key("link/a/former/zak").value == first.value
    second = ceremony.key("link/a/zak")
    ceremony.run("generate", "link/a/zak", "--replace", "--keep-old")
    assert ceremony.key("link/a/former/zak").value == second.value, "of several the last one"
    ceremony.run("generate", "link/a/zak", "--replace")
    assert json.loads(ceremony.run("list", "link/a/former", "--json")) == [], "and none where it was not asked for"


def test_an_imported_key_may_keep_the_old_one(ceremony):
    ceremony.run("generate", "link/a/zak")
    first = ceremony.key("link/a/zak")
    command = ("import", "link/a/zak", "--components", "1", "--kcv", check_value("3des-2key", COMBINED), "--replace")
    ceremony.run(*command, "--keep-old", stdin=COMBINED.hex() + "\n")
    assert ceremony.key("link/a/former/zak").value == first.value
    assert ceremony.key("link/a/zak").value == COMBINED


@pytest.mark.parametrize("arguments", [("link/a/zak", "--keep-old"), ("link/a/zpk", "--replace", "--keep-old")])
def test_what_keeps_no_old_key(ceremony, arguments):
    ceremony.run("generate", arguments[0])
    assert "--keep-old goes with --replace" in ceremony.run("generate", *arguments, status=2).replace("│ ", "")


def test_there_must_be_an_old_key_to_keep(ceremony):
    said = ceremony.run("generate", "link/a/zak", "--replace", "--keep-old", status=1)
    assert "there is no such key" in said
