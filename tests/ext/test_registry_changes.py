"""A registry that is changed while it is looked up: as if it had been read so, and with the numbers that it had."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.crypto.mac import ALGORITHMS
from switch.machine.terminal_counts import TerminalCounts
from switch.tables.registry_changes import RegistryChange, take_changes

from .test_registry import KINDS, AnyKey, build

MERCHANT_IDS = [f"m{number}" for number in range(6)]
TERMINAL_IDS = [f"T{number}" for number in range(12)]

merchants = st.dictionaries(
    st.sampled_from(MERCHANT_IDS),
    st.tuples(
        st.text("abc\u5e97", min_size=1, max_size=40),
        st.sampled_from(("active", "suspended", "closed")),
        st.sampled_from(("5942", "0000")),
        st.sampled_from(("", *KINDS)),
    ),
    min_size=1,
)
terminals = st.dictionaries(
    st.sampled_from(TERMINAL_IDS),
    st.tuples(
        st.sampled_from(MERCHANT_IDS),
        st.sampled_from(("active", "suspended", "closed")),
        st.sampled_from(("", "pos", "pos-tls")),
        st.sampled_from(("", *KINDS)),
        st.sampled_from(("none", "x9.19")),
        st.sampled_from(("none", "iso-0")),
        st.sampled_from(("", "shop.example", "x" * 255)),
    ),
)
states = st.tuples(merchants, terminals)


def registry_of(parties, tills, tak=16):
    return build(
        "".join(f"{key},{','.join(row)}\n" for key, row in tills.items()),
        "".join(f"{key},{','.join(row)}\n" for key, row in parties.items()),
        AnyKey(tak=tak),
    )


def known(parties, tills):
    """Only terminals whose merchant is there."""
    return {key: row for key, row in tills.items() if row[0] in parties}


def described(registry):
    return (
        [registry.describe_merchant(key) for key in MERCHANT_IDS],
        [registry.describe_terminal(key) for key in TERMINAL_IDS],
    )


def in_force(before, row):
    """Who is not served any more keeps each key that it had where the change brings none."""
    if before is None or row[1] == "active":
        return row
    kept = (old if new == "none" else new for old, new in zip(before[4:6], row[4:6], strict=True))
    return (*row[:4], *kept, row[6])


def numbers(registry):
    return {key: registry.terminal_index(key) for key in TERMINAL_IDS if registry.terminal_index(key) is not None}


@settings(deadline=None)
@given(states, st.lists(states, max_size=4), st.integers(1, 5))
def test_is_as_if_it_had_been_read_so(first, later, rows):
    parties, tills = dict(first[0]), known(*first)
    registry = registry_of(parties, tills)
    for more_parties, more_tills in later:
        before = numbers(registry)
        parties |= more_parties
        changed = known(parties, more_tills)
        tills |= {key: in_force(tills.get(key), row) for key, row in changed.items()}
        needed = more_parties | {row[0]: parties[row[0]] for row in changed.values()}
        change = RegistryChange(registry, registry_of(needed, changed))
        while change.take(rows):
            assert before.items() <= numbers(registry).items()
        assert not change.take(rows)
        assert described(registry) == described(registry_of(parties, tills))
        now = numbers(registry)
        assert before.items() <= now.items()
        assert sorted(now.values()) == list(range(registry.terminal_count))


def test_very_many_more_are_found():
    registry = registry_of({"m0": ("shop", "active", "5942", "")}, {})
    for part in range(3):
        ids = [f"{part}{number:06d}" for number in range(3_000)]
        more = dict.fromkeys(ids, ("m0", "active", "", "", "none", "none", "c" * 50))
        take_changes(registry, registry_of({"m0": ("shop", "active", "5942", "")}, more))
        assert [registry.terminal_index(key) for key in ids] == list(range(part * 3_000, part * 3_000 + 3_000))
    assert registry.terminal_count == 9_000
    assert registry.certificate_matches("1002999", "c" * 50)
    assert registry.terminal_index("3000000") is None
    many = {f"m{number}": ("shop", "active", "5942", "") for number in range(5_000)}
    take_changes(registry, registry_of(many, {}))
    assert [registry.merchant_index(key) for key in many] == list(range(5_000))


@pytest.mark.parametrize("algorithm", ["x9.9", "aes-cmac"])
def test_takes_the_new_keys(algorithm):
    till = ("m0", "active", "", "", "x9.19", "none", "")
    parties = {"m0": ("shop", "active", "5942", "")}
    registry = registry_of(parties, {"T1": till})
    changed = {"T1": (*till[:4], algorithm, "none", "")}
    take_changes(registry, registry_of(parties, changed, tak=8 if algorithm == "x9.9" else 16))
    assert algorithm in ALGORITHMS
    assert registry.describe_terminal("T1")["mac_algorithm"] == algorithm


def test_room_is_made_in_a_thread_and_nothing_is_lost_meanwhile():
    shop = {"m0": ("shop", "active", "5942", "")}
    row = ("m0", "active", "", "", "x9.19", "none", "")
    registry = registry_of(shop, {f"1{number:07d}": row for number in range(20_000)})
    changes = registry_of(shop, {f"2{number:07d}": row for number in range(300)})
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(RegistryChange, registry, changes)
        while not making.done():
            assert registry.terminal_index("10019999") == 19_999
        change = making.result()
    turns = 1
    while change.take(100):
        turns += 1
    assert turns == 4
    del change
    assert [registry.terminal_index(key) for key in ("10000000", "10019999", "20000000", "20000299", "20000300")] == [
        0, 19_999, 20_000, 20_299, None,
    ]  # fmt: skip
    assert registry.describe_terminal("10019999")["mac_algorithm"] == "x9.19"


def test_refuses_what_was_read_for_other_listeners():
    registry = registry_of({"m0": ("shop", "active", "5942", "")}, {})
    other = type(registry).build(b"id,name,state,category,kinds\n", HEADING, AnyKey(), KINDS, ("pos",))
    with pytest.raises(ValueError, match="other listeners"):
        take_changes(registry, other)


HEADING = b"id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate\n"


def test_counts_have_room_for_new_terminals():
    counts = TerminalCounts(2)
    counts.grow(1)
    assert counts.count == 2
    counts.grow(5_000)
    assert counts.count == 5_000


def test_names_that_change_again_and_again_take_no_more_memory():
    certificates = "", "shop.example", "x" * 255

    def state(number):
        name = "n" * (1 + number * 37 % 255)
        row = "m0", "active", "pos", "", "none", "none", certificates[number % 3]
        return {"m0": (name, "active", "5942", "")}, {"T0": row, "T1": (*row[:6], certificates[number % 2])}

    registry = registry_of(*state(0))
    for number in range(1, 300):
        take_changes(registry, registry_of(*state(number)))
    after_some = registry.size_bytes
    for number in range(300, 3_000):
        take_changes(registry, registry_of(*state(number)))
        assert described(registry) == described(registry_of(*state(number)))
    assert registry.size_bytes == after_some
