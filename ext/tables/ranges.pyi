class RangeMap:
    """Card-number ranges, reached from other compiled modules only."""

    range_count: int
    interval_count: int
    size_bytes: int
