from collections.abc import Sequence

from _typeshed import ReadableBuffer

COLUMNS: tuple[str, ...]

class RouteTable:
    """Ranges of card numbers and the links that are asked for them."""

    range_count: int
    interval_count: int
    route_count: int
    rule_count: int
    size_bytes: int

    @staticmethod
    def build(
        data: ReadableBuffer, link_names: Sequence[str], kind_names: Sequence[str], file: str = "routes.csv"
    ) -> RouteTable:
        """Read a routes file.

        Args:
            data: The file: columns low, high, kinds, currencies, amount_min, amount_max, links.
            link_names: Links in the order of the configuration; a target names its link by index.
            kind_names: Kinds in the order of ``switch.dialect.kinds.Kind``.
            file: Its name, for problems.

        Raises:
            ProblemsError: Every problem of the file, with line and column.
        """

    def find_route(self, pan: str | bytes, kind: int, currency: int = 0, amount_minor: int = -1) -> int | None:
        """Index of the route for a PAN, or None.

        Args:
            pan: 1 to 19 digits.
            kind: Number of the kind.
            currency: Numeric ISO 4217 code; 0 when there is none.
            amount_minor: In the currency's minor unit; -1 when there is none.
        """

    def targets(self, index: int) -> tuple[tuple[int, int, int], ...]:
        """Link index, priority and weight of each target of a route, by ascending priority."""
