"""What is told of a dialect that cannot be used: everything at once, each thing in its file and line, and only once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from switch.dialect import DialectError, dialect_names, load_dialect
from switch.files.lines import key_lines

BUILT_IN = Path(load_dialect.__code__.co_filename).parent


def told(path):
    with pytest.raises(DialectError) as caught:
        load_dialect(path)
    return [(Path(one.file).name, one.line, one.key, one.reason) for one in caught.value.problems]


def write(folder, name, *lines):
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def line_of_built_in(name, begin):
    lines = (BUILT_IN / f"{name}.toml").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(begin))


def test_the_childs_line_is_told_and_not_the_parents(tmp_path):
    path = write(tmp_path, "mine", 'extends = "iso87-binary"', "[fields]", '60 = {format = "b...255"}')
    at = line_of_built_in("iso87-ascii", "stand_in_mark")
    assert told(path) == [
        (
            "mine.toml",
            3,
            "fields.60.format",
            f"does not go with stand_in_mark (iso87-ascii.toml:{at}): needed content of class hex, got 'STIP'",
        )
    ]


@pytest.mark.parametrize(
    ("lines", "line", "key", "reason"),
    [
        (["[encoding]", 'text = "utf-8"'], 3, "encoding.text", "'utf-8' is not a one-byte encoding"),
        (["mti_version = 1"], 2, "mti_version", "no MTI of kinds begins with 1"),
        (["only = [2, 3, 4, 11]"], 2, "only", "does not go with fields.39"),
        (["[fields]", '39 = {format = "an3"}'], 3, "fields.39.format", "does not go with response_codes.read."),
        (["[policy.request]", "60 = 5"], 3, "policy.request.60", "needed a string or an array, got 5"),
        (["[policy.request]", '60 = ["issuer", 5]'], 3, "policy.request.60[1]", "needed a string, got 5"),
        (["[fields]", '60 = {formt = "b"}'], 3, "fields.60.formt", "unknown key; did you mean format?"),
        (["[kinds]", 'purchse = [{mti = "0200"}]'], 3, "kinds.purchse", "did you mean purchase?"),
        (["[kinds]", 'void = [{mti = "0200", zz = "0"}]'], 3, "kinds.void[0].zz", "unknown key; known are mti, proc"),
        (["[framing]", 'headers = [{type = "tpdu", zz = "0"}]'], 3, "framing.headers[0].zz", "known are counted, hex"),
        (["[[variants.60]]", 'mti = "0800"', "parts = 3"], 4, "variants.60[0].parts", "needed an array, got 3"),
    ],
)
def test_one_mistake_is_one_line(tmp_path, lines, line, key, reason):
    found = told(write(tmp_path, "mine", 'extends = "iso87-ascii"', *lines))
    assert [(one[0], one[1], one[2]) for one in found] == [("mine.toml", line, key)]
    assert reason in found[0][3]
    assert "known are \n" not in found[0][3] + "\n"


def test_many_keys_of_one_cause_are_counted(tmp_path):
    ((_, _, _, reason),) = told(write(tmp_path, "mine", 'extends = "iso87-ascii"', "only = [2, 3, 4, 11]"))
    assert reason.count("this dialect has no field") == 2
    assert " more" in reason


def test_many_keys_of_the_same_file_may_have_one_cause(tmp_path):
    """Also in a file that extends nothing."""
    text = (BUILT_IN / "iso87-ascii.toml").read_text()
    at = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith("mti_version"))
    path = write(tmp_path, "mine", text.replace("mti_version = 0", "mti_version = 0\nonly = [2, 3, 4, 11, 39]"))
    ((file, line, key, reason),) = told(path)
    assert (file, line, key) == ("mine.toml", at + 1, "only")
    assert "does not go with kind_code.field (mine.toml:" in reason
    path = write(tmp_path, "mine", text.replace("mti_version = 0", "mti_version = 1"))
    assert told(path) == [("mine.toml", at, "mti_version", "no MTI of kinds begins with 1")]


def test_values_and_what_does_not_fit_are_told_together(tmp_path):
    path = write(
        tmp_path,
        "mine",
        'extends = "iso87-ascii"',
        'catalogue = "x"',
        "[framing]",
        "keep_alive = 3",
        "[policy.request]",
        '61 = "compute:x"',
        "[fields]",
        '39 = {format = "an3"}',
    )
    assert {(line, key) for _, line, key, _ in told(path)} == {
        (2, "catalogue"),
        (4, "framing.keep_alive"),
        (6, "policy.request.61"),
        (8, "fields.39.format"),
    }


@pytest.mark.parametrize(
    ("parent", "lines", "keys"),
    [
        ((), ("[reference]", "x = 1"), {"reference.x", "reference.field", "reference.parts"}),
        ((), ("[reference]", "field = 5"), {"reference.parts"}),
        ((), ("[kind_code]", "field = 5"), {"kind_code.field"}),
        ((), ("[network.sign_off]", 'mti = "08"'), {"network.sign_off.mti"}),
        ((), ("[fields]", '60 = {formt = "b"}'), {"fields.60.formt"}),
        (("[reference]", "x = 1"), (), {"reference.x", "reference.field", "reference.parts"}),
        (("[framing]", "keep_alive = 3"), ("[framing]", "keep_alive = 4"), {"framing.keep_alive"}),
    ],
)
def test_what_lacks_a_key_hides_nothing_else(tmp_path, parent, lines, keys):
    """Also where it stands in the file that is extended."""
    write(tmp_path, "base", 'extends = "iso87-ascii"', *parent)
    wrong = ("[policy.unknown_reversal]", '99 = "forwrd"')
    found = told(write(tmp_path, "mine", 'extends = "./base.toml"', *wrong, *lines))
    assert {key for _, _, key, _ in found} == {"policy.unknown_reversal.99", *keys}


def test_a_slot_that_there_is_not_is_repeated(tmp_path):
    ((*_, reason),) = told(
        write(tmp_path, "mine", 'extends = "iso87-ascii"', "[policy.request]", '60 = "compute:stna"')
    )
    assert reason.startswith("compute needs one of mti, ")
    assert reason.endswith(", got 'stna'; did you mean stan?")


def test_the_new_name_of_a_renamed_table_is_told(tmp_path):
    path = write(tmp_path, "mine", 'extends = "cup"', "[policy.takeback]", '60 = "drop"')
    assert told(path) == [("mine.toml", 2, "policy.takeback", "unknown key; it is called unknown_reversal now")]


def test_a_parents_own_mistake_stays_the_parents(tmp_path):
    write(tmp_path, "base", 'extends = "iso87-ascii"', "", "[policy.request]", '61 = "compute:x"')
    path = write(tmp_path, "mine", 'extends = "./base.toml"', "[policy.answer]", '61 = "compute:y"')
    assert [one[:3] for one in told(path)] == [
        ("base.toml", 4, "policy.request.61"),
        ("mine.toml", 3, "policy.answer.61"),
    ]


@pytest.mark.parametrize("name", dialect_names())
def test_every_key_of_the_built_in_dialects_has_its_line(name):
    text = (BUILT_IN / f"{name}.toml").read_text()
    lines = key_lines(text)

    def keys(table, key):
        for step, value in table.items():
            yield (*key, step)
            if isinstance(value, dict) and (*key, step) in lines:
                yield from keys(value, (*key, step))

    found = set(keys(tomllib.loads(text), ()))
    inline = {key for key in found if key not in lines}
    assert all(any(key[:size] in lines for size in range(1, len(key))) for key in inline)
    shown = text.splitlines()
    for key in found - inline:
        assert key[-1] in shown[lines[key] - 1], key


def test_strings_and_arrays_of_several_lines_hold_no_keys():
    text = 'a = """\nb = 1\n"""\nc = [\n  "]",  # d = 1 [\n  2,\n]\n\'e f\'.g = 1\n'
    text += "[[h]]\ni = 1\n[[h]]\ni = 2\n[h.j]\nk = 3\n"
    assert key_lines(text) == {
        ("a",): 1,
        ("c",): 4,
        ("e f",): 8,
        ("e f", "g"): 8,
        ("h",): 9,
        ("h", "0"): 9,
        ("h", "0", "i"): 10,
        ("h", "1"): 11,
        ("h", "1", "i"): 12,
        ("h", "1", "j"): 13,
        ("h", "1", "j", "k"): 14,
    }
