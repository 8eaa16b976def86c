"""Risk files."""

import shutil
import time
from pathlib import Path

import pytest

from switch.dialect.kinds import Kind
from switch.dialect.model import ENTRY_MODES
from switch.dialect.reasons import Reason
from switch.files.problems import ConfigError
from switch.tables.card_hashes import card_hash
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.risk import PAST_MS, Risk
from switch.tables.risk_files import load_risk
from switch.tables.risk_rules import RiskRules

SAMPLE = Path(__file__).parents[2] / "configs" / "sample"
SECRET = bytes(range(16))
KEYS = {"risk/cards": SECRET}
DAY_MS = 86_400_000


@pytest.fixture
def registry() -> Registry:
    merchants, terminals = ",".join(MERCHANT_COLUMNS).encode(), ",".join(TERMINAL_COLUMNS).encode()
    return Registry.build(merchants, terminals, {}, [kind.label for kind in Kind], ["pos"])


@pytest.fixture
def load(tmp_path: Path, registry: Registry):
    def load(text: str, **options: object) -> Risk:
        (tmp_path / "risk.toml").write_text(text)
        return load_risk(tmp_path / "risk.toml", options.pop("keys", KEYS), registry, **options)

    return load


ONE_IS_NEEDED = (
    "one of amount_max, count_max, single_amount_max, declines_max, merchants_max, refund_excess_max, and measure with"
    " bands is needed"
)


def problems_of(load, text: str, **options: object) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(text, **options)
    return [(Path(problem.file).name, problem.key, problem.reason) for problem in caught.value.problems]


def buy(risk: Risk, pan: str = "4000001234567890", amount: int = 100, **options: int) -> Reason:
    return Reason(
        risk.check_request(**{"kind": Kind.PURCHASE, "currency": 156, **options}, pan=pan, amount_minor=amount)
    )


def test_the_sample(registry: Registry) -> None:
    risk = load_risk(SAMPLE / "risk.toml", {}, registry)
    assert risk.rule_count == 11
    assert buy(risk, amount=50_000_01) is Reason.AMOUNT_LIMIT
    codes = [buy(risk, amount=50_000_00) for _ in range(2_001)]
    assert (set(codes[:-1]), codes[-1]) == ({Reason.APPROVED}, Reason.AMOUNT_LIMIT)
    assert buy(risk, "6229990000000000") is Reason.RESTRICTED_CARD
    assert buy(risk, "4999950000000000") is Reason.SUSPECTED_FRAUD
    assert buy(risk, "6227000000000000", kind=Kind.CASH_ADVANCE) is Reason.KIND_NOT_PERMITTED_TO_CARD


def test_an_empty_file_refuses_nothing(load) -> None:
    assert buy(load("")) is Reason.APPROVED


def test_what_takes_money_is_counted_unless_said_otherwise(load) -> None:
    risk = load('[[limits]]\nname = "a"\nper = "card"\nwindow_seconds = 60\ncount_max = 0\n')
    counted = {kind for kind in Kind if buy(risk, kind=kind) is Reason.COUNT_LIMIT}
    assert counted == {
        Kind.PURCHASE, Kind.CASH_ADVANCE, Kind.PREAUTHORIZATION, Kind.ADVICE, Kind.PREAUTHORIZATION_ADVICE,
    }  # fmt: skip


@pytest.mark.parametrize(("offset", "hours"), [("+00:00", 0), ("+08:00", 8), ("-03:30", -3.5)])
def test_fixed_windows_begin_at_midnight_of_the_offset(load, offset: str, hours: float) -> None:
    limit = '[[limits]]\nname = "a"\nper = "card"\nmode = "fixed"\nwindow_seconds = 86_400\ncount_max = 1\n'
    risk = load(f'utc_offset = "{offset}"\n' + limit, clock_offset_ms=1_000 * DAY_MS)
    midnight_ms = int(DAY_MS - hours * 3_600_000)
    assert buy(risk, now_ms=midnight_ms - 1) is Reason.APPROVED
    assert buy(risk, now_ms=midnight_ms) is Reason.APPROVED
    assert buy(risk, now_ms=midnight_ms) is Reason.COUNT_LIMIT


def test_the_clocks_of_the_machine_are_used(load) -> None:
    offset_ms = load("").windows.clock_offset_ms
    assert abs(offset_ms + PAST_MS - (time.time() - time.monotonic()) * 1000) < 5_000


def test_new_rules_go_on_counting(load) -> None:
    limit = '[[limits]]\nname = "a"\nper = "card"\nwindow_seconds = 60\ncount_max = '
    first = load(limit + "2")
    assert [buy(first), buy(first)] == [Reason.APPROVED] * 2
    second = load(limit + "3", previous=first)
    assert [buy(second), buy(second)] == [Reason.APPROVED, Reason.COUNT_LIMIT]
    third = load("windows_max = 10\nutc_offset = '+08:00'\n" + limit + "4", previous=second)
    assert third.windows is second.windows, "it stays as large as it was made"
    offset_ms = second.windows.clock_offset_ms
    assert [buy(third), buy(third)] == [Reason.APPROVED, Reason.COUNT_LIMIT]
    assert second.windows.clock_offset_ms == offset_ms, "rules that may still be refused change nothing"
    assert third.clock_offset_ms == pytest.approx(offset_ms + 8 * 3_600_000, abs=1_000)


def test_tables_are_found_beside_the_file(load, tmp_path: Path) -> None:
    (tmp_path / "countries.csv").write_text("low,high,country\n4000,,408\n")
    hashed = card_hash(SECRET, "5100000000000001")
    (tmp_path / "cards.csv").write_text(f"# lost\ncard,reason\n\n{hashed},restricted-card\n")
    text = '[countries]\ntable = "countries.csv"\nblocked = ["408"]\n[cards]\ntable = "cards.csv"\n'
    risk = load(text)
    assert buy(risk) is Reason.RESTRICTED_CARD
    assert buy(risk, "5100000000000001") is Reason.RESTRICTED_CARD
    assert buy(risk, "5100000000000002") is Reason.APPROVED
    assert problems_of(load, text, keys={}) == [("risk.toml", "cards.key", "no key risk/cards in the key file")]
    assert problems_of(load, text, keys={"risk/cards": b"short"}) == [
        ("risk.toml", "cards.key", "key risk/cards has 5 bytes; the card hash needs 16")
    ]


def test_problems_of_the_table_of_cards_show_no_card(load, tmp_path: Path) -> None:
    file = tmp_path / "cards.csv"
    file.write_text("card,reason\n4000001234567890123,lost\n4000001234567890,lost\n")
    problems = problems_of(load, '[cards]\ntable = "cards.csv"\n')
    assert problems == [
        ("cards.csv", "line 2, column 1", "card: the hash of a card has 16 hex digits"),
        ("cards.csv", "line 3, column 18", "reason: known are restricted-card, suspected-fraud"),
    ]
    file.write_text("cards\n")
    assert problems_of(load, '[cards]\ntable = "cards.csv"\n') == [
        ("cards.csv", "line 1, column 1", "the first row must be card,reason")
    ]


def test_every_problem_of_the_file_is_told(load) -> None:
    assert problems_of(
        load,
        """
        windows_max = 0
        utc_offset = "8"
        surprise = 1
        [[limits]]
        name = "a"
        per = "shop"
        window_seconds = 60
        count_max = 1
        [[limits]]
        name = "b"
        per = "card"
        [[limits]]
        name = "c"
        per = "card"
        amount_max = 1
        window_seconds = 60
        [[limits]]
        name = "d"
        per = "card"
        count_max = 1
        [[limits]]
        name = "e"
        per = "card"
        currency = "156"
        single_amount_max = 1
        window_seconds = 60
        [[limits]]
        name = "f"
        per = "card"
        kinds = ["sale"]
        count_max = 1
        window_seconds = 60
        [[limits]]
        name = "g"
        per = "card"
        kinds = []
        count_max = 1
        window_seconds = 60
        [[bins]]
        low = "4"
        [[bins]]
        low = "44"
        high = "4"
        block = "restricted-card"
        [[bins]]
        low = "4x"
        block = "stolen"
        """,
    ) == [
        ("risk.toml", "windows_max", "needed at least 1, got 0"),
        (
            "risk.toml",
            "utc_offset",
            'needed text of the form ^[+-](0[0-9]|1[0-4]):[0-5][0-9]$, got "8"',
        ),
        (
            "risk.toml",
            "limits[0].per",
            "needed 'card', 'terminal', 'merchant', 'bin', 'category' or 'identity', got \"shop\"",
        ),
        ("risk.toml", "limits[1]", ONE_IS_NEEDED),
        (
            "risk.toml",
            "limits[2]",
            "amounts need a currency: sums of several currencies mean nothing",
        ),
        (
            "risk.toml",
            "limits[3]",
            "every measure but single_amount_max, amount, and a count_max of 0, needs window_seconds",
        ),
        ("risk.toml", "limits[4]", "window_seconds does nothing without a maximum within the window"),
        ("risk.toml", "limits[5].kinds[0]", "unknown kind 'sale'; known are " + ", ".join(k.label for k in Kind)),
        ("risk.toml", "limits[6]", "kinds must name at least one, or be left out"),
        ("risk.toml", "bins[0]", "either block or kinds is needed"),
        ("risk.toml", "bins[1]", "high must have as many digits as low, and not be below it"),
        ("risk.toml", "bins[2].low", 'needed text of the form ^[0-9]{1,19}$, got "4x"'),
        ("risk.toml", "bins[2].block", "needed 'restricted-card' or 'suspected-fraud', got \"stolen\""),
        (
            "risk.toml",
            "surprise",
            f"unknown key; known are {', '.join(sorted(RiskRules.model_fields))}",
        ),
    ]


def test_names_of_limits_are_unique(load) -> None:
    limit = '[[limits]]\nname = "a"\nper = "card"\nwindow_seconds = 60\ncount_max = 1\n'
    assert problems_of(load, limit + limit) == [("risk.toml", "limits", "names stand twice: a")]


def test_files_that_are_no_toml(load, tmp_path: Path, registry: Registry) -> None:
    [(_, key, reason)] = problems_of(load, "limits = ")
    assert key == ""
    assert reason.startswith("is not TOML")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_risk(tmp_path / "nothing.toml", KEYS, registry)
    shutil.copy(SAMPLE / "risk.toml", tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_risk(tmp_path / "binary.toml", KEYS, registry)


def test_too_many_bins_over_one_card(load) -> None:
    bins = "".join(f'[[bins]]\nlow = "4{n:03d}"\nhigh = "4999"\nblock = "restricted-card"\n' for n in range(65))
    assert problems_of(load, bins) == [("risk.toml", "bins", "more than 64 BINs would hold the same card number")]


# Rules.


def band(*terms: str, name: str = "b") -> str:
    return "\n".join(["[[rules.bands]]", f'name = "{name}"', 'then = "pass"', *terms, ""])


def rules_of(text: str) -> str:
    return f'[[rules]]\nname = "a"\nper = "card"\n{text}\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("count_max = 1\nmerchants_max = 2", "stand alone: make a rule of each"),
        ("declines_max = 1", "needs window_seconds"),
        ("window_seconds = 1\nmerchants_max = 8", "needed at most 7, got 8"),
        ('window_seconds = 1\nmerchants_max = 2\nmode = "fixed"', "merchants have no fixed windows"),
        (
            'window_seconds = 1\nrefund_excess_max = 5\ncurrency = "156"\nkinds = ["purchase"]',
            "limits what gives money back: refund, void, completion_void",
        ),
        ("window_seconds = 1\nrefund_excess_max = 5", "amounts need a currency"),
        ("window_seconds = 1\ncount_max = 1\namount_to = 5", "amounts need a currency"),
        ('currency = "156"\ncount_max = 0\namount_from = 6\namount_to = 5', "must not be below amount_from"),
        ('count_max = 0\nhours = "24:00-06:00"', "needed text of the form"),
        ('count_max = 0\nentry_modes = ["chip_pin"]', "unknown entry mode 'chip_pin'; known are unspecified, manual, "),
        ('count_max = 0\nrefuse_as = "no"', "unknown reason 'no'; known are amount-limit, "),
        ('count_max = 0\ncountries = ["408"]', "rules that look at countries need [countries]: a"),
        ('count_max = 0\ncard_types = ["credit"]', "rules that look at card_types need [card_types]: a"),
        ('count_max = 0\ncard_types = ["gold"]', "needed 'credit', 'debit' or 'prepaid', got \"gold\""),
        ('mode = "month"\nwindow_seconds = 60\ncount_max = 1', "mode month has the calendar's windows"),
        ('mode = "month"\ncurrency = "156"\nsingle_amount_max = 1', "mode month has the calendar's windows"),
        ('mode = "month"\nmerchants_max = 2', "merchants have no fixed windows"),
        (f'mode = "month"\ncurrency = "156"\nmeasure = "amount"\n{band()}', "mode month has the calendar's windows"),
        (f'count_max = 0\ntext = "{"é" * 128}"', "is 256 bytes long in UTF-8; it may be 255"),
        ('measure = "count"\nwindow_seconds = 1', "measure and bands belong together"),
        ('count_max = 0\n[[rules.bands]]\nname = "b"\nthen = "pass"', "measure and bands belong together"),
        (f'count_max = 0\nmeasure = "count"\n{band()}', "stand alone: make a rule of each"),
        (f'measure = "count"\n{band()}', "needs window_seconds"),
        (f'measure = "amount"\n{band()}', "amounts need a currency"),
        (f'measure = "amount"\ncurrency = "156"\nwindow_seconds = 1\n{band()}', "window_seconds does nothing"),
        (f'measure = "count"\nwindow_seconds = 1\n{band("from = 5")}{band("below = 2")}', "stand twice: b"),
        (f'measure = "count"\nwindow_seconds = 1\n{band("from = 5", "below = 5")}', "nothing lies between them"),
        (
            'measure = "count"\nwindow_seconds = 1\n'
            + band("below = 5")
            + band("from = 3", name="c")
            + band("from = 1", "below = 9", name="d"),
            "bands that nothing reaches, for those before hold all of it: d",
        ),
        (f'measure = "merchants"\nwindow_seconds = 1\n{band("from = 9")}', "told apart up to 8; more is asked by b"),
        (f'measure = "merchants"\nwindow_seconds = 1\nmode = "fixed"\n{band()}', "merchants have no fixed windows"),
        (f'measure = "count"\nwindow_seconds = 1\n{band(name="B")}', "needed text of the form"),
        ('count_max = 0\n[[rules.exits]]\nname = "e"', "else the rule would never decide"),
        ('count_max = 0\n[[rules.exits]]\nname = "e"\nrequests_below = 2', "needs a window in which requests"),
        ('count_max = 0\n[[rules.exits]]\nname = "e"\namount_below = 2', "amounts need a currency"),
        (
            'count_max = 0\n[[limits]]\nname = "a"\nper = "card"\ncount_max = 0',
            "limits and rules have the same names: a",
        ),
    ],
)
def test_every_problem_of_a_rule_is_told(load, text: str, problem: str) -> None:
    ((_, _, said),) = problems_of(load, rules_of(text))
    assert problem in said


def test_credit_cards_have_a_limit_for_a_month(load, tmp_path: Path) -> None:
    (tmp_path / "types.csv").write_text("low,high,type\n6210,6219,debit\n6225,,credit\n")
    text = '[card_types]\ntable = "types.csv"\n'
    text += rules_of('mode = "month"\ncurrency = "156"\namount_max = 1000\ncard_types = ["credit"]')
    risk = load(text, clock_offset_ms=0)
    assert risk.window_max_ms == 31 * DAY_MS
    for pan in ("6225000000000000", "4000001234567890"):
        assert [buy(risk, pan, amount=600, now_ms=day * DAY_MS) for day in (0, 30, 31)] == [
            Reason.APPROVED, Reason.AMOUNT_LIMIT, Reason.APPROVED,
        ]  # fmt: skip
    assert buy(risk, "6214000000000000", amount=5_000) is Reason.APPROVED
    (tmp_path / "types.csv").write_text("low,high,type\n6210,,gold\n")
    assert problems_of(load, text) == [
        ("types.csv", "line 2, column 7", "a type of card is one of credit, debit, prepaid")
    ]


def test_an_exit_looks_at_the_requests_of_a_month(load) -> None:
    risk = load(
        rules_of('mode = "month"\ncount_max = 1\n[[rules.exits]]\nname = "few"\nrequests_below = 2'), clock_offset_ms=0
    )
    assert [buy(risk, now_ms=day * DAY_MS) for day in (0, 1, 30, 31)] == [
        Reason.APPROVED, Reason.APPROVED, Reason.COUNT_LIMIT, Reason.APPROVED,
    ]  # fmt: skip


def test_names_of_lists_are_taken(load) -> None:
    ((_, _, said),) = problems_of(load, '[[rules]]\nname = "cards"\nper = "card"\ncount_max = 0\n')
    assert said == "names that are taken: cards"


@pytest.mark.parametrize(
    ("before", "refund_max"),
    [
        ([(Kind.PURCHASE, 300)], 300),
        ([(Kind.CASH_ADVANCE, 300)], 300),
        ([(Kind.COMPLETION, 300)], 300),
        ([(Kind.ADVICE, 300)], 300),
        ([(Kind.PREAUTHORIZATION, 300)], 0),
        ([(Kind.PREAUTHORIZATION_ADVICE, 300)], 0),
        ([(Kind.PREAUTHORIZATION, 300), (Kind.COMPLETION, 200)], 200),
        ([(Kind.PREAUTHORIZATION, 300), (Kind.COMPLETION, 200), (Kind.PREAUTHORIZATION_VOID, 300)], 200),
        ([(Kind.PURCHASE, 300), (Kind.VOID, 300)], 0),
        ([(Kind.PURCHASE, 500), (Kind.COMPLETION, 100), (Kind.COMPLETION_VOID, 100)], 500),
        ([(Kind.PURCHASE, 300), (Kind.REFUND, 200)], 100),
        ([(Kind.PURCHASE, 300), (Kind.REFUND, 200), (Kind.REFUND_VOID, 200)], 300),
    ],
)
def test_refunds_are_held_against_the_sales_that_stand(load, before, refund_max: int) -> None:
    risk = load(rules_of('currency = "156"\nwindow_seconds = 60\nrefund_excess_max = 0'))
    for kind, amount in before:
        assert buy(risk, kind=kind, amount=amount) is Reason.APPROVED
    assert buy(risk, kind=Kind.REFUND, amount=refund_max + 1) is Reason.AMOUNT_LIMIT
    assert buy(risk, kind=Kind.REFUND, amount=refund_max) is Reason.APPROVED


def test_a_void_is_counted_and_never_refused_by_what_limits_refunds(load) -> None:
    risk = load(rules_of('currency = "156"\nwindow_seconds = 60\nrefund_excess_max = 0'))
    assert buy(risk, kind=Kind.VOID, amount=500) is Reason.APPROVED, "its sale is older than the window"
    assert buy(risk, kind=Kind.REFUND, amount=1) is Reason.AMOUNT_LIMIT
    assert buy(risk, kind=Kind.PURCHASE, amount=501) is Reason.APPROVED
    assert buy(risk, kind=Kind.REFUND, amount=1) is Reason.APPROVED


def test_rules_of_the_file_are_laid_out(load, tmp_path: Path) -> None:
    (tmp_path / "merchants.csv").write_text("merchant,reason\nM0,unknown-merchant\n")
    merchants = f"{','.join(MERCHANT_COLUMNS)}\nM0,Shop,active,5411,\nM1,Shop,active,5411,\n"
    risk = load(
        """
        version = 3
        [merchants]
        table = "merchants.csv"
        version = 5
        [[limits]]
        name = "ban"
        version = 9
        per = "card"
        entry_modes = ["manual"]
        hours = "00:00-23:59"
        count_max = 0
        [[rules]]
        name = "refunds"
        per = "merchant"
        currency = "156"
        window_seconds = 60
        refund_excess_max = 100
        shadow = true
        """,
        clock_offset_ms=0,
    )
    risk.use_registry(
        Registry.build(merchants.encode(), ",".join(TERMINAL_COLUMNS).encode(), {}, [k.label for k in Kind], ["pos"])
    )
    assert risk.rule_ids[-2:] == ("ban@9", "refunds@3")
    assert {"merchants@5", "cards@3"} < set(risk.rule_ids)
    assert buy(risk, merchant=0) is Reason.UNKNOWN_MERCHANT
    assert buy(risk) is Reason.APPROVED
    for entry_mode in (ENTRY_MODES.index("manual"), ENTRY_MODES.index("manual_pin")):
        assert buy(risk, entry_mode=entry_mode) is Reason.COUNT_LIMIT
    assert buy(risk, kind=Kind.REFUND, amount=101, merchant=1) is Reason.APPROVED
    assert risk.shadowed[-1] == 1


def test_bands_and_exits_of_the_file_are_laid_out(load) -> None:
    risk = load(
        rules_of(
            """
            version = 2
            window_seconds = 60
            measure = "count"
            currency = "156"
            [[rules.exits]]
            name = "small"
            amount_below = 10
            [[rules.bands]]
            name = "calm"
            below = 3
            then = "pass"
            [[rules.bands]]
            name = "look"
            from = 3
            below = 4
            then = "case"
            [[rules.bands]]
            name = "wild"
            from = 4
            then = "refuse"
            refuse_as = "suspected-fraud"
            """
        )
    )
    assert [buy(risk) for _ in range(4)] == [Reason.APPROVED] * 3 + [Reason.SUSPECTED_FRAUD]
    assert buy(risk, amount=9) is Reason.APPROVED
    assert risk.grades == {"a@2/small": "exit", "a@2/calm": "pass", "a@2/look": "case", "a@2/wild": "refuse"}
    assert risk.graded == [1, 2, 1, 1]
