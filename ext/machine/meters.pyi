from switch.base.stats import Stats

class Meters:
    stats: Stats
    listener_names: list[str]
    link_names: list[str]
    uncounted: int
    def __init__(self, stats: Stats, listeners: list[tuple[str, list[str]]], link_names: list[str]) -> None: ...
