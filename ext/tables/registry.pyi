from collections.abc import Sequence
from typing import TypedDict, final

from _typeshed import ReadableBuffer

from switch.keys import KeySource
from switch.tables.binding import BindingRule
from switch.tables.former_keys import FormerKeyTable

MERCHANT_COLUMNS: tuple[str, ...]
TERMINAL_COLUMNS: tuple[str, ...]
BOUND_MERCHANT_COLUMNS: tuple[str, ...]
BOUND_TERMINAL_COLUMNS: tuple[str, ...]
"""The same with what a terminal is bound to, and of which class and identity a merchant is, as the store has it."""

PIN_FORMATS: tuple[str, ...]
TERMINAL_PIN_FORMATS: tuple[str, ...]
"""What ``pin_format`` may be."""

class TerminalDescription(TypedDict):
    id: str
    merchant: str
    state: str
    listeners: list[str]
    kinds: list[str]
    mac_algorithm: str
    pin_format: str
    certificate: str
    has_master_key: bool
    serial_number: str
    position: tuple[int, int] | None
    bound_to: str

class MerchantDescription(TypedDict):
    id: str
    name: str
    state: str
    category: str
    kinds: list[str]
    elements: str
    merchant_class: str
    same_identity: str

@final
class Registry:
    """Merchants and terminals, immutable."""

    terminal_count: int
    merchant_count: int
    unregistered_count: int
    """Of the terminals, those that only a journal knows: they are barred."""
    size_bytes: int
    former: FormerKeyTable
    """Keys of terminals that others have replaced."""
    kind_names: tuple[str, ...]
    listener_names: tuple[str, ...]
    rule: BindingRule
    metres_max: int
    serial_number_demanded: bool
    position_demanded: bool
    unbound_count: int
    """Terminals that are not served since they are bound to nothing, and must be."""
    altered: list[str]
    """Numbers of terminals whose rows are not as they were bound: they are not served."""
    suspects: list[tuple[str, int, str]]
    """Terminals that spoke otherwise than they are registered: number, what it was (``STRANGERS``), what they said.
    Whoever keeps note of them takes them out."""
    signed_in: list[tuple[str, int]]
    """Terminals that were put into service by their first sign-in: number, and when in seconds since 1970. Whoever keeps
    note of them takes them out."""

    @staticmethod
    def build(
        merchants: ReadableBuffer,
        terminals: ReadableBuffer,
        keys: KeySource,
        kind_names: Sequence[str],
        listener_names: Sequence[str],
        merchants_file: str = "merchants.csv",
        terminals_file: str = "terminals.csv",
        problems_max: int = ...,
        rule: BindingRule = ...,
    ) -> Registry:
        """Read both files and attach the keys.

        A terminal's keys are named ``terminal/<id>/tak``, ``terminal/<id>/tpk`` and ``terminal/<id>/tmk``: the first is
        needed unless its MAC algorithm is ``none``, the second unless its PIN format is, the third is optional. Files
        may have the columns of a binding, too: it is proven with the key ``BINDING_KEY``.

        Args:
            merchants: The file: columns id, name, state, category, kinds.
            terminals: The file: columns id, merchant, state, listeners, kinds, mac_algorithm, pin_format, certificate.
            keys: Gives clear keys by name.
            kind_names: Kinds in the order of ``switch.dialect.kinds.Kind``.
            listener_names: Listeners in the order of the configuration; at most 32.
            merchants_file: Name of the first file, for problems.
            terminals_file: Name of the second file.
            problems_max: So many of each file are told; of the rest only the number.
            rule: What is asked of terminals beside that.

        Raises:
            ConfigError: Every problem of both files, with line and column.
        """

    def terminal_index(self, id: str | bytes) -> int | None:  # noqa: A002
        """Index of a terminal, or None."""

    def merchant_index(self, id: str | bytes) -> int | None:  # noqa: A002
        """Index of a merchant, or None."""

    def certificate_matches(self, id: str | bytes, name: str) -> bool:  # noqa: A002
        """Whether a client certificate with this common name is the terminal's."""

    def describe_terminal(self, id: str | bytes) -> TerminalDescription | None:  # noqa: A002
        """What is registered about a terminal, without its keys; None when it is unknown."""

    def describe_merchant(self, id: str | bytes) -> MerchantDescription | None:  # noqa: A002
        """What is registered about a merchant; None when it is unknown."""
