"""Known secrets in traffic, and everything that is written or can be asked for searched for them."""

from __future__ import annotations

import json

import pytest

from switch.saf.owed_entries import list_entries
from switch.tracing.steps import steps
from switch.tracing.story import Story
from switch.tracing.verdict import verdict
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.world import change, dialect, link, listener, purchase

PAN = "6225880000000017"
EXPIRY, SERVICE, DATA = "3012", "101", "7719283746"
NAME, CODE, PIN_BLOCK = "SECRETHOLDER/NOBODY", "9F71", "A1B2C3D4E5F60718"
SECURITY_CODE = "CVV2=8417"
TRACK_2_REST = f"{EXPIRY}{SERVICE}{DATA}"
TRACK_1 = f"B{PAN}^{NAME}^{TRACK_2_REST}"
CHIP_TRACK = f"5711{PAN}D{EXPIRY}{SERVICE}{DATA}"
SECRETS = (TRACK_2_REST, DATA, NAME, PIN_BLOCK, "8417")
PRIVATE = ("46", "47", "48", "59", "60", "61", "62", "63", "104", "120", "126", "127")
KEPT = {"cup": ("60", "61", "63"), "iso93-ascii": ("46",), "iso93-binary": ("46",)}
"""What the dialect vouches for, and the fee amounts of 1993: nobody may put a secret there."""

NAMES = ("iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary", "cup")


def loaded(world, spoken, **changes):
    """A request that holds secrets wherever its dialect has room for them."""
    layout = dialect(spoken).layout
    separator = "D" if layout["35"]["data_enc"] == "b" else "="
    secrets = {
        "2": PAN,
        "35": f"{PAN}{separator}{TRACK_2_REST}",
        "45": TRACK_1,
        "55": CHIP_TRACK,
    }
    for number in PRIVATE:
        if number in layout and number not in KEPT.get(spoken, ()) and int(number) <= 64:
            secrets[number] = private_value(layout[number])
    document = change(purchase(world, "side"), **{f"f{number}": value for number, value in secrets.items()})
    if "93" in spoken:
        document |= {
            "t": "1" + document["t"][1:],
            "12": "300115160000",
            "22": "200101200000",
            "24": "200",
            "26": "5411",
        }
        for number in ("13", "25"):
            document.pop(number, None)
    return change({number: value for number, value in document.items() if number == "t" or number in layout}, **changes)


def private_value(entry):
    """A secret of as many characters, and of the class, that a private field takes."""
    if entry["data_enc"] == "b" and entry.get("len_count") != "nibbles":
        return TRACK_1.encode().hex().upper()
    if entry.get("content") == "n":
        return f"{EXPIRY}8417{DATA}"
    return f"{SECURITY_CODE} {TRACK_1}"


def forms_of(secret):
    """How a secret may lie in bytes: text, code page, packed digits of either parity, hex of text."""
    found = [secret.encode(), secret.encode("cp500"), secret.encode().hex().upper().encode()]
    if all(character in "0123456789ABCDEF" for character in secret) and len(secret) > 6:
        even = secret[: len(secret) & ~1]
        found += [bytes.fromhex(even), bytes.fromhex(secret[1 : 1 + (len(secret) - 1 & ~1)])]
    return found


def search(what, data):
    for secret in SECRETS:
        for form in forms_of(secret):
            assert form not in data, f"{secret} in {what}"


@pytest.mark.parametrize("issuer_speaks", NAMES)
@pytest.mark.parametrize("terminal_speaks", NAMES)
def test_no_secret_is_written_listed_or_told(terminal_speaks, issuer_speaks):
    world = JournalWorld(
        listeners=[listener("side", terminal_speaks, mac="none")],
        links=[link("bank-a", issuer_speaks, mac=False, timeout_ms=5000, match={"verify": [41]})],
        routes=["6,,,,,,bank-a:1"],
    )
    terminal, issuer = world.terminal("side"), world.issuer()
    # An approval whose answer repeats all private fields; a time-out; an advice; a reversal of what nobody knows.
    told = loaded(world, terminal_speaks)
    terminal.send(told, mac=False)
    asked = issuer.read_one()
    assert PAN in asked["35"]
    carried = {f"f{number}": asked[number] for number in (*PRIVATE, "55") if number in asked}
    issuer.answer(asked, **carried)
    assert terminal.read_one()["39"] in ("00", "000")
    terminal.send(told, mac=False)
    terminal.read_one()
    terminal.send(loaded(world, terminal_speaks), mac=False)
    issuer.read_one()
    terminal.send(loaded(world, terminal_speaks, t=("1" if "93" in terminal_speaks else "0") + "220"), mac=False)
    world.advance(5.5)
    terminal.send(loaded(world, terminal_speaks, t=("1" if "93" in terminal_speaks else "0") + "420"), mac=False)
    world.sync()
    assert world.engine.owed >= 2
    for name, content in world.memory.files.items():
        search(f"file {name}", bytes(content))
    records, _ = records_of(world.memory)
    assert {record["type"] for record in records} >= {"INTENT", "OUTCOME", "REVERSAL"}
    for record in records:
        for key, value in record.items():
            search(f"{key} of {record['type']}", value if isinstance(value, bytes) else str(value).encode())
    story = Story(records[:2])
    shown = [
        json.dumps(list_entries(world.engine.state)[1]),
        str(world.notes),
        world.stats.exposition().decode(),
        str(verdict(story, str, "00")),
        str(list(steps(story, "00"))),
    ]
    for text in shown:
        search("what is shown", text.encode())
